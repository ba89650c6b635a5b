"""`evergrid snapshots`: what a new node can begin with instead of replaying all blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.options import LOCAL, shared
from cli.stopped import stopped_store

if TYPE_CHECKING:
    from abci_app.node.snapshots import Snapshot, SnapshotFolder
    from cli.session import Session


@click.group()
def snapshots() -> None:
    """See, take and remove snapshots of the state."""


@snapshots.command("list")
@shared(*LOCAL)
def list_command(session: Session) -> None:
    """List the snapshots of this home, the latest first."""
    from cli.out import table  # noqa: PLC0415 - only for text

    rows = [_row(each) for each in _folder(session).snapshots()]
    session.emit({"snapshots": rows}, table(rows) if rows else "there are no snapshots")


@snapshots.command()
@shared(*LOCAL)
def export(session: Session) -> None:
    """Take a snapshot of the last state of a stopped node."""
    chunk_bytes = _settings(session).snapshot_chunk_kib << 10
    with stopped_store(session) as store:
        reader = store.snapshot()
        try:
            taken = _folder(session).take(reader, store.version, store.app_hash, chunk_bytes)
        finally:
            reader.close()
    session.emit(_row(taken))


@snapshots.command()
@click.argument("height", type=click.IntRange(min=1))
@shared(*LOCAL)
def delete(session: Session, height: int) -> None:
    """Remove the snapshot of a height."""
    if not _folder(session).delete(height):
        raise click.ClickException(f"there is no snapshot of height {height}")
    session.emit({"deleted": height})


def _settings(session: Session) -> Any:
    from abci_app.node.config import load_settings  # noqa: PLC0415 - brings pydantic

    return load_settings(session.home)


def _folder(session: Session) -> SnapshotFolder:
    from abci_app.node.snapshots import SnapshotFolder  # noqa: PLC0415 - brings the chain

    return SnapshotFolder(session.home / "data" / "snapshots")


def _row(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "height": snapshot.height,
        "format": snapshot.format,
        "chunks": snapshot.chunks,
        "bytes": snapshot.size_bytes,
        "keys": sum(snapshot.keys.values()),
        "duration_ms": snapshot.duration_ms,
        "app_hash": snapshot.app_hash.upper(),
        "hash": snapshot.hash.upper(),
    }
