"""`evergrid api status`: what an API node says of itself and of its MLNodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.node_client import AdminClient, administers

if TYPE_CHECKING:
    from cli.session import Session


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The same as --output json.")
@administers
def status(session: Session, admin: AdminClient, *, as_json: bool) -> None:
    """Show what a running API node waits for, its announced maintenance, and what each MLNode does and why.

    A node that `admits` takes new requests; `until` is the height at which what it does now ends.
    """
    if as_json:
        session.values["output"] = "json"
    shown: dict[str, Any] = admin.call("GET", "status")
    nodes: list[dict[str, Any]] = admin.call("GET", "nodes")
    session.emit({**shown, "nodes": nodes}, as_text(shown, nodes))


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
    # Where it does what it should, the reason is the intention's own.
    is_reached = state["current_status"] == state["intended_status"] and (
        state["reason"] == state["intended_reason"]
    )
    return {
        "node": entry["node"]["id"],
        "does": state["current_status"],
        "model": state["current_model"],
        "should": state["intended_status"] or "",
        "because": state["intended_reason"] or "",
        "until": state["height_deadline"] or "",
        "admits": "yes" if state["admits"] else "no",
        "requests": state["lock_count"],
        "problem": ": ".join(filter(None, ("" if is_reached else state["reason"], state["text"]))),
    }
