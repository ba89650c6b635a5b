"""Verdicts on inferences: who may give one, what they come to, how an executor stands."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from abci_app.kernel.fixed import BPS
from abci_app.kernel.module import handles
from abci_app.modules import collateral, epochs, hardware, maintenance
from abci_app.modules.inference import keeper, sampling, state
from abci_app.modules.inference.errors import InvalidInference, ValidationRefused
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import PARTICIPANT_STATUS_INVALID
from protocol.gen.evergrid.inference.v1.inference_pb2 import (
    INFERENCE_STATUS_FINISHED,
    VALIDATION_RESULT_INVALID,
    Inference,
    InferenceValidation,
    MsgValidateInference,
    Standing,
    StandingsDue,
    ValidationResult,
)
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_INVALID_INFERENCES

if TYPE_CHECKING:
    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import EpochRecord

# Settling, which is as much work, falls into the same blocks.
STANDINGS_PER_BLOCK = 100


@handles(MsgValidateInference)
def validate_inference(ctx: Context, msg: MsgValidateInference) -> None:
    """Counts a verdict; the first invalid one opens the vote of the model's subgroup."""
    if errors := sampling.verdict_errors(msg):
        raise InvalidInference("malformed_verdict: " + "; ".join(errors))
    inference = state.INFERENCES.get(ctx, msg.inference_id)
    if inference is None or inference.status != INFERENCE_STATUS_FINISHED:
        raise ValidationRefused(
            f"outside_window: inference {msg.inference_id} is not between its finish and its finality"
        )
    weight = _voting_weight(ctx, inference, msg.creator)
    if state.VALIDATIONS.has(ctx, (msg.inference_id, msg.creator)):
        raise ValidationRefused(f"repeated_verdict: {msg.creator} judged {msg.inference_id} already")
    sampled = sampling.sampling(ctx.chain_id, inference, msg.creator, weight).sampled
    if not sampled and not inference.height_disputed:
        raise ValidationRefused(
            f"not_sampled: {msg.creator} is not drawn for {msg.inference_id}, and no verdict was invalid yet"
        )
    _check_value(ctx, inference, msg)

    validation = InferenceValidation(
        inference_id=msg.inference_id,
        validator=msg.creator,
        result=msg.result,
        value_bps=msg.value_bps,
        weight=weight,
        height=ctx.height,
        sampled=sampled,
    )
    _count(ctx, inference, validation)
    ctx.emit(
        "inference_validation",
        inference_id=msg.inference_id,
        validator=msg.creator,
        result=ValidationResult.Name(msg.result).removeprefix("VALIDATION_RESULT_").lower(),
        value_bps=msg.value_bps,
        disputed=str(bool(inference.height_disputed)).lower(),
    )


def _voting_weight(ctx: Context, inference: Inference, validator: str) -> int:
    """The validator's weight in the subgroup that the inference was started in."""
    if validator == inference.executed_by:
        raise ValidationRefused(f"self_verdict: {validator} executed {inference.inference_id}")
    participant = hardware.get_participant(ctx, validator)
    if participant is not None and participant.status == PARTICIPANT_STATUS_INVALID:
        raise ValidationRefused(f"participant_invalid: {validator} is INVALID")
    member = epochs.member(ctx, inference.epoch_index, inference.model_id, validator)
    if member is None or not member.weight:
        raise ValidationRefused(
            f"not_a_member: {validator} served no {inference.model_id} in epoch {inference.epoch_index}"
        )
    return member.weight


def _check_value(ctx: Context, inference: Inference, msg: MsgValidateInference) -> None:
    model = epochs.get_epoch_model(ctx, inference.epoch_index, inference.model_id)
    assert model is not None, "a subgroup with members has a model"
    if msg.result != sampling.result_of(msg.value_bps, model.validation_threshold):
        raise ValidationRefused(
            f"malformed_verdict: a value of {msg.value_bps} is not "
            f"{ValidationResult.Name(msg.result).removeprefix('VALIDATION_RESULT_')} "
            f"by the threshold of {model.validation_threshold}"
        )


def _count(ctx: Context, inference: Inference, validation: InferenceValidation) -> None:
    state.VALIDATIONS.set(ctx, (inference.inference_id, validation.validator), validation)
    inference.verdicts += 1
    if validation.result == VALIDATION_RESULT_INVALID:
        inference.weight_invalid += validation.weight
        if not inference.height_disputed:
            # Everyone of the subgroup has a whole window to look at it.
            state.FINALIZING.remove(ctx, (keeper.finality(inference), inference.inference_id))
            inference.height_disputed = ctx.height
            state.FINALIZING.add(ctx, (keeper.finality(inference), inference.inference_id))
    else:
        inference.weight_valid += validation.weight
    state.INFERENCES.set(ctx, inference.inference_id, inference)
    given = keeper.statistics_of(ctx, validation.validator)
    given.verdicts += 1
    state.STATISTICS.set(ctx, (given.epoch_index, given.participant), given)


# how executors stand


def standing(ctx: Context, participant: str) -> Standing:
    """How a participant stands; of one that is not known yet, at the beginning."""
    return state.STANDINGS.get(ctx, participant) or Standing(participant=participant)


def measure(ctx: Context, executor: str, *, invalid: bool) -> None:
    """Counts a validated inference; makes the executor INVALID where an honest one would hardly be."""
    counted = standing(ctx, executor)
    params = keeper.inference_params(ctx)
    counted.measured += 1
    counted.invalid += invalid
    unlikely = invalid and sampling.is_unlikely(counted.measured, counted.invalid, params)
    if unlikely:
        counted.good_epochs = 0
    if unlikely or counted.measured >= params.measurement_window:
        counted.measured = counted.invalid = 0
    state.STANDINGS.set(ctx, executor, counted)
    if unlikely:
        collateral.invalidate(ctx, executor, REASON_INVALID_INFERENCES)


def count_good_epochs(ctx: Context, record: EpochRecord) -> None:
    """At V, before the switch: has the standing of the ending epoch's members counted over the next blocks.

    Of the genesis group nothing was proved, so its epoch is none.
    """
    while state.STANDINGS_DUE.get(ctx) is not None:
        count_standings(ctx)
    if record.index > 1:
        state.STANDINGS_DUE.set(ctx, StandingsDue(epoch_index=record.index - 1))


def count_standings(ctx: Context) -> None:
    """Each block: the next members; who had weight and full availability has one good epoch more, and credit.

    An INVALID participant begins anew.
    """
    due = state.STANDINGS_DUE.get(ctx)
    if due is None:
        return
    most = keeper.inference_params(ctx).reputation_epochs
    members = list(islice(epochs.members(ctx, due.epoch_index, after=due.after), STANDINGS_PER_BLOCK))
    invalid, good = frozenset(hardware.invalid_participants(ctx)), []
    for member in members:
        address = member.member_address
        counted = standing(ctx, address)
        before = counted.good_epochs
        if address in invalid:
            counted.good_epochs = 0
        elif keeper.availability_if(ctx, due.epoch_index, address, invalid=False).bps == BPS:
            counted.good_epochs = min(before + 1, most)
            good.append(address)
        if counted.good_epochs != before:
            state.STANDINGS.set(ctx, address, counted)
    maintenance.earn(ctx, good)
    if len(members) < STANDINGS_PER_BLOCK:
        state.STANDINGS_DUE.remove(ctx)
    else:
        due.after = members[-1].member_address
        state.STANDINGS_DUE.set(ctx, due)
