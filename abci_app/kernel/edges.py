"""Where walks begin and end: between a bound of a range and its first or last key nothing need be read.

What is removed leaves marks on disk, over which every later walk steps one by one until a compaction takes
them away: at the head of a queue, and behind its last key the marks of its neighbour in the order of keys.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

EDGES_MAX = 128
"""More than the queues that are walked in each block; those noted longest ago are forgotten."""

NUMBER_BYTES = 8


class Edges:
    """What walks over the latest values found; it changes how fast others are, never what they find.

    Kept are the edges of whole collections and of what lies under a number in them (an epoch, a height).
    """

    def __init__(self) -> None:
        self._changes = 0
        # By where a walk begins: the first key that may stand. By where it ends: the last that may.
        self._fronts: dict[bytes, bytes] = {}
        self._backs: dict[bytes, bytes] = {}

    def front(self, start: bytes) -> bytes:
        """No key stands from `start` up to this one."""
        own = self._fronts.get(start)
        if own is not None:
            return own
        # Nothing stands before the first key of the collection either.
        return max(start, self._fronts.get(start[: _head(start)], start))

    def back(self, end: bytes) -> bytes:
        """No key stands behind this one up to `end`."""
        return self._backs.get(end, end)

    def begun(self, start: bytes, first: bytes) -> None:
        """Notes that nothing stands from `start` up to `first`."""
        if _is_queue(start):
            _note(self._fronts, start, first)

    def up_to_back(
        self, start: bytes, end: bytes, records: Iterable[tuple[bytes, bytes]]
    ) -> Iterator[tuple[bytes, bytes]]:
        """The records of a walk that begins now, without their first byte; notes where they end."""
        return self._walk(start, end, self.back(end), self._changes, records)

    def _walk(
        self, start: bytes, end: bytes, back: bytes, changes: int, records: Iterable[tuple[bytes, bytes]]
    ) -> Iterator[tuple[bytes, bytes]]:
        key = start
        for key, value in records:
            yield key[1:], value
            if key >= back:
                return
        # What a walk finds that was held over a commit is not the latest.
        if changes == self._changes and _is_queue(start):
            _note(self._backs, end, key)

    def written(self, keys: Sequence[bytes]) -> None:
        """Moves the edges out to keys, given in order, that now have a value."""
        self._changes += 1
        for start, first in self._fronts.items():
            at = bisect_left(keys, start)
            if at < len(keys) and keys[at] < first:
                self._fronts[start] = keys[at]
        for end, last in self._backs.items():
            at = bisect_left(keys, end)
            if at and keys[at - 1] > last:
                self._backs[end] = keys[at - 1]


def _note(edges: dict[bytes, bytes], bound: bytes, key: bytes) -> None:
    edges.pop(bound, None)
    edges[bound] = key
    if len(edges) > EDGES_MAX:
        del edges[next(iter(edges))]


def _is_queue(start: bytes) -> bool:
    return len(start) - _head(start) in {0, NUMBER_BYTES}


def _head(key: bytes) -> int:
    """How long the name of the key's collection is, store/collection/; 0 where it is of none."""
    store = key.find(b"/")
    return key.find(b"/", store + 1) + 1 if store >= 0 else 0
