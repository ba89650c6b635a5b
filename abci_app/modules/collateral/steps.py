"""collateral at the edge of an epoch: weights at E, downtime at V, what is paid back behind it."""

from __future__ import annotations

from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from abci_app.kernel.fixed import U64_MAX
from abci_app.modules import bank, epochs, hardware
from abci_app.modules.collateral import keeper, rules, state
from protocol.gen.evergrid.collateral.v1.collateral_pb2 import CollateralWeight, DowntimeDue
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import PARTICIPANT_STATUS_INVALID
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_MISSED_INFERENCES

if TYPE_CHECKING:
    from collections.abc import Callable

    from abci_app.kernel.collections import Map
    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import EpochRecord, ValidationWeight

    # Of a participant in an epoch, in basis points: who measures it stands above this module.
    AvailabilityBps = Callable[[Context, int, str], int]


def apply_collateral(ctx: Context, record: EpochRecord) -> None:
    """At E, behind the formation: each member keeps the weight that its collateral covers.

    Nodes keep what they proved, so that preserved weights and throughput stay; the members' weights, in the
    parent and in each subgroup, and so powers, draws, votes and rewards, are of what is covered.
    """
    params = record.params.collateral
    if not keeper.is_on(ctx) or not rules.weight_applies(record.index, params):
        return
    state.WEIGHTS.clear(ctx, (record.index,))
    parent = list(epochs.members(ctx, record.index))
    cut = {}
    for member in parent:
        weighed = _weigh(ctx, record, member)
        state.WEIGHTS.set(ctx, (record.index, member.member_address), weighed)
        if weighed.weight < weighed.proved:
            member.weight, member.proved_weight = weighed.weight, weighed.proved
            cut[member.member_address] = weighed
    if not cut:
        return
    _write_parent(ctx, record, parent)
    for subgroup in epochs.subgroups(ctx, record.index):
        _cut_subgroup(ctx, record.index, subgroup.model_id, cut)


def _weigh(ctx: Context, record: EpochRecord, member: ValidationWeight) -> CollateralWeight:
    deposit = keeper.deposit_of(ctx, member.member_address)
    found = rules.cover(member.weight, deposit, record.params.collateral)
    return CollateralWeight(
        epoch_index=record.index,
        participant=member.member_address,
        height=ctx.height,
        proved=member.weight,
        weight=found.weight,
        base=found.base,
        covered=str(found.covered),
        deposit=str(deposit),
    )


def _write_parent(ctx: Context, record: EpochRecord, parent: list[ValidationWeight]) -> None:
    """The members with their new weights, and the powers that follow from all of them."""
    voters = [member for member in parent if member.validator_key]
    powers = epochs.power_cap(
        [member.weight for member in voters], record.params.epoch.max_individual_power_bps
    )
    for member, power in zip(voters, powers, strict=True):
        member.voting_power = power
    for member in parent:
        epochs.set_member(ctx, record.index, "", member)
    group = epochs.group(ctx, record.index)
    assert group is not None, f"epoch {record.index} has no group"
    group.total_weight = sum(member.weight for member in parent)
    group.total_voting_power = sum(powers)
    epochs.set_group(ctx, group)


def _cut_subgroup(ctx: Context, epoch: int, model_id: str, cut: dict[str, CollateralWeight]) -> None:
    total = 0
    for member in list(epochs.members(ctx, epoch, model_id)):
        weighed = cut.get(member.member_address)
        if weighed is not None and member.weight:
            member.proved_weight = member.weight
            member.weight = rules.part(member.weight, weighed.weight, weighed.proved)
            epochs.set_member(ctx, epoch, model_id, member)
        total += member.weight
    group = epochs.group(ctx, epoch, model_id)
    assert group is not None, f"epoch {epoch} has no group of {model_id}"
    group.total_weight = total
    epochs.set_group(ctx, group)


def charge_downtime(ctx: Context, record: EpochRecord, availability_bps: AvailabilityBps) -> None:
    """At V, before the switch: the downtime of the ending epoch is charged over the next blocks.

    Of the genesis group nothing was proved, and it is not charged.
    """
    while state.DOWNTIME_DUE.get(ctx) is not None:
        _charge_next(ctx, availability_bps)
    if keeper.is_on(ctx) and record.index > 1:
        state.DOWNTIME_DUE.set(ctx, DowntimeDue(epoch_index=record.index - 1))


def end_block(ctx: Context, availability_bps: AvailabilityBps) -> None:
    """Charges the next who have collateral for downtime; once all are, pays back the next withdrawals."""
    if not keeper.is_on(ctx):
        return
    if state.DOWNTIME_DUE.get(ctx) is not None:
        _charge_next(ctx, availability_bps)
    else:
        _release_next(ctx)


def _charge_next(ctx: Context, availability_bps: AvailabilityBps) -> None:
    due, count = state.DOWNTIME_DUE.require(ctx), keeper.params(ctx).release_per_block
    record = epochs.record(ctx, due.epoch_index)
    assert record is not None, f"epoch {due.epoch_index} is not retained"
    params = record.params.collateral
    found = _holders(ctx, due.after, count)
    for address in found:
        participant = hardware.get_participant(ctx, address)
        # Who is INVALID was slashed for that.
        if participant is None or participant.status == PARTICIPANT_STATUS_INVALID:
            continue
        if availability_bps(ctx, due.epoch_index, address) < params.min_availability_bps:
            keeper.slash(ctx, address, due.epoch_index, params.slash_downtime_bps, REASON_MISSED_INFERENCES)
    if len(found) < count:
        state.DOWNTIME_DUE.remove(ctx)
    else:
        due.after = found[-1]
        state.DOWNTIME_DUE.set(ctx, due)


def _holders(ctx: Context, after: str, count: int) -> list[str]:
    """The next who have a deposit or wait for one, by address, behind one of them."""
    depositors = (address for address, _ in state.DEPOSITS.walk(ctx, start=after) if address > after)
    waiting = state.UNBONDING.walk(ctx, start=(after, U64_MAX))
    leavers = (address for address, _ in groupby(address for (address, _), _ in waiting) if address > after)
    return sorted({*islice(depositors, count), *islice(leavers, count)})[:count]


def _release_next(ctx: Context) -> None:
    """The withdrawals that are due, in the order of the queue."""
    effective = epochs.state(ctx).epoch_effective
    for release, participant in list(islice(state.QUEUE.walk(ctx), keeper.params(ctx).release_per_block)):
        if release > effective:
            break
        amount = state.UNBONDING.require(ctx, (participant, release))
        keeper.set_unbonding(ctx, participant, release, 0)
        bank.send_coins(ctx, keeper.account_address(), participant, {keeper.denom(ctx): amount})
        ctx.emit("collateral_released", participant=participant, amount=amount, epoch=effective)


def prune(ctx: Context, budget: int) -> int:
    """Forgets slashes and weights of epochs out of retention, at most so many; returns how many."""
    oldest = epochs.oldest_retained(ctx)
    removed = _forget(ctx, state.SLASHES, oldest, budget)
    return removed + _forget(ctx, state.WEIGHTS, oldest, budget - removed)


def _forget(ctx: Context, collection: Map[Any, Any], oldest: int, budget: int) -> int:
    removed = 0
    for key in collection.keys(ctx):
        if key[0] >= oldest or removed >= budget:
            break
        collection.remove(ctx, key)
        removed += 1
    return removed
