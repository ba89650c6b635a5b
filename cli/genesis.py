"""`evergrid genesis`: what a chain begins with, checked before anybody starts it."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from google.protobuf.timestamp_pb2 import Timestamp

from cli.files import read_object
from cli.options import LOCAL, shared

if TYPE_CHECKING:
    from cli.session import Session

CHAIN_ID_MAX = 50
KEY_BYTES = 32
GENESIS_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def genesis() -> None:
    """Look at what a chain begins with."""


@genesis.command()
@click.argument("file", type=GENESIS_FILE, required=False)
@shared(*LOCAL)
def validate(session: Session, file: Path | None) -> None:
    """Begin a chain with a genesis in memory: its first state, or what is wrong with it.

    FILE is HOME/config/genesis.json unless it is given.
    """
    path = _file(session, file)
    app_hash, count = first_state(read_object(path))
    session.emit(
        {
            "file": str(path),
            "sha256": _digest(path),
            "app_hash": app_hash.hex().upper(),
            "validators": count,
        }
    )


@genesis.command(name="hash")
@click.argument("file", type=GENESIS_FILE, required=False)
@shared(*LOCAL)
def file_hash(session: Session, file: Path | None) -> None:
    """Print the SHA-256 of a genesis file, by which operators agree that they start the same chain."""
    found = _digest(_file(session, file))
    session.emit({"sha256": found}, found)


def _file(session: Session, given: Path | None) -> Path:
    path = given or session.home / "config" / "genesis.json"
    if not path.exists():
        raise click.ClickException(f"there is no chain in this home: {path} is missing")
    return path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def first_state(document: dict[str, Any]) -> tuple[bytes, int]:
    """App hash and number of validators of the state that a genesis document makes.

    Raises ClickException with what CometBFT's part lacks, GenesisError with all that is wrong in app_state.
    """
    from abci_app.app import STORES, App  # noqa: PLC0415 - brings the chain
    from abci_app.kernel.store import MemoryStore  # noqa: PLC0415
    from protocol.gen.tendermint.abci import types_pb2 as abci  # noqa: PLC0415

    if wrong := comet_errors(document):
        raise click.ClickException("this is no genesis: " + "; ".join(wrong))
    request = abci.RequestInitChain(
        chain_id=str(document.get("chain_id") or ""),
        initial_height=int(document.get("initial_height") or 1),
        app_state_bytes=json.dumps(document.get("app_state") or {}).encode(),
    )
    request.time.FromJsonString(document["genesis_time"])
    block = document["consensus_params"]["block"]
    request.consensus_params.block.max_bytes = int(block["max_bytes"])
    request.consensus_params.block.max_gas = int(block["max_gas"])
    for each in document.get("validators") or ():
        update = request.validators.add(power=int(each["power"]))
        update.pub_key.ed25519 = base64.b64decode(each["pub_key"]["value"])
    response = App(MemoryStore(STORES)).init_chain(request)
    count = len(response.validators) or len(request.validators)
    if not count:
        raise click.ClickException(
            "neither `validators` nor the participants of this genesis name a validator"
        )
    return response.app_hash, count


def comet_errors(document: dict[str, Any]) -> list[str]:
    """What of CometBFT's own fields is missing or cannot be read, all of it."""
    wrong = []
    chain_id = document.get("chain_id")
    if not isinstance(chain_id, str) or not 0 < len(chain_id) <= CHAIN_ID_MAX:
        wrong.append(f"chain_id is a text of 1 to {CHAIN_ID_MAX} characters")
    try:
        Timestamp().FromJsonString(document["genesis_time"])
    except (KeyError, TypeError, ValueError):
        wrong.append("genesis_time is a time such as 2026-01-01T00:00:00Z")
    if not _integers(document.get("consensus_params"), "block", ("max_bytes", "max_gas")):
        wrong.append("consensus_params.block needs the numbers max_bytes and max_gas")
    for index, each in enumerate(document.get("validators") or ()):
        if not _is_validator(each):
            wrong.append(f"validators[{index}] needs a power above 0 and a pub_key of 32 bytes in base64")
    return wrong


def _integers(fields: Any, part: str, names: tuple[str, ...]) -> bool:
    try:
        return all(str(int(fields[part][name])) == str(fields[part][name]) for name in names)
    except (KeyError, TypeError, ValueError):
        return False


def _is_validator(fields: Any) -> bool:
    try:
        key = base64.b64decode(fields["pub_key"]["value"], validate=True)
        return int(fields["power"]) > 0 and len(key) == KEY_BYTES
    except (KeyError, TypeError, ValueError):
        return False
