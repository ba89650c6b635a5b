"""uptime: the check of real throughput before the next group is formed (protocol, section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.fixed import U64_MAX
from abci_app.modules import epochs, inference, poc
from abci_app.modules.uptime import performance, state
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import POC_SLOT
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_PRESERVED, REASON_THROUGHPUT_SHORTFALL

if TYPE_CHECKING:
    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import (
        ActiveParticipant,
        EpochGroup,
        EpochRecord,
        NodeWeight,
    )
    from protocol.gen.evergrid.uptime.v1.uptime_pb2 import ThroughputValidation

Preserved = dict[tuple[str, str], "NodeWeight"]


def validate_throughput_performance(
    ctx: Context, record: EpochRecord, participants: list[ActiveParticipant]
) -> list[ActiveParticipant]:
    """Behind the weights: who is left with weight once those pay who missed requests in a short model.

    May be called for some participants after others; the traces join. Does nothing unless
    `validate_throughput` is on.
    """
    if not record.params.uptime.validate_throughput:
        return participants
    preserved = {
        (participant.address, node.node_id): node
        for participant in participants
        for node in participant.ml_nodes
        if node.weight_source == REASON_PRESERVED
    }
    for subgroup in epochs.subgroups(ctx, epochs.state(ctx).epoch_effective):
        _validate_model(ctx, record, subgroup, preserved)
    return [each for each in participants if _keeps_weight(each)]


def begin_throughput_validation(ctx: Context, record: EpochRecord) -> None:
    """At E, before the weights: judges the models; what a PoC left that was dropped is void."""
    for key in list(state.VALIDATED.walk(ctx, (record.index,))):
        state.VALIDATED.remove(ctx, key)
        state.THROUGHPUT_VALIDATIONS.remove(ctx, key)
    validate_throughput_performance(ctx, record, [])


def _validate_model(ctx: Context, record: EpochRecord, subgroup: EpochGroup, preserved: Preserved) -> None:
    checked = performance.throughput_performance(
        subgroup.model_id,
        subgroup.expected_throughput_vector[POC_SLOT],
        subgroup.real_throughput_vector[POC_SLOT],
        _served(ctx, record, subgroup, preserved),
        record.params.uptime,
    )
    checked.epoch_index = record.index
    checked.height = epochs.stage_heights(record.params.epoch, record.height_start).validation_end
    first = not state.VALIDATED.has(ctx, (record.index, subgroup.model_id))
    keep_validation(ctx, checked)
    for each in checked.nodes:
        if each.reason == REASON_THROUGHPUT_SHORTFALL:
            node = preserved[each.participant, each.node_id]
            poc.cut_preserved(ctx, record, each.participant, node, (each.finished, each.missed))
    if checked.short and first:
        ctx.emit(
            "throughput_shortfall",
            epoch=record.index,
            model_id=subgroup.model_id,
            expected=checked.expected,
            real=checked.real,
        )


def _served(
    ctx: Context, record: EpochRecord, subgroup: EpochGroup, preserved: Preserved
) -> list[performance.Served]:
    """The nodes that served the model through this PoC and were preserved, by participant."""
    served: list[performance.Served] = []
    addresses = [address for address, _ in preserved]
    if not addresses:
        return served
    for member in epochs.members_at_formation(
        ctx, subgroup.epoch_index, subgroup.model_id, addresses[0], addresses[-1]
    ):
        address = member.member_address
        serving = [node.node_id for node in member.ml_nodes if any(node.timeslot_allocation[POC_SLOT:])]
        finished, missed = inference.poc_requests(ctx, record.height_start, subgroup.model_id, address)
        served += (
            performance.Served(address, node_id, preserved[address, node_id].poc_weight, finished, missed)
            for node_id in serving
            if (address, node_id) in preserved
        )
    return served


def _keeps_weight(participant: ActiveParticipant) -> bool:
    """Adds up anew what a participant has; False where nothing is left."""
    kept = [node for node in participant.ml_nodes if node.poc_weight]
    del participant.ml_nodes[:]
    participant.ml_nodes.extend(kept)
    participant.weight = min(sum(node.poc_weight for node in kept), U64_MAX)
    return bool(kept)


def keep_validation(ctx: Context, validation: ThroughputValidation) -> None:
    """Stores a check with its trace, behind what was kept of other participants."""
    key = (validation.epoch_index, validation.model_id)
    state.VALIDATED.add(ctx, key)
    before = state.THROUGHPUT_VALIDATIONS.get(ctx, key)
    if before is not None:
        before.nodes.extend(validation.nodes)
    state.THROUGHPUT_VALIDATIONS.set(ctx, key, before or validation)
