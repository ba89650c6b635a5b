"""`evergrid api status`: what an API node says of itself and of its MLNodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import LOCAL, shared

if TYPE_CHECKING:
    from cli.session import Session

ADMIN_URL = "http://127.0.0.1:9200"
TIMEOUT_S = 10.0
NOT_FOUND_UNTIL_MADE = "the API node makes it at its first start"


@click.command()
@click.option("--admin-url", metavar="URL", default=ADMIN_URL, show_default=True, help="Its admin server.")
@click.option(
    "--admin-token-file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="The token of its admin server (default: HOME/api/admin_token).",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --output json.")
@shared(*LOCAL)
def status(session: Session, admin_url: str, admin_token_file: str | None, *, as_json: bool) -> None:
    """Show what a running API node waits for, its announced maintenance, and what each MLNode does and why.

    A node that `admits` takes new requests; `until` is the height at which what it does now ends.
    """
    if as_json:
        session.values["output"] = "json"
    token = _token(Path(admin_token_file or session.home / "api" / "admin_token").expanduser())
    shown: dict[str, Any] = _get(admin_url, "status", token)
    nodes: list[dict[str, Any]] = _get(admin_url, "nodes", token)
    session.emit({**shown, "nodes": nodes}, as_text(shown, nodes))


def _token(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise click.ClickException(f"there is no token in {path}: {NOT_FOUND_UNTIL_MADE}") from None


def _get(admin_url: str, path: str, token: str) -> Any:
    """The JSON of an admin path; raises ClickException."""
    import httpx2  # noqa: PLC0415 - costs more than click itself

    url = f"{admin_url.rstrip('/')}/admin/v1/{path}"
    try:
        reply = httpx2.get(
            url, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT_S, trust_env=False
        )
        if reply.status_code in {401, 403}:
            raise click.ClickException(
                f"{admin_url} refuses the token; name its file with --admin-token-file"
            )
        reply.raise_for_status()
        return reply.json()
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise click.ClickException(f"no API node answers at {admin_url}: {error}") from error


def as_text(shown: dict[str, Any], nodes: list[dict[str, Any]]) -> str:
    """For people: itself, its windows, and a line for each node."""
    from cli.out import as_yaml, table  # noqa: PLC0415 - only for text

    windows = [window_row(each) for each in shown["maintenance"]]
    about = {
        name: value for name, value in shown.items() if name != "maintenance" and value not in (None, [])
    }
    parts = [as_yaml(about)]
    if windows:
        parts.append(f"Announced maintenance\n{table(windows)}")
    parts.append(table([node_row(each) for each in nodes]) if nodes else "no MLNodes")
    return "\n\n".join(parts)


def window_row(window: dict[str, Any]) -> dict[str, Any]:
    """One announced window in a table."""
    return {
        "node": window["node_id"] or "all",
        "from": window["height_from"],
        "to": window["height_to"],
    }


def node_row(entry: dict[str, Any]) -> dict[str, Any]:
    """One MLNode in a table: what it does, what it should do, why, and until when."""
    state = entry["state"]
    return {
        "node": entry["node"]["id"],
        "does": state["current_status"],
        "model": state["current_model"],
        "should": state["intended_status"] or "",
        "because": state["intended_reason"] or "",
        "until": state["height_deadline"] or "",
        "admits": "yes" if state["admits"] else "no",
        "requests": state["lock_count"],
        "problem": ": ".join(filter(None, (state["reason"], state["text"]))),
    }
