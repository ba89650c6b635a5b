"""Messages of collateral."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.module import handles
from abci_app.modules import bank, epochs, hardware
from abci_app.modules.collateral import keeper, rules
from abci_app.modules.collateral.errors import CollateralRefused
from protocol.gen.evergrid.collateral.v1 import collateral_pb2 as pb

if TYPE_CHECKING:
    from abci_app.kernel.context import Context
    from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin


@handles(pb.MsgDepositCollateral)
def deposit_collateral(ctx: Context, msg: pb.MsgDepositCollateral) -> None:
    """Adds coins of a participant to its deposit."""
    errors = _amount_errors(ctx, msg.amount)
    if hardware.get_participant(ctx, msg.creator) is None:
        errors.append(f"unknown_participant: {msg.creator} is no participant")
    if errors:
        raise CollateralRefused("; ".join(errors))
    amount = int(msg.amount.amount)
    bank.send_coins(ctx, msg.creator, keeper.account_address(), {msg.amount.denom: amount})

    deposit = keeper.deposit_of(ctx, msg.creator) + amount
    keeper.set_deposit(ctx, msg.creator, deposit)
    ctx.emit("collateral_deposited", participant=msg.creator, amount=amount, deposit=deposit)


@handles(pb.MsgWithdrawCollateral)
def withdraw_collateral(ctx: Context, msg: pb.MsgWithdrawCollateral) -> pb.MsgWithdrawCollateralResponse:
    """Takes from the deposit what is to be paid back; until then it can be slashed."""
    if errors := _amount_errors(ctx, msg.amount):
        raise CollateralRefused("; ".join(errors))
    amount, deposit = int(msg.amount.amount), keeper.deposit_of(ctx, msg.creator)
    if amount > deposit:
        raise CollateralRefused(f"{amount}{msg.amount.denom} is more than the deposit of {deposit}")

    release = rules.epoch_release(epochs.state(ctx).epoch_effective, keeper.params(ctx))
    keeper.set_deposit(ctx, msg.creator, deposit - amount)
    before = keeper.unbonding_of(ctx, msg.creator).get(release, 0)
    keeper.set_unbonding(ctx, msg.creator, release, before + amount)
    ctx.emit("collateral_withdrawn", participant=msg.creator, amount=amount, epoch_release=release)
    return pb.MsgWithdrawCollateralResponse(epoch_release=release)


def _amount_errors(ctx: Context, amount: Coin) -> list[str]:
    if not keeper.is_on(ctx):
        raise CollateralRefused("this chain has no collateral: its genesis did not turn it on")
    errors = bank.coin_errors([amount])
    wanted = keeper.denom(ctx)
    if not errors and amount.denom != wanted:
        errors.append(f"collateral is paid in {wanted}, not in {amount.denom}")
    return errors
