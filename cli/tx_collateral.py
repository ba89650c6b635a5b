"""`evergrid tx collateral`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.options import TX, shared
from cli.send import coins, sender, submit
from protocol.gen.evergrid.collateral.v1.collateral_pb2 import MsgDepositCollateral, MsgWithdrawCollateral

if TYPE_CHECKING:
    from cli.session import Session
    from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin


@click.group()
def collateral() -> None:
    """Deposit and withdraw collateral."""


@collateral.command()
@click.argument("amount")
@shared(*TX)
def deposit(session: Session, amount: str) -> None:
    """Add AMOUNT, such as 1000nevg, to the deposit of a participant."""
    submit(session, [MsgDepositCollateral(creator=sender(session), amount=one_coin(amount))])


@collateral.command()
@click.argument("amount")
@shared(*TX)
def withdraw(session: Session, amount: str) -> None:
    """Withdraw AMOUNT, such as 1000nevg: paid back after `unbonding_epochs`, slashed until then."""
    submit(session, [MsgWithdrawCollateral(creator=sender(session), amount=one_coin(amount))])


def one_coin(amount: str) -> Coin:
    """The coin that an amount stands for; raises UsageError for more than one."""
    found = coins(amount)
    if len(found) != 1:
        raise click.UsageError("AMOUNT must be one amount, such as 1000nevg")
    return found[0]
