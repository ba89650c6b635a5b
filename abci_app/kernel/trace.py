"""How a decision is told: steps with their figures, and where those stand in the state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from protocol.gen.evergrid.explain.v1.explain_pb2 import Explanation, Figure, Source, Step
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_UNSPECIFIED, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from abci_app.kernel.collections import Item, Map


def word(reason: Reason) -> str:
    """A reason as events, errors and people say it; one that this version does not know by its number."""
    if reason not in Reason.values():
        return f"reason_{reason}"
    return Reason.Name(reason).removeprefix("REASON_").lower()


def figures(values: Mapping[str, int | str | bool]) -> list[Figure]:
    """Named values as text."""
    return [Figure(name=name, value=_text(value)) for name, value in values.items()]


def _text(value: int | str | bool) -> str:  # noqa: FBT001 - it is the value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def source(collection: Map[Any, Any] | Item[Any] | str, key: Iterable[Any] = (), height: int = 0) -> Source:
    """Where a value stands; the collection may be named where it belongs to another module."""
    name = collection if isinstance(collection, str) else collection.name
    parts = [part.hex() if isinstance(part, bytes) else str(part) for part in key]
    return Source(collection=name, key="/".join(parts), height=height)


def step(
    rule: str,
    text: str,
    *sources: Source,
    reason: Reason = REASON_UNSPECIFIED,
    **values: int | str | bool,
) -> Step:
    """One rule with what it found, in words and in figures."""
    return Step(rule=rule, text=text, reason=reason, figures=figures(values), sources=sources)


def conclude(explanation: Explanation, reasons: Iterable[Reason], **results: int | str | bool) -> Explanation:
    """The same, with what the rules came to."""
    explanation.reasons.extend(reasons)
    explanation.results.extend(figures(results))
    return explanation


def compare(explanation: Explanation, reasons: Iterable[Reason], **results: int | str | bool) -> Explanation:
    """The same, with what the state holds of the decision."""
    explanation.reasons_stored.extend(reasons)
    explanation.results_stored.extend(figures(results))
    return explanation
