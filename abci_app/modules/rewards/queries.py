"""Queries of rewards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import not_found
from abci_app.kernel.module import answers
from abci_app.modules import epochs, inference
from abci_app.modules.rewards import state, steps
from protocol.gen.evergrid.rewards.v1 import rewards_pb2 as pb

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


@answers(pb.QuerySettleAmountsRequest)
def settle_amounts(ctx: Context, request: pb.QuerySettleAmountsRequest) -> pb.QuerySettleAmountsResponse:
    """What an ended epoch brought to each participant."""
    settlement = state.SETTLEMENTS.get(ctx, request.epoch_index)
    if settlement is None:
        raise not_found(f"epoch {request.epoch_index} is not settled")
    return pb.QuerySettleAmountsResponse(
        settlement=settlement, amounts=state.AMOUNTS.values(ctx, (request.epoch_index,))
    )


@answers(pb.QueryEmissionRequest)
def emission(ctx: Context, _request: pb.QueryEmissionRequest) -> pb.QueryEmissionResponse:
    """What was minted so far and the reward that comes next."""
    params = inference.frozen_params(ctx, epochs.state(ctx).epoch_effective).rewards
    return pb.QueryEmissionResponse(emission=steps.emission_of(ctx, params))


@answers(pb.QueryParticipantModelCoverageRequest)
def participant_model_coverage(
    ctx: Context, request: pb.QueryParticipantModelCoverageRequest
) -> pb.QueryParticipantModelCoverageResponse:
    """Whether a participant covers every model of an epoch, and with what."""
    if epochs.group(ctx, request.epoch_index) is None:
        raise not_found(f"epoch {request.epoch_index} has no group")
    coverage = steps.get_participant_model_coverage(ctx, request.epoch_index, request.participant)
    return pb.QueryParticipantModelCoverageResponse(
        covered=coverage.covered,
        models=[
            pb.ModelCoverage(model_id=model_id, weight=weight, weight_needed=needed, counts=counts)
            for model_id, weight, needed, counts in coverage.models
        ],
    )
