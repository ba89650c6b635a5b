"""`evergrid upgrade`: what the operator of a node does before an upgrade."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import LOCAL, shared

if TYPE_CHECKING:
    from cli.session import Session


@click.group()
def upgrade() -> None:
    """Prepare a planned change of the software."""


@upgrade.command()
@click.argument("name")
@click.option(
    "--blocks", type=click.IntRange(1, 10_000), default=5, show_default=True, help="Empty blocks to follow."
)
@click.option(
    "--keep",
    type=click.Path(exists=False),
    metavar="FOLDER",
    help="Keep the copy of the state in this folder.",
)
@shared(*LOCAL)
def rehearse(session: Session, name: str, *, blocks: int, keep: str | None) -> None:
    """Run upgrade NAME and a few empty blocks on a copy of a stopped node's state; the state stays as it is.

    Fails where an invariant does not hold afterwards.
    """
    from abci_app.kernel.store import StoreLocked  # noqa: PLC0415 - brings the chain
    from abci_app.rehearsal import rehearse as run  # noqa: PLC0415 - brings the chain
    from abci_app.upgrades import UpgradeNeededError  # noqa: PLC0415 - brings the chain

    folder = session.home / "data" / "app"
    if not folder.exists():
        raise click.ClickException(f"there is no chain in this home: {folder} is missing")
    if keep and Path(keep).exists():
        raise click.ClickException(f"{keep} exists already: name a new folder")
    # Beside the original: files are linked, not copied, within one file system.
    scratch = Path(tempfile.mkdtemp(prefix="rehearsal-", dir=folder.parent))
    try:
        found = run(folder, Path(keep) if keep else scratch / "app", name, blocks)
    except StoreLocked as error:
        raise click.ClickException(f"a node has {folder} open: stop it first") from error
    except (UpgradeNeededError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    session.emit({**asdict(found), "broken": list(found.broken)})
    if found.broken:
        raise click.ClickException(f"{len(found.broken)} invariants do not hold after {name}")
