"""Options of a command made from a service's pydantic settings, which check them and know their defaults."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, TypeVar, get_origin

import click

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic_settings import BaseSettings

S = TypeVar("S", bound="BaseSettings")


def settings_options(kind: type[BaseSettings], without: Collection[str] = ()) -> list[click.Parameter]:
    """One option a field, in the order of declaration; a value that is not given is left to the settings."""
    options: list[click.Parameter] = []
    for name, field in kind.model_fields.items():
        if name in without:
            continue
        default = "" if field.is_required() or field.default_factory else _shown(field.default)
        flag = f"--{name.replace('_', '-')}"
        env = f"[env {kind.model_config.get('env_prefix', '')}{name.upper()}]"
        first, space, rest = (field.description or "").partition(" ")
        text = (first.capitalize() if first.isalpha() else first) + space + rest
        options.append(click.Option([flag, name], help=f"{text}{default}. {env}"))
    return options


def _shown(default: Any) -> str:
    nothing = default is None or (isinstance(default, str | dict) and not default)
    return "" if nothing else f" (default: {default})"


def fall_back(kind: type[BaseSettings], values: dict[str, Any], name: str, default: Any) -> None:
    """Sets a value that neither an option nor the settings' own environment gives."""
    env = f"{kind.model_config.get('env_prefix', '')}{name.upper()}"
    if values.get(name) is None and default is not None and not os.environ.get(env):
        values[name] = default


def _read(kind: type[BaseSettings], name: str, value: Any) -> Any:
    """The value as it is, or the JSON that it holds where the setting has parts, as its variable would."""
    if not isinstance(value, str) or get_origin(kind.model_fields[name].annotation) not in {dict, list}:
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise click.UsageError(f"--{name.replace('_', '-')}: it is no JSON: {error}") from error


def make_settings(kind: type[S], values: dict[str, Any]) -> S:
    """The settings of the given values; raises UsageError that names all that is wrong with them."""
    from pydantic import ValidationError  # noqa: PLC0415 - brought by the settings themselves

    try:
        return kind(**{name: _read(kind, name, each) for name, each in values.items() if each is not None})
    except ValidationError as error:
        wrong = "; ".join(
            f"--{'.'.join(str(part) for part in each['loc']).replace('_', '-')}: {each['msg']}"
            for each in error.errors()
        )
        raise click.UsageError(wrong) from error
