"""`evergrid init` and `evergrid start`: one node of the chain."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import click

from cli.files import FILE, read_object, write_client_config
from cli.options import KEYRING, LOCAL, shared

if TYPE_CHECKING:
    from cli.session import Session

DENOM = "nevg"


@click.command()
@click.argument("moniker", default="evergrid")
@click.option(
    "--chain-id", metavar="ID", help="Id of the new chain (default: evergrid- and six random digits)."
)
@click.option(
    "--profile",
    type=click.Choice(["local", "testnet", "mainnet"]),
    default="local",
    show_default=True,
    help="Start values of the protocol.",
)
@click.option(
    "--layout",
    type=click.Choice(["single", "localnet", "production"]),
    default="single",
    show_default=True,
    help="Who may connect: nobody, nodes of this machine, anyone.",
)
@click.option(
    "--account",
    "accounts",
    multiple=True,
    metavar="KEY=AMOUNT",
    help="Coins from the start, such as alice=1000nevg, for a key's name or an address; may be repeated.",
)
@click.option(
    "--participant",
    metavar="KEY",
    help="Key whose account owns this node's validator: it votes from the start. Without it nobody can"
    " register models, and the chain moves coins alone.",
)
@click.option(
    "--params",
    "params_file",
    type=FILE,
    help="JSON object of the protocol's params that differ from the profile's, as `evergrid query epochs"
    " params` shows them. Only here `guardians` and `collateral` are turned on: cometbft-config/README.md"
    " says what each of their numbers does.",
)
@click.option(
    "--guardian",
    "guardians",
    multiple=True,
    metavar="KEY",
    help="Participant whose power in blocks is raised while the network is small, by a key's name or an"
    " address; needs params `guardians`; may be repeated.",
)
@click.option("--timeout-commit", default="", metavar="TIME", help="Pause between blocks, such as 1s.")
@click.option("--port-offset", type=click.IntRange(0, 30000), default=0, help="Move all ports up by so many.")
@shared(*KEYRING)
def init(
    session: Session,
    moniker: str,
    *,
    accounts: tuple[str, ...],
    participant: str | None,
    params_file: str | None,
    guardians: tuple[str, ...],
    port_offset: int,
    **values: Any,
) -> None:
    """Write the configuration, the keys and the genesis of a new home; this node is the only validator."""
    from abci_app.node.home import Ports, init_home  # noqa: PLC0415 - brings the chain

    # The environment names the chain to talk to, which is another one than the chain that begins here.
    before = click.get_current_context().find_root().params.get("chain_id")
    chain_id = values.pop("chain_id") or before or f"evergrid-{secrets.token_hex(3)}"
    ports = Ports().shifted(port_offset)
    info = init_home(
        session.home,
        chain_id,
        moniker=moniker,
        ports=ports,
        balances=balances(session, accounts),
        owner=session.keyring().show(participant).public_key if participant else b"",
        params=read_object(params_file) if params_file else {},
        guardians=[address_of(session, who) for who in guardians],
        **values,
    )
    backend = str(session.get("keyring_backend"))
    write_client_config(session.home, chain_id, f"tcp://127.0.0.1:{ports.rpc}", backend)
    shown = {
        "home": str(info.home),
        "chain_id": chain_id,
        "moniker": moniker,
        "node_id": info.node_id,
        "genesis": str(info.home / "config" / "genesis.json"),
    }
    session.emit(shown)


def balances(session: Session, accounts: tuple[str, ...]) -> dict[str, int]:
    """nevg by address; raises UsageError that names every account that cannot be read."""
    found: dict[str, int] = {}
    wrong = []
    for text in accounts:
        try:
            address, number = _balance(session, text)
        except ValueError as error:
            wrong.append(f"--account {text}: {error}")
            continue
        found[address] = found.get(address, 0) + number
    if wrong:
        raise click.UsageError("; ".join(wrong))
    return found


def _balance(session: Session, text: str) -> tuple[str, int]:
    from client.amounts import AmountError, parse_amount  # noqa: PLC0415 - only where there are accounts

    who, _, coins = text.partition("=")
    amount = parse_amount(coins)
    if amount.denom != DENOM:
        raise AmountError(f"only {DENOM} is there from the start, not {amount.denom}")
    return address_of(session, who), amount.number


def address_of(session: Session, who: str) -> str:
    """The address of a key's name, or the address itself; raises KeyringError."""
    from client.keyring import KeyringError  # noqa: PLC0415 - only where there are accounts
    from protocol.address import decode  # noqa: PLC0415

    try:
        return session.keyring().show(who).address
    except KeyringError as error:
        try:
            decode(who)
        except ValueError:
            raise KeyringError(f"{error}, and it is no address") from error
        return who


@click.command()
@click.option("--with-comet", is_flag=True, help="Start and stop CometBFT too.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--log-format", type=click.Choice(["console", "json"]))
@shared(*LOCAL)
def start(session: Session, *, with_comet: bool, log_level: str | None, log_format: str | None) -> None:
    """Run the chain's application until SIGINT or SIGTERM, as HOME/config/app.toml says."""
    from abci_app.node.config import load_settings  # noqa: PLC0415 - brings the chain
    from abci_app.node.logs import configure_logging  # noqa: PLC0415
    from abci_app.node.main import run_chain  # noqa: PLC0415

    given = {"log_level": log_level, "log_format": log_format}
    overrides: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    settings = load_settings(session.home, **overrides)
    configure_logging(settings.log_level, settings.log_format)
    click.get_current_context().exit(run_chain(settings, with_comet=with_comet))
