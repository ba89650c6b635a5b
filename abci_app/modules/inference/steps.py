"""What happens to inferences at the end of blocks and at the formation of a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from abci_app.modules import epochs
from abci_app.modules.inference import keeper, rules, sampling, state, validation
from protocol.gen.evergrid.inference.v1.inference_pb2 import (
    INFERENCE_STATUS_EXPIRED,
    INFERENCE_STATUS_FINAL,
    INFERENCE_STATUS_INVALIDATED,
    INFERENCE_STATUS_STARTED,
)

if TYPE_CHECKING:
    from abci_app.kernel.collections import Map
    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import EpochRecord
    from protocol.gen.evergrid.inference.v1.inference_pb2 import Inference


def close_due(ctx: Context) -> None:
    """Expires what was not finished in time and makes final what nobody objected to."""
    for height, inference_id in state.EXPIRING.walk(ctx):
        if height > ctx.height:
            break
        _expire(ctx, height, inference_id)
    for height, inference_id in state.FINALIZING.walk(ctx):
        if height > ctx.height:
            break
        inference = state.INFERENCES.require(ctx, inference_id)
        state.FINALIZING.remove(ctx, (height, inference_id))
        _make_final(ctx, inference)
    _forget_requests(ctx)
    validation.count_standings(ctx)


def _make_final(ctx: Context, inference: Inference) -> None:
    """Pays the executor, or, where the vote found the answer invalid, the requester."""
    found = sampling.outcome(inference.weight_valid, inference.weight_invalid, inference.weight_voting)
    keeper.count_final(ctx, inference, missed=False, found=found)
    inference.status = INFERENCE_STATUS_FINAL
    if found is sampling.Outcome.INVALID:
        inference.status = INFERENCE_STATUS_INVALIDATED
        keeper.pay(ctx, inference.requested_by, inference.cost)
        ctx.emit(
            "inference_invalidated",
            inference_id=inference.inference_id,
            executor=inference.executed_by,
            refund=inference.cost,
        )
    _close(ctx, inference)
    if found in {sampling.Outcome.VALID, sampling.Outcome.INVALID}:
        validation.measure(ctx, inference.executed_by, invalid=found is sampling.Outcome.INVALID)


def _expire(ctx: Context, height: int, inference_id: str) -> None:
    inference = state.INFERENCES.require(ctx, inference_id)
    state.EXPIRING.remove(ctx, (height, inference_id))
    if inference.status == INFERENCE_STATUS_STARTED:
        keeper.pay(ctx, inference.requested_by, inference.escrow)
        keeper.count_missed(ctx, inference)
    inference.status = INFERENCE_STATUS_EXPIRED
    _close(ctx, inference)
    ctx.emit("inference_expired", inference_id=inference_id, executor=inference.executed_by)


def _close(ctx: Context, inference: Inference) -> None:
    inference.height_closed = ctx.height
    inference.epoch_closed = epochs.state(ctx).epoch_effective
    state.INFERENCES.set(ctx, inference.inference_id, inference)
    state.CLOSED.add(ctx, (inference.epoch_closed, inference.inference_id))


def _forget_requests(ctx: Context) -> None:
    oldest = ctx.block.time_ns - 2 * rules.REQUEST_AGE_MAX_NS
    for timestamp, signed in state.REQUESTS_USED.walk(ctx):
        if timestamp >= oldest:
            break
        state.REQUESTS_USED.remove(ctx, (timestamp, signed))


def freeze_price(ctx: Context, record: EpochRecord) -> None:
    """Writes the unit price of the group just formed: the median of its members' proposals, or the former."""
    group = epochs.group(ctx, record.index)
    assert group is not None, f"epoch {record.index} has no group to price"
    weights = {member.member_address: member.weight for member in epochs.members(ctx, record.index)}
    proposals = [(price, weights.get(who, 0)) for who, price in state.PRICE_PROPOSALS.walk(ctx)]
    median = rules.weighted_median(proposals)
    group.unit_of_compute_price = median or keeper.unit_price(ctx, epochs.state(ctx).epoch_effective)
    epochs.set_group(ctx, group)


def prune(ctx: Context, budget: int) -> int:
    """Forgets what closed epochs ago, at most `budget` entries; returns how many."""
    now = epochs.state(ctx)
    retained = keeper.frozen_params(ctx, now.epoch_effective).epoch
    oldest = now.epoch_effective - retained.retention_epochs
    done = 0
    if oldest > 0:
        done += _prune_closed(ctx, oldest, budget)
        for collection in (state.STATISTICS, state.MISSED_BY, state.SERVED):
            done += _prune_epochs(ctx, cast("Map[tuple[Any, ...], Any]", collection), oldest, budget - done)
    height_oldest = ctx.height - retained.retention_epochs * retained.epoch_length
    for height, model_id in state.TOKENS_BY_HEIGHT.walk(ctx):
        if height >= height_oldest or done >= budget:
            break
        state.TOKENS.remove(ctx, (model_id, height))
        state.TOKENS_BY_HEIGHT.remove(ctx, (height, model_id))
        done += 1
    return done + _prune_epochs(
        ctx, cast("Map[tuple[Any, ...], Any]", state.POC_REQUESTS), height_oldest, budget - done
    )


def _prune_epochs(ctx: Context, collection: Map[tuple[Any, ...], Any], oldest: int, budget: int) -> int:
    done = 0
    for key in collection.keys(ctx):
        if key[0] >= oldest or done >= budget:
            break
        collection.remove(ctx, key)
        done += 1
    return done


def _prune_closed(ctx: Context, oldest: int, budget: int) -> int:
    done = 0
    for epoch, inference_id in state.CLOSED.walk(ctx):
        if epoch >= oldest or done >= budget:
            break
        state.CLOSED.remove(ctx, (epoch, inference_id))
        state.INFERENCES.remove(ctx, inference_id)
        done += 1 + state.VALIDATIONS.clear(ctx, (inference_id,))
    return done
