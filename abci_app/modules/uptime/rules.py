"""uptime: which nodes keep serving through a Proof of Compute, and what is expected of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from abci_app.kernel.fixed import BPS, U64_MAX, bps_of, mul_div_floor
from abci_app.modules.uptime.pool import Pool
from protocol.draw import POC_SLOT_DOMAIN, Draw, digest
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from protocol.gen.evergrid.uptime.v1 import uptime_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from protocol.gen.evergrid.epochs.v1 import params_pb2

AVAILABLE_BPS = 10_000
# In groups smaller than this a single one-node participant would break the guard at once.
GUARD_MEMBERS_MIN = 4
ELIGIBLE = reasons_pb2.REASON_UNSPECIFIED


# throughput, in tokens per PoC window


def slot_limit(capacity: int, params: params_pb2.UptimeParams) -> int:
    """The throughput that may serve through PoC, but for a model's first node."""
    return bps_of(capacity, params.poc_slot_fraction_bps)


def real_outside_poc(tokens: int, duration: int, blocks: int) -> int:
    """Tokens of so many blocks as tokens per PoC window of `duration` blocks; 0 for no blocks."""
    return min(mul_div_floor(tokens, duration, blocks), U64_MAX) if blocks > 0 else 0


def expected_in_poc(measured: int, real_pre_poc: int, params: params_pb2.UptimeParams) -> int:
    """The demand to plan for: as just measured, a burst counting at most a multiple of the usual demand."""
    return min(measured, params.max_demand_ratio * real_pre_poc, U64_MAX)


def expected_at_formation(
    history: Sequence[int], capacity: int, params: params_pb2.UptimeParams
) -> tuple[int, int]:
    """Expected (PRE_POC_SLOT, POC_SLOT): the real values of the epoch before as far as nodes can carry them.

    Without history (empty) the model is taken to be in full demand.
    """
    bounds = (capacity, slot_limit(capacity, params))
    pre_poc, poc = history or bounds
    return min(pre_poc, bounds[0]), min(poc, bounds[1])


# eligibility


class NodeFacts(NamedTuple):
    """What decides whether a node of a subgroup may be drawn."""

    serves: bool
    throughput: int
    pending_model_change: bool = False
    disabled: bool = False
    # Announced for some height of the PoC period.
    maintenance: bool = False
    participant_invalid: bool = False
    unproved: int = 0
    # Of its participant in this epoch: inferences of the model finished, availability so far.
    served: int = 0
    availability_bps: int = AVAILABLE_BPS


def eligibility(
    node: NodeFacts, params: params_pb2.UptimeParams, *, anyone_served: bool
) -> reasons_pb2.Reason:
    """ELIGIBLE, or the first reason why a node may not be drawn."""
    obstacles = _obstacles(node, params, anyone_served=anyone_served)
    return _CHECKS[obstacles.index(True)] if True in obstacles else ELIGIBLE


def eligibility_checks(
    node: NodeFacts, params: params_pb2.UptimeParams, *, anyone_served: bool
) -> tuple[tuple[bool, reasons_pb2.Reason], ...]:
    """Every check in its order: whether it speaks against the node, and the reason that it stands for."""
    return tuple(zip(_obstacles(node, params, anyone_served=anyone_served), _CHECKS, strict=True))


# In the order of `_obstacles`. An INVALID participant comes first, since its nodes have lost their slots too.
_CHECKS = (
    reasons_pb2.REASON_PARTICIPANT_INVALID,
    reasons_pb2.REASON_NOT_SERVING,
    reasons_pb2.REASON_ZERO_THROUGHPUT,
    reasons_pb2.REASON_PENDING_MODEL_CHANGE,
    reasons_pb2.REASON_NODE_DISABLED,
    reasons_pb2.REASON_MAINTENANCE,
    reasons_pb2.REASON_UNPROVED,
    reasons_pb2.REASON_MIN_SERVED,
    reasons_pb2.REASON_AVAILABILITY,
)


def _obstacles(node: NodeFacts, params: params_pb2.UptimeParams, *, anyone_served: bool) -> tuple[bool, ...]:
    return (
        node.participant_invalid,
        not node.serves,
        node.throughput == 0,
        node.pending_model_change,
        node.disabled,
        node.maintenance,
        node.unproved >= params.max_consecutive_preserved_epochs,
        anyone_served and node.served < params.min_served,
        node.availability_bps < AVAILABLE_BPS,
    )


# the draw


class Candidate(NamedTuple):
    """A node of a model's subgroup, with the reason why it may not be drawn, or ELIGIBLE."""

    participant: str
    node_id: str
    throughput: int
    # The registry's order.
    sequence: int
    # The epoch for whose PoC it was preserved last; 0: never.
    epoch_preserved: int = 0
    reason: reasons_pb2.Reason = ELIGIBLE
    # What the reason follows from; kept with the trace.
    facts: NodeFacts | None = None


