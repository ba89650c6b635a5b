"""What anyone may ask of participants and nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import invalid_argument, not_found
from abci_app.kernel.module import answers
from abci_app.kernel.paging import page
from abci_app.modules.hardware.registry import (
    get_nodes_for_model,
    get_participant,
    get_validated_hardware_nodes,
    nodes_of,
    params,
)
from abci_app.modules.hardware.state import PARTICIPANTS
from protocol.gen.evergrid.hardware.v1 import hardware_pb2 as pb

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


@answers(pb.QueryParamsRequest)
def query_params(ctx: Context, _request: pb.QueryParamsRequest) -> pb.QueryParamsResponse:
    """The module's params."""
    return pb.QueryParamsResponse(params=params(ctx))


@answers(pb.QueryParticipantsRequest)
def query_participants(ctx: Context, request: pb.QueryParticipantsRequest) -> pb.QueryParticipantsResponse:
    """Participants, by address."""
    participants, pagination = page(PARTICIPANTS.walk(ctx), request.pagination)
    return pb.QueryParticipantsResponse(participants=participants, pagination=pagination)


@answers(pb.QueryParticipantRequest)
def query_participant(ctx: Context, request: pb.QueryParticipantRequest) -> pb.QueryParticipantResponse:
    """One participant."""
    participant = get_participant(ctx, request.address)
    if participant is None:
        raise not_found(f"{request.address} is not a participant")
    return pb.QueryParticipantResponse(participant=participant)


@answers(pb.QueryHardwareNodesRequest)
def query_hardware_nodes(
    ctx: Context, request: pb.QueryHardwareNodesRequest
) -> pb.QueryHardwareNodesResponse:
    """A participant's declared nodes, in the order in which they were added."""
    if get_participant(ctx, request.participant) is None:
        raise not_found(f"{request.participant} is not a participant")
    return pb.QueryHardwareNodesResponse(nodes=nodes_of(ctx, request.participant))


@answers(pb.QueryValidatedHardwareNodesRequest)
def query_validated_hardware_nodes(
    ctx: Context, request: pb.QueryValidatedHardwareNodesRequest
) -> pb.QueryValidatedHardwareNodesResponse:
    """GetValidatedHardwareNodes."""
    return pb.QueryValidatedHardwareNodesResponse(
        nodes=get_validated_hardware_nodes(ctx, request.participant)
    )


@answers(pb.QueryNodesForModelRequest)
def query_nodes_for_model(
    ctx: Context, request: pb.QueryNodesForModelRequest
) -> pb.QueryNodesForModelResponse:
    """GetNodesForModel."""
    if not request.model_id:
        raise invalid_argument("model_id is empty")
    return pb.QueryNodesForModelResponse(nodes=get_nodes_for_model(ctx, request.model_id))
