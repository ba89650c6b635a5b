"""One kept height, read-only, for queries in any thread while commits go on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Self

from abci_app.kernel.backend import RecordSnapshot
from abci_app.kernel.nodes import Node, StoreCorrupt, descend, unloaded, walk
from abci_app.kernel.records import HeightNotRetained, fetch_from, flat_key, read_latest, read_roots


class View:
    """The state after one height: of the latest it reads flat values, of an earlier one it walks the trees.

    Bulk stores have no history: HeightNotRetained is raised where a view of an earlier height is asked for
    their keys, and where the latest's is asked to walk them after the next commit. A view keeps its moment,
    also when its height is pruned meanwhile; close it after use.
    """

    def __init__(
        self, snapshot: RecordSnapshot, height: int, trees: Iterable[str], bulk: Iterable[bytes]
    ) -> None:
        """Takes the snapshot over; closes it and raises HeightNotRetained where it lacks the height."""
        self._snapshot = snapshot
        try:
            roots = read_roots(snapshot, height)
            self._latest = read_latest(snapshot) == height
        except (HeightNotRetained, StoreCorrupt):
            snapshot.close()
            raise
        self.height, self.app_hash = height, roots.app_hash
        self._bulk = frozenset(bulk)
        # Full keys are ordered by name and slash, which is not always the order of the names.
        self._roots = {
            name.encode() + b"/": (name, roots.stores[name].node() if name in roots.stores else None)
            for name in sorted(trees, key=lambda name: name + "/")
        }

    def get(self, key: bytes) -> bytes | None:
        """The value at this height."""
        if self._latest:
            return self._snapshot.get(flat_key(key))
        prefix, _, rest = key.partition(b"/")
        self._demand_no_bulk(key, key + b"\x00")
        name, root = self._roots.get(prefix + b"/", ("", None))
        if root is None:
            return None
        leaf = descend(_again(root), rest, fetch_from(self._snapshot, name))[-1]
        return leaf.value if leaf.key == rest else None

    def iterate(self, start: bytes, end: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """The pairs at this height with start <= key < end."""
        pairs = None
        if self._latest:
            pairs = self._snapshot.iterate(flat_key(start), flat_key(end), reverse=reverse)
        if pairs is not None:
            return ((key[1:], value) for key, value in pairs)
        self._demand_no_bulk(start, end)
        return self._walk_trees(start, end, reverse=reverse)

    def close(self) -> None:
        """Frees what the view holds; it cannot be read any more."""
        self._snapshot.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _walk_trees(self, start: bytes, end: bytes, *, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        prefixes = list(self._roots)
        for prefix in reversed(prefixes) if reverse else prefixes:
            name, root = self._roots[prefix]
            if root is None or end <= prefix or start >= _past(prefix) or start >= end:
                continue
            first = start[len(prefix) :] if start > prefix else b""
            last = end[len(prefix) :] if end < _past(prefix) else None
            fetch = fetch_from(self._snapshot, name)
            for key, value in walk(_again(root), first, last, fetch, reverse=reverse):
                yield prefix + key, value

    def _demand_no_bulk(self, start: bytes, end: bytes) -> None:
        touched = sorted(name for name in self._bulk if start < _past(name + b"/") and name + b"/" < end)
        if touched:
            names = ", ".join(name.decode() for name in touched)
            raise HeightNotRetained(f"bulk stores are kept at the latest height only: {names}")


def _past(prefix: bytes) -> bytes:
    """The first key after all that begin with the prefix, which ends in a slash."""
    return prefix[:-1] + b"0"


def _again(root: Node) -> Node:
    """The root anew, so that what a walk loads is freed with it and threads share nothing."""
    return unloaded(root.ref, root.hash)
