"""The store of a node that does not run."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.store import DiskStore
    from cli.session import Session


@contextlib.contextmanager
def stopped_store(session: Session) -> Iterator[DiskStore]:
    """The home's store, for this process alone; raises ClickException where it is not to be had."""
    from abci_app.app import STORES  # noqa: PLC0415 - brings the chain
    from abci_app.kernel.store import DiskStore, StoreLocked  # noqa: PLC0415

    folder = session.home / "data" / "app"
    if not folder.exists():
        raise click.ClickException(f"there is no chain in this home: {folder} is missing")
    try:
        store = DiskStore(folder, STORES)
    except StoreLocked as error:
        raise click.ClickException(f"a node has {folder} open: stop it first") from error
    with store:
        if not store.version:
            raise click.ClickException("the node has no state yet")
        yield store
