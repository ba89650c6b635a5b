"""poc: what a PoC holds, at the answered height."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import invalid_argument, not_found
from abci_app.kernel.module import answers
from abci_app.kernel.paging import page
from abci_app.modules import epochs
from abci_app.modules.poc import judgements, keeper, state
from protocol.gen.evergrid.poc.v1 import poc_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context


@answers(poc_pb2.QueryPocBatchesRequest)
def poc_batches(ctx: Context, request: poc_pb2.QueryPocBatchesRequest) -> poc_pb2.QueryPocBatchesResponse:
    """The batches of all, of a participant or of one of its nodes; claims only where they are asked for."""
    if request.node_id and not request.participant:
        raise invalid_argument("a node_id is unique within its participant only: name the participant too")
    prefix: tuple[int | str, ...] = (_height(request.poc_stage_start_height),)
    prefix += tuple(_key(part) for part in (request.participant, request.node_id) if part)
    batches, pagination = page(_batches(ctx, prefix, with_claims=request.with_claims), request.pagination)
    return poc_pb2.QueryPocBatchesResponse(batches=batches, pagination=pagination)


def _batches(
    ctx: Context, prefix: tuple[int | str, ...], *, with_claims: bool
) -> Iterator[tuple[state.BatchKey, poc_pb2.PocBatch]]:
    for key, batch in state.BATCHES.walk(ctx, prefix):
        yield key, keeper.with_claims(ctx, key, batch) if with_claims else batch


@answers(poc_pb2.QueryPocBatchesForModelRequest)
def poc_batches_for_model(
    ctx: Context, request: poc_pb2.QueryPocBatchesForModelRequest
) -> poc_pb2.QueryPocBatchesResponse:
    """The batches of the nodes that serve a model."""
    height_start = _height(request.poc_stage_start_height)
    batches = keeper.get_poc_batches_for_model(ctx, height_start, _key(request.model_id))
    return poc_pb2.QueryPocBatchesResponse(batches=batches)


@answers(poc_pb2.QueryNodeNoncesRequest)
def node_nonces(ctx: Context, request: poc_pb2.QueryNodeNoncesRequest) -> poc_pb2.QueryNodeNoncesResponse:
    """How many nonces each node submitted."""
    nodes = state.NODES.values(ctx, (_height(request.poc_stage_start_height),))
    return poc_pb2.QueryNodeNoncesResponse(nodes=nodes)


@answers(poc_pb2.QueryNodeWeightRequest)
def node_weight(ctx: Context, request: poc_pb2.QueryNodeWeightRequest) -> poc_pb2.QueryNodeWeightResponse:
    """A node's weight and where it comes from, or why it has none."""
    height_start = _height(request.poc_stage_start_height)
    participant, node_id = _key(request.participant), _key(request.node_id)
    weight = keeper.get_node_weight(ctx, height_start, participant, node_id)
    if weight is None:
        raise not_found(f"the PoC of height {height_start} says nothing of node {node_id!r} of {participant}")
    return poc_pb2.QueryNodeWeightResponse(weight=weight)


@answers(poc_pb2.QueryModelPowerRequest)
def model_power(ctx: Context, request: poc_pb2.QueryModelPowerRequest) -> poc_pb2.QueryModelPowerResponse:
    """The weight of the nodes that serve a model."""
    height_start = _height(request.poc_stage_start_height)
    power = keeper.calculate_model_power(ctx, height_start, _key(request.model_id))
    return poc_pb2.QueryModelPowerResponse(power=power)


@answers(poc_pb2.QueryPocValidationsRequest)
def poc_validations(
    ctx: Context, request: poc_pb2.QueryPocValidationsRequest
) -> poc_pb2.QueryPocValidationsResponse:
    """The verdicts of a PoC, the tallies so far, and the outcomes once it is decided."""
    start = _height(request.poc_stage_start_height)
    prefix = (start,)
    if request.validator:
        of_one = judgements.of_validator(ctx, start, _key(request.validator))
        said = [of_one[participant] for participant in sorted(of_one)]
    else:
        said = judgements.of_stage(ctx, start)
    return poc_pb2.QueryPocValidationsResponse(
        validations=said,
        tallies=state.TALLIES.values(ctx, prefix),
        outcomes=state.OUTCOMES.values(ctx, prefix),
    )


@answers(poc_pb2.QueryPocVotersRequest)
def poc_voters(ctx: Context, request: poc_pb2.QueryPocVotersRequest) -> poc_pb2.QueryPocVotersResponse:
    """Who has a vote in the PoC under way, as the draw of validators sees it."""
    record = epochs.upcoming_record(ctx)
    start = _height(request.poc_stage_start_height)
    if record is None or record.height_start != start or not record.validation_seed:
        raise not_found(f"no PoC of height {start} is being validated")
    powers = keeper.powers_at_validation(ctx, record)
    voters = [poc_pb2.PocVoter(address=each, voting_power=powers[each]) for each in sorted(powers)]
    return poc_pb2.QueryPocVotersResponse(
        validation_slots=keeper.validation_slots(ctx, record), voters=voters
    )


def _height(height: int) -> int:
    if height < 0:
        raise invalid_argument("poc_stage_start_height is negative")
    return height


def _key(text: str) -> str:
    if "\0" in text:
        raise invalid_argument("text with a zero byte names nothing")
    return text
