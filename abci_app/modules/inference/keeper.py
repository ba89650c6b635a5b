"""Money, counters and deadlines of inferences: what handlers and steps have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.fixed import BPS
from abci_app.modules import auth, bank, epochs, hardware, maintenance
from abci_app.modules.inference import rules, sampling, state
from protocol.address import module_account
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import PARTICIPANT_STATUS_INVALID
from protocol.gen.evergrid.inference.v1.inference_pb2 import InferenceStatistics, PocRequests

if TYPE_CHECKING:
    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import EpochGroup, ValidationWeight
    from protocol.gen.evergrid.epochs.v1.params_pb2 import InferenceParams, Params
    from protocol.gen.evergrid.inference.v1.inference_pb2 import Inference

ACCOUNT = "inference"
Availability = rules.Availability
AVAILABLE = rules.Availability(BPS, 0)


def frozen_params(ctx: Context, epoch: int) -> Params:
    """The params that an epoch froze."""
    record = epochs.record(ctx, epoch)
    assert record is not None, f"epoch {epoch} has no record"
    return record.params


def inference_params(ctx: Context) -> InferenceParams:
    """The frozen params of the effective epoch."""
    return frozen_params(ctx, epochs.state(ctx).epoch_effective).inference


def pay(ctx: Context, recipient: str, amount: int) -> None:
    """Coins from the module's account."""
    if amount:
        bank.send_coins(ctx, module_account(ACCOUNT), recipient, {auth.fee_params(ctx).denom: amount})


def collect(ctx: Context, payer: str, amount: int) -> None:
    """Coins into the module's account; raises InsufficientFunds."""
    if amount:
        bank.send_coins(ctx, payer, module_account(ACCOUNT), {auth.fee_params(ctx).denom: amount})


def unit_price(ctx: Context, epoch: int) -> int:
    """nevg per unit of compute in an epoch: frozen at its formation."""
    parent = epochs.group(ctx, epoch)
    frozen = parent.unit_of_compute_price if parent is not None else 0
    return frozen or frozen_params(ctx, epoch).inference.unit_price


def nodes_with_slot(member: ValidationWeight) -> list[str]:
    """The nodes of a member that serve its model in either slot: whoever serves again has PRE_POC_SLOT."""
    return [node.node_id for node in member.ml_nodes if any(node.timeslot_allocation)]


def is_invalid(ctx: Context, participant: str) -> bool:
    """Whether a participant is INVALID."""
    found = hardware.get_participant(ctx, participant)
    return found is not None and found.status == PARTICIPANT_STATUS_INVALID


def availability(ctx: Context, epoch: int, participant: str) -> rules.Availability:
    """How available a participant was in an epoch so far, and what decided it."""
    return availability_if(ctx, epoch, participant, invalid=is_invalid(ctx, participant))


def availabilities(ctx: Context, epoch: int) -> dict[str, rules.Availability]:
    """`availability` of everyone who has statistics or is INVALID; the others are available in full."""
    params = frozen_params(ctx, epoch).rewards
    missed: dict[str, list[int]] = {}
    for (_, who, _), count in state.MISSED_BY.walk(ctx, (epoch,)):
        missed.setdefault(who, []).append(count)
    totals = {each.participant: each.total for each in state.STATISTICS.values(ctx, (epoch,))}
    invalid = dict.fromkeys(hardware.invalid_participants(ctx))
    return {
        who: rules.availability(
            total=totals.get(who, 0),
            missed_by_creator=missed.get(who, []),
            invalid=who in invalid,
            inferences_min=params.min_inferences_measured,
            tolerance_bps=params.miss_tolerance_bps,
        )
        for who in sorted({*totals, *missed, *invalid})
    }


def availability_if(ctx: Context, epoch: int, participant: str, *, invalid: bool) -> rules.Availability:
    """`availability` of a participant that is, or was, INVALID or not."""
    params = frozen_params(ctx, epoch).rewards
    counted = state.STATISTICS.get(ctx, (epoch, participant))
    return rules.availability(
        total=counted.total if counted is not None else 0,
        missed_by_creator=list(state.MISSED_BY.values(ctx, (epoch, participant))),
        invalid=invalid,
        inferences_min=params.min_inferences_measured,
        tolerance_bps=params.miss_tolerance_bps,
    )


def may_execute(ctx: Context, model_id: str, executor: str) -> bool:
    """Whether the executor has a node of the model that served at some height within the grace until now."""
    participant = hardware.get_participant(ctx, executor)
    if participant is None or participant.status == PARTICIPANT_STATUS_INVALID:
        return False
    now = epochs.state(ctx)
    first = max(0, ctx.height - inference_params(ctx).slot_grace)
    who = (model_id, executor)
    if _served(ctx, now.epoch_effective, who, max(first, now.height_effective), ctx.height):
        return True
    if first < now.height_effective and now.epoch_effective > 0:
        # Just behind the switch those still count who served in the PoC period of the former group.
        begun = max(first, epochs.effective_record(ctx).height_start)
        return _served(ctx, now.epoch_effective - 1, who, begun, now.height_effective - 1)
    return False


def _served(ctx: Context, epoch: int, who: tuple[str, str], height_from: int, height_to: int) -> bool:
    """Whether (model, executor) has a node in an epoch's group that served at some height of a range."""
    group, member = epochs.group(ctx, epoch, who[0]), epochs.member(ctx, epoch, *who)
    if group is None or member is None:
        return False
    return bool(epochs.serving_nodes(ctx, group, member, height_from, height_to))


