"""Calls of an API node's admin server, and the options that say where it is."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.errors import EXIT_FAILED
from cli.options import LOCAL, shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.session import Session

F = TypeVar("F", bound="Callable[..., Any]")

ADMIN_URL = "http://127.0.0.1:9200"
TIMEOUT_S = 10.0
NOT_FOUND_UNTIL_MADE = "the API node makes it at its first start"
# The API node could do it, but not now.
EXIT_NOT_NOW = 3


class AdminError(click.ClickException):
    """An answer that is an error, in the API node's own words."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        code = EXIT_NOT_NOW if status in {409, 503} else EXIT_FAILED
        self.exit_code = code  # type: ignore[misc]


class AdminClient:
    """The admin API at one URL with the token of one file; raises AdminError and ClickException."""

    def __init__(self, url: str, token_file: Path) -> None:
        self.url = url.rstrip("/")
        self._token = read_token(token_file)

    def call(
        self, method: str, path: str, body: Any = None, *, timeout_s: float = TIMEOUT_S, **query: Any
    ) -> Any:
        """The JSON of an answer."""
        import httpx2  # noqa: PLC0415 - costs more than click itself

        headers = {"Authorization": f"Bearer {self._token}"}
        wanted = {name: value for name, value in query.items() if value is not None}
        try:
            reply = httpx2.request(
                method,
                f"{self.url}/admin/v1/{path}",
                headers=headers,
                timeout=timeout_s,
                trust_env=False,
                params=wanted,
                json=body,
            )
            fields = reply.json()
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise AdminError(f"no API node answers at {self.url}: {error}") from error
        if reply.is_success:
            return fields
        if reply.status_code in {401, 403}:
            raise AdminError(f"{self.url} refuses the token; name its file with --admin-token-file")
        raise AdminError(_message(fields) or f"status {reply.status_code}", reply.status_code)


def _message(fields: Any) -> str:
    error = fields.get("error") if isinstance(fields, dict) else None
    return str(error.get("message") or "") if isinstance(error, dict) else ""


def read_token(path: Path) -> str:
    """The admin token in a file; raises ClickException."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise click.ClickException(f"there is no token in {path}: {NOT_FOUND_UNTIL_MADE}") from None


def admin_options(function: F) -> F:
    """Adds --admin-url and --admin-token-file."""
    for add in (
        click.option(
            "--admin-token-file",
            type=click.Path(dir_okay=False),
            metavar="FILE",
            envvar="EVERGRID_ADMIN_TOKEN_FILE",
            help="The token of its admin server (default: HOME/api/admin_token). "
            "[env EVERGRID_ADMIN_TOKEN_FILE]",
        ),
        click.option(
            "--admin-url",
            metavar="URL",
            default=ADMIN_URL,
            show_default=True,
            envvar="EVERGRID_ADMIN_URL",
            help="Its admin server. [env EVERGRID_ADMIN_URL]",
        ),
    ):
        function = add(function)
    return function


def client_of(session: Session, admin_url: str, admin_token_file: str | None) -> AdminClient:
    """The admin client that the options name."""
    path = Path(admin_token_file or session.home / "api" / "admin_token").expanduser()
    return AdminClient(admin_url, path)


def administers(function: F) -> Callable[..., Any]:
    """A command that gets a Session and an AdminClient as its first arguments."""

    @functools.wraps(function)
    def command(session: Session, admin_url: str, admin_token_file: str | None, **values: Any) -> Any:
        return function(session, client_of(session, admin_url, admin_token_file), **values)

    return shared(*LOCAL)(admin_options(command))
