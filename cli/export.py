"""`evergrid export`: the state as the genesis of a chain that goes on from it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.files import read_object
from cli.options import LOCAL, shared

if TYPE_CHECKING:
    from abci_app.app import App
    from cli.session import Session


@click.command()
@click.option("--output-document", type=click.Path(dir_okay=False), help="Write into this file.")
@shared(*LOCAL)
def export(session: Session, *, output_document: str | None) -> None:
    """Print the state of a stopped node as a genesis with which a chain goes on at the next height."""
    document = exported(session.home)
    if output_document is None:
        return click.echo(json.dumps(document, indent=None if session.as_json else 2))
    Path(output_document).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    shown = {"file": output_document, "initial_height": document["initial_height"]}
    return session.emit(shown)


def exported(home: Path, *, running: bool = False) -> dict[str, Any]:
    """The genesis document of a home's last state; raises ClickException where there is none.

    running: also of a node that has its state open, from a copy of it in memory.
    """
    from abci_app.app import STORES, App  # noqa: PLC0415 - brings the chain
    from abci_app.genesis import export_genesis  # noqa: PLC0415 - brings the chain
    from abci_app.kernel.store import CopiedStore, DiskStore, StoreLocked  # noqa: PLC0415

    document = read_object(_existing(home / "config" / "genesis.json"))
    folder = _existing(home / "data" / "app")
    try:
        with (CopiedStore if running else DiskStore)(folder, STORES) as store:
            app = App(store)
            ctx = app.context_at()
            document["genesis_time"] = _time(ctx.block.time_ns)
            document["initial_height"] = str(ctx.height + 1)
            document["validators"] = validators(app) or document.get("validators")
            document["app_hash"] = ""
            document["app_state"] = export_genesis(ctx)
    except StoreLocked as error:
        raise click.ClickException(f"a node has {folder} open: stop it first") from error
    return document


def validators(app: App) -> list[dict[str, str | dict[str, str]]]:
    """The validators of a state, as a genesis names them."""
    from protocol.address import consensus_address  # noqa: PLC0415 - as above
    from protocol.gen.evergrid.epochs.v1 import epochs_pb2  # noqa: PLC0415

    answer, _ = app.queries.answer("/evergrid.epochs.v1.Query/Validators", b"")
    assert isinstance(answer, epochs_pb2.QueryValidatorsResponse)
    return [
        {
            "address": consensus_address(each.validator_key).hex().upper(),
            "pub_key": {
                "type": "tendermint/PubKeyEd25519",
                "value": base64.b64encode(each.validator_key).decode(),
            },
            "power": str(each.power),
            "name": "",
        }
        for each in answer.validators
    ]


def _existing(path: Path) -> Path:
    if not path.exists():
        raise click.ClickException(f"there is no chain in this home: {path} is missing")
    return path


def _time(time_ns: int) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415 - as above

    seconds, rest = divmod(time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
