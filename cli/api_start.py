"""`evergrid api start`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from api_node.settings import Settings
from cli.options import KEYRING, shared
from cli.settings_options import fall_back, make_settings, settings_options

if TYPE_CHECKING:
    from cli.session import Session

# These come from the options that all commands share.
SHARED_FIELDS = ("home", "rpc_url", "keyring_home", "keyring_backend", "keyring_passphrase_file")


def _start(session: Session, api_home: str | None, **values: Any) -> None:
    """Run an API node until SIGINT or SIGTERM; keys are of HOME, its own files lie in HOME/api."""
    config = session.home / "config"
    validator_key = config / "priv_validator_key.json"
    values |= {
        "home": api_home,
        "rpc_url": session.client.url,
        "keyring_home": session.home,
        "keyring_backend": session.get("keyring_backend"),
        "keyring_passphrase_file": session.get("keyring_passphrase_file"),
    }
    fall_back(Settings, values, "home", session.home / "api")
    fall_back(Settings, values, "node_config", config / "node-config.json")
    fall_back(Settings, values, "validator_key_file", validator_key if validator_key.exists() else None)
    settings = make_settings(Settings, values)
    from api_node.main import run_api  # noqa: PLC0415 - brings the web server

    click.get_current_context().exit(run_api(settings))


_start.__click_params__ = list(  # type: ignore[attr-defined]
    reversed(
        [
            click.Option(["--api-home"], metavar="DIR", help="Its own files (default: HOME/api)."),
            *settings_options(Settings, without=SHARED_FIELDS),
        ]
    )
)
start = click.command("start", help=_start.__doc__)(shared("node", *KEYRING)(_start))
