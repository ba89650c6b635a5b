"""uptime: the draws with their traces, and measured throughput."""

from __future__ import annotations

from abci_app.kernel.context import Context
from abci_app.kernel.errors import invalid_argument
from abci_app.kernel.module import answers
from abci_app.kernel.store import Overlay
from abci_app.modules.uptime import state
from abci_app.modules.uptime.steps import draw_inputs, measure_model_throughput_for_blocks
from protocol.gen.evergrid.uptime.v1 import uptime_pb2


@answers(uptime_pb2.QuerySlotAllocationsRequest)
def slot_allocations(
    ctx: Context, request: uptime_pb2.QuerySlotAllocationsRequest
) -> uptime_pb2.QuerySlotAllocationsResponse:
    """The draws before the PoC of an epoch, in the order in which they were made."""
    allocations = list(state.ALLOCATIONS.values(ctx, (request.epoch_index,)))
    allocations.sort(key=lambda allocation: allocation.order)
    return uptime_pb2.QuerySlotAllocationsResponse(allocations=allocations)


@answers(uptime_pb2.QueryModelThroughputRequest)
def model_throughput(
    ctx: Context, request: uptime_pb2.QueryModelThroughputRequest
) -> uptime_pb2.QueryModelThroughputResponse:
    """Tokens of a model's inferences finished in a range of blocks, as far as the counters are kept."""
    if not request.model_id or "\0" in request.model_id:
        raise invalid_argument("model_id must name a model")
    if not 0 <= request.height_from <= request.height_to:
        raise invalid_argument(f"no range of heights: {request.height_from} to {request.height_to}")
    tokens = measure_model_throughput_for_blocks(
        ctx, request.model_id, request.height_from, request.height_to
    )
    return uptime_pb2.QueryModelThroughputResponse(tokens=tokens)


@answers(uptime_pb2.QueryThroughputValidationsRequest)
def throughput_validations(
    ctx: Context, request: uptime_pb2.QueryThroughputValidationsRequest
) -> uptime_pb2.QueryThroughputValidationsResponse:
    """The checks of real throughput during the PoC of an epoch, by model."""
    return uptime_pb2.QueryThroughputValidationsResponse(
        validations=state.THROUGHPUT_VALIDATIONS.values(ctx, (request.epoch_index,))
    )


@answers(uptime_pb2.QueryDrawInputsRequest)
def query_draw_inputs(
    ctx: Context, _request: uptime_pb2.QueryDrawInputsRequest
) -> uptime_pb2.QueryDrawInputsResponse:
    """What the next draw would start from if it were made in the next block."""
    # What the steps before the draw write stays in a look at the state that nobody keeps.
    return draw_inputs(Context(ctx.block, Overlay(ctx.kv)))
