"""`evergrid localnet`: a network on this machine, in the background."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.files import FILE, read_object
from cli.options import shared

if TYPE_CHECKING:
    from cli.session import Session

HOME = Path(__file__).resolve().parents[1] / ".cache" / "localnet"
PORT = click.IntRange(1024, 65_000)


@click.group()
def localnet() -> None:
    """Run a local network in the background: validators, and with --mlnodes API nodes and MLNodes too."""


def _home(session: Session) -> Path:
    """The option's value, given anywhere; the default is the checkout's own cache."""
    given = session.values.get("home")
    return Path(given).expanduser().absolute() if given else HOME


@localnet.command()
@click.option("--validators", type=click.IntRange(1, 50), help="Number of validators.  [default: 1]")
@click.option("--base-port", type=PORT, metavar="P", help="First of the ports.  [default: 27000]")
@click.option("--block-time", type=click.IntRange(50, 60_000), metavar="MS", help="[default: 1000]")
@click.option("--mlnodes", type=click.IntRange(0, 50), help="Number of MLNodes, two a model.  [default: 0]")
@click.option(
    "--params",
    "params_file",
    type=FILE,
    help="JSON object of the protocol's params that differ from the profile `local`, as for `init`.",
)
@click.option(
    "--guardians",
    type=click.IntRange(0, 50),
    help="Make the participants of so many validators guardians; needs params `guardians`.  [default: 0]",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --output json.")
@shared("home", "output", home=".cache/localnet of the checkout")
def up(
    session: Session,
    *,
    validators: int | None,
    base_port: int | None,
    block_time: int | None,
    mlnodes: int | None,
    params_file: str | None,
    guardians: int | None,
    as_json: bool,
) -> None:
    """Start a network and return once it works; a stopped one of the same home goes on.

    It works when each validator has committed a block and each model is served by an API node. Options
    that are not given are those with which it was made.
    """
    from cli import localnet_run as run  # noqa: PLC0415 - brings the whole chain
    from cli.supervisor import ProcessFailedError  # noqa: PLC0415

    params = read_object(params_file) if params_file else None
    options = run.Options(validators, base_port, block_time, mlnodes, params, guardians)
    try:
        shown = run.up(_home(session), options, lambda text: click.echo(text, err=True))
    except ProcessFailedError as error:
        raise _failed(error) from error
    _emit(session, shown, as_json=as_json)


@localnet.command()
@click.option("--json", "as_json", is_flag=True, help="The same as --output json.")
@shared("home", "output", home=".cache/localnet of the checkout")
def status(session: Session, *, as_json: bool) -> None:
    """Show which processes run, the heights of the validators, and the stage of the chain."""
    from cli import localnet_run as run  # noqa: PLC0415 - as above

    _emit(session, run.status(_home(session)), as_json=as_json)


@localnet.command()
@click.option("--json", "as_json", is_flag=True, help="The same as --output json.")
@shared("home", "output", home=".cache/localnet of the checkout")
def down(session: Session, *, as_json: bool) -> None:
    """Stop every process of the network; its home stays, and `up` starts it again."""
    from cli import localnet_run as run  # noqa: PLC0415 - as above

    _emit(session, run.down(_home(session)), as_json=as_json)


def _emit(session: Session, value: Any, *, as_json: bool) -> None:
    if as_json:
        session.values["output"] = "json"
    session.emit(value)


def _failed(error: Exception) -> click.ClickException:
    sentence, _, log = str(error).partition("\n")
    click.echo(log, err=True)
    return click.ClickException(sentence)
