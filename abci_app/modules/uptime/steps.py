"""uptime: measures throughput around a Proof of Compute and chooses who keeps serving through it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from abci_app.kernel.fixed import U64_MAX
from abci_app.modules import epochs, hardware, inference, maintenance, models
from abci_app.modules.uptime import rules, state
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from protocol.gen.evergrid.uptime.v1 import uptime_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableSequence

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1 import params_pb2

SLOTS = 2
# Behind every address.
ADDRESS_END = "\x7f"


# throughput


def measure_model_throughput_for_blocks(ctx: Context, model_id: str, height_from: int, height_to: int) -> int:
    """Input and output tokens of a model's inferences finished in these blocks, both ends included."""
    return min(inference.tokens_finished(ctx, model_id, height_from, height_to), U64_MAX)


def set_real_throughput(
    ctx: Context, group: epochs_pb2.EpochGroup, slot: epochs_pb2.TimeSlot, throughput: int
) -> None:
    """Writes what a model really served in a slot, in tokens per PoC window, into its subgroup."""
    _set_slot(group.real_throughput_vector, slot, throughput)
    epochs.set_group(ctx, group)


def set_real_pre_poc_throughput(ctx: Context, record: epochs_pb2.EpochRecord) -> None:
    """At S-1: real[PRE_POC_SLOT] of each model, from all blocks since the switch, per PoC window."""
    switched = epochs.state(ctx).height_effective
    last = record.height_start - 1
    duration = record.params.epoch.poc_stage_duration
    for group in _subgroups(ctx):
        tokens = measure_model_throughput_for_blocks(ctx, group.model_id, switched + 1, last)
        real = rules.real_outside_poc(tokens, duration, last - switched)
        set_real_throughput(ctx, group, epochs_pb2.PRE_POC_SLOT, real)


def set_expected_poc_throughput(ctx: Context, record: epochs_pb2.EpochRecord) -> None:
    """At S-1: expected[POC_SLOT] of each model, from the blocks just before, as many as a PoC window has."""
    first = record.height_start - record.params.epoch.poc_stage_duration
    for group in _subgroups(ctx):
        measured = measure_model_throughput_for_blocks(ctx, group.model_id, first, record.height_start - 1)
        real = group.real_throughput_vector[epochs_pb2.PRE_POC_SLOT]
        expected = rules.expected_in_poc(measured, real, record.params.uptime)
        _set_slot(group.expected_throughput_vector, epochs_pb2.POC_SLOT, expected)
        epochs.set_group(ctx, group)


def set_real_poc_throughput(ctx: Context, record: epochs_pb2.EpochRecord) -> None:
    """At E: real[POC_SLOT] of each model, from the PoC window."""
    last = record.height_start + record.params.epoch.poc_stage_duration - 1
    for group in _subgroups(ctx):
        real = measure_model_throughput_for_blocks(ctx, group.model_id, record.height_start, last)
        set_real_throughput(ctx, group, epochs_pb2.POC_SLOT, real)


def set_expected_throughput(ctx: Context, record: epochs_pb2.EpochRecord) -> None:
    """After formation: both expected values of each model of the new group, from the epoch that ends."""
    effective = epochs.state(ctx).epoch_effective
    for group in epochs.subgroups(ctx, record.index):
        former = epochs.group(ctx, effective, group.model_id)
        history = list(former.real_throughput_vector) if former is not None else []
        expected = rules.expected_at_formation(history, group.total_throughput, record.params.uptime)
        del group.expected_throughput_vector[:]
        group.expected_throughput_vector.extend(expected)
        epochs.set_group(ctx, group)


def _subgroups(ctx: Context) -> list[epochs_pb2.EpochGroup]:
    return epochs.subgroups(ctx, epochs.state(ctx).epoch_effective)


def _set_slot(vector: MutableSequence[int], slot: int, value: int) -> None:
    while len(vector) < SLOTS:
        vector.append(0)
    vector[slot] = value


# slots


