"""`evergrid node top`: all nodes, live."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

import click

from cli.node_client import AdminClient, administers
from cli.node_view import frame, frame_text

if TYPE_CHECKING:
    from cli.session import Session

WIDTH_PIPED = 200


@click.command()
@click.option("--once", is_flag=True, help="Print one frame and end; so it does where there is no terminal.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(0.2, 60),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between looks.",
)
@administers
def top(session: Session, admin: AdminClient, *, once: bool, interval_s: float) -> None:
    r"""Watch every node: state, reason, since, deadline, model, slot, load, nonces; Ctrl-C ends it.

    Above them the chain, the countdown to the next stage, and whether you may switch off now.

    \b
    evergrid node top
    evergrid node top --once -o json | jq .switch_off
    """
    from sys import stdout  # noqa: PLC0415 - as it is when the command runs

    shown = admin.call("GET", "overview")
    if once or session.as_json or not stdout.isatty():
        width = shutil.get_terminal_size().columns if stdout.isatty() else WIDTH_PIPED
        session.emit(shown, frame_text(shown, width))
        return
    _live(admin, shown, interval_s)


def _live(admin: AdminClient, shown: dict[str, Any], interval_s: float) -> None:
    from rich.console import Console, Group  # noqa: PLC0415 - costs more than click itself
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    with Live(frame(shown), console=Console(), screen=True, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(interval_s)
                try:
                    shown = admin.call("GET", "overview")
                    live.update(frame(shown), refresh=True)
                except click.ClickException as error:
                    # What was seen last stays, and it is said that it is old.
                    old = Text(f"{error.format_message()}; as it was before:", style="red")
                    live.update(Group(old, frame(shown)), refresh=True)
        except KeyboardInterrupt:
            return
