"""`evergrid mlnode start`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.options import LOCAL, shared
from cli.settings_options import make_settings, settings_options
from mlnode.settings import Settings

if TYPE_CHECKING:
    from cli.session import Session


def _start(_session: Session, **values: Any) -> None:
    """Run an MLNode until SIGINT or SIGTERM."""
    settings = make_settings(Settings, values)
    from mlnode.service import run  # noqa: PLC0415 - brings the web server

    run(settings)


_start.__click_params__ = list(reversed(settings_options(Settings)))  # type: ignore[attr-defined]
start = click.command("start", help=_start.__doc__)(shared(*LOCAL)(_start))
