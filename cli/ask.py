"""Asks one query and shows its answer: a table where it is a list, YAML where it is one thing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor as Field

from cli.out import as_yaml, table
from client.registry import to_json

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cli.session import Session
    from protocol.descriptors import Route


def ask(session: Session, route: Route, fields: dict[str, Any]) -> None:
    """Sends the query and prints what came back; raises ChainError where the chain has no answer."""
    # On the wire an index that was left out is that of epoch 0, which nobody means who names none.
    if "current" in route.request.DESCRIPTOR.fields_by_name and "epoch_index" not in fields:
        fields = fields | {"current": True}
    request = route.request(**fields)
    with session.client as client:
        answer = client.query(request, route.response, int(session.get("height") or 0))
    shown = to_json(answer)
    session.emit(shown, None if session.as_json else as_text(answer, shown))


def as_text(answer: Message, shown: dict[str, Any]) -> str:
    """The answer for a person."""
    fields: Any = answer.DESCRIPTOR.fields
    lists = [field.name for field in fields if field.label == Field.LABEL_REPEATED and field.message_type]
    others = [
        field.name for field in fields if field.name in shown and field.name not in {*lists, "pagination"}
    ]
    if not lists:
        return as_yaml({name: value for name, value in shown.items() if name != "pagination"})
    parts = [as_yaml({name: shown[name] for name in others})] if others else []
    for name in lists:
        rows = shown.get(name) or []
        heading = f"{name}:\n" if len(lists) > 1 or others else ""
        parts.append(heading + (table(rows) if rows else f"no {name.replace('_', ' ')}"))
    page = shown.get("pagination") or {}
    if page.get("next_key"):
        parts.append(f"more with --page-key {page['next_key']}")
    if page.get("total", "0") != "0":
        parts.append(f"total {page['total']}")
    return "\n".join(parts)
