"""What a handler sees of the state: keys and values in key order, and overlays that hold writes back."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

# Few new keys are put into their places one by one, many by one sort.
INSORT_MAX = 16


class Reader(Protocol):
    """Bytes by key; a walk goes over start <= key < end as they stood when it was asked for."""

    def get(self, key: bytes) -> bytes | None: ...

    def iterate(
        self, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]: ...


@runtime_checkable
class KV(Reader, Protocol):
    """A reader that takes writes; setting and deleting within a walk does not disturb the walk."""

    def set(self, key: bytes, value: bytes) -> None: ...

    def delete(self, key: bytes) -> None: ...


class Overlay:
    """Writes held back over a parent; overlays nest, as a transaction's over its block's over the store."""

    def __init__(self, parent: Reader) -> None:
        self._parent = parent
        self.changes: dict[bytes, bytes | None] = {}
        self._ordered: list[bytes] = []
        self._fresh: list[bytes] = []

    def get(self, key: bytes) -> bytes | None:
        """The value written here last, else the parent's."""
        try:
            return self.changes[key]
        except KeyError:
            return self._parent.get(key)

    def set(self, key: bytes, value: bytes) -> None:
        """Holds the value back."""
        if key not in self.changes:
            self._fresh.append(key)
        self.changes[key] = value

    def delete(self, key: bytes) -> None:
        """Holds the removal back; a key that is not there may be deleted."""
        if key not in self.changes:
            self._fresh.append(key)
        self.changes[key] = None

    def iterate(self, start: bytes, end: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """The parent's pairs with the changes of this moment on top."""
        below = self._parent.iterate(start, end, reverse=reverse)
        ordered = self._order()
        keys = ordered[bisect_left(ordered, start) : bisect_left(ordered, end)]
        if not keys:
            return below
        if reverse:
            keys.reverse()
        return _merge([(key, self.changes[key]) for key in keys], below, reverse=reverse)

    def flush(self) -> None:
        """Writes the changes into the parent and forgets them."""
        parent = self._parent
        if isinstance(parent, Overlay):
            parent.absorb(self.changes)
        else:
            assert isinstance(parent, KV), "a store takes changes by stage and commit, not by flush"
            for key, value in self.changes.items():
                if value is None:
                    parent.delete(key)
                else:
                    parent.set(key, value)
        self.clear()

    def absorb(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Holds back all the changes, as if each had been set or deleted here."""
        self._fresh.extend(key for key in changes if key not in self.changes)
        self.changes.update(changes)

    def clear(self) -> None:
        """Forgets the changes."""
        self.changes.clear()
        self._ordered.clear()
        self._fresh.clear()

    def _order(self) -> list[bytes]:
        """The changed keys in order, brought up to date only when a walk needs them."""
        if len(self._ordered) + len(self._fresh) != len(self.changes):
            # Somebody wrote into `changes` itself.
            self._ordered = sorted(self.changes)
        elif len(self._fresh) > INSORT_MAX:
            self._ordered.extend(self._fresh)
            self._ordered.sort()
        else:
            for key in self._fresh:
                insort(self._ordered, key)
        self._fresh.clear()
        return self._ordered


def _merge(
    above: list[tuple[bytes, bytes | None]], below: Iterator[tuple[bytes, bytes]], *, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """Both walks as one in the same direction; where both have a key the upper one is right."""
    at = 0
    for pair in below:
        key = pair[0]
        hidden = False
        while at < len(above):
            own_key, own_value = above[at]
            if own_key != key and (own_key > key) != reverse:
                break
            at += 1
            hidden = own_key == key
            if own_value is not None:
                yield own_key, own_value
            if hidden:
                break
        if not hidden:
            yield pair
    for own_key, own_value in above[at:]:
        if own_value is not None:
            yield own_key, own_value
