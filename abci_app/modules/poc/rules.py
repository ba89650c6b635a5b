"""poc: how the vote on a participant ends, and what weight its nodes get. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from abci_app.kernel.fixed import U64_MAX, mul_div_floor
from protocol.gen.evergrid.epochs.v1 import epochs_pb2, params_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Far above what a node can mine; a weight that is scaled again and again stops here.
NODE_WEIGHT_MAX = 10**15

# Among drawn slots one side leads where it is ahead by more than this part of them.
SLOTS_LEAD = 16

# Fields of PocParams that change neither the puzzle nor how many nonces a node may show.
_UNIT_FREE_FIELDS = ("inline_batches", "committed_batches", "validation_slots")


# the vote


def vote_outcome(honest: int, fraud: int, power: int) -> reasons_pb2.Reason:
    """The outcome for voting power that said honest or fraud, of all the power that could have spoken."""
    if honest > fraud and 3 * honest > power:
        return reasons_pb2.REASON_ACCEPTED
    if fraud > honest and 3 * fraud > power:
        return reasons_pb2.REASON_FRAUD
    return reasons_pb2.REASON_UNDECIDED


def slots_outcome(honest: int, fraud: int, slots: int) -> reasons_pb2.Reason:
    """The outcome where validators were drawn by power: a slot is a vote, and luck must not decide.

    The lead has to be more than a sixteenth of the slots (docs/adr/0008).
    """
    if SLOTS_LEAD * (honest - fraud) > slots and 3 * honest > slots:
        return reasons_pb2.REASON_ACCEPTED
    if SLOTS_LEAD * (fraud - honest) > slots and 3 * fraud > slots:
        return reasons_pb2.REASON_FRAUD
    return reasons_pb2.REASON_UNDECIDED


def is_alone(powers: Mapping[str, int], participant: str) -> bool:
    """Whether nobody but the participant has a vote."""
    return len(powers) == 1 and participant in powers


def participant_outcome(
    tally: poc_pb2.PocTally, powers: Mapping[str, int], power_total: int, validation_slots: int
) -> poc_pb2.PocOutcome:
    """What a tally comes to. `powers` are those of all who have a vote, `power_total` is their sum."""
    participant = tally.participant
    alone = is_alone(powers, participant)
    power = power_total if alone else power_total - powers.get(participant, 0)
    ended = poc_pb2.PocOutcome(
        participant=participant,
        honest_power=tally.honest_power,
        fraud_power=tally.fraud_power,
        power=power,
        honest_slots=tally.honest_slots,
        fraud_slots=tally.fraud_slots,
        slots=validation_slots,
    )
    ended.outcome = outcome_of(ended)
    return ended


def outcome_of(vote: poc_pb2.PocOutcome) -> reasons_pb2.Reason:
    """How a vote with these powers, or slots where there are any, ends."""
    if vote.slots:
        return slots_outcome(vote.honest_slots, vote.fraud_slots, vote.slots)
    return vote_outcome(vote.honest_power, vote.fraud_power, vote.power)


# weights


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What formation knows of one node, in the registry at E or preserved by the effective group."""

    node_id: str
    registered: bool = True
    nonces: int = 0
    preserved: bool = False
    # In the effective group; 0 where it is not in it.
    weight_old: int = 0
    unproved_old: int = 0


@dataclass(frozen=True, slots=True)
class ParticipantFacts:
    """A participant at E with its nodes, in the order in which they were added."""

    address: str
    nodes: tuple[NodeFacts, ...]
    # ACCEPTED, FRAUD or UNDECIDED; nobody is judged without nonces, then it is UNSPECIFIED.
    outcome: reasons_pb2.Reason = reasons_pb2.REASON_UNSPECIFIED
    # INVALID: until its quarantine ends it has no weight.
    barred: bool = False


def unit_changed(old: params_pb2.Params, new: params_pb2.Params) -> bool:
    """Whether a nonce of the new record measures something else than one of the old record."""
    old_poc, new_poc = params_pb2.PocParams(), params_pb2.PocParams()
    for copy, source in ((old_poc, old.poc), (new_poc, new.poc)):
        copy.CopyFrom(source)
        for name in _UNIT_FREE_FIELDS:
            copy.ClearField(name)
    return old_poc != new_poc or old.epoch.poc_stage_duration != new.epoch.poc_stage_duration


def node_weight(participant: ParticipantFacts, node: NodeFacts) -> epochs_pb2.NodeWeight:
    """A node's weight before scaling, and where it comes from or why it has none."""
    accepted = participant.outcome == reasons_pb2.REASON_ACCEPTED
    weight, unproved = 0, 0
    if participant.barred:
        source = reasons_pb2.REASON_PARTICIPANT_INVALID
    elif not node.registered:
        source = reasons_pb2.REASON_NOT_IN_REGISTRY
    elif participant.outcome == reasons_pb2.REASON_FRAUD:
        source = reasons_pb2.REASON_FRAUD
    elif node.preserved:
        weight, unproved, source = node.weight_old, node.unproved_old + 1, reasons_pb2.REASON_PRESERVED
    elif not node.nonces:
        source = reasons_pb2.REASON_NO_NONCES
    elif accepted:
        weight, source = node.nonces, reasons_pb2.REASON_MINED
    else:
        source = reasons_pb2.REASON_UNDECIDED
    return epochs_pb2.NodeWeight(
        node_id=node.node_id, poc_weight=weight, weight_source=source, unproved=unproved
    )


