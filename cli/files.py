"""JSON files that commands read."""

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
