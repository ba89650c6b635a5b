"""Genesis of inference. Deadlines are not exported: they follow from the inferences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import epochs
from abci_app.modules.inference import keeper, state
from protocol.gen.evergrid.inference.v1 import inference_pb2 as pb

if TYPE_CHECKING:
    from abci_app.kernel.context import Context

OPEN = (pb.INFERENCE_STATUS_STARTED, pb.INFERENCE_STATUS_FINISH_FIRST)


def init_genesis(ctx: Context, genesis: pb.GenesisState) -> None:
    """Writes the state and builds the deadlines again."""
    for inference in genesis.inferences:
        _restore(ctx, inference)
    for counted in genesis.statistics:
        state.STATISTICS.set(ctx, (counted.epoch_index, counted.participant), counted)
    for missed in genesis.missed:
        state.MISSED_BY.set(ctx, (missed.epoch_index, missed.participant, missed.creator), missed.missed)
    for served in genesis.served:
        state.SERVED.set(ctx, (served.epoch_index, served.model_id, served.participant), served.finished)
    for tokens in genesis.tokens:
        state.TOKENS.set(ctx, (tokens.model_id, tokens.height), tokens.tokens)
        state.TOKENS_BY_HEIGHT.add(ctx, (tokens.height, tokens.model_id))
    for proposal in genesis.price_proposals:
        state.PRICE_PROPOSALS.set(ctx, proposal.participant, proposal.price)
    for request in genesis.requests_used:
        state.REQUESTS_USED.add(ctx, (request.timestamp, request.digest))
    _restore_judgements(ctx, genesis)
    group = epochs.group(ctx, 0)
    if group is not None and not group.unit_of_compute_price:
        group.unit_of_compute_price = keeper.unit_price(ctx, 0)
        epochs.set_group(ctx, group)


def _restore(ctx: Context, inference: pb.Inference) -> None:
    inference_id = inference.inference_id
    state.INFERENCES.set(ctx, inference_id, inference)
    if inference.status in OPEN:
        state.EXPIRING.add(ctx, (keeper.deadline(inference), inference_id))
    elif inference.status == pb.INFERENCE_STATUS_FINISHED:
        state.FINALIZING.add(ctx, (keeper.finality(inference), inference_id))
    else:
        state.CLOSED.add(ctx, (inference.epoch_closed, inference_id))


def _restore_judgements(ctx: Context, genesis: pb.GenesisState) -> None:
    for requests in genesis.poc_requests:
        key = (requests.poc_stage_start_height, requests.model_id, requests.participant)
        state.POC_REQUESTS.set(ctx, key, requests)
    for validation in genesis.validations:
        state.VALIDATIONS.set(ctx, (validation.inference_id, validation.validator), validation)
    for standing in genesis.standings:
        state.STANDINGS.set(ctx, standing.participant, standing)
    if genesis.HasField("standings_due"):
        state.STANDINGS_DUE.set(ctx, genesis.standings_due)


def export_genesis(ctx: Context) -> pb.GenesisState:
    """The state as a genesis that builds it again."""
    return pb.GenesisState(
        inferences=state.INFERENCES.values(ctx),
        statistics=state.STATISTICS.values(ctx),
        missed=(
            pb.MissedByCreator(epoch_index=epoch, participant=who, creator=creator, missed=count)
            for (epoch, who, creator), count in state.MISSED_BY.walk(ctx)
        ),
        served=(
            pb.ServedCount(epoch_index=epoch, model_id=model_id, participant=who, finished=count)
            for (epoch, model_id, who), count in state.SERVED.walk(ctx)
        ),
        tokens=(
            pb.BlockTokens(model_id=model_id, height=height, tokens=tokens)
            for (model_id, height), tokens in state.TOKENS.walk(ctx)
        ),
        price_proposals=(
            pb.PriceProposal(participant=who, price=price) for who, price in state.PRICE_PROPOSALS.walk(ctx)
        ),
        requests_used=(
            pb.RequestUsed(timestamp=timestamp, digest=signed)
            for timestamp, signed in state.REQUESTS_USED.walk(ctx)
        ),
        poc_requests=state.POC_REQUESTS.values(ctx),
        validations=state.VALIDATIONS.values(ctx),
        standings=state.STANDINGS.values(ctx),
        standings_due=state.STANDINGS_DUE.get(ctx),
    )
