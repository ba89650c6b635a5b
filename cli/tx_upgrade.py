"""`evergrid tx upgrade`: proposals to change the software at a height, or to take such a plan back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.options import TX, shared
from cli.tx_gov import propose
from protocol.address import module_account
from protocol.gen.cosmos.upgrade.v1beta1.tx_pb2 import MsgCancelUpgrade, MsgSoftwareUpgrade
from protocol.gen.cosmos.upgrade.v1beta1.upgrade_pb2 import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.session import Session

_TEXTS = {
    "--metadata": "A note to the proposal.",
    "--deposit": "Such as 10000000nevg (default: the least that opens the vote).",
    "--summary": "Summary of the proposal.",
    "--title": "Title of the proposal.",
}


def _proposal_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for flag, text in _TEXTS.items():
        function = click.option(flag, help=text)(function)
    return function


@click.group()
def upgrade() -> None:
    """Propose a change of the software at a height."""


@upgrade.command()
@click.argument("name")
@click.argument("height", type=click.IntRange(2, (1 << 63) - 1))
@click.option("--info", default="", help="Where to find the software, for operators.")
@_proposal_options
@shared(*TX)
def software_upgrade(session: Session, name: str, height: int, *, info: str, **texts: str | None) -> None:
    """Propose that every node runs software with upgrade NAME from HEIGHT on.

    Nodes without it stop before they execute that height.
    """
    plan = Plan(name=name, height=height, info=info)
    message = MsgSoftwareUpgrade(authority=module_account("gov"), plan=plan)
    title = f"Upgrade {name}"
    propose(session, [message], texts, title=title, summary=f"Software with {name} from height {height} on.")


@upgrade.command()
@_proposal_options
@shared(*TX)
def cancel_upgrade(session: Session, **texts: str | None) -> None:
    """Propose to take the planned upgrade back."""
    message = MsgCancelUpgrade(authority=module_account("gov"))
    propose(session, [message], texts, title="Cancel the upgrade", summary="Takes the planned upgrade back.")
