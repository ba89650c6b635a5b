"""Messages of inference. Start and finish may come in either order; the first stamps epoch and price."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.module import handles
from abci_app.modules import auth, epochs, hardware
from abci_app.modules.inference import keeper, rules, state
from abci_app.modules.inference.errors import (
    ExecutorRefused,
    InferenceExists,
    InvalidInference,
    PriceRefused,
    RequestRefused,
    UnknownModel,
    WrongExecutor,
)
from protocol.gen.evergrid.inference.v1.inference_pb2 import (
    INFERENCE_STATUS_FINISH_FIRST,
    INFERENCE_STATUS_FINISHED,
    INFERENCE_STATUS_STARTED,
    Inference,
    MsgFinishInference,
    MsgStartInference,
    MsgSubmitUnitOfComputePriceProposal,
)
from protocol.requests import request_digest, used_request

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


@handles(MsgStartInference)
def start_inference(ctx: Context, msg: MsgStartInference) -> None:
    """Holds the escrow for an inference that the named executor is to run."""
    if errors := rules.start_errors(msg, ctx.block.time_ns):
        raise InvalidInference("; ".join(errors))
    former = state.INFERENCES.get(ctx, msg.inference_id)
    if former is not None and former.status != INFERENCE_STATUS_FINISH_FIRST:
        raise InferenceExists(f"inference {msg.inference_id} was started already")
    # A finish is judged by its start: one by another executor is none, and may not keep the id from it.
    void = former is not None and (former.executed_by, former.model_id) != (msg.executor, msg.model_id)
    inference = former
    if inference is None or void:
        inference = _stamped(ctx, msg.inference_id, msg.model_id, msg.executor)
        if not keeper.may_execute(ctx, msg.model_id, msg.executor):
            raise ExecutorRefused(
                f"no_slot_in_force: {msg.executor} has no node of {msg.model_id} that may serve now"
            )
    escrow = (msg.prompt_token_count + msg.max_tokens) * inference.price_per_token
    if escrow >= rules.AMOUNT_MAX:
        raise InvalidInference(f"an escrow of {escrow} nevg is beyond any supply")
    _check_request(ctx, msg)

    requester = msg.requested_by or msg.creator
    keeper.collect(ctx, requester, escrow)
    if former is not None and void:
        state.EXPIRING.remove(ctx, (keeper.deadline(former), msg.inference_id))
    inference.requested_by, inference.transferred_by = requester, msg.creator
    inference.prompt_hash, inference.max_tokens = msg.prompt_hash, msg.max_tokens
    inference.escrow, inference.request_timestamp = escrow, msg.request_timestamp
    if inference.status == INFERENCE_STATUS_FINISH_FIRST:
        # Its deadline still counts from the finish: complete looks it up before the start's height is set.
        keeper.complete(ctx, inference)
        inference.status = INFERENCE_STATUS_FINISHED
        inference.height_started = ctx.height
    else:
        inference.prompt_token_count = msg.prompt_token_count
        inference.status = INFERENCE_STATUS_STARTED
        inference.height_started = ctx.height
        state.EXPIRING.add(ctx, (keeper.deadline(inference), msg.inference_id))
    state.INFERENCES.set(ctx, msg.inference_id, inference)
    ctx.emit(
        "inference_started",
        inference_id=msg.inference_id,
        model_id=msg.model_id,
        executor=msg.executor,
        escrow=escrow,
    )


@handles(MsgFinishInference)
def finish_inference(ctx: Context, msg: MsgFinishInference) -> None:
    """Records what was answered, charges at most the escrow and refunds the rest."""
    if errors := rules.finish_errors(msg):
        raise InvalidInference("; ".join(errors))
    inference = state.INFERENCES.get(ctx, msg.inference_id)
    if inference is None:
        inference = _stamped(ctx, msg.inference_id, msg.model_id, msg.creator)
        if not keeper.may_execute(ctx, msg.model_id, msg.creator):
            raise ExecutorRefused(
                f"no_slot_in_force: {msg.creator} has no node of {msg.model_id} that may serve now"
            )
    elif inference.status != INFERENCE_STATUS_STARTED:
        raise InferenceExists(f"inference {msg.inference_id} was finished or closed already")
    elif (inference.executed_by, inference.model_id) != (msg.creator, msg.model_id):
        raise WrongExecutor(
            f"inference {msg.inference_id} is for {inference.executed_by} with {inference.model_id}"
        )

    inference.response_hash = msg.response_hash
    inference.prompt_token_count = msg.prompt_token_count
    inference.completion_token_count = msg.completion_token_count
    if inference.status == INFERENCE_STATUS_STARTED:
        keeper.complete(ctx, inference)
        inference.status = INFERENCE_STATUS_FINISHED
        inference.height_finished = ctx.height
    else:
        inference.status = INFERENCE_STATUS_FINISH_FIRST
        inference.height_finished = ctx.height
        state.EXPIRING.add(ctx, (keeper.deadline(inference), msg.inference_id))
    state.INFERENCES.set(ctx, msg.inference_id, inference)
    ctx.emit(
        "inference_finished",
        inference_id=msg.inference_id,
        model_id=msg.model_id,
        executor=msg.creator,
        tokens=msg.prompt_token_count + msg.completion_token_count,
        cost=inference.cost,
    )


@handles(MsgSubmitUnitOfComputePriceProposal)
def submit_unit_of_compute_price_proposal(ctx: Context, msg: MsgSubmitUnitOfComputePriceProposal) -> None:
    """Remembers a participant's price for the median of the next formations."""
    if hardware.get_participant(ctx, msg.creator) is None:
        raise PriceRefused(f"unknown_participant: {msg.creator} is no participant")
    if not 0 < msg.price < rules.TOKENS_MAX:
        raise PriceRefused(
            f"a price must be 1 to {rules.TOKENS_MAX - 1} nevg per unit of compute, not {msg.price}"
        )

    state.PRICE_PROPOSALS.set(ctx, msg.creator, msg.price)
    ctx.emit("unit_of_compute_price_proposed", participant=msg.creator, price=msg.price)


