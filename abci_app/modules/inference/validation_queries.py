"""Queries of verdicts: who has to give one, who did, how executors stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import invalid_argument, not_found
from abci_app.kernel.module import answers
from abci_app.modules import epochs
from abci_app.modules.inference import keeper, sampling, state, validation
from protocol.gen.evergrid.inference.v1 import inference_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from abci_app.kernel.context import Context

IDS_MAX = 1000


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
    if len(request.inference_ids) > IDS_MAX or any("\0" in each for each in request.inference_ids):
        raise invalid_argument(f"inference_ids must be at most {IDS_MAX} ids")
    found = _by_id(ctx, request.inference_ids) if request.inference_ids else _not_final(ctx)
    pending = []
    for inference in found:
        member = epochs.member(ctx, inference.epoch_index, inference.model_id, request.participant)
        if member is None or not member.weight or request.participant == inference.executed_by:
            continue
        draw = sampling.sampling(ctx.chain_id, inference, request.participant, member.weight)
        due = draw.sampled or inference.height_disputed
        if due and not state.VALIDATIONS.has(ctx, (inference.inference_id, request.participant)):
            last = keeper.finality(inference)
            pending.append(pb.PendingValidation(inference=inference, sampled=draw.sampled, height_last=last))
    return pb.QueryPendingValidationsResponse(pending=pending)


def _not_final(ctx: Context) -> Iterator[pb.Inference]:
    return (state.INFERENCES.require(ctx, inference_id) for _, inference_id in state.FINALIZING.walk(ctx))


def _by_id(ctx: Context, inference_ids: Iterable[str]) -> list[pb.Inference]:
    """Those of the ids that are finished and not final, by deadline."""
    found = [state.INFERENCES.get(ctx, each) for each in dict.fromkeys(inference_ids)]
    finished = [each for each in found if each is not None and each.status == pb.INFERENCE_STATUS_FINISHED]
    return sorted(finished, key=lambda each: (keeper.finality(each), each.inference_id))


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
