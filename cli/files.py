"""JSON files that commands read, and the client.toml that they write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathlib import Path

FILE = click.Path(exists=True, dir_okay=False)


def read_json(path: str | Path) -> Any:
    """What a JSON file holds; raises ClickException that says where it is broken."""
    with click.open_file(str(path), encoding="utf-8") as file:
        try:
            return json.load(file)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise click.ClickException(f"{path} is no JSON: {error}") from error


def read_object(path: str | Path) -> dict[str, Any]:
    """The JSON object that a file holds; raises ClickException."""
    fields = read_json(path)
    if not isinstance(fields, dict):
        raise click.ClickException(f"{path} must hold a JSON object")
    return fields


def write_client_config(home: Path, chain_id: str, node: str, backend: str = "test") -> None:
    """Writes what commands with this home use where nothing else is said: the chain, its node's RPC."""
    values = {"chain-id": chain_id, "node": node, "keyring-backend": backend, "output": "text"}
    lines = ["# What commands with this home use unless an option or the environment says otherwise."]
    # Every JSON text is a TOML text too.
    lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    (home / "config" / "client.toml").write_text("\n".join(lines) + "\n")
