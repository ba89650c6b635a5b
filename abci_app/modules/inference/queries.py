"""Queries of inference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import not_found
from abci_app.kernel.module import answers
from abci_app.kernel.paging import page
from abci_app.modules import epochs, models
from abci_app.modules.inference import keeper, rules, state
from protocol.gen.evergrid.inference.v1 import inference_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.models.v1.models_pb2 import Model


@answers(pb.QueryInferenceRequest)
def inference(ctx: Context, request: pb.QueryInferenceRequest) -> pb.QueryInferenceResponse:
    """One inference, as long as it is retained."""
    # No text with a zero byte is a key.
    found = state.INFERENCES.get(ctx, request.inference_id) if "\0" not in request.inference_id else None
    if found is None:
        raise not_found(f"inference {request.inference_id} not found")
    return pb.QueryInferenceResponse(inference=found)


@answers(pb.QueryInferencesRequest)
def inferences(ctx: Context, request: pb.QueryInferencesRequest) -> pb.QueryInferencesResponse:
    """All retained inferences, by id."""
    found, pagination = page(
        ((state.INFERENCES.key_bytes(key), value) for key, value in state.INFERENCES.walk(ctx)),
        request.pagination,
    )
    return pb.QueryInferencesResponse(inferences=found, pagination=pagination)


@answers(pb.QueryStatisticsRequest)
def statistics(ctx: Context, request: pb.QueryStatisticsRequest) -> pb.QueryStatisticsResponse:
    """What became final and what was served in one epoch."""
    served = (
        pb.ServedCount(epoch_index=epoch, model_id=model_id, participant=who, finished=count)
        for (epoch, model_id, who), count in state.SERVED.walk(ctx, (request.epoch_index,))
    )
    return pb.QueryStatisticsResponse(
        statistics=state.STATISTICS.values(ctx, (request.epoch_index,)), served=served
    )


def _prices(found: Iterable[Model], unit_price: int, epoch: int) -> pb.QueryPricingResponse:
    return pb.QueryPricingResponse(
        unit_of_compute_price=unit_price,
        epoch_index=epoch,
        models=[
            pb.ModelPrice(
                id=model.id,
                units_of_compute_per_token=model.units_of_compute_per_token,
                price_per_token=rules.price_per_token(model.units_of_compute_per_token, unit_price),
            )
            for model in found
        ],
    )


@answers(pb.QueryPricingRequest)
def pricing(ctx: Context, _request: pb.QueryPricingRequest) -> pb.QueryPricingResponse:
    """The frozen prices of the effective epoch, by which starts are charged."""
    epoch = epochs.state(ctx).epoch_effective
    snapshots = [group.model_snapshot for group in epochs.subgroups(ctx, epoch)]
    return _prices(snapshots, keeper.unit_price(ctx, epoch), epoch)


@answers(pb.QueryGovernancePricingRequest)
def governance_pricing(ctx: Context, _request: pb.QueryGovernancePricingRequest) -> pb.QueryPricingResponse:
    """What the registry's models would cost if the next group were formed of the present members now."""
    epoch = epochs.state(ctx).epoch_effective
    weights = {member.member_address: member.weight for member in epochs.members(ctx, epoch)}
    median = rules.weighted_median(
        [(price, weights.get(who, 0)) for who, price in state.PRICE_PROPOSALS.walk(ctx)]
    )
    return _prices(models.get_governance_models(ctx), median or keeper.unit_price(ctx, epoch), epoch + 1)


@answers(pb.QueryExecutorsRequest)
def executors(ctx: Context, request: pb.QueryExecutorsRequest) -> pb.QueryExecutorsResponse:
    """Who may serve a model in the next block, with the throughput of its nodes whose slot is in force."""
    epoch = epochs.state(ctx).epoch_effective
    group = epochs.group(ctx, epoch, request.model_id) if request.model_id else None
    if group is None:
        raise not_found(f"{request.model_id} is no model of epoch {epoch}")
    parents = {member.member_address: member for member in epochs.members(ctx, epoch)}
    found = []
    for member in epochs.members(ctx, epoch, request.model_id):
        serving = keeper.routed_nodes(ctx, group, member)
        if serving and not keeper.is_invalid(ctx, member.member_address):
            throughput = sum(node.throughput for node in member.ml_nodes if node.node_id in serving)
            url = parents[member.member_address].url
            found.append(
                pb.Executor(
                    participant=member.member_address, url=url, throughput=throughput, node_ids=serving
                )
            )
    return pb.QueryExecutorsResponse(executors=found, total_throughput=sum(e.throughput for e in found))