def preserved_scale(
    participants: Iterable[ParticipantFacts], weights: Mapping[str, Sequence[epochs_pb2.NodeWeight]]
) -> tuple[int, int]:
    """(M_new, M_old): new and old weight of all nodes that were mined, accepted and in the effective group.

    (1, 1), which scales nothing, where no such node is.
    """
    new, old = mined_again(participants, weights)
    return (new, old) if old else (1, 1)


def mined_again(
    participants: Iterable[ParticipantFacts], weights: Mapping[str, Sequence[epochs_pb2.NodeWeight]]
) -> tuple[int, int]:
    """What these participants add to (M_new, M_old)."""
    new = old = 0
    for participant in participants:
        for node, weight in zip(participant.nodes, weights[participant.address], strict=True):
            if weight.weight_source == reasons_pb2.REASON_MINED and node.weight_old:
                new += weight.poc_weight
                old += node.weight_old
    return new, old


def unscaled(participants: Iterable[ParticipantFacts]) -> dict[str, list[epochs_pb2.NodeWeight]]:
    """By participant, the weight of each of its nodes before scaling."""
    return {each.address: [node_weight(each, node) for node in each.nodes] for each in participants}


def scaled_weights(
    participants: Iterable[ParticipantFacts], scaled: tuple[int, int]
) -> dict[str, list[epochs_pb2.NodeWeight]]:
    """By participant, the weight of each of its nodes; preserved ones scaled by (M_new, M_old)."""
    weights = unscaled(participants)
    if scaled != (1, 1):
        for nodes in weights.values():
            for weight in nodes:
                scale(weight, *scaled)
    return weights


def scale(weight: epochs_pb2.NodeWeight, new: int, old: int) -> None:
    """Translates a weight, where it was preserved, into the unit of the new PoC."""
    if weight.weight_source == reasons_pb2.REASON_PRESERVED:
        weight.poc_weight = min(mul_div_floor(weight.poc_weight, new, old), NODE_WEIGHT_MAX)


def new_weights(
    participants: Sequence[ParticipantFacts], *, scale_preserved: bool
) -> dict[str, list[epochs_pb2.NodeWeight]]:
    """By participant, the weight of each of its nodes in the given order, or why it has none.

    With `scale_preserved`, preserved weights are translated into the unit of the new PoC.
    """
    scaled = preserved_scale(participants, unscaled(participants)) if scale_preserved else (1, 1)
    return scaled_weights(participants, scaled)


def weighed(
    participant: ParticipantFacts, node: NodeFacts, weight: epochs_pb2.NodeWeight, scaled: tuple[int, int]
) -> poc_pb2.WeighedNode:
    """A node's weight with all that it follows from."""
    preserved = weight.weight_source == reasons_pb2.REASON_PRESERVED and scaled != (1, 1)
    return poc_pb2.WeighedNode(
        node_id=weight.node_id,
        poc_weight=weight.poc_weight,
        weight_source=weight.weight_source,
        unproved=weight.unproved,
        gone=not node.registered,
        barred=participant.barred,
        preserved=node.preserved,
        nonces=node.nonces,
        weight_old=node.weight_old,
        unproved_old=node.unproved_old,
        scale_new=min(scaled[0], U64_MAX) if preserved else 0,
        scale_old=min(scaled[1], U64_MAX) if preserved else 0,
        outcome=participant.outcome,
    )


def weigh_again(participant: str, node: poc_pb2.WeighedNode) -> epochs_pb2.NodeWeight:
    """The weight of one node by the same rules, from what was known when it was weighed."""
    facts = NodeFacts(
        node_id=node.node_id,
        registered=not node.gone,
        nonces=node.nonces,
        preserved=node.preserved,
        weight_old=node.weight_old,
        unproved_old=node.unproved_old,
    )
    weight = node_weight(ParticipantFacts(participant, (facts,), node.outcome, node.barred), facts)
    if node.scale_old:
        scale(weight, node.scale_new, node.scale_old)
    if node.requests_missed:
        cut(weight, node.requests_finished, node.requests_missed)
    return weight


def weight_performed(weight: int, finished: int, missed: int) -> int:
    """What is left of a preserved weight: the part of its participant's requests that were finished."""
    return mul_div_floor(weight, finished, finished + missed) if finished + missed else weight


def cut(weight: epochs_pb2.NodeWeight, finished: int, missed: int) -> None:
    """Takes from a preserved weight the part of the requests that were missed (protocol, section 6)."""
    if missed:
        weight.poc_weight = weight_performed(weight.poc_weight, finished, missed)
        weight.weight_source = reasons_pb2.REASON_THROUGHPUT_SHORTFALL


def active_participants(
    weights: Mapping[str, Sequence[epochs_pb2.NodeWeight]],
) -> list[epochs_pb2.ActiveParticipant]:
    """Those who have weight, by address, with the nodes that it comes from."""
    active = []
    for address in sorted(weights):
        nodes = [weight for weight in weights[address] if weight.poc_weight]
        if nodes:
            total = min(sum(node.poc_weight for node in nodes), U64_MAX)
            active.append(epochs_pb2.ActiveParticipant(address=address, weight=total, ml_nodes=nodes))
    return active
