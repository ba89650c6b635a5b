"""One page of a long answer, by the rules that Cosmos clients know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from abci_app.kernel.errors import invalid_argument
from protocol.gen.cosmos.base.query.v1beta1 import pagination_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

V = TypeVar("V")

LIMIT_DEFAULT = 100
# No single query may hold a thread for long; who wants more asks for the next page.
LIMIT_MAX = 1000


def page_key(key: Any) -> bytes:
    """A collection's key as a page's key, ordered as the walk is, so that a page may begin at a gap."""
    if isinstance(key, tuple):
        return b"".join(page_key(part) for part in key)
    if isinstance(key, str):
        return key.encode() + b"\0"
    if isinstance(key, int):
        return key.to_bytes(8, "big")
    return len(key).to_bytes(1, "big") + bytes(key)


def page(
    items: Iterable[tuple[Any, V]], request: pagination_pb2.PageRequest
) -> tuple[list[V], pagination_pb2.PageResponse]:
    """The values of the asked page, of items in key order; raises QueryError for both a key and an offset.

    At most LIMIT_MAX a page, LIMIT_DEFAULT where none is asked for; then the total is counted as well.
    """
    if request.key and request.offset:
        raise invalid_argument("invalid request, either offset or key is expected, got both")
    limit = min(request.limit or LIMIT_DEFAULT, LIMIT_MAX)
    count_total = not request.key and (request.count_total or not request.limit)
    if request.reverse:
        items = reversed(list(items))

    values: list[V] = []
    seen, next_key = 0, b""
    for key, value in items:
        seen += 1
        if next_key or seen <= request.offset:
            continue
        if request.key and _before(page_key(key), request.key, reverse=request.reverse):
            continue
        if len(values) < limit:
            values.append(value)
            continue
        next_key = page_key(key)
        if not count_total:
            break
    return values, pagination_pb2.PageResponse(next_key=next_key, total=seen if count_total else 0)


def _before(key: bytes, start: bytes, *, reverse: bool) -> bool:
    return key > start if reverse else key < start
