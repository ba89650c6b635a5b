"""`evergrid tx bank`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.options import TX, shared
from cli.send import checked_address, coins, sender, submit
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend

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
