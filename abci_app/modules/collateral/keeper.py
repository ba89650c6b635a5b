"""Deposits, withdrawals and slashes: what handlers, steps and other modules have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.trace import word
from abci_app.modules import auth, bank, epochs, hardware
from abci_app.modules.collateral import rules, state
from protocol.address import module_account
from protocol.gen.evergrid.collateral.v1.collateral_pb2 import Slash
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import PARTICIPANT_STATUS_INVALID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.params_pb2 import CollateralParams
    from protocol.gen.evergrid.reasons.v1.reasons_pb2 import Reason

ACCOUNT = "collateral"


def is_on(ctx: Context) -> bool:
    """Whether the genesis turned the module on."""
    return epochs.params(ctx).HasField("collateral")


def params(ctx: Context) -> CollateralParams:
    """The frozen params of the effective epoch."""
    return epochs.effective_record(ctx).params.collateral


def denom(ctx: Context) -> str:
    """What collateral is paid in."""
    return auth.fee_params(ctx).denom


def deposit_of(ctx: Context, participant: str) -> int:
    """nevg that a participant has deposited and not withdrawn."""
    return state.DEPOSITS.get(ctx, participant) or 0


def unbonding_of(ctx: Context, participant: str) -> dict[int, int]:
    """By epoch of release, what a participant has withdrawn and is not paid back yet."""
    return {release: amount for (_, release), amount in state.UNBONDING.walk(ctx, (participant,))}


def set_deposit(ctx: Context, participant: str, amount: int) -> None:
    """Writes a deposit; nothing is kept of none."""
    if amount:
        state.DEPOSITS.set(ctx, participant, amount)
    else:
        state.DEPOSITS.remove(ctx, participant)


def set_unbonding(ctx: Context, participant: str, release: int, amount: int) -> None:
    """Writes a withdrawal and its place in the queue; nothing is kept of none."""
    if amount:
        state.UNBONDING.set(ctx, (participant, release), amount)
        state.QUEUE.add(ctx, (release, participant))
    else:
        state.UNBONDING.remove(ctx, (participant, release))
        state.QUEUE.remove(ctx, (release, participant))


def invalidate(ctx: Context, address: str, reason: Reason) -> None:
    """Makes a participant INVALID, and slashes it where it was not: nothing else calls the one of epochs."""
    participant = hardware.get_participant(ctx, address)
    was_invalid = participant is not None and participant.status == PARTICIPANT_STATUS_INVALID
    epochs.invalidate(ctx, address, reason)
    if is_on(ctx) and not was_invalid:
        slash(ctx, address, epochs.state(ctx).epoch_effective, params(ctx).slash_invalid_bps, reason)


def slash(ctx: Context, participant: str, epoch: int, fraction_bps: int, reason: Reason) -> None:
    """Burns a fraction of what a participant has here, for something that it did in an epoch."""
    deposit, unbonding = deposit_of(ctx, participant), unbonding_of(ctx, participant)
    cut = rules.slash(deposit, unbonding, fraction_bps, epoch)
    if not cut.total:
        return
    set_deposit(ctx, participant, deposit - cut.deposit)
    for release, amount in cut.unbonding.items():
        set_unbonding(ctx, participant, release, unbonding[release] - amount)
    # Nobody gains by another's slash: not who votes on it, nor who governs the community pool.
    bank.burn(ctx, ACCOUNT, {denom(ctx): cut.total})
    done = Slash(
        participant=participant,
        epoch_index=epoch,
        height=ctx.height,
        reason=reason,
        fraction_bps=fraction_bps,
        from_deposit=str(cut.deposit),
        from_unbonding=str(cut.total - cut.deposit),
    )
    state.SLASHES.set(ctx, (epoch, participant, ctx.height), done)
    ctx.emit(
        "collateral_slashed", participant=participant, epoch=epoch, reason=word(reason), amount=cut.total
    )


def obligations(ctx: Context) -> int:
    """nevg that the module owes: deposits, and withdrawals that are not paid back."""
    return sum(state.DEPOSITS.values(ctx)) + sum(state.UNBONDING.values(ctx))


def totals(ctx: Context) -> Mapping[str, int]:
    """nevg that are deposited, and that wait to be paid back."""
    return {
        "deposited": sum(state.DEPOSITS.values(ctx)),
        "unbonding": sum(state.UNBONDING.values(ctx)),
    }


def account_address() -> str:
    """Where the coins are."""
    return module_account(ACCOUNT)
