"""The chain's state: latest values for reads, a tree of each store for the app hash, and the heights kept.

A key is STORE/REST. Each store has an IAVL tree, and the app hash is the Cosmos multistore root over them;
a store whose name begins with "~" is bulk: it lies in the same atomic batches, outside app hash and history.

Nothing is written before `commit`, which is one synced batch of values, nodes, height, app hash and metadata.
One thread owns the store; a `View` of a height may be used, and asked for, in any other.

A process that stages large blocks should call `gc.freeze()` once the store is open and warm, and now and then
later: each cached node is an object that a full collection would visit.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from types import MappingProxyType
from typing import Self
from weakref import WeakValueDictionary

from abci_app.kernel import history
from abci_app.kernel.backend import Backend, MemoryBackend, RecordSnapshot, Write
from abci_app.kernel.disk import DiskBackend, StoreLocked, read_records
from abci_app.kernel.edges import Edges
from abci_app.kernel.iavl import Tree
from abci_app.kernel.kv import KV, Overlay, Reader
from abci_app.kernel.nodes import EMPTY_ROOT, Node, StoreCorrupt, load, trim_to
from abci_app.kernel.proofs import (
    ProofOp,
    ProofUnavailable,
    prove_key,
    prove_no_store,
    prove_store,
    simple_root,
)
from abci_app.kernel.records import (
    LATEST,
    META,
    PRUNED,
    RESTORING,
    HeightNotRetained,
    Progress,
    Roots,
    StoreRoot,
    encode_orphans,
    encode_undo,
    fetch_from,
    flat_key,
    node_prefix,
    orphans_key,
    read_latest,
    read_progress,
    read_roots,
    roots_key,
    undo_key,
)
from abci_app.kernel.snapshot import Restore
from abci_app.kernel.view import View

__all__ = [
    "KV",
    "DiskStore",
    "HeightNotRetained",
    "MemoryStore",
    "Overlay",
    "ProofOp",
    "ProofUnavailable",
    "Reader",
    "Staged",
    "Store",
    "StoreCorrupt",
    "StoreLocked",
    "View",
    "collector_paused",
]

NODES_CACHED = 1 << 19
"""Nodes kept as objects, about 250 bytes each; the least recently loaded lower levels go first."""

NO_META: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True)
class Staged:
    """A next version, computed and not written; valid until another one is committed."""

    height: int
    parent_height: int
    app_hash: bytes
    roots: Mapping[str, Node | None]
    nodes_added: Mapping[str, int]
    orphans: Mapping[str, list[bytes]]
    node_writes: Sequence[Write]
    flat_writes: Sequence[Write]
    bulk_writes: Sequence[Write]


class Store:
    """The committed state; read it here, write through an Overlay, `stage` and `commit`."""

    def __init__(self, backend: Backend, stores: Sequence[str], nodes_cached: int = NODES_CACHED) -> None:
        malformed = [name for name in stores if not name.strip("~") or "/" in name]
        assert not malformed, f"not names of stores: {malformed}"
        assert list(stores) == sorted({*stores}), f"store names are not sorted and distinct: {stores}"
        self._backend = backend
        self._trees = {name.encode(): name for name in stores if not name.startswith("~")}
        self._bulk = frozenset(name.encode() for name in stores if name.startswith("~"))
        self._fetch = {name: fetch_from(backend, name) for name in self._trees.values()}
        self._nodes_cached_max = nodes_cached
        self._nodes_cached = 0
        self.version = 0
        self.app_hash = b""
        self._roots: dict[str, Node | None] = {}
        self._edges = Edges()
        self._views: WeakValueDictionary[int, View] = WeakValueDictionary()
        self._view_numbers = count()
        self._open()

    def get(self, key: bytes) -> bytes | None:
        """The latest committed value."""
        return self._backend.get(b"f" + key)

    def iterate(self, start: bytes, end: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """The latest committed pairs with start <= key < end."""
        low, high = flat_key(start), flat_key(end)
        if reverse:
            return ((key[1:], value) for key, value in self._backend.iterate(low, high, reverse=True))
        front, back = self._edges.front(low), self._edges.back(high)
        if front >= high or front > back:
            return iter(())
        if front == back:
            value = self._backend.get(front)
            return iter(() if value is None else ((front[1:], value),))
        pairs = self._backend.iterate(front, high, reverse=False)
        first = next(pairs, None)
        self._edges.begun(low, high if first is None else first[0])
        return iter(()) if first is None else self._edges.up_to_back(low, high, chain((first,), pairs))

    def meta(self, name: str) -> bytes | None:
        """What was committed last under this name of the caller's metadata."""
        return self._backend.get(META + name.encode())

    @property
    def height_lowest(self) -> int:
        """The lowest height that `at` serves, 0 before the first commit."""
        return read_progress(self._backend).height_lowest

    def sizes(self) -> dict[str, int]:
        """Number of keys in each store that has a tree, at the last committed height."""
        return {name: root.size if root else 0 for name, root in sorted(self._roots.items())}

    def stage(self, changes: Mapping[bytes, bytes | None], height: int) -> Staged:
        """The version that follows when the changes (None: removed) are made in key order; writes nothing."""
        assert height == self.version + 1 or (self.version == 0 and height > 0), (
            f"height {height} does not follow {self.version}"
        )
        with collector_paused():
            trees, flat, bulk = self._apply(changes)
            roots, added, writes = dict(self._roots), dict.fromkeys(self._roots, 0), list[Write]()
            for name, tree in trees.items():
                records = tree.seal(height, node_prefix(name))
                roots[name], added[name] = tree.root, len(records)
                writes.extend(records)
                self._nodes_cached += tree.loaded
        app_hash = simple_root({name: node.hash if node else EMPTY_ROOT for name, node in roots.items()})
        orphans = {name: tree.orphans for name, tree in trees.items() if tree.orphans}
        return Staged(height, self.version, app_hash, roots, added, orphans, writes, flat, bulk)

    def commit(self, staged: Staged, height: int, meta: Mapping[str, bytes] = NO_META) -> None:
        """Writes a staged version and the metadata in one synced batch: a crash leaves all of it or none."""
        assert staged.height == height, f"height {staged.height} was staged, not {height}"
        assert staged.parent_height == self.version, f"height {self.version} was committed since the staging"
        meta_writes = [(META + name.encode(), content) for name, content in sorted(meta.items())]
        with collector_paused():
            undo = [(key, self._backend.get(key)) for key, _ in chain(staged.bulk_writes, meta_writes)]
            own = self._own_writes(staged, encode_undo(undo))
            batch = chain(staged.flat_writes, staged.bulk_writes, staged.node_writes, meta_writes, own)
            self._backend.write(batch, sync=True)
            for writes in (staged.flat_writes, staged.bulk_writes):
                self._edges.written([key for key, value in writes if value is not None])
        self.version, self.app_hash, self._roots = height, staged.app_hash, dict(staged.roots)
        self._nodes_cached += len(staged.node_writes) - sum(map(len, staged.orphans.values()))
        if self._nodes_cached > self._nodes_cached_max:
            roots = [root for root in self._roots.values() if root is not None]
            self._nodes_cached = trim_to(roots, self._nodes_cached_max // 2)

    def at(self, height: int) -> View:
        """A kept height (bulk stores: the latest only); raises HeightNotRetained. Any thread may ask."""
        view = View(self._backend.snapshot(LATEST), height, self._trees.values(), self._bulk)
        self._views[next(self._view_numbers)] = view
        return view

    def prove(self, height: int, key: bytes) -> list[ProofOp]:
        """The value of the key at a kept height, or its absence, proved up to that height's app hash."""
        name, slash, rest = key.partition(b"/")
        if name not in self._trees or not slash or not rest:
            raise ProofUnavailable(f"{key!r} is not a key of a store under the app hash")
        text = self._trees[name]
        snapshot = self._backend.snapshot(LATEST)
        try:
            stores = read_roots(snapshot, height).stores
            root = stores[text].node() if text in stores else None
            hashes = {each: stores[each].hash for each in stores}
            if root is None:
                return [prove_no_store(hashes, text)]
            return [prove_key(root, rest, fetch_from(snapshot, text)), prove_store(hashes, text)]
        finally:
            snapshot.close()

    def prune(self, keep_from_height: int, budget: int) -> int:
        """Removes at most `budget` nodes that only lower heights need, never the latest's; tells how many."""
        with collector_paused():
            return history.prune(self._backend, keep_from_height, budget)

    def snapshot(self) -> RecordSnapshot:
        """All records as they are now, for `kernel.snapshot.stream` in any thread; close it after use."""
        return self._backend.snapshot(LATEST)

    @property
    def takes_snapshots(self) -> bool:
        """Whether nothing would be lost: the store is empty, or holds one height, as after a snapshot."""
        return self.height_lowest == self.version

    def restore(self, height: int, app_hash: bytes) -> Restore:
        """Takes the chunks of a snapshot in, in the place of what `takes_snapshots`; then call `reopen`."""
        assert self.takes_snapshots, "a store with a history takes no snapshot"
        if self.version:
            self._close_views()
            self._backend.write([(LATEST, None), (RESTORING, b"\x01")], sync=True)
            self._open()
        return Restore(self._backend, list(self._trees.values()), height, app_hash)

    def reopen(self) -> None:
        """Takes up what a restore has made the last committed height."""
        self._close_views()
        self._open()

    def rollback(self, height: int) -> None:
        """Makes a kept height the latest again, bulk and metadata with it; raises HeightNotRetained."""
        self._close_views()
        history.rollback(self._backend, height)
        self._open()

    def close(self) -> None:
        """Ends all views and frees the directory; a walk that is still held keeps it locked."""
        self._close_views()
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _close_views(self) -> None:
        for view in list(self._views.values()):
            view.close()

    def _open(self) -> None:
        """Takes up the last committed height; StoreCorrupt where its roots are missing or damaged."""
        self.version, self.app_hash = read_latest(self._backend), b""
        self._nodes_cached = 0
        self._edges = Edges()
        self._roots = dict.fromkeys(self._trees.values())
        if self.version == 0:
            if self._backend.get(RESTORING) is not None:
                # The remains of a snapshot that was never taken in to its end.
                self._backend.wipe()
            return
        roots = read_roots(self._backend, self.version)
        undeclared = sorted(name for name in roots.stores if name not in self._roots)
        if undeclared:
            raise StoreCorrupt(f"the directory holds stores that the program does not know: {undeclared}")
        self.app_hash = roots.app_hash
        for name, root in roots.stores.items():
            node = self._roots[name] = root.node()
            if node is not None:
                load(node, self._fetch[name])

    def _apply(
        self, changes: Mapping[bytes, bytes | None]
    ) -> tuple[dict[str, Tree], list[Write], list[Write]]:
        """The changed trees, and the writes of latest values: under the app hash, and bulk."""
        trees: dict[str, Tree] = {}
        flat: list[Write] = []
        bulk: list[Write] = []
        for key in sorted(changes):
            value = changes[key]
            prefix, _, rest = key.partition(b"/")
            if prefix in self._bulk:
                bulk.append((b"f" + key, value))
                continue
            assert prefix in self._trees, f"{key!r} belongs to no declared store"
            assert rest, f"{key!r} is the name of a store, not a key in it"
            name = self._trees[prefix]
            tree = trees.get(name)
            if tree is None:
                tree = trees[name] = Tree(self._roots[name], self._fetch[name])
            flat.append((b"f" + key, value))
            if value is None:
                tree.remove(rest)
            else:
                tree.set(rest, value)
        return trees, flat, bulk

    def _own_writes(self, staged: Staged, undo: bytes) -> Iterator[Write]:
        height, stores = staged.height, {}
        for name, node in staged.roots.items():
            ref, root_hash = (node.ref, node.hash) if node else (b"", EMPTY_ROOT)
            stores[name] = StoreRoot(ref, root_hash, staged.nodes_added[name])
        yield LATEST, height.to_bytes(8, "big")
        yield roots_key(height), Roots(staged.app_hash, stores).encode()
        if staged.orphans:
            yield orphans_key(height), encode_orphans(staged.orphans)
        if undo:
            yield undo_key(height), undo
        if staged.parent_height == 0:
            yield PRUNED, Progress(height, height + 1, 0).encode()


class MemoryStore(Store):
    """The store in memory, with the same hashes, heights and proofs; for tests and the simulator."""

    def __init__(self, stores: Sequence[str], *, nodes_cached: int = NODES_CACHED) -> None:
        super().__init__(MemoryBackend(), stores, nodes_cached)


class CopiedStore(Store):
    """What is committed in a directory, read into memory, also while a node has it open."""

    def __init__(self, path: Path | str, stores: Sequence[str], *, nodes_cached: int = NODES_CACHED) -> None:
        backend = MemoryBackend()
        backend.write(read_records(Path(path)), sync=False)
        super().__init__(backend, stores, nodes_cached)


class DiskStore(Store):
    """The store in a directory; StoreLocked where it is open elsewhere, StoreCorrupt where it is damaged."""

    def __init__(self, path: Path | str, stores: Sequence[str], *, nodes_cached: int = NODES_CACHED) -> None:
        backend = DiskBackend(path)
        self._disk = backend
        try:
            super().__init__(backend, stores, nodes_cached)
        except StoreCorrupt:
            backend.close()
            raise

    def checkpoint(self, path: Path | str) -> None:
        """A copy of what is committed, in a directory that must not exist."""
        self._disk.checkpoint(path)

    def compact(self) -> None:
        """Gives the space of what was removed back to the disk."""
        self._disk.compact()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keeps the cycle collector from walking what lives on while thousands of new objects are made."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
