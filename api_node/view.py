"""What the API node knows of the chain at one height, as plain values: the input of every decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from protocol.gen.evergrid.epochs.v1 import epochs_pb2, params_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.maintenance.v1 import maintenance_pb2
from protocol.gen.evergrid.models.v1 import models_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from protocol.slots import serves_validation

SLOTS = (epochs_pb2.PRE_POC_SLOT, epochs_pb2.POC_SLOT)


@dataclass(frozen=True)
class EpochData:
    """One epoch group, read at one height: EpochModels, and EpochMLNodes of this participant's nodes."""

    epoch_index: int
    models: Mapping[str, models_pb2.Model] = field(default_factory=dict)
    # By node id, by model id.
    ml_nodes: Mapping[str, Mapping[str, epochs_pb2.MLNodeInfo]] = field(default_factory=dict)
    # Of the parent group, by address.
    voting_powers: Mapping[str, int] = field(default_factory=dict)
    weights: Mapping[str, int] = field(default_factory=dict)

    def model_of(self, node_id: str, slot: epochs_pb2.TimeSlot) -> str | None:
        """The model that a node serves in a slot; None where it does not serve."""
        for model_id, info in sorted(self.ml_nodes.get(node_id, {}).items()):
            if slot < len(info.timeslot_allocation) and info.timeslot_allocation[slot]:
                return model_id
        return None


@dataclass(frozen=True)
class StageHeights:
    """The heights of one PoC."""

    start: int
    end: int
    batches_end: int
    validation_start: int
    validation_end: int
    switch: int


def stage_heights(record: epochs_pb2.EpochRecord) -> StageHeights:
    """The heights that follow from a record's own params (protocol, section 2)."""
    epoch, start = record.params.epoch, record.height_start
    end = start + epoch.poc_stage_duration
    validation_start = end + epoch.poc_validation_delay
    validation_end = validation_start + epoch.poc_validation_duration
    return StageHeights(
        start=start,
        end=end,
        batches_end=end + epoch.poc_exchange_duration,
        validation_start=validation_start,
        validation_end=validation_end,
        switch=validation_end + epoch.set_validators_delay,
    )


@dataclass(frozen=True)
class ChainView:
    """The chain after one block. `upcoming` is None outside S-1 .. V and once an epoch is extended."""

    chain_id: str
    height: int
    state: epochs_pb2.EpochState
    effective_record: epochs_pb2.EpochRecord
    effective: EpochData
    upcoming: epochs_pb2.EpochRecord | None = None
    # The group that becomes effective at the switch, once it is published.
    next_group: EpochData | None = None
    participant: hardware_pb2.Participant | None = None
    registered: Mapping[str, hardware_pb2.RegisteredNode] = field(default_factory=dict)
    governance_models: Mapping[str, models_pb2.Model] = field(default_factory=dict)
    # Of this participant: those that are not over.
    windows: Sequence[maintenance_pb2.MaintenanceWindow] = ()

    @property
    def params(self) -> params_pb2.Params:
        """The frozen params of the effective epoch."""
        return self.effective_record.params

    def serves_validation(self, node_id: str) -> bool:
        """Whether a node that mined serves again from the end of the generation until the switch."""
        model_id = self.effective.model_of(node_id, epochs_pb2.PRE_POC_SLOT)
        if model_id is None or self.upcoming is None:
            return False
        memory_mib = self.effective.ml_nodes[node_id][model_id].memory_mib
        v_ram = self.effective.models[model_id].v_ram
        reason = serves_validation(memory_mib, v_ram, self.upcoming.params.uptime)
        return reason == reasons_pb2.REASON_SERVES_VALIDATION

    @property
    def heights(self) -> StageHeights | None:
        """The heights of the PoC under way."""
        return stage_heights(self.upcoming) if self.upcoming else None

    def slot_at(self, height: int) -> epochs_pb2.TimeSlot:
        """The slot in force at a height, this one's or the next block's."""
        heights = self.heights
        if heights and heights.start <= height < heights.switch:
            return epochs_pb2.POC_SLOT
        return epochs_pb2.PRE_POC_SLOT

    @property
    def slot_next(self) -> epochs_pb2.TimeSlot:
        """The slot in which a transaction sent now is going to land."""
        return self.slot_at(self.height + 1)
