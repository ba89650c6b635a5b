"""Answers why: each decision is explained by the module that made it; exclusions are gathered here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import QueryError, invalid_argument, not_found
from abci_app.kernel.module import answers
from abci_app.kernel.trace import conclude, source, step, word
from abci_app.modules import collateral, epochs, hardware, models, poc, rewards, uptime
from protocol.gen.evergrid.explain.v1 import explain_pb2 as pb
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import MLNodeInfo
    from protocol.gen.evergrid.reasons.v1.reasons_pb2 import Reason


def _checked(*texts: str) -> None:
    if any("\0" in text for text in texts):
        raise invalid_argument("text with a zero byte names nothing")
    if not texts[0]:
        raise invalid_argument("participant must be an address")


@answers(pb.QueryExplainSlotRequest)
def explain_slot(ctx: Context, request: pb.QueryExplainSlotRequest) -> pb.QueryExplainResponse:
    """Why the nodes of a participant, or one of them, serve through the PoC of an epoch or do not."""
    _checked(request.participant, request.node_id)
    found = uptime.explain_slot(ctx, request.epoch_index, request.participant, request.node_id)
    return pb.QueryExplainResponse(explanations=found)


@answers(pb.QueryExplainWeightRequest)
def explain_weight(ctx: Context, request: pb.QueryExplainWeightRequest) -> pb.QueryExplainResponse:
    """Why the nodes of a participant, or one of them, have their weights in an epoch."""
    _checked(request.participant, request.node_id)
    found = poc.explain_weight(ctx, request.epoch_index, request.participant, request.node_id)
    covered = collateral.explain_cover(ctx, request.epoch_index, request.participant)
    if covered is not None:
        for each in found:
            if any(node.poc_weight for node in _places(ctx, each)):
                each.steps.append(covered)
    return pb.QueryExplainResponse(explanations=found)


def _places(ctx: Context, told: pb.Explanation) -> Iterator[MLNodeInfo]:
    places = epochs.places_of(ctx, told.epoch_index, told.participant, told.node_id)
    return (node for _, node in places)


@answers(pb.QueryExplainRewardRequest)
def explain_reward(ctx: Context, request: pb.QueryExplainRewardRequest) -> pb.QueryExplainResponse:
    """Why an epoch brought a participant what it did."""
    _checked(request.participant)
    found = rewards.explain_reward(ctx, request.epoch_index, request.participant)
    covered = collateral.explain_cover(ctx, request.epoch_index, request.participant)
    if covered is not None and any(each.rule == "share" for each in found.steps):
        # Before the weight that it explains.
        place = [each.rule for each in found.steps].index("weight")
        found.steps.insert(place, covered)
    return pb.QueryExplainResponse(explanations=[found])


@answers(pb.QueryExplainValidatorRequest)
def explain_validator(ctx: Context, request: pb.QueryExplainValidatorRequest) -> pb.QueryExplainResponse:
    """Why a participant has its voting power in an epoch."""
    _checked(request.participant)
    found = epochs.explain_validator(ctx, request.epoch_index, request.participant)
    return pb.QueryExplainResponse(explanations=[found])


@answers(pb.QueryExplainExclusionRequest)
def explain_exclusion(ctx: Context, request: pb.QueryExplainExclusionRequest) -> pb.QueryExplainResponse:
    """What a participant, then each of its nodes, is excluded from in an epoch, and why."""
    _checked(request.participant, request.node_id)
    if hardware.get_participant(ctx, request.participant) is None:
        raise not_found(f"{request.participant} is not a participant")
    if epochs.record_of_poc(ctx, request.epoch_index) is None:
        begun = request.epoch_index <= epochs.state(ctx).epoch_effective
        raise not_found(f"epoch {request.epoch_index} {'is not retained' if begun else 'has not begun'}")
    gathered = _Exclusions(ctx, request.epoch_index, request.participant)
    found = [] if request.node_id else [gathered.of_participant()]
    nodes = [request.node_id] if request.node_id else gathered.nodes()
    return pb.QueryExplainResponse(explanations=[*found, *map(gathered.of_node, nodes)])


class _Exclusions:
    """Gathers, of one participant in one epoch, every rule that keeps it out of something."""

    def __init__(self, ctx: Context, epoch: int, participant: str) -> None:
        self.ctx, self.epoch, self.participant = ctx, epoch, participant
        self.weights = _found(lambda: poc.explain_weight(ctx, epoch, participant))
        self.slots = _found(lambda: uptime.explain_slot(ctx, epoch, participant))

    def nodes(self) -> list[str]:
        """Every node that the registry, the weighing or the draw knows, in that order."""
        declared = [each.node.node_id for each in hardware.nodes_of(self.ctx, self.participant)]
        return list(dict.fromkeys([*declared, *(e.node_id for e in (*self.weights, *self.slots))]))

    def of_participant(self) -> pb.Explanation:
        """Its status, its membership and power, its reward."""
        explanation = self._new("")
        participant = hardware.get_participant(self.ctx, self.participant)
        assert participant is not None
        if participant.status == hardware_pb2.PARTICIPANT_STATUS_INVALID:
            since, why = participant.height_invalid, word(participant.status_reason)
            record = epochs.effective_record(self.ctx)
            ends = participant.epoch_invalid + record.params.epoch.quarantine_epochs
            text = f"INVALID since height {since} ({why}): no votes, no slots, no weight until epoch {ends}"
            where = source("hardware/participants", (self.participant,), since)
            self._add(explanation, reasons.REASON_PARTICIPANT_INVALID, "everything", text, where)
        for told in _found(lambda: [epochs.explain_validator(self.ctx, self.epoch, self.participant)]):
            self._take(explanation, told, "validators")
        for told in _found(lambda: [rewards.explain_reward(self.ctx, self.epoch, self.participant)]):
            self._take(explanation, told, "reward")
        return self._end(explanation)

    def of_node(self, node_id: str) -> pb.Explanation:
        """Its place in the registry, in the group and in the draw."""
        explanation = self._new(node_id)
        at = self.ctx.height
        where = source("hardware/nodes", (self.participant, node_id), at)
        registered = hardware.get_node(self.ctx, self.participant, node_id)
        if registered is None:
            text = "the registry does not have it (now)"
            self._add(explanation, reasons.REASON_NOT_IN_REGISTRY, "next group", text, where)
        elif registered.node.status == hardware_pb2.ML_NODE_STATUS_DISABLED:
            text = "its participant has disabled it (now)"
            self._add(explanation, reasons.REASON_NODE_DISABLED, "next draw", text, where)
        else:
            known = {model.id for model in models.models_for_formation(self.ctx)}
            if hardware.assigned_model(registered.node.models, known) is None:
                text = "no model that it declares is registered (now), so it can serve none"
                self._add(explanation, reasons.REASON_NOT_SERVING, "serving", text, where)
        for told, scope in ((self.weights, "group"), (self.slots, "draw")):
            for each in told:
                if each.node_id == node_id:
                    self._take(explanation, each, scope)
        return self._end(explanation)

    def _new(self, node_id: str) -> pb.Explanation:
        return pb.Explanation(
            subject="exclusion", epoch_index=self.epoch, participant=self.participant, node_id=node_id
        )

    @staticmethod
    def _add(explanation: pb.Explanation, reason: Reason, scope: str, text: str, *sources: pb.Source) -> None:
        explanation.steps.append(step(f"excluded.{scope}", text, *sources, reason=reason))

    def _take(self, explanation: pb.Explanation, told: pb.Explanation, scope: str) -> None:
        """The steps of another explanation whose reason decided it and excludes."""
        explanation.not_retained.extend(told.not_retained)
        for each in told.steps:
            if each.reason in told.reasons and each.reason not in HARMLESS:
                taken = explanation.steps.add()
                taken.CopyFrom(each)
                taken.rule = f"excluded.{scope}"
                if told.model_id and scope == "draw":
                    taken.text = f"{told.model_id}: {each.text}"

    @staticmethod
    def _end(explanation: pb.Explanation) -> pb.Explanation:
        why = list(dict.fromkeys(each.reason for each in explanation.steps))
        if not explanation.steps:
            explanation.steps.append(step("included", "nothing excludes it"))
        return conclude(explanation, why)


# What keeps nobody out of anything.
HARMLESS: frozenset[Reason] = frozenset(
    [
        reasons.REASON_UNSPECIFIED,
        reasons.REASON_SELECTED,
        reasons.REASON_NOT_DRAWN,
        reasons.REASON_MINED,
        reasons.REASON_PRESERVED,
        reasons.REASON_GENESIS,
        reasons.REASON_ACCEPTED,
        reasons.REASON_COVERED,
        reasons.REASON_GUARDIANS_RAISED,
        reasons.REASON_GUARDIANS_SUFFICIENT,
        reasons.REASON_GUARDIANS_ABSENT,
        reasons.REASON_GUARDIANS_ALONE,
        reasons.REASON_NETWORK_MATURE,
    ]
)


def _found(explain: Callable[[], list[pb.Explanation]]) -> list[pb.Explanation]:
    """What a module tells; nothing where it has nothing to tell."""
    try:
        return explain()
    except QueryError:
        return []
