"""`evergrid node`: the MLNodes of a running API node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.api_status import node_row as state_row
from cli.files import FILE, read_json
from cli.lazy import LazyGroup
from cli.node_client import EXIT_NOT_NOW, TIMEOUT_S, AdminClient, administers
from cli.node_view import distance, entry_row, switch_off_words

if TYPE_CHECKING:
    from cli.session import Session

WAIT_S_MAX = 3600.0
LAZY = {
    "test": ("cli.node_trial:test", "Try a node out before a PoC: download, load, infer, mine."),
    "top": ("cli.node_top:top", "Watch all nodes, live."),
    "maintenance": ("cli.node_maintenance:maintenance", "Announced downtime."),
}
_IDS = click.argument("node_ids", nargs=-1, required=True, metavar="NODE_ID...")


@click.group(cls=LazyGroup, lazy=LAZY)
def node() -> None:
    r"""Steer the MLNodes of a running API node, and see what they do and why.

    Every command talks to its admin server. Exit codes: 0 done, 1 refused or failed, 2 a wrong command line,
    3 not now (busy with a stage, or not finished in time): try again later.

    \b
    evergrid node list
    evergrid node add new-node.json && evergrid node test n2
    evergrid node drain n1 --wait 600 && evergrid node switch-off n1
    """


@node.command(name="list")
@administers
def list_nodes(session: Session, admin: AdminClient) -> None:
    """Every node: what it does, what it should do, why, and until when."""
    nodes = admin.call("GET", "nodes")
    from cli.out import table  # noqa: PLC0415 - only when it is used

    session.emit(nodes, table([state_row(each) for each in nodes]) if nodes else "no MLNodes")


@node.command()
@click.argument("file", type=FILE)
@administers
def add(session: Session, admin: AdminClient, *, file: str) -> None:
    r"""Add the node in FILE, or change the one of the same id; FILE may hold a list of them.

    A node is an entry of node-config.json: id, host, inference_port, poc_port, models, hardware. All are
    checked before the first is added.

    \b
    evergrid node add node.json
    """
    content = read_json(file)
    entries = content if isinstance(content, list) else [content]
    _do(session, admin, [{"op": "add", "node": each} for each in entries])


@node.command()
@_IDS
@administers
def remove(session: Session, admin: AdminClient, *, node_ids: tuple[str, ...]) -> None:
    """Forget nodes, and take them out of the chain's registry."""
    _do_each(session, admin, "remove", node_ids)


@node.command()
@_IDS
@administers
def enable(session: Session, admin: AdminClient, *, node_ids: tuple[str, ...]) -> None:
    """Use nodes again, after a disable or a drain."""
    _do_each(session, admin, "enable", node_ids)


@node.command()
@_IDS
@administers
def disable(session: Session, admin: AdminClient, *, node_ids: tuple[str, ...]) -> None:
    """Stop nodes at once and leave them out of the next Proof of Compute; drain them first."""
    _do_each(session, admin, "disable", node_ids)


@node.command()
@_IDS
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, WAIT_S_MAX),
    default=0,
    metavar="SECONDS",
    help="Wait for what runs to end; exit code 3 where it has not.",
)
@administers
def drain(session: Session, admin: AdminClient, *, node_ids: tuple[str, ...], wait_s: float) -> None:
    r"""Give nodes no new requests, and say when they are empty. They keep their place in the PoC.

    `evergrid node enable` ends it.

    \b
    evergrid node drain n1 --wait 600 && evergrid node switch-off n1
    """
    import time  # noqa: PLC0415 - only when it is used

    deadline = time.monotonic() + wait_s
    _batch(admin, [{"op": "drain", "node_id": each} for each in node_ids])
    shown = []
    for each in node_ids:
        left_s = max(0.0, deadline - time.monotonic())
        shown.append(
            admin.call("POST", f"nodes/{each}/drain", timeout_s=left_s + TIMEOUT_S, wait_s=round(left_s, 3))
        )
    lines = [
        f"{each['node_id']}: " + ("empty" if each["empty"] else f"works on {each['at_work']}")
        for each in shown
    ]
    session.emit(shown, "\n".join(lines))
    if wait_s and not all(each["empty"] for each in shown):
        click.get_current_context().exit(EXIT_NOT_NOW)


@node.command()
@click.argument("file", type=FILE)
@administers
def batch(session: Session, admin: AdminClient, *, file: str) -> None:
    """Do the operations in FILE in order. All are checked before the first is done, and all errors named.

    FILE is a JSON list such as [{"op": "drain", "node_id": "n1"}, {"op": "add", "node": {...}}]; op is one of
    add, remove, enable, disable, drain.
    """
    content = read_json(file)
    operations = content.get("operations") if isinstance(content, dict) else content
    _do(session, admin, operations)


@node.command()
@click.argument("node_id")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=30, show_default=True, help="How many entries."
)
@click.option("--before", type=click.IntRange(0), help="Only entries of smaller ids.")
@administers
def timeline(session: Session, admin: AdminClient, *, node_id: str, limit: int, before: int | None) -> None:
    """What a node was meant to do and did: state, reason, who asked, how long; the newest last."""
    found = admin.call("GET", f"nodes/{node_id}/timeline", limit=limit, before=before)
    from cli.out import table  # noqa: PLC0415 - only when it is used

    rows = [entry_row(each) for each in reversed(found["entries"])]
    session.emit(found, table(rows) if rows else "nothing happened yet")


@node.command()
@administers
def transactions(session: Session, admin: AdminClient) -> None:
    """Messages that wait to be in a block, with the height by which they must be."""
    found = admin.call("GET", "transactions")
    from cli.out import table  # noqa: PLC0415 - only when it is used

    session.emit(found, table(found) if found else "nothing waits")


@node.command(name="switch-off")
@click.argument("node_id", required=False)
@administers
def switch_off(session: Session, admin: AdminClient, *, node_id: str | None) -> None:
    """Say whether NODE_ID, or every node, may be switched off now, why, and when; nothing is done.

    Exit code 0: yes, 3: no.
    """
    shown = admin.call("GET", "overview")
    answers = {each["node_id"]: each["switch_off"] for each in shown["nodes"]}
    if node_id is not None and node_id not in answers:
        raise click.ClickException(f"there is no node {node_id}")
    answer = answers[node_id] if node_id else shown["switch_off"]
    following = shown["chain"]["next"]
    lines = [switch_off_words(answer)]
    if following:
        lines.append(f"next stage: {following['stage']} in {distance(following)}")
    session.emit(answer | {"next": following}, "\n".join(lines))
    if not answer["allowed"]:
        click.get_current_context().exit(EXIT_NOT_NOW)


def _do_each(session: Session, admin: AdminClient, operation: str, node_ids: tuple[str, ...]) -> None:
    _do(session, admin, [{"op": operation, "node_id": each} for each in node_ids])


def _do(session: Session, admin: AdminClient, operations: Any) -> None:
    done = _batch(admin, operations)
    session.emit(done, "\n".join(f"{each['node_id']}: {each['message']}" for each in done))


def _batch(admin: AdminClient, operations: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = admin.call("POST", "nodes/batch", {"operations": operations})["done"]
    return found
