"""Queries of verdicts: who has to give one, who did, how executors stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import invalid_argument, not_found
from abci_app.kernel.module import answers
from abci_app.modules import epochs
from abci_app.modules.inference import keeper, sampling, state, validation
from protocol.gen.evergrid.inference.v1 import inference_pb2 as pb

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


@answers(pb.QueryInferenceValidatorsRequest)
def inference_validators(
    ctx: Context, request: pb.QueryInferenceValidatorsRequest
) -> pb.QueryInferenceValidatorsResponse:
    """The draw of every member of the subgroup for a finished inference, and the verdicts given."""
    found = state.INFERENCES.get(ctx, request.inference_id) if "\0" not in request.inference_id else None
    if found is None:
        raise not_found(f"inference {request.inference_id} not found")
    response = pb.QueryInferenceValidatorsResponse(
        rate_bps=found.validation_rate_bps, validations=state.VALIDATIONS.values(ctx, (found.inference_id,))
    )
    for member in epochs.members(ctx, found.epoch_index, found.model_id):
        if member.member_address == found.executed_by or not member.weight:
            continue
        draw = sampling.sampling(ctx.chain_id, found, member.member_address, member.weight)
        response.draws.add(
            validator=member.member_address,
            weight=member.weight,
            drawn=str(draw.drawn),
            threshold=str(draw.threshold),
            bound=str(draw.bound),
            sampled=draw.sampled,
        )
    return response


@answers(pb.QueryPendingValidationsRequest)
def pending_validations(
    ctx: Context, request: pb.QueryPendingValidationsRequest
) -> pb.QueryPendingValidationsResponse:
    """By deadline, the inferences that a participant is drawn for, or may vote on, and has not judged."""
    _check_text(request.participant)
    pending = []
    for height, inference_id in state.FINALIZING.walk(ctx):
        found = state.INFERENCES.require(ctx, inference_id)
        member = epochs.member(ctx, found.epoch_index, found.model_id, request.participant)
        if member is None or not member.weight or request.participant == found.executed_by:
            continue
        draw = sampling.sampling(ctx.chain_id, found, request.participant, member.weight)
        due = draw.sampled or found.height_disputed
        if due and not state.VALIDATIONS.has(ctx, (inference_id, request.participant)):
            pending.append(pb.PendingValidation(inference=found, sampled=draw.sampled, height_last=height))
    return pb.QueryPendingValidationsResponse(pending=pending)


@answers(pb.QueryStandingRequest)
def query_standing(ctx: Context, request: pb.QueryStandingRequest) -> pb.QueryStandingResponse:
    """A participant's reputation, and how far it is from being INVALID."""
    _check_text(request.participant)
    params = keeper.inference_params(ctx)
    found = validation.standing(ctx, request.participant)
    return pb.QueryStandingResponse(
        standing=found,
        reputation_bps=sampling.reputation_bps(found.good_epochs, params),
        invalid_limit=sampling.invalid_limit(found.measured, params),
    )


def _check_text(participant: str) -> None:
    if not participant or "\0" in participant:
        raise invalid_argument("participant must be an address")
