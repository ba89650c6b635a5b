"""`evergrid node test`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from cli.errors import EXIT_FAILED
from cli.node_client import EXIT_NOT_NOW, TIMEOUT_S, AdminClient, AdminError, administers
from cli.node_view import step_row

if TYPE_CHECKING:
    from cli.session import Session

# Of one question whether the test is over.
ASK_S = 20.0


@click.command()
@click.argument("node_id")
@click.option("--model", default="", metavar="ID", help="Model to load (default: its first registered one).")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(1, 86400),
    default=1800,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait; the test goes on behind it.",
)
@administers
def test(session: Session, admin: AdminClient, *, node_id: str, model: str, timeout_s: float) -> None:
    r"""Reach, download, load, infer, generate nonces: pass, or why not, each with its time.

    The node is taken for it, and given back behind it or when a PoC begins. One that takes requests has to be
    drained first; one that is busy with a stage is refused. Exit code 0: pass, 1: fail, 3: not now.

    \b
    evergrid node drain n1 --wait 600
    evergrid node test n1 && evergrid node enable n1
    """
    begun = admin.call("POST", f"nodes/{node_id}/test", {"model": model})
    found = _await(admin, node_id, begun, timeout_s)
    from cli.out import table  # noqa: PLC0415 - only when it is used

    rows = table([step_row(each) for each in found["steps"]])
    session.emit(found, f"{rows}\n{node_id} with {found['model']}: {found['result']}")
    codes = {"pass": 0, "running": EXIT_NOT_NOW, "skipped": EXIT_NOT_NOW}
    click.get_current_context().exit(codes.get(found["result"], EXIT_FAILED))


def _await(admin: AdminClient, node_id: str, found: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """The test once it is over, or as it is when the time is."""
    end = time.monotonic() + timeout_s
    while found["result"] == "running" and (left_s := end - time.monotonic()) > 0:
        wait_s = round(min(ASK_S, left_s), 3)
        try:
            found = admin.call("GET", f"nodes/{node_id}/test", timeout_s=wait_s + TIMEOUT_S, wait_s=wait_s)
        except AdminError as error:
            if error.status == 404:
                raise click.ClickException("the API node was started anew: the test is lost") from error
            raise
    return found
