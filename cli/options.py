"""Options that many commands share, declared once, and where their values come from."""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import click

from cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

ENV_PREFIX = "EVERGRID_"
HOME_DEFAULT = "~/.evergrid"


class Seconds(click.ParamType[float]):
    """A length of time, such as 90, 90s, 1m30s or 500ms, within bounds; a number of seconds (float)."""

    name = "time"
    _UNITS: ClassVar = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    _PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)", re.ASCII)

    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds that a text says; fails where it says none, or too few or too many."""
        text = f"{value}s" if re.fullmatch(r"\d+(\.\d+)?", str(value), re.ASCII) else str(value)
        if not re.fullmatch(f"(?:{self._PART.pattern})+", text, re.ASCII):
            self.fail(f"{value!r} is no time such as 90, 90s or 1m30s", param, ctx)
        seconds = sum(float(number) * self._UNITS[unit] for number, unit in self._PART.findall(text))
        if not self.minimum <= seconds <= self.maximum:
            self.fail(f"{value!r} is not between {self.minimum:g}s and {self.maximum:g}s", param, ctx)
        return seconds


@dataclass(frozen=True, slots=True)
class Shared:
    """An option that a command may take by its name; its help says the default, the session knows it."""

    flags: tuple[str, ...]
    help: str
    settings: dict[str, Any]
    env: bool = False


def _shared(*flags: str, text: str, env: bool = False, **settings: Any) -> Shared:
    name = flags[0].lstrip("-").replace("-", "_")
    hint = f" [env {ENV_PREFIX}{name.upper()}]" if env else ""
    return Shared((*flags, name), text + hint, settings, env=env)


_OUTPUT = click.Choice(["text", "json"])
SHARED: dict[str, Shared] = {
    "home": _shared(
        "--home",
        metavar="DIR",
        env=True,
        text=f"Folder of configuration, data and keys (default: {HOME_DEFAULT}).",
    ),
    "output": _shared("--output", "-o", type=_OUTPUT, env=True, text="Form of the output (default: text)."),
    "node": _shared(
        "--node",
        metavar="URL",
        env=True,
        text="CometBFT's RPC of the node to ask (default: tcp://localhost:26657).",
    ),
    "chain_id": _shared(
        "--chain-id", metavar="ID", env=True, text="The chain's id (default: what the node says)."
    ),
    "keyring_backend": _shared(
        "--keyring-backend",
        type=click.Choice(["os", "file", "test", "memory"]),
        env=True,
        text="Where keys are: the system's keyring, files under a passphrase, open files (default: test).",
    ),
    "keyring_dir": _shared(
        "--keyring-dir",
        metavar="DIR",
        env=True,
        text="Folder of the keyring's folders (default: the home).",
    ),
    "keyring_passphrase_file": _shared(
        "--keyring-passphrase-file",
        metavar="FILE",
        env=True,
        text="File that holds the keyring's passphrase (default: it is asked for).",
    ),
    "height": _shared(
        "--height",
        type=click.IntRange(min=0),
        text="Ask for the state after this block (default: the latest).",
    ),
    "from": _shared("--from", metavar="KEY", env=True, text="Name or address of the key that signs."),
    "gas": _shared("--gas", metavar="auto|N", env=True, text="Gas limit; auto simulates (default: auto)."),
    "gas_adjustment": _shared(
        "--gas-adjustment",
        metavar="FACTOR",
        env=True,
        text="Factor on the gas that the simulation used (default: 1.4).",
    ),
    "gas_prices": _shared(
        "--gas-prices", metavar="PRICE", env=True, text="Price of a unit of gas, such as 0.001nevg."
    ),
    "fees": _shared("--fees", metavar="COINS", env=True, text="The fee itself, such as 200nevg."),
    "fee_granter": _shared(
        "--fee-granter",
        metavar="ADDRESS",
        env=True,
        text="Account whose allowance pays the fee (default: the signer pays).",
    ),
    "fee_payer": _shared(
        "--fee-payer",
        metavar="ADDRESS",
        text="Account that pays the fee and signs as well; goes with --generate-only (default: the signer).",
    ),
    "sign_mode": _shared(
        "--sign-mode",
        type=click.Choice(["direct", "amino-json"]),
        text="What is signed: the bytes, or their JSON as hardware wallets show it (default: direct; "
        "amino-json where several sign).",
    ),
    "note": _shared("--note", metavar="TEXT", text="Memo of the transaction."),
    "timeout_height": _shared(
        "--timeout-height", type=click.IntRange(min=0), text="Last height at which it may be in a block."
    ),
    "unordered": _shared(
        "--unordered", is_flag=True, text="Without a sequence: beside other transactions, in any order."
    ),
    "timeout_duration": _shared(
        "--timeout-duration",
        type=Seconds(1, 600),
        metavar="TIME",
        text="For how long an unordered one may come into a block, such as 90s (default: 60s).",
    ),
    "account_number": _shared(
        "--account-number", type=click.IntRange(min=0), text="Number of the account (default: asked for)."
    ),
    "sequence": _shared(
        "--sequence", "-s", type=click.IntRange(min=0), text="Sequence of the account (default: asked for)."
    ),
    "broadcast_mode": _shared(
        "--broadcast-mode",
        "-b",
        type=click.Choice(["sync", "async", "block"]),
        env=True,
        text="Return once the node has checked it, before that, or once it is in a block (default: sync).",
    ),
    "dry_run": _shared("--dry-run", is_flag=True, text="Only simulate, and say the gas and the fee."),
    "generate_only": _shared("--generate-only", is_flag=True, text="Only print the unsigned transaction."),
    "offline": _shared(
        "--offline",
        is_flag=True,
        text="Ask no node, and only print the signed transaction: needs --chain-id, --account-number, "
        "--sequence and --gas N.",
    ),
    "output_document": _shared(
        "--output-document",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        text="Write what --generate-only or --offline prints into this file.",
    ),
    "yes": _shared("--yes", "-y", is_flag=True, text="Do not ask for confirmation."),
}

LOCAL = ("home", "output")
KEYRING = ("keyring_backend", "keyring_dir", "keyring_passphrase_file", *LOCAL)
QUERY = ("height", "node", *LOCAL)
CHAIN = ("node", *LOCAL)
TX = (
    *("from", "chain_id", "node", "gas", "gas_adjustment", "gas_prices", "fees"),
    *("fee_granter", "fee_payer", "sign_mode", "note", "timeout_height"),
    *(
        "unordered",
        "timeout_duration",
        "account_number",
        "sequence",
        "broadcast_mode",
        "dry_run",
        "generate_only",
        "offline",
        "output_document",
        "yes",
    ),
    *KEYRING,
)
# What may stand before the command as well.
ROOT = ("home", "output", "node", "chain_id", "keyring_backend")


def option(name: str, *, hidden: bool = False) -> click.Option:
    """A fresh click option of a shared one."""
    shared = SHARED[name]
    return click.Option(shared.flags, help=shared.help, hidden=hidden, **shared.settings)


ROOT_OPTIONS: list[click.Parameter] = [option(name) for name in ROOT]


def given(ctx: click.Context, name: str, own: Any) -> Any:
    """The value that was given for a shared option: at the command, before it, or in the environment."""
    if own is not None and own is not False:
        return own
    root = ctx.find_root().params.get(name)
    if root is not None:
        return root
    shared = SHARED[name]
    text = os.environ.get(ENV_PREFIX + name.upper()) if shared.env else None
    if not text:
        return own
    choice = shared.settings.get("type")
    return choice.convert(text, None, ctx) if isinstance(choice, click.ParamType) else text


def shared(*names: str, home: str = "") -> Callable[[F], Callable[..., Any]]:
    """Adds shared options to a command, which gets a Session as its first argument in their place.

    `home` says in the help which home is the default, where it is not the usual one.
    """

    def decorate(function: F) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(**values: Any) -> Any:
            ctx = click.get_current_context()
            session = Session({name: given(ctx, name, values.pop(name)) for name in names})
            return function(session, **values)

        params = getattr(function, "__click_params__", [])
        options = [option(name) for name in reversed(names)]
        for each in options:
            if home and each.name == "home":
                each.help = SHARED["home"].help.replace(HOME_DEFAULT, home)
        # Click reads the list backwards: a command's own options come first in its help.
        command.__click_params__ = options + params  # type: ignore[attr-defined]
        return command

    return decorate