def routed_nodes(ctx: Context, subgroup: EpochGroup, member: ValidationWeight) -> list[str]:
    """The nodes of a member to which requests of the next block may go: none in announced maintenance."""
    at = ctx.height + 1
    return [
        node.node_id
        for node in epochs.serving_nodes(ctx, subgroup, member, at, at)
        if not maintenance.is_exempt(ctx, member.member_address, [node.node_id], at, at)
    ]


def complete(ctx: Context, inference: Inference) -> None:
    """Both messages are here: charge, refund, count."""
    tokens = inference.prompt_token_count + inference.completion_token_count
    inference.cost = rules.cost_of(inference.escrow, tokens, inference.price_per_token)
    pay(ctx, inference.requested_by, inference.escrow - inference.cost)
    state.EXPIRING.remove(ctx, (deadline(inference), inference.inference_id))
    state.FINALIZING.add(ctx, (ctx.height + inference.validation_window, inference.inference_id))
    _open_validation(ctx, inference)

    key = (inference.model_id, ctx.height)
    # What nobody pays for is no demand: else an executor could claim any throughput for one paid token.
    paid = rules.tokens_paid(inference.escrow, tokens, inference.price_per_token)
    state.TOKENS.set(ctx, key, (state.TOKENS.get(ctx, key) or 0) + paid)
    state.TOKENS_BY_HEIGHT.add(ctx, (ctx.height, inference.model_id))
    served = (epochs.state(ctx).epoch_effective, inference.model_id, inference.executed_by)
    state.SERVED.set(ctx, served, (state.SERVED.get(ctx, served) or 0) + 1)
    count_poc_request(ctx, inference, missed=False)


def count_poc_request(ctx: Context, inference: Inference, *, missed: bool) -> None:
    """Counts a request that was finished or missed now, if now is within [S, E] of a PoC."""
    record = epochs.upcoming_record(ctx)
    if record is None:
        return
    at = epochs.stage_heights(record.params.epoch, record.height_start)
    if not at.start <= ctx.height <= at.validation_end:
        return
    key = (record.height_start, inference.model_id, inference.executed_by)
    counted = state.POC_REQUESTS.get(ctx, key) or PocRequests(
        poc_stage_start_height=key[0], model_id=key[1], participant=key[2]
    )
    if missed:
        counted.missed += 1
    else:
        counted.finished += 1
    state.POC_REQUESTS.set(ctx, key, counted)


def _open_validation(ctx: Context, inference: Inference) -> None:
    """Stamps what decides who has to validate, before anybody can know the hash of this block."""
    group = epochs.group(ctx, inference.epoch_index, inference.model_id)
    member = epochs.member(ctx, inference.epoch_index, inference.model_id, inference.executed_by)
    total = group.total_weight if group is not None else 0
    inference.weight_voting = max(0, total - (member.weight if member is not None else 0))
    inference.validation_seed = ctx.block.hash
    params = inference_params(ctx)
    standing = state.STANDINGS.get(ctx, inference.executed_by)
    reputation = sampling.reputation_bps(standing.good_epochs if standing is not None else 0, params)
    inference.validation_rate_bps = sampling.validation_rate_bps(reputation, params)


def finality(inference: Inference) -> int:
    """The height at which a finished inference becomes final."""
    finished = max(inference.height_started, inference.height_finished)
    return (inference.height_disputed or finished) + inference.validation_window


def deadline(inference: Inference) -> int:
    """The height at which an inference expires of which one message is missing."""
    begun = inference.height_started or inference.height_finished
    return begun + inference.expiration


def count_final(
    ctx: Context,
    inference: Inference,
    *,
    missed: bool,
    found: sampling.Outcome = sampling.Outcome.UNCHECKED,
) -> None:
    """Into the statistics of the epoch that is effective now."""
    statistics = statistics_of(ctx, inference.executed_by)
    statistics.total += 1
    if missed:
        statistics.missed += 1
        by = (statistics.epoch_index, inference.executed_by, inference.transferred_by)
        state.MISSED_BY.set(ctx, by, (state.MISSED_BY.get(ctx, by) or 0) + 1)
    elif found is sampling.Outcome.INVALID:
        statistics.invalidated += 1
    else:
        statistics.accrued += inference.cost
        statistics.tokens += inference.prompt_token_count + inference.completion_token_count
        statistics.validated += found is sampling.Outcome.VALID
    state.STATISTICS.set(ctx, (statistics.epoch_index, statistics.participant), statistics)


def count_missed(ctx: Context, inference: Inference) -> None:
    """Counts an inference that was not finished in time, unless it began in announced maintenance."""
    member = epochs.member(ctx, inference.epoch_index, inference.model_id, inference.executed_by)
    nodes = nodes_with_slot(member) if member is not None else []
    begun = inference.height_started
    if maintenance.is_exempt(ctx, inference.executed_by, nodes, begun, begun):
        statistics = statistics_of(ctx, inference.executed_by)
        statistics.exempted += 1
        state.STATISTICS.set(ctx, (statistics.epoch_index, statistics.participant), statistics)
        return
    count_final(ctx, inference, missed=True)
    count_poc_request(ctx, inference, missed=True)


def statistics_of(ctx: Context, participant: str) -> InferenceStatistics:
    """What is counted of a participant in the effective epoch so far."""
    epoch = epochs.state(ctx).epoch_effective
    found = state.STATISTICS.get(ctx, (epoch, participant))
    return found or InferenceStatistics(epoch_index=epoch, participant=participant)
