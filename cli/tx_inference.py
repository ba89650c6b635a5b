"""`evergrid tx inference`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.options import TX, shared
from cli.send import sender, submit
from protocol.gen.evergrid.inference.v1.inference_pb2 import MsgSubmitUnitOfComputePriceProposal

if TYPE_CHECKING:
    from cli.session import Session


@click.group()
def inference() -> None:
    """Propose a price."""


@inference.command()
@click.argument("price", type=click.IntRange(0, (1 << 64) - 1))
@shared(*TX)
def price(session: Session, price: int) -> None:
    """Propose PRICE nevg for one unit of compute; the weighted median rules from the next epoch on."""
    submit(session, [MsgSubmitUnitOfComputePriceProposal(creator=sender(session), price=price)])
