"""poc: why a node has its weight: the vote and the weighing made again from what they looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import not_found
from abci_app.kernel.trace import compare, conclude, source, step, word
from abci_app.modules import epochs, hardware
from abci_app.modules.poc import judgements, keeper, rules, state
from protocol.gen.evergrid.explain.v1.explain_pb2 import Explanation
from protocol.gen.evergrid.poc.v1.poc_pb2 import VERDICT_FRAUD, VERDICT_HONEST, Verdict
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import EpochRecord, MLNodeInfo, NodeWeight
    from protocol.gen.evergrid.explain.v1.explain_pb2 import Step
    from protocol.gen.evergrid.poc.v1.poc_pb2 import PocOutcome, PocValidation, WeighedNode

# The largest are told one by one, the others as a sum.
VERDICTS_TOLD = 20


def explain_weight(ctx: Context, epoch: int, participant: str, node_id: str = "") -> list[Explanation]:
    """By node: the weight that the PoC of an epoch gave it, or why it gave none.

    Raises not_found where the epoch is not weighed yet, or nothing of it is kept, or the PoC says nothing of
    the node.
    """
    record = epochs.record_of_poc(ctx, epoch)
    if record is None:
        kept = epoch >= epochs.oldest_retained(ctx)
        raise not_found(f"epoch {epoch} {'has not begun' if kept else 'is not retained'}")
    prefix = (record.height_start, participant, *([node_id] if node_id else ()))
    weighed = list(state.WEIGHTS.values(ctx, prefix)) if record.height_start else []
    found = [_explain_node(ctx, record, participant, each) for each in weighed]
    if not found:
        found = list(_given(ctx, record, participant, node_id))
    if found:
        return found
    height = epochs.stage_heights(record.params.epoch, record.height_start).validation_end
    if ctx.height < height:
        raise not_found(f"epoch {epoch} is not weighed yet: its weights come at height {height}")
    who = f"node {node_id} of {participant}" if node_id else f"nodes of {participant}"
    raise not_found(f"the PoC of epoch {epoch} says nothing of {who}")


def _explain_node(ctx: Context, record: EpochRecord, participant: str, node: WeighedNode) -> Explanation:
    height = _height(record)
    again = rules.weigh_again(participant, node)
    explanation = Explanation(
        subject="weight",
        epoch_index=record.index,
        participant=participant,
        node_id=node.node_id,
        height=height,
        steps=_node_steps(ctx, record, participant, node, again),
    )
    if node.outcome and not state.OUTCOMES.has(ctx, (record.height_start, participant)):
        explanation.not_retained.append(f"{state.OUTCOMES.name}/{record.height_start}/{participant}")
    conclude(explanation, [again.weight_source], poc_weight=again.poc_weight, unproved=again.unproved)
    compare(explanation, [node.weight_source], poc_weight=node.poc_weight, unproved=node.unproved)
    for model_id, info in epochs.places_of(ctx, record.index, participant, node.node_id):
        if info.poc_weight:
            explanation.model_id = model_id
            explanation.steps.append(_place_step(ctx, record, participant, model_id, info))
    return explanation


def _height(record: EpochRecord) -> int:
    """The block that weighed."""
    return (
        record.height_ready or epochs.stage_heights(record.params.epoch, record.height_start).validation_end
    )


def _node_steps(
    ctx: Context, record: EpochRecord, participant: str, node: WeighedNode, again: NodeWeight
) -> Iterator[Step]:
    at, start = _height(record), record.height_start
    trace = source(state.WEIGHTS, (start, participant, node.node_id), at)
    who = source("hardware/participants", (participant,), at)
    registry = source("hardware/nodes", (participant, node.node_id), at)
    barred = again.weight_source == reasons.REASON_PARTICIPANT_INVALID
    yield step(
        "participant",
        f"the participant was INVALID{_since(ctx, participant)}"
        if barred
        else "the participant was not INVALID",
        trace,
        who,
        reason=again.weight_source if barred else reasons.REASON_UNSPECIFIED,
        participant_invalid=node.barred,
    )
    if barred:
        return
    yield step(
        "registry",
        f"the node was {'no longer ' if node.gone else ''}in the registry",
        trace,
        registry,
        reason=again.weight_source if node.gone else reasons.REASON_UNSPECIFIED,
        registered=not node.gone,
    )
    if node.gone:
        return
    outcome = state.OUTCOMES.get(ctx, (start, participant))
    if outcome is not None:
        yield from _verdict_steps(ctx, record, outcome)
        yield _vote_step(record, outcome)
    yield _source_step(record, participant, node, again)


def _since(ctx: Context, participant: str) -> str:
    """Why somebody without weight is INVALID, as far as its present status tells it."""
    found = hardware.get_participant(ctx, participant)
    if found is None or not keeper.is_invalid(found):
        return ": it has no weight until its quarantine ends"
    why = word(found.status_reason).replace("_", " ")
    return f" since height {found.height_invalid} ({why}): it has no weight until its quarantine ends"


def _verdict_steps(ctx: Context, record: EpochRecord, outcome: PocOutcome) -> Iterator[Step]:
    """Each verdict on the participant, by slots or power; those beyond VERDICTS_TOLD as one."""
    start = record.height_start
    given = sorted(
        judgements.of_participant(ctx, start, outcome.participant),
        key=lambda each: (-each.slots, -each.voting_power, each.validator),
    )
    for each in given[:VERDICTS_TOLD]:
        yield _verdict_step(ctx, record, each)
    left = given[VERDICTS_TOLD:]
    if left:
        honest, fraud = (
            sum(each.slots or each.voting_power for each in left if each.verdict == verdict)
            for verdict in (VERDICT_HONEST, VERDICT_FRAUD)
        )
        unit = "slots" if outcome.slots else "voting power"
        yield step(
            "vote.others",
            f"{len(left)} more verdicts are not shown one by one: {honest} {unit} honest, {fraud} fraud",
            source(state.VALIDATIONS, (start, "*"), _height(record)),
            verdicts=len(left),
            honest=honest,
            fraud=fraud,
        )


def _verdict_step(ctx: Context, record: EpochRecord, given: PocValidation) -> Step:
    said = Verdict.Name(given.verdict).removeprefix("VERDICT_").lower()
    weight = f"voting power {given.voting_power}"
    if given.slots:
        weight = f"{given.slots} drawn slots ({weight})"
    checked = f"{given.sampled} nonces re-computed, {given.mismatches} differ"
    judge = hardware.get_participant(ctx, given.validator)
    invalid = keeper.is_invalid(judge) and judge is not None and judge.height_invalid <= _height(record)
    why = f"; it does not count: {given.validator} became INVALID" if invalid else ""
    return step(
        "vote.verdict",
        f"{given.validator} said {said} with {weight} ({checked}){why}",
        source(state.VALIDATIONS, (record.height_start, given.validator), given.height_submitted),
        reason=reasons.REASON_PARTICIPANT_INVALID if invalid else reasons.REASON_UNSPECIFIED,
        validator=given.validator,
        verdict=said,
        voting_power=given.voting_power,
        slots=given.slots,
        sampled=given.sampled,
        mismatches=given.mismatches,
    )


def _vote_step(record: EpochRecord, stored: PocOutcome) -> Step:
    at, key = _height(record), (record.height_start, stored.participant)
    sources = (
        source(state.OUTCOMES, key, at),
        source(state.TALLIES, key, at),
        source(state.VALIDATIONS, key[:1], at),
    )
    outcome = rules.outcome_of(stored)
    if stored.slots:
        text = f"{stored.honest_slots} of {stored.slots} drawn slots said honest, {stored.fraud_slots} fraud"
        needs = f"a side needs more than a third and a lead of more than 1/{rules.SLOTS_LEAD} of the slots"
    else:
        text = f"{stored.honest_power} of {stored.power} voting power said honest, {stored.fraud_power} fraud"
        needs = "the larger side needs more than a third"
    return step(
        "vote",
        f"{text}; {needs}: {word(outcome)}",
        *sources,
        reason=outcome,
        honest_power=stored.honest_power,
        fraud_power=stored.fraud_power,
        power=stored.power,
        honest_slots=stored.honest_slots,
        fraud_slots=stored.fraud_slots,
        slots=stored.slots,
    )


def _source_step(record: EpochRecord, participant: str, node: WeighedNode, again: NodeWeight) -> Step:
    texts = {
        reasons.REASON_FRAUD: f"no weight: its participant's nonces are fraud (it showed {node.nonces})",
        reasons.REASON_PRESERVED: (
            f"it served through the PoC, so it keeps its weight of {node.weight_old}"
            + (f", times {node.scale_new} / {node.scale_old} for the new unit" if node.scale_old else "")
            + f"; {again.unproved} in a row without being mined"
        ),
        reasons.REASON_NO_NONCES: "no weight: it had to mine and showed no nonces",
        reasons.REASON_MINED: f"it mined: one for each of its {node.nonces} accepted nonces",
        reasons.REASON_UNDECIDED: (
            f"no weight: the vote on its participant's nonces ({node.nonces} are its own) decided nothing"
        ),
    }
    kept = texts[reasons.REASON_PRESERVED]
    asked = node.requests_finished + node.requests_missed
    texts[reasons.REASON_THROUGHPUT_SHORTFALL] = (
        f"{kept}; its model served less than expected and of {asked} requests its participant missed "
        f"{node.requests_missed}, which leaves {again.poc_weight}"
    )
    start, at = record.height_start, _height(record)
    return step(
        "weight",
        texts.get(again.weight_source, word(again.weight_source).replace("_", " ")),
        source(state.WEIGHTS, (start, participant, node.node_id), at),
        source(state.NODES, (start, participant, node.node_id), at),
        source("epochs/members", (record.index - 1, "", participant), at),
        reason=again.weight_source,
        nonces=node.nonces,
        preserved=node.preserved,
        weight_old=node.weight_old,
        unproved_old=node.unproved_old,
        scale_new=node.scale_new,
        scale_old=node.scale_old,
        requests_finished=node.requests_finished,
        requests_missed=node.requests_missed,
        poc_weight=again.poc_weight,
    )


def _place_step(ctx: Context, record: EpochRecord, participant: str, model_id: str, info: MLNodeInfo) -> Step:
    """Where the group has the node, and what it is to carry there."""
    member = source("epochs/members", (record.index, model_id, participant), _height(record))
    if not model_id:
        text = "it declares no model that the epoch serves: its weight counts in the parent group alone"
        return step("model", text, member, poc_weight=info.poc_weight)
    model = epochs.get_epoch_model(ctx, record.index, model_id)
    per_nonce = model.throughput_per_nonce if model is not None else 0
    return step(
        "model",
        f"it serves {model_id}: {info.poc_weight} * {per_nonce} / 10^6 = {info.throughput} tokens per window",
        member,
        source("epochs/groups", (record.index, model_id), _height(record)),
        poc_weight=info.poc_weight,
        throughput_per_nonce=per_nonce,
        throughput=epochs.node_throughput(info.poc_weight, per_nonce),
    )


def _given(ctx: Context, record: EpochRecord, participant: str, node_id: str) -> Iterator[Explanation]:
    """Of a group whose weighing is not in the state: the genesis gave it, or an import without its traces."""
    for model_id, info in epochs.places_of(ctx, record.index, participant, node_id):
        if not info.poc_weight:
            continue
        text = f"the genesis gave the group with this weight ({word(info.weight_source)})"
        member = source("epochs/members", (record.index, model_id, participant), record.height_ready)
        explanation = Explanation(
            subject="weight",
            epoch_index=record.index,
            participant=participant,
            node_id=info.node_id,
            model_id=model_id,
            height=record.height_ready,
            steps=[
                step("given", text, member, reason=info.weight_source, poc_weight=info.poc_weight),
                _place_step(ctx, record, participant, model_id, info),
            ],
        )
        if record.height_start:
            missing = f"{state.WEIGHTS.name}/{record.height_start}/{participant}/{info.node_id}"
            explanation.not_retained.append(missing)
        for tell in (conclude, compare):
            tell(explanation, [info.weight_source], poc_weight=info.poc_weight, unproved=info.unproved)
        yield explanation