@dataclass(frozen=True, slots=True)
class ModelDemand:
    """One model before a PoC; capacity and expected demand in tokens per PoC window."""

    model_id: str
    capacity: int
    expected: int
    candidates: tuple[Candidate, ...]
    # Whether any participant finished min_served inferences of it.
    anyone_served: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """The effective parent group, by participant."""

    weights: Mapping[str, int]
    # Of those who have a vote.
    powers: Mapping[str, int]
    # How many of its nodes have weight, whatever they serve.
    nodes_weighted: Mapping[str, int]

    def without_vote(self) -> list[str]:
        """The members that have weight but no vote, by address."""
        return [address for address in sorted(self.weights) if address not in self.powers]


@dataclass(frozen=True, slots=True)
class Seed:
    """What the draws before one PoC are derived from."""

    chain_id: str
    epoch_upcoming: int
    # Of block S-1.
    block_hash: bytes

    def order(self, model_id: str) -> bytes:
        """By this the models take their turns: no id is early in every epoch, so none uses up the guard."""
        return digest(
            "model-order", POC_SLOT_DOMAIN, self.chain_id, self.epoch_upcoming, self.block_hash, model_id
        )

    def draw(self, model_id: str) -> Draw:
        """The stream of numbers for one model."""
        return Draw(POC_SLOT_DOMAIN, self.chain_id, self.epoch_upcoming, self.block_hash, model_id)


def guard_forbids(
    held: int, total: int, members: int, params: params_pb2.UptimeParams, *, first_of_model: bool
) -> bool:
    """Whether so much voting power without a node to mine is too much of the total."""
    if members <= 1 or (first_of_model and members < GUARD_MEMBERS_MIN):
        return False
    return held * BPS > params.voting_guard_bps * total


@dataclass(slots=True)
class _VotingGuard:
    """Watches, over all models, how much voting power participants hold that have no node left to mine."""

    group: Group
    params: params_pb2.UptimeParams
    serving: dict[str, int] = field(default_factory=dict)
    power_held: int = 0
    power_total: int = 0

    def __post_init__(self) -> None:
        self.power_total = sum(self.group.powers.values())

    def forbids(self, participant: str, *, first_of_model: bool) -> tuple[bool, int]:
        """Whether a participant's next node must mine, and the power that would else be held.

        A node adds nothing to what is held unless it is its participant's last to mine: behind a first node
        that was waived, all the others would else be kept from serving for nothing.
        """
        completed = self._power_completed(participant)
        held = self.power_held + completed
        forbidden = completed > 0 and guard_forbids(
            held, self.power_total, len(self.group.powers), self.params, first_of_model=first_of_model
        )
        return forbidden, held

    def add(self, participant: str) -> None:
        self.power_held += self._power_completed(participant)
        self.serving[participant] = self.serving.get(participant, 0) + 1

    def _power_completed(self, participant: str) -> int:
        """The power of a participant whose last weighted node would now serve."""
        complete = self.serving.get(participant, 0) + 1 == self.group.nodes_weighted[participant]
        return self.group.powers.get(participant, 0) if complete else 0


def allocate_slots(
    models: Sequence[ModelDemand], group: Group, params: params_pb2.UptimeParams, seed: Seed
) -> list[uptime_pb2.SlotAllocation]:
    """Which nodes serve through the PoC (their turns say SELECTED), and why the others do not (section 6).

    All models at once, in the order of their draws, since the voting guard looks at all of them.
    """
    guard = _VotingGuard(group, params)
    ordered = sorted(models, key=lambda model: (seed.order(model.model_id), model.model_id))
    return [_allocate_model(model, place, seed, guard) for place, model in enumerate(ordered)]


def _allocate_model(
    model: ModelDemand, place: int, seed: Seed, guard: _VotingGuard
) -> uptime_pb2.SlotAllocation:
    allocation = uptime_pb2.SlotAllocation(
        epoch_index=seed.epoch_upcoming,
        model_id=model.model_id,
        capacity=model.capacity,
        limit=slot_limit(model.capacity, guard.params),
        expected=model.expected,
        target=min(bps_of(model.expected, guard.params.poc_slot_headroom_bps), U64_MAX),
        stop=reasons_pb2.REASON_NO_ELIGIBLE,
        block_hash=seed.block_hash,
        order=place,
        anyone_served=model.anyone_served,
        without_vote=guard.group.without_vote(),
        power_total=min(guard.power_total, U64_MAX),
    )
    for each in model.candidates:
        if each.reason != ELIGIBLE:
            _add_turn(allocation, each, each.reason)
    waiting = _queues(model.candidates)
    pool = Pool({address: guard.group.weights[address] for address in waiting})
    draw = seed.draw(model.model_id)
    while waiting and allocation.stop == reasons_pb2.REASON_NO_ELIGIBLE:
        _take_turn(allocation, waiting, pool, draw, guard)
    for address in sorted(waiting):
        for each in waiting[address]:
            turn = _add_turn(allocation, each, reasons_pb2.REASON_NOT_DRAWN)
            turn.selected_before = allocation.selected
    return allocation


