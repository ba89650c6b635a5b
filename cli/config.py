"""`evergrid config`: the files of a home that an operator edits, checked before they are written."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import LOCAL, SHARED, shared

if TYPE_CHECKING:
    from cli.session import Session

FILES = ("client", "app", "config")
CLIENT_KEYS = (
    *("chain-id", "node", "keyring-backend", "output", "from", "gas", "gas-adjustment", "gas-prices"),
    *("fees", "broadcast-mode", "keyring-passphrase-file"),
)
_FILE = click.Choice(FILES)


@click.group()
def config() -> None:
    """Read and change the settings of a home: client (this command), app (the chain), config (CometBFT)."""


@config.command()
@click.argument("file", type=_FILE)
@click.argument("key")
@shared(*LOCAL)
def get(session: Session, file: str, key: str) -> None:
    """Print one setting: KEY, or SECTION.KEY where the file has sections."""
    value: Any = _read(_path(session, file))
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            there = f": there are {', '.join(value)}" if isinstance(value, dict) else ""
            raise click.ClickException(f"{file}.toml has no {key}{there}")
        value = value[part]
    session.emit(value, value if isinstance(value, str) else json.dumps(value))


@config.command()
@click.argument("file", type=_FILE)
@shared(*LOCAL)
def view(session: Session, file: str) -> None:
    """Print a whole file."""
    path = _path(session, file)
    session.emit(_read(path), path.read_text(encoding="utf-8"))


@config.command()
@shared(*LOCAL)
def home(session: Session) -> None:
    """Print the home whose files these are."""
    session.emit({"home": str(session.home)}, str(session.home))


@config.command(name="set")
@click.argument("file", type=_FILE)
@click.argument("key")
@click.argument("value")
@shared(*LOCAL)
def set_value(session: Session, file: str, key: str, value: str) -> None:
    """Change one setting, comments kept; a value that the file may not have changes nothing.

    VALUE is text, or JSON where the setting is a number, a list or true and false. A node reads it at its
    start.
    """
    path = _path(session, file)
    text = path.read_text(encoding="utf-8")
    section, _, name = key.rpartition(".")
    entries = tomllib.loads(text)
    former = (entries.get(section) if section else entries) or {}
    if file == "client":
        new = _client_text(text, name if not section else key, value, present=key in former)
    elif not isinstance(former, dict) or name not in former:
        raise click.ClickException(f"{file}.toml has no {key}")
    else:
        new = _changed(text, section, name, _like(former[name], value, key))
    _check_and_write(session, path, text, new)
    session.emit({"file": str(path), "key": key, "value": value}, f"{path}: {key} = {value}")


def _client_text(text: str, key: str, value: str, *, present: bool) -> str:
    if key not in CLIENT_KEYS:
        raise click.ClickException(f"client.toml has no {key}: it has {', '.join(CLIENT_KEYS)}")
    kind = SHARED[key.replace("-", "_")].settings.get("type")
    if isinstance(kind, click.ParamType):
        kind.convert(value, None, None)
    if present:
        return _changed(text, "", key, value)
    return f"{text.rstrip()}\n{key} = {json.dumps(value)}\n"


def _like(former: Any, text: str, key: str) -> Any:
    """The text as a value of the kind that stands there; raises ClickException."""
    if isinstance(former, str):
        return text
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    if type(value) is not type(former):
        raise click.ClickException(
            f"{key} is a {type(former).__name__}, such as {json.dumps(former)}, not {text!r}"
        )
    return value


def _changed(text: str, section: str, key: str, value: Any) -> str:
    from abci_app.node.home import override_toml  # noqa: PLC0415 - brings the chain

    return override_toml(text, {section: {key: value}})


def _check_and_write(session: Session, path: Path, former: str, new: str) -> None:
    """Writes a file; app.toml goes back to what it was where the node could not start with it."""
    _write(path, new)
    if path.name != "app.toml":
        return
    from abci_app.node.config import ConfigError, load_settings  # noqa: PLC0415 - brings the chain

    try:
        load_settings(session.home)
    except ConfigError:
        _write(path, former)
        raise


def _write(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def _path(session: Session, file: str) -> Path:
    path = session.home / "config" / f"{file}.toml"
    if not path.exists():
        raise click.ClickException(f"there is no {path}: `evergrid init` makes a home")
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise click.ClickException(f"{path}: {error}") from error