def _stamped(ctx: Context, inference_id: str, model_id: str, executor: str) -> Inference:
    """A new inference with the epoch and the price of this moment."""
    epoch = epochs.state(ctx).epoch_effective
    model = epochs.get_epoch_model(ctx, epoch, model_id)
    if model is None:
        raise UnknownModel(f"{model_id} is no model of epoch {epoch}")
    params = keeper.inference_params(ctx)
    price = rules.price_per_token(model.units_of_compute_per_token, keeper.unit_price(ctx, epoch))
    return Inference(
        inference_id=inference_id,
        model_id=model_id,
        executed_by=executor,
        epoch_index=epoch,
        price_per_token=price,
        expiration=params.expiration,
        validation_window=params.validation_window,
    )


def _check_request(ctx: Context, msg: MsgStartInference) -> None:
    """A transfer agent shows the requester's signature; each is accepted once."""
    if msg.requested_by in {"", msg.creator}:
        return
    public_key = auth.public_key(ctx, msg.requested_by)
    if not public_key:
        raise RequestRefused(f"the public key of {msg.requested_by} is not known on chain")
    signed = request_digest(msg.prompt_hash, msg.request_timestamp, msg.creator)
    if not auth.verify_signature(public_key, signed, msg.requester_signature):
        raise RequestRefused(f"the signature of {msg.requested_by} over the request does not verify")
    used = (msg.request_timestamp, used_request(msg.requested_by, signed))
    if state.REQUESTS_USED.has(ctx, used):
        raise RequestRefused(f"this request of {msg.requested_by} was accepted already")
    state.REQUESTS_USED.add(ctx, used)