def assign_poc_slots(ctx: Context, record: epochs_pb2.EpochRecord) -> None:
    """At S-1: draws who keeps serving, writes POC_SLOT into the effective group, keeps the trace."""
    facts, members = _Facts.read(ctx, record), _members(ctx, epochs.state(ctx).epoch_effective)
    demands = [
        _demand(ctx, record, subgroup, members[subgroup.model_id], facts) for subgroup in _subgroups(ctx)
    ]
    seed = rules.Seed(ctx.chain_id, record.index, ctx.block.hash)
    powers = epochs.voting_powers(ctx)
    group = _group_among(members, powers)
    for allocation in rules.allocate_slots(demands, group, record.params.uptime, seed):
        allocation.height = ctx.height
        keep_allocation(ctx, allocation)
        _write_slots(ctx, allocation, members[allocation.model_id])
    ctx.emit("poc_slots_allocated", epoch=record.index, height=ctx.height)


def draw_inputs(ctx: Context) -> uptime_pb2.QueryDrawInputsResponse:
    """What the next draw would start from if it were made in the next block; changes what `ctx` holds."""
    params = epochs.params(ctx)
    now = epochs.state(ctx)
    record = epochs_pb2.EpochRecord(
        index=now.epoch_effective + 1, height_start=max(ctx.height + 1, now.height_next_poc), params=params
    )
    # The first steps of S-1: by what is known now, they write the demand that the draw plans for.
    planned = epochs_pb2.EpochRecord(index=record.index, height_start=ctx.height + 1, params=params)
    set_real_pre_poc_throughput(ctx, planned)
    set_expected_poc_throughput(ctx, planned)
    facts, members = _Facts.read(ctx, record), _members(ctx, now.epoch_effective)
    group = _group_among(members, epochs.voting_powers(ctx))
    return uptime_pb2.QueryDrawInputsResponse(
        epoch_index=record.index,
        height=record.height_start - 1,
        params=params.uptime,
        members=[
            uptime_pb2.DrawMember(
                participant=address,
                weight=weight,
                voting_power=group.powers.get(address, 0),
                nodes_weighted=group.nodes_weighted.get(address, 0),
            )
            for address, weight in group.weights.items()
        ],
        models=[
            rules.before_the_draw(
                _demand(ctx, record, subgroup, members[subgroup.model_id], facts), params.uptime
            )
            for subgroup in _subgroups(ctx)
        ],
    )


def keep_allocation(ctx: Context, allocation: uptime_pb2.SlotAllocation) -> None:
    """Stores a draw with its trace."""
    key = (allocation.epoch_index, allocation.model_id)
    state.ALLOCATED.add(ctx, key)
    state.ALLOCATIONS.set(ctx, key, allocation)


def group_of(ctx: Context, epoch: int, powers: dict[str, int]) -> rules.Group:
    """The group of an epoch as a draw needs it, with the voting powers that count."""
    return _group_among(_members(ctx, epoch), powers)


_Members = dict[str, list[epochs_pb2.ValidationWeight]]


def _members(ctx: Context, epoch: int) -> _Members:
    """By model, the members of a group by address; of the parent under the empty id."""
    ids = ["", *(each.model_id for each in epochs.subgroups(ctx, epoch))]
    return {model_id: list(epochs.members(ctx, epoch, model_id)) for model_id in ids}


