"""`evergrid snapshots`: what a new node can begin with instead of replaying all blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.options import LOCAL, shared

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
    from abci_app.app import STORES  # noqa: PLC0415 - brings the chain
    from abci_app.kernel.store import DiskStore, StoreLocked  # noqa: PLC0415

    folder, settings = session.home / "data" / "app", _settings(session)
    if not folder.exists():
        raise click.ClickException(f"there is no chain in this home: {folder} is missing")
    try:
        with DiskStore(folder, STORES) as store:
            if not store.version:
                raise click.ClickException("the node has no state yet")
            reader = store.snapshot()
            try:
                chunk_bytes = settings.snapshot_chunk_kib << 10
                taken = _folder(session).take(reader, store.version, store.app_hash, chunk_bytes)
            finally:
                reader.close()
    except StoreLocked as error:
        raise click.ClickException(
            f"a node has {folder} open: stop it first, or wait for the next of its own snapshots"
        ) from error
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
