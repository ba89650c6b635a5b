"""Settles an epoch when it ends, and pays in bounded chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import auth, bank, epochs, inference
from abci_app.modules.rewards import rules, state
from protocol.address import module_account
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_PARTICIPANT_INVALID
from protocol.gen.evergrid.rewards.v1.rewards_pb2 import Emission, EpochSettlement, SettleAmount

if TYPE_CHECKING:
    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import EpochRecord
    from protocol.gen.evergrid.epochs.v1.params_pb2 import RewardParams


def model_weights(ctx: Context, epoch: int) -> tuple[list[str], dict[str, dict[str, int]]]:
    """The models of an epoch, and for each member the weight of its nodes that serve each of them."""
    parent = epochs.group(ctx, epoch)
    models = list(parent.sub_group_models) if parent is not None else []
    weights: dict[str, dict[str, int]] = {member.member_address: {} for member in epochs.members(ctx, epoch)}
    for model_id in models:
        for member in epochs.members(ctx, epoch, model_id):
            weights.setdefault(member.member_address, {})[model_id] = member.weight
    return models, weights


def get_participant_model_coverage(ctx: Context, epoch: int, participant: str) -> rules.Coverage:
    """Whether a participant covers the models of an epoch, with the weights that decide it."""
    models, weights = model_weights(ctx, epoch)
    params = inference.frozen_params(ctx, epoch).rewards
    return _coverage(params, _models_before(ctx, epoch), models, weights.get(participant, {}))


def _models_before(ctx: Context, epoch: int) -> list[str]:
    before = epochs.group(ctx, epoch - 1) if epoch else None
    return list(before.sub_group_models) if before is not None else []


def _coverage(
    params: RewardParams, models_before: list[str], models: list[str], weights: dict[str, int]
) -> rules.Coverage:
    return rules.coverage(
        weights,
        models,
        models_before,
        weight=sum(weights.values()),
        weight_min=params.min_coverage_weight,
        share_bps=params.min_coverage_share_bps,
    )


def settle_epoch(ctx: Context, record: EpochRecord) -> None:
    """Computes all amounts of the epoch that ends with this record's switch, mints, and lists what to pay."""
    _pay(ctx, budget=None)
    ending = epochs.state(ctx).epoch_effective
    assert record.index == ending + 1, "an epoch is settled by the switch to the next"
    params = inference.frozen_params(ctx, ending).rewards
    settlement = get_settle_amounts(ctx, ending, params)
    _account_emission(ctx, ending, params, settlement.minted)
    if settlement.minted:
        _mint(ctx, settlement)

    counted = {each.participant: each for each in inference.statistics(ctx, ending)}
    shares = {share.member.address: share for share in settlement.shares}
    fees = 0
    for participant in sorted({*counted, *shares}):
        amount = get_settle_amount(ctx, ending, participant, shares.get(participant))
        amount.fees = counted[participant].accrued if participant in counted else 0
        amount.inferences_total = counted[participant].total if participant in counted else 0
        amount.inferences_missed = counted[participant].missed if participant in counted else 0
        amount.total = amount.base + amount.bonus + amount.fees
        fees += amount.fees
        state.AMOUNTS.set(ctx, (ending, participant), amount)
        if amount.total:
            state.UNPAID.add(ctx, (ending, participant))
    summary = EpochSettlement(
        epoch_index=ending,
        height=ctx.height,
        reward=settlement.reward,
        minted=settlement.minted,
        bonuses=settlement.bonuses,
        community_pool=settlement.community_pool,
        fees=fees,
        weight_total=sum(share.member.weight for share in settlement.shares),
        reward_before_cap=settlement.reward_before_cap,
        left_under_cap=settlement.left_under_cap,
        participants=len({*counted, *shares}),
    )
    state.SETTLEMENTS.set(ctx, ending, summary)
    _sweep_fees(ctx)
    ctx.emit(
        "epoch_settled", epoch=ending, minted=summary.minted, fees=fees, community_pool=summary.community_pool
    )


def get_settle_amounts(ctx: Context, epoch: int, params: RewardParams) -> rules.Settlement:
    """How the reward of an ending epoch is split over its members."""
    models, weights = model_weights(ctx, epoch)
    models_before = _models_before(ctx, epoch)
    availabilities = inference.availabilities(ctx, epoch)
    members = []
    for address, by_model in sorted(weights.items()):
        availability = availabilities.get(address, inference.AVAILABLE)
        members.append(
            rules.Member(
                address=address,
                weight=sum(by_model.values()),
                availability_bps=availability.bps,
                covered=_coverage(params, models_before, models, by_model).covered,
                invalid=availability.reason == REASON_PARTICIPANT_INVALID,
            )
        )
    emission = emission_of(ctx, params)
    # The genesis group bears the network before its first PoC; nothing was proved, so nothing is minted.
    reward = emission.reward_next if epoch else 0
    # Governance may lower the cap below what exists: then nothing is left, and nothing is taken back.
    left = max(0, params.reward_supply_cap - emission.minted_total)
    return rules.settle(params, reward, left, members)


