"""`evergrid prune`: earlier states of a stopped node, forgotten at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.options import LOCAL, shared
from cli.stopped import stopped_store

if TYPE_CHECKING:
    from pathlib import Path

    from cli.session import Session

BUDGET = 100_000


@click.command()
@click.option(
    "--keep", type=click.IntRange(min=1), help="States to keep.  [default: retain_heights of app.toml]"
)
@shared(*LOCAL)
def prune(session: Session, *, keep: int | None) -> None:
    """Forget earlier states of a stopped node, and give back the space on disk.

    A running node forgets them by itself, a little with each block; this does all that is left at once, as
    after retain_heights was lowered. Blocks stay: CometBFT has them.
    """
    from abci_app.node.config import load_settings  # noqa: PLC0415 - brings pydantic

    kept = keep or load_settings(session.home).retain_heights
    folder = session.home / "data" / "app"
    with stopped_store(session) as store:
        lowest, removed = store.height_lowest, 0
        while taken := store.prune(store.version - kept + 1, BUDGET):
            removed += taken
        before = _bytes_in(folder)
        store.compact()
        found = {
            "height": store.version,
            "height_lowest": store.height_lowest,
            "height_lowest_before": lowest,
        }
    session.emit({**found, "nodes_removed": removed, "bytes": _bytes_in(folder), "bytes_before": before})


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
