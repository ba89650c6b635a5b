"""collateral at the edge of an epoch: weights at E, downtime at V, what is paid back behind it."""

from __future__ import annotations

from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from abci_app.kernel.fixed import U64_MAX
from abci_app.modules import bank, epochs, hardware
from abci_app.modules.collateral import keeper, rules, state
from protocol.gen.evergrid.collateral.v1.collateral_pb2 import CollateralWeight, DowntimeDue
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import FormationTotals
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import PARTICIPANT_STATUS_INVALID
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_MISSED_INFERENCES

if TYPE_CHECKING:
    from collections.abc import Callable

    from abci_app.kernel.collections import Map
    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import EpochRecord, Formation, ValidationWeight

    # Of a participant in an epoch, in basis points: who measures it stands above this module.
    AvailabilityBps = Callable[[Context, int, str], int]


def apply_collateral(
    ctx: Context, record: EpochRecord, under_way: Formation, budget: int
) -> tuple[int, bool]:
    """Behind E: the next members of the group under way keep the weight that their collateral covers.

    Nodes keep what they proved, so that preserved weights and throughput stay; the members' weights, in the
    parent and in each subgroup, and so powers, draws, votes and rewards, are of what is covered. Returns how
    much of the budget was used, where each member's place in a group is one, and whether all are done.
    """
    if not keeper.is_on(ctx) or not rules.weight_applies(record.index, record.params.collateral):
        return 0, True
    if not under_way.cursor:
        # What stands of a group of this epoch that was refused.
        forgotten = state.WEIGHTS.clear(ctx, (record.index,), budget)
        if forgotten:
            return forgotten, False
    served = [each for each in under_way.totals if each.model_id and each.served]
    count = max(1, budget // (1 + len(served)))
    chunk = list(islice(epochs.members(ctx, record.index, after=under_way.cursor), count))
    parent = next((each for each in under_way.totals if not each.model_id), FormationTotals())
    for member in chunk:
        weighed = _weigh(ctx, record, member)
        state.WEIGHTS.set(ctx, (record.index, member.member_address), weighed)
        if weighed.weight < weighed.proved:
            _cut(ctx, record.index, member, weighed, parent)
            for subgroup in served:
                inside = epochs.member(ctx, record.index, subgroup.model_id, member.member_address)
                if inside is not None and inside.weight:
                    _cut(ctx, record.index, inside, weighed, subgroup)
        under_way.cursor = member.member_address
    return len(chunk) * (1 + len(served)), len(chunk) < count


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


def _cut(
    ctx: Context, epoch: int, member: ValidationWeight, weighed: CollateralWeight, total: FormationTotals
) -> None:
    """Cuts a member's weight in one group as the whole of it is cut, and what the group sums up to."""
    member.proved_weight = member.weight
    member.weight = rules.part(member.proved_weight, weighed.weight, weighed.proved)
    # A sum that was too large to be kept stays large.
    total.weight = max(0, total.weight - (member.proved_weight - member.weight))
    epochs.set_member(ctx, epoch, total.model_id, member)


def charge_downtime(ctx: Context, record: EpochRecord, availability_bps: AvailabilityBps) -> None:
    """At V, before the switch: the downtime of the ending epoch is charged over the next blocks.

    Of the genesis group nothing was proved, and it is not charged.
    """
    while state.DOWNTIME_DUE.get(ctx) is not None:
        _charge_next(ctx, availability_bps)
    if keeper.is_on(ctx) and record.index > 1:
        state.DOWNTIME_DUE.set(ctx, DowntimeDue(epoch_index=record.index - 1))


def end_block(ctx: Context, availability_bps: AvailabilityBps) -> None:
    """Charges the next who have collateral for downtime, and pays back the next withdrawals.

    What a charge that is not over may still take waits for it.
    """
    if not keeper.is_on(ctx):
        return
    due = state.DOWNTIME_DUE.get(ctx)
    if due is not None:
        _charge_next(ctx, availability_bps)
    _release_next(ctx, epochs.state(ctx).epoch_effective if due is None else due.epoch_index)


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


def _release_next(ctx: Context, epoch_last: int) -> None:
    """The withdrawals that are due in an epoch, in the order of the queue."""
    effective = epochs.state(ctx).epoch_effective
    for release, participant in list(islice(state.QUEUE.walk(ctx), keeper.params(ctx).release_per_block)):
        if release > epoch_last:
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
