"""`evergrid tx inference`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.options import TX, shared
from cli.send import sender, submit
from cli.tx_generate import message_command
from protocol.gen.evergrid.inference.v1.inference_pb2 import MsgSubmitUnitOfComputePriceProposal

if TYPE_CHECKING:
    from cli.session import Session


@click.group()
def inference() -> None:
    """Propose a price; begin, end and judge inferences, as API nodes do by themselves."""


@inference.command()
@click.argument("price", type=click.IntRange(0, (1 << 64) - 1))
@shared(*TX)
def price(session: Session, price: int) -> None:
    """Propose PRICE nevg for one unit of compute; the weighted median rules from the next epoch on."""
    submit(session, [MsgSubmitUnitOfComputePriceProposal(creator=sender(session), price=price)])


for _name, _message, _text in (
    ("start", "MsgStartInference", "Put an inference on the chain and its price in escrow."),
    ("finish", "MsgFinishInference", "Say what an inference took, as its executor."),
    ("validate", "MsgValidateInference", "Judge an inference that was executed again."),
):
    inference.add_command(message_command(_name, f"evergrid.inference.v1.{_message}", _text))