_PATIENCE = attrgetter("epoch_preserved", "sequence")


def _queues(candidates: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    """The eligible nodes by participant: the one preserved longest ago first, ties in the order added."""
    queues: dict[str, list[Candidate]] = {}
    for each in candidates:
        if each.reason == ELIGIBLE:
            queues.setdefault(each.participant, []).append(each)
    for queue in queues.values():
        if len(queue) > 1:
            queue.sort(key=_PATIENCE)
    return queues


def _take_turn(
    allocation: uptime_pb2.SlotAllocation,
    waiting: dict[str, list[Candidate]],
    pool: Pool,
    draw: Draw,
    guard: _VotingGuard,
) -> None:
    """Draws a participant, takes its next node out of the pool, lets it serve unless it must be skipped."""
    weight_total = pool.total
    drawn = draw.below(weight_total)
    participant = pool.at(drawn)
    node = waiting[participant].pop(0)
    if not waiting[participant]:
        del waiting[participant]
        pool.remove(participant)

    first, held = allocation.selected == 0, 0
    if not first and allocation.selected + node.throughput > allocation.limit:
        reason = reasons_pb2.REASON_OVER_LIMIT
    else:
        forbidden, held = guard.forbids(node.participant, first_of_model=first)
        reason = reasons_pb2.REASON_VOTING_GUARD if forbidden else reasons_pb2.REASON_SELECTED
    turn = _add_turn(allocation, node, reason)
    turn.selected_before, turn.drawn, turn.weight_total = allocation.selected, drawn, weight_total
    turn.power_held = min(held, U64_MAX)
    if reason != reasons_pb2.REASON_SELECTED:
        return
    guard.add(node.participant)
    allocation.selected += node.throughput
    if allocation.selected >= allocation.target:
        allocation.stop = reasons_pb2.REASON_TARGET_MET
    elif allocation.selected >= allocation.limit:
        allocation.stop = reasons_pb2.REASON_HALF_CAPACITY


def _add_turn(
    allocation: uptime_pb2.SlotAllocation, node: Candidate, reason: reasons_pb2.Reason
) -> uptime_pb2.SlotTurn:
    """Adds what is known of a node, field by field: there is a turn for each node of the network."""
    turn = allocation.turns.add()
    turn.participant, turn.node_id, turn.throughput, turn.sequence, turn.epoch_preserved, _, facts = node
    turn.reason = reason
    facts = facts or _NO_FACTS
    serves, _, pending, disabled, maintenance, invalid, unproved, served, turn.availability_bps = facts
    turn.serves = serves
    if pending or disabled or maintenance or invalid:
        turn.pending_model_change, turn.disabled = pending, disabled
        turn.maintenance, turn.participant_invalid = maintenance, invalid
    if unproved:
        turn.unproved = unproved
    if served:
        turn.served = served
    return turn


_NO_FACTS = NodeFacts(serves=False, throughput=0, availability_bps=0)


# the draw again, from its trace


def demand_of(allocation: uptime_pb2.SlotAllocation, params: params_pb2.UptimeParams) -> ModelDemand:
    """What a draw began with, read from its trace: eligibility is decided anew from the facts in it."""
    candidates = []
    for turn in allocation.turns:
        facts = facts_of(turn)
        candidates.append(
            Candidate(
                participant=turn.participant,
                node_id=turn.node_id,
                throughput=turn.throughput,
                sequence=turn.sequence,
                epoch_preserved=turn.epoch_preserved,
                reason=eligibility(facts, params, anyone_served=allocation.anyone_served),
                facts=facts,
            )
        )
    return ModelDemand(
        allocation.model_id,
        allocation.capacity,
        allocation.expected,
        tuple(candidates),
        anyone_served=allocation.anyone_served,
    )


def facts_of(turn: uptime_pb2.SlotTurn) -> NodeFacts:
    """What the draw knew of a node, read from its trace."""
    return NodeFacts(
        serves=turn.serves,
        throughput=turn.throughput,
        pending_model_change=turn.pending_model_change,
        disabled=turn.disabled,
        maintenance=turn.maintenance,
        participant_invalid=turn.participant_invalid,
        unproved=turn.unproved,
        served=turn.served,
        availability_bps=turn.availability_bps,
    )


def before_the_draw(model: ModelDemand, params: params_pb2.UptimeParams) -> uptime_pb2.SlotAllocation:
    """What a draw would begin with: every node with NOT_DRAWN, or why it is not eligible."""
    allocation = uptime_pb2.SlotAllocation(
        model_id=model.model_id,
        capacity=model.capacity,
        limit=slot_limit(model.capacity, params),
        expected=model.expected,
        target=min(bps_of(model.expected, params.poc_slot_headroom_bps), U64_MAX),
        anyone_served=model.anyone_served,
    )
    for each in model.candidates:
        _add_turn(allocation, each, each.reason or reasons_pb2.REASON_NOT_DRAWN)
    return allocation
