"""`evergrid rollback`: the state of a stopped node, one block back."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import click

from cli.options import LOCAL, shared
from cli.stopped import stopped_store

if TYPE_CHECKING:
    from cli.session import Session

ROLLBACK_S = 120.0
_ROLLED_BACK = re.compile(r"Rolled back state to height (\d+)")


@click.command()
@click.option("--hard", is_flag=True, help="Remove the block too; it is fetched from other nodes again.")
@shared(*LOCAL)
def rollback(session: Session, *, hard: bool) -> None:
    """Take the state of a stopped node back by one block, which is run again at the next start.

    For a node whose state differs from that of the others. With --hard the block is removed as well: what the
    validator signed for it stays on record, so that it never signs two.
    """
    with stopped_store(session) as store:
        lowest = store.height_lowest
        if store.version <= lowest:
            raise click.ClickException(
                f"height {store.version} is the lowest that is kept: there is nothing to go back to"
            )
        height = _comet(session, hard=hard)
        if height < lowest:
            raise click.ClickException(
                f"CometBFT is at height {height} now, and states below {lowest} are not kept: begin with a "
                "snapshot (docs/operating.md)"
            )
        if height < store.version:
            store.rollback(height)
        session.emit({"height": store.version, "app_hash": store.app_hash.hex().upper()})


def _comet(session: Session, *, hard: bool) -> int:
    """CometBFT's own rollback; the height at which it is then."""
    from abci_app.node.home import find_cometbft  # noqa: PLC0415 - brings the chain

    command = [str(find_cometbft()), "rollback", "--home", str(session.home), *(["--hard"] if hard else [])]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=ROLLBACK_S)  # noqa: S603
    found = _ROLLED_BACK.search(done.stdout)
    if done.returncode or found is None:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise click.ClickException(f"CometBFT did not go back: {said[-1] if said else 'it said nothing'}")
    return int(found[1])
