"""`evergrid tx bank`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.options import TX, shared
from cli.send import checked_address, coins, sender, submit
from protocol.gen.cosmos.bank.v1beta1.bank_pb2 import Input, Output
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgMultiSend, MsgSend
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin

if TYPE_CHECKING:
    from cli.session import Session

ARGUMENTS_MAX = 3


@click.group()
def bank() -> None:
    """Send coins."""


@bank.command()
@click.argument("words", nargs=-1, required=True, metavar="[FROM] TO AMOUNT")
@shared(*TX)
def send(session: Session, words: tuple[str, ...]) -> None:
    """Send AMOUNT, such as 1000nevg, to the address TO. FROM is a key's name or address, as with --from."""
    if len(words) not in {ARGUMENTS_MAX - 1, ARGUMENTS_MAX}:
        raise click.UsageError("give FROM, TO and AMOUNT, or TO and AMOUNT with --from")
    if len(words) == ARGUMENTS_MAX:
        session.values["from"] = words[0]
    to, amount = words[-2:]
    message = MsgSend(from_address=sender(session), to_address=checked_address(to), amount=coins(amount))
    submit(session, [message])


@bank.command()
@click.argument("words", nargs=-1, required=True, metavar="FROM TO... AMOUNT")
@click.option("--split", is_flag=True, help="AMOUNT in equal parts, instead of AMOUNT to each.")
@shared(*TX)
def multi_send(session: Session, words: tuple[str, ...], *, split: bool) -> None:
    """Send AMOUNT to each of several addresses, in one message."""
    if len(words) < ARGUMENTS_MAX:
        raise click.UsageError("give FROM, one or more TO, and AMOUNT")
    session.values["from"] = words[0]
    receivers = [checked_address(each) for each in words[1:-1]]
    each = coins(words[-1])
    if split:
        for coin in each:
            share, rest = divmod(int(coin.amount), len(receivers))
            if rest:
                raise click.UsageError(f"{coin.amount}{coin.denom} has no {len(receivers)} equal parts")
            coin.amount = str(share)
    total = [Coin(denom=coin.denom, amount=str(int(coin.amount) * len(receivers))) for coin in each]
    message = MsgMultiSend(
        inputs=[Input(address=sender(session), coins=total)],
        outputs=[Output(address=address, coins=each) for address in receivers],
    )
    submit(session, [message])
