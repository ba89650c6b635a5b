"""`evergrid tx maintenance`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.options import TX, shared
from cli.send import sender, submit
from protocol.gen.evergrid.maintenance.v1.maintenance_pb2 import MsgAnnounceMaintenance

if TYPE_CHECKING:
    from cli.session import Session

_HEIGHT = click.IntRange(1, (1 << 63) - 1)


@click.group()
def maintenance() -> None:
    """Announce downtime."""


@maintenance.command()
@click.argument("height_from", type=_HEIGHT)
@click.argument("height_to", type=_HEIGHT)
@click.option(
    "--node-id", default="", metavar="ID", help="The MLNode that will be down (default: all of them)."
)
@shared(*TX)
def announce(session: Session, height_from: int, height_to: int, node_id: str) -> None:
    """Announce that a node is down from HEIGHT_FROM to HEIGHT_TO, both included.

    Costs that many blocks of credit; `evergrid query maintenance credit` shows it, and where a window may
    lie.
    """
    creator = sender(session)
    message = MsgAnnounceMaintenance(
        creator=creator, node_id=node_id, height_from=height_from, height_to=height_to
    )
    submit(session, [message])
