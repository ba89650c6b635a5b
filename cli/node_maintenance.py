"""`evergrid node maintenance`: announced downtime, by the API node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.node_client import EXIT_NOT_NOW, TIMEOUT_S, AdminClient, administers

if TYPE_CHECKING:
    from cli.session import Session

_HEIGHT = click.IntRange(1, (1 << 63) - 1)


@click.group()
def maintenance() -> None:
    """Announced downtime: what is missed in it does not count."""


@maintenance.command(name="list")
@administers
def list_windows(session: Session, admin: AdminClient) -> None:
    """Windows that are not over, the credit, and between which heights a window may lie now."""
    found = admin.call("GET", "maintenance")
    session.emit(found, as_text(found))


def as_text(found: dict[str, Any]) -> str:
    """For people."""
    from cli.out import table  # noqa: PLC0415 - only for text

    span = f"{found['height_first']} to {found['height_last']}"
    lines = [
        f"height {found['height']}, credit {found['credit_blocks']} blocks",
        f"a window may lie within {span}" if found["height_last"] else "no window may be announced now",
    ]
    rows = [
        {"node": each["node_id"] or "all", "from": each["height_from"], "to": each["height_to"]}
        for each in found["windows"]
    ]
    return "\n".join([*lines, "", table(rows)] if rows else [*lines, "nothing is announced"])


@maintenance.command()
@click.argument("height_from", type=_HEIGHT)
@click.argument("height_to", type=_HEIGHT)
@click.option("--node-id", default="", metavar="ID", help="The node that will be down (default: all).")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 3600),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait until it is in a block.",
)
@administers
def announce(
    session: Session, admin: AdminClient, *, height_from: int, height_to: int, node_id: str, wait_s: float
) -> None:
    r"""Announce that a node is down from HEIGHT_FROM to HEIGHT_TO, both included.

    The API node sends it where it holds the participant's key; else it says what to run where that key is.
    The node drains by itself before the window and is taken back behind it. Exit code 3: in no block yet, or
    the key is elsewhere.

    \b
    evergrid node maintenance list
    evergrid node maintenance announce 12000 12400 --node-id n1
    """
    body = {"node_id": node_id, "height_from": height_from, "height_to": height_to}
    found = admin.call("POST", "maintenance", body, timeout_s=wait_s + TIMEOUT_S, wait_s=wait_s)
    where = f" in block {found['height']}" if found["height"] else ""
    session.emit(found, f"{found['status']}{where}")
    if found["status"] != "included":
        click.get_current_context().exit(EXIT_NOT_NOW)