def _group_among(members: _Members, powers: dict[str, int]) -> rules.Group:
    weights = {member.member_address: member.weight for member in members[""]}
    nodes_weighted: dict[str, int] = {}
    for model_id in members:
        for member in members[model_id]:
            address = member.member_address
            weighted = [node for node in member.ml_nodes if node.poc_weight]
            nodes_weighted[address] = nodes_weighted.get(address, 0) + len(weighted)
    return rules.Group(weights, powers, nodes_weighted)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the draws of all models look up, read in one walk over each table."""

    # By participant, then node_id: the model that it would serve next, and whether it is disabled.
    declared: dict[str, dict[str, tuple[str | None, bool]]]
    preserved: dict[str, dict[str, int]]
    invalid: frozenset[str]
    availability: Mapping[str, inference.Availability]
    # By participant, the nodes with maintenance announced for the PoC period.
    down: Mapping[str, frozenset[str]]

    @staticmethod
    def read(ctx: Context, record: epochs_pb2.EpochRecord) -> _Facts:
        at = epochs.stage_heights(record.params.epoch, record.height_start)
        return _Facts(
            declared=_declared(ctx),
            preserved=dict(_preserved(ctx)),
            invalid=frozenset(hardware.invalid_participants(ctx)),
            availability=inference.availabilities(ctx, epochs.state(ctx).epoch_effective),
            down=maintenance.down_between(ctx, at.start, at.switch - 1),
        )


_NOT_DECLARED = (None, False)


def _declared(ctx: Context) -> dict[str, dict[str, tuple[str | None, bool]]]:
    governed = frozenset(model.id for model in models.models_for_formation(ctx))
    declared: dict[str, dict[str, tuple[str | None, bool]]] = {}
    of_owner: dict[str, tuple[str | None, bool]] = {}
    owner = ""
    for each in hardware.all_nodes(ctx):
        if each.participant != owner:
            owner, of_owner = each.participant, {}
            declared[owner] = of_owner
        node = each.node
        disabled = node.status == hardware_pb2.ML_NODE_STATUS_DISABLED
        of_owner[node.node_id] = (hardware.assigned_model(node.models, governed), disabled)
    return declared


def _demand(
    ctx: Context,
    record: epochs_pb2.EpochRecord,
    subgroup: epochs_pb2.EpochGroup,
    members: list[epochs_pb2.ValidationWeight],
    known: _Facts,
) -> rules.ModelDemand:
    params = record.params.uptime
    epoch, model_id = subgroup.epoch_index, subgroup.model_id
    counts = inference.served_counts(ctx, epoch, model_id)
    served = {member.member_address: counts.get(member.member_address, 0) for member in members}
    anyone_served = any(count >= params.min_served for count in served.values())
    candidates = [
        each
        for member in members
        for each in _candidates(
            known, model_id, member, served[member.member_address], params, anyone_served=anyone_served
        )
    ]
    return rules.ModelDemand(
        model_id=model_id,
        capacity=subgroup.total_throughput,
        expected=subgroup.expected_throughput_vector[epochs_pb2.POC_SLOT],
        candidates=tuple(candidates),
        anyone_served=anyone_served,
    )


def _candidates(
    known: _Facts,
    model_id: str,
    member: epochs_pb2.ValidationWeight,
    served: int,
    params: params_pb2.UptimeParams,
    *,
    anyone_served: bool,
) -> Iterator[rules.Candidate]:
    """The nodes of a member in a subgroup; what all of them share is looked up once."""
    address = member.member_address
    # Who has no entry missed nothing.
    availability = known.availability.get(address, inference.AVAILABLE).bps
    down, invalid = known.down.get(address), address in known.invalid
    declared, preserved = known.declared.get(address, {}), known.preserved.get(address, {})
    for node in member.ml_nodes:
        node_id, throughput = node.node_id, node.throughput
        assigned, disabled = declared.get(node_id, _NOT_DECLARED)
        slots = node.timeslot_allocation
        facts = rules.NodeFacts(
            len(slots) > epochs_pb2.PRE_POC_SLOT and slots[epochs_pb2.PRE_POC_SLOT],
            throughput,
            assigned != model_id,
            disabled,
            down is not None and maintenance.is_down(down, [node_id]),
            invalid,
            node.unproved,
            served,
            availability,
        )
        reason = rules.eligibility(facts, params, anyone_served=anyone_served)
        before = preserved.get(node_id, 0)
        yield rules.Candidate(address, node_id, throughput, node.sequence, before, reason, facts)


def _has_slot(node: epochs_pb2.MLNodeInfo, slot: int) -> bool:
    allocation = node.timeslot_allocation
    return len(allocation) > slot and allocation[slot]


def _write_slots(
    ctx: Context, allocation: uptime_pb2.SlotAllocation, members: list[epochs_pb2.ValidationWeight]
) -> None:
    """Writes POC_SLOT of every node of the subgroup: true for those selected."""
    epoch = epochs.state(ctx).epoch_effective
    selected: dict[str, set[str]] = {}
    for turn in allocation.turns:
        if turn.reason == reasons_pb2.REASON_SELECTED:
            selected.setdefault(turn.participant, set()).add(turn.node_id)
    for member in members:
        serving, changed = selected.get(member.member_address, ()), False
        for node in member.ml_nodes:
            serves = node.node_id in serving
            slots = node.timeslot_allocation
            if serves != (len(slots) > epochs_pb2.POC_SLOT and slots[epochs_pb2.POC_SLOT]):
                while len(slots) < SLOTS:
                    slots.append(False)
                slots[epochs_pb2.POC_SLOT] = serves
                changed = True
        if changed:
            epochs.set_member(ctx, epoch, allocation.model_id, member)


def remember_preserved(ctx: Context, record: epochs_pb2.EpochRecord) -> None:
    """After formation: notes who was preserved for this epoch, and forgets what lies past the retention."""
    remember_preserved_behind(ctx, record, "", None)


def remember_preserved_behind(
    ctx: Context, record: epochs_pb2.EpochRecord, after: str, budget: int | None
) -> tuple[int, str]:
    """The same for so many members of the effective group behind an address.

    Returns how many there were, and the last of them: less than the budget means that none is left.
    """
    epoch = epochs.state(ctx).epoch_effective
    chunk = [each.member_address for each in islice(epochs.members(ctx, epoch, after=after), budget)]
    is_last = budget is None or len(chunk) < budget
    first, last = after + "\x01", ADDRESS_END if is_last else chunk[-1]
    serving: dict[str, dict[str, int]] = {}
    for group in _subgroups(ctx):
        for member in epochs.members_at_formation(ctx, epoch, group.model_id, first, last):
            for node in member.ml_nodes:
                if _has_slot(node, epochs_pb2.POC_SLOT):
                    serving.setdefault(member.member_address, {})[node.node_id] = record.index
    oldest = record.index - max(1, record.params.epoch.retention_epochs)
    former = {address: nodes for address, nodes in _preserved(ctx, first) if address <= last}
    for address in sorted({*former, *serving}):
        before = former.get(address, {})
        kept = {node_id: at for node_id, at in before.items() if at >= oldest}
        set_last_preserved(ctx, address, before, {**kept, **serving.get(address, {})})
    return len(chunk), chunk[-1] if chunk else after


def _preserved(ctx: Context, first: str = "") -> Iterator[tuple[str, dict[str, int]]]:
    """By participant, from an address on: the epoch for whose PoC each node was preserved last."""
    for address, nodes in state.LAST_PRESERVED.walk(ctx, start=first):
        yield address, {each.node_id: each.epoch_index for each in nodes.nodes}


def set_last_preserved(
    ctx: Context, address: str, before: Mapping[str, int], after: Mapping[str, int]
) -> None:
    """Writes for which epochs a participant's nodes were preserved last, where that changed."""
    if after == before:
        return
    if not after:
        state.LAST_PRESERVED.remove(ctx, address)
        return
    nodes = [uptime_pb2.PreservedNode(node_id=each, epoch_index=after[each]) for each in sorted(after)]
    state.LAST_PRESERVED.set(ctx, address, uptime_pb2.PreservedNodes(nodes=nodes))


def prune(ctx: Context, budget: int) -> int:
    """Removes at most `budget` traces of draws that are past their retention; returns how many."""
    retention = max(1, epochs.params(ctx).epoch.retention_epochs)
    oldest = epochs.state(ctx).epoch_effective - retention
    removed = 0
    for listed, traces in (
        (state.ALLOCATED, state.ALLOCATIONS),
        (state.VALIDATED, state.THROUGHPUT_VALIDATIONS),
    ):
        for key in listed.walk(ctx):
            if key[0] >= oldest or removed >= budget:
                break
            listed.remove(ctx, key)
            traces.remove(ctx, key)
            removed += 1
    return removed
