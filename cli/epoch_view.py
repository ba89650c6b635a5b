"""A whole epoch as the chain's queries tell it: record, groups, members and the draw before its PoC."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from client.chain import ChainError
from protocol.gen.evergrid.epochs.v1 import epochs_pb2 as pb
from protocol.gen.evergrid.uptime.v1 import uptime_pb2

if TYPE_CHECKING:
    from client.chain import ChainClient

PAGE_SIZE = 1000
NodeKey = tuple[str, str]  # participant, node_id


@dataclass
class EpochView:
    """Groups and members by model id; the parent group stands under the empty one."""

    record: pb.EpochRecord
    groups: dict[str, pb.EpochGroup] = field(default_factory=dict)
    members: dict[str, dict[str, pb.ValidationWeight]] = field(default_factory=dict)
    # In the order of the draws before the PoC that made the epoch.
    slots: list[uptime_pb2.SlotAllocation] = field(default_factory=list)

    @property
    def parent(self) -> pb.EpochGroup:
        """The group itself."""
        return self.groups[""]

    @property
    def models(self) -> list[str]:
        """The ids of the models that are served."""
        return list(self.parent.sub_group_models)

    def nodes(self) -> dict[NodeKey, tuple[str, pb.MLNodeInfo]]:
        """Every node with weight, and the model that it serves ("": none)."""
        return {
            (address, node.node_id): (model_id, node)
            for model_id, members in self.members.items()
            for address, member in members.items()
            for node in member.ml_nodes
            if node.poc_weight
        }


def load(client: ChainClient, epoch: int, height: int = 0) -> EpochView:
    """Asks for all of an epoch; raises ChainError where the chain does not have it."""
    record = client.query(
        pb.QueryEpochRecordRequest(epoch_index=epoch), pb.QueryEpochRecordResponse, height
    ).record
    view = EpochView(record)
    _load_group(client, view, "", height)
    for model_id in view.models:
        _load_group(client, view, model_id, height)
    request = uptime_pb2.QuerySlotAllocationsRequest(epoch_index=epoch)
    view.slots = list(client.query(request, uptime_pb2.QuerySlotAllocationsResponse, height).allocations)
    return view


def _load_group(client: ChainClient, view: EpochView, model_id: str, height: int) -> None:
    members: dict[str, pb.ValidationWeight] = {}
    key = b""
    while True:
        request = pb.QueryEpochGroupDataRequest(epoch_index=view.record.index, model_id=model_id)
        request.pagination.limit = PAGE_SIZE
        request.pagination.key = key
        answer = client.query(request, pb.QueryEpochGroupDataResponse, height)
        members |= {each.member_address: each for each in answer.epoch_group_data.validation_weights}
        key = answer.pagination.next_key
        if not key:
            break
    view.groups[model_id] = answer.epoch_group_data.group
    view.members[model_id] = members


def info(client: ChainClient, height: int = 0) -> pb.QueryEpochInfoResponse:
    """Where the chain stands."""
    return client.query(pb.QueryEpochInfoRequest(), pb.QueryEpochInfoResponse, height)


__all__ = ["ChainError", "EpochView", "NodeKey", "info", "load"]