def get_settle_amount(ctx: Context, epoch: int, participant: str, share: rules.Share | None) -> SettleAmount:
    """What one participant gets of an epoch, without its fees."""
    if share is None:
        availability = inference.availability(ctx, epoch, participant)
        invalid = availability.reason == REASON_PARTICIPANT_INVALID
        return SettleAmount(
            epoch_index=epoch,
            participant=participant,
            availability_bps=availability.bps,
            reasons=rules.no_share(invalid=invalid),
        )
    return SettleAmount(
        epoch_index=epoch,
        participant=participant,
        weight=share.member.weight,
        availability_bps=share.member.availability_bps,
        covered=share.member.covered,
        base=share.base,
        bonus=share.bonus,
        reasons=share.reasons,
    )


def emission_of(ctx: Context, params: RewardParams) -> Emission:
    """The emission so far; before the first reward it is the initial one that comes next."""
    return state.EMISSION.get(ctx) or Emission(reward_next=params.initial_epoch_reward, epoch_next=1)


def _account_emission(ctx: Context, ending: int, params: RewardParams, minted: int) -> None:
    if ending == 0:
        return
    emission = emission_of(ctx, params)
    emission.minted_total += minted
    emission.reward_next = rules.next_reward(emission.reward_next, params.decay_per_trillion)
    emission.epoch_next = ending + 1
    state.EMISSION.set(ctx, emission)


def _mint(ctx: Context, settlement: rules.Settlement) -> None:
    denom = auth.fee_params(ctx).denom
    bank.mint(ctx, inference.ACCOUNT, {denom: settlement.minted})
    inference.pay(ctx, module_account(bank.COMMUNITY_POOL), settlement.community_pool)


def _sweep_fees(ctx: Context) -> None:
    denom = auth.fee_params(ctx).denom
    collector = module_account(bank.FEE_COLLECTOR)
    amount = bank.balance(ctx, collector, denom)
    bank.send_coins(ctx, collector, module_account(bank.COMMUNITY_POOL), {denom: amount})


def pay_settlements(ctx: Context) -> None:
    """Pays the next of the list, `settle_per_block` a block, in the order of epochs and addresses."""
    params = inference.frozen_params(ctx, epochs.state(ctx).epoch_effective).rewards
    _pay(ctx, budget=params.settle_per_block)


def _pay(ctx: Context, budget: int | None) -> None:
    paid: dict[int, int] = {}
    for done, (epoch, participant) in enumerate(state.UNPAID.walk(ctx)):
        if budget is not None and done >= budget:
            break
        amount = state.AMOUNTS.require(ctx, (epoch, participant))
        inference.pay(ctx, participant, amount.total)
        amount.height_paid = ctx.height
        state.AMOUNTS.set(ctx, (epoch, participant), amount)
        state.UNPAID.remove(ctx, (epoch, participant))
        paid[epoch] = paid.get(epoch, 0) + 1
        ctx.emit("reward_paid", epoch=epoch, participant=participant, amount=amount.total)
    for epoch, count in sorted(paid.items()):
        summary = state.SETTLEMENTS.require(ctx, epoch)
        summary.participants_paid += count
        state.SETTLEMENTS.set(ctx, epoch, summary)


def unpaid_total(ctx: Context) -> int:
    """nevg that are settled and not yet paid."""
    return sum(state.AMOUNTS.require(ctx, key).total for key in state.UNPAID.walk(ctx))


def prune(ctx: Context, budget: int) -> int:
    """Forgets what epochs out of retention brought, once it is paid, at most `budget`; returns how many."""
    now = epochs.state(ctx).epoch_effective
    oldest = now - inference.frozen_params(ctx, now).epoch.retention_epochs
    done = 0
    for key in state.AMOUNTS.keys(ctx):
        if key[0] >= oldest or done >= budget:
            break
        if state.UNPAID.has(ctx, key):
            continue
        state.AMOUNTS.remove(ctx, key)
        done += 1
    for epoch in state.SETTLEMENTS.keys(ctx):
        # A settlement goes behind the last of its amounts.
        if epoch >= oldest or done >= budget or any(state.AMOUNTS.keys(ctx, (epoch,))):
            break
        state.SETTLEMENTS.remove(ctx, epoch)
        done += 1
    return done
