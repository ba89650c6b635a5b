"""`evergrid state`: what a node's store holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.options import LOCAL, shared

if TYPE_CHECKING:
    from abci_app.kernel.stats import StateStats
    from cli.session import Session


@click.group()
def state() -> None:
    """See what a node's store holds."""


@state.command()
@shared(*LOCAL)
def stats(session: Session) -> None:
    """Count keys and bytes by collection, in the store of a node that runs or does not."""
    from abci_app.kernel.stats import state_stats  # noqa: PLC0415 - brings the store
    from cli.out import table  # noqa: PLC0415

    folder = session.home / "data" / "app"
    if not folder.exists():
        raise click.ClickException(f"there is no chain in this home: {folder} is missing")
    found = state_stats(folder)
    total = found.total()
    rows = _rows(found, "collections")
    shown = [*rows, {"collection": "total", "keys": total.keys, "bytes": total.size_bytes}]
    history = _rows(found, "history")
    text = f"height {found.height}\n\n{table(shown)}\n\nbeside it\n\n{table(history)}"
    document = {
        "height": found.height,
        "keys": total.keys,
        "bytes": total.size_bytes,
        "collections": rows,
        "history": history,
    }
    session.emit(document, text)


def _rows(found: StateStats, part: str) -> list[dict[str, Any]]:
    sizes = found.collections if part == "collections" else found.history
    return [
        {"collection": name, "keys": size.keys, "bytes": size.size_bytes}
        for name, size in sorted(sizes.items())
    ]
