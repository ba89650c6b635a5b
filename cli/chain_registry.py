"""`evergrid chain-registry`: chain.json, assetlist.json and Keplr's record, made from a genesis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.files import read_object
from cli.options import LOCAL, shared

if TYPE_CHECKING:
    from cli.session import Session


@click.command(name="chain-registry")
@click.option(
    "--genesis",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Genesis file (default: HOME/config/genesis.json).",
)
@click.option(
    "--rpc",
    multiple=True,
    metavar="URL",
    help="Address of CometBFT's RPC as wallets reach it; may be given again.",
)
@click.option(
    "--rest",
    multiple=True,
    metavar="URL",
    help="Address of the REST gateway as wallets reach it; may be given again.",
)
@click.option(
    "--grpc", multiple=True, metavar="URL", help="Address of gRPC as clients reach it; may be given again."
)
@click.option("--provider", default="", help="Who runs these addresses.")
@click.option(
    "--network-type",
    type=click.Choice(("mainnet", "testnet", "devnet")),
    default="testnet",
    show_default=True,
    help="What kind of network the registry lists it as.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder for the files (default: the current one).",
)
@shared(*LOCAL)
def chain_registry(
    session: Session,
    *,
    file: Path | None,
    rpc: tuple[str, ...],
    rest: tuple[str, ...],
    grpc: tuple[str, ...],
    provider: str,
    network_type: str,
    out: Path,
) -> None:
    """Write chain.json and assetlist.json for the chain registry, and keplr.json for wallets.

    The last one needs --rpc and --rest. Its content is what a page hands to Keplr's experimentalSuggestChain.
    """
    from client import chain_registry as registry  # noqa: PLC0415 - costs more than click itself

    path = file or session.home / "config" / "genesis.json"
    if not path.exists():
        raise click.ClickException(f"there is no chain in this home: {path} is missing")
    endpoints = registry.Endpoints(rpc, rest, grpc)
    try:
        facts = registry.facts_of(read_object(path))
        made = {
            "chain.json": registry.chain_json(facts, endpoints, network_type=network_type, provider=provider),
            "assetlist.json": registry.assetlist_json(facts, network_type=network_type),
        }
        if rpc and rest:
            made["keplr.json"] = registry.keplr_json(facts, endpoints)
    except registry.RegistryError as error:
        raise click.ClickException(str(error)) from error
    out.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        (out / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    session.emit({"files": [str(out / name) for name in made]})
