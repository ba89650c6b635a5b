"""`evergrid comet`: what CometBFT knows of a home, and its reset."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import click

from cli.options import LOCAL, shared

if TYPE_CHECKING:
    from pathlib import Path

    from cli.session import Session

RESET_S = 60.0
# What CometBFT's own reset knows nothing of.
APP_FOLDERS = ("app", "snapshots")


@click.group()
def comet() -> None:
    """Show what CometBFT holds in a home, or reset it."""


@comet.command(name="show-node-id")
@shared(*LOCAL)
def show_node_id(session: Session) -> None:
    """Print the id by which peers know this node."""
    from abci_app.node.home import node_id_of  # noqa: PLC0415 - brings the chain

    _existing(session.home / "config" / "node_key.json")
    found = node_id_of(session.home)
    session.emit({"node_id": found}, found)


@comet.command(name="show-validator")
@shared(*LOCAL)
def show_validator(session: Session) -> None:
    """Print the public key with which this node signs blocks."""
    key = {"@type": "/cosmos.crypto.ed25519.PubKey", "key": _validator(session)["pub_key"]["value"]}
    session.emit(key, json.dumps(key))


@comet.command(name="show-address")
@shared(*LOCAL)
def show_address(session: Session) -> None:
    """Print the address of the key with which this node signs blocks, in hex."""
    found = str(_validator(session)["address"])
    session.emit({"address": found}, found)


@comet.command()
@shared(*LOCAL)
def version(session: Session) -> None:
    """Print the version of the CometBFT that `start --with-comet` runs."""
    from abci_app.node.home import find_cometbft  # noqa: PLC0415 - brings the chain

    path = find_cometbft()
    done = subprocess.run([path, "version"], capture_output=True, check=True, text=True, timeout=RESET_S)  # noqa: S603
    found = done.stdout.strip()
    session.emit({"cometbft": found, "path": str(path)}, found)


@comet.command(name="unsafe-reset-all")
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@shared(*LOCAL)
def unsafe_reset_all(session: Session, *, yes: bool) -> None:
    """Remove all blocks and the whole state of a stopped node; keys, configuration and genesis stay.

    What the validator has signed is forgotten too: where the chain goes on it may sign twice.
    """
    from abci_app.node.home import find_cometbft  # noqa: PLC0415 - brings the chain

    data = session.home / "data"
    _existing(data)
    _refuse_running(data / "app")
    if not yes:
        click.confirm(f"Remove all blocks and the state in {data} for good?", abort=True, err=True)
    command = [str(find_cometbft()), "unsafe-reset-all", "--home", str(session.home)]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=RESET_S)  # noqa: S603
    if done.returncode:
        raise click.ClickException(f"CometBFT did not reset {data}: {done.stderr.strip()}")
    for name in APP_FOLDERS:
        shutil.rmtree(data / name, ignore_errors=True)
    session.emit({"reset": str(data)})


def _refuse_running(folder: Path) -> None:
    from abci_app.app import STORES  # noqa: PLC0415 - brings the chain
    from abci_app.kernel.store import DiskStore, StoreLocked  # noqa: PLC0415

    if not folder.exists():
        return
    try:
        with DiskStore(folder, STORES):
            pass
    except StoreLocked as error:
        raise click.ClickException(f"a node has {folder} open: stop it first") from error


def _validator(session: Session) -> dict[str, Any]:
    path = _existing(session.home / "config" / "priv_validator_key.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _existing(path: Path) -> Path:
    if not path.exists():
        raise click.ClickException(f"there is no node in this home: {path} is missing")
    return path
