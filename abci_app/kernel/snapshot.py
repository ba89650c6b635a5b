"""One height of the state as a stream of records, and a store made again from such a stream.

The stream holds each tree's nodes, children before parents: of a leaf its version, key and value, of an inner
node its version alone, since all else of it follows. What was made from it has the app hash or is refused, so
it may come from anybody. Bulk stores are left out: nothing under the app hash depends on what they hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from struct import Struct
from struct import error as StructError  # noqa: N812 - its name says too little

from abci_app.kernel.backend import Backend, RecordReader, Write
from abci_app.kernel.nodes import (
    EMPTY_ROOT,
    INNER_RECORD,
    LEAF_RECORD,
    Fetch,
    Node,
    inner_hash,
    inner_prefix,
    leaf_hash,
    load,
    ref_version,
    unloaded,
)
from abci_app.kernel.proofs import simple_root
from abci_app.kernel.records import (
    LATEST,
    PRUNED,
    RESTORING,
    Progress,
    Roots,
    StoreRoot,
    fetch_from,
    flat_key,
    node_prefix,
    read_latest,
    read_roots,
    roots_key,
)

STORE, LEAF, INNER, END = b"S", b"L", b"I", b"E"
HEIGHT_MAX = 255

_NAME = Struct(">H")
_LEAF = Struct(">QII")
_INNER = Struct(">Q")


class SnapshotRefused(Exception):
    """A stream that is not the state of the height whose app hash is known."""


@dataclass(slots=True)
class StreamSizes:
    """What a stream held, by store: keys, and bytes of keys and values."""

    keys: dict[str, int] = field(default_factory=dict)
    size_bytes: dict[str, int] = field(default_factory=dict)


def stream(reader: RecordReader, height: int, sizes: StreamSizes | None = None) -> Iterator[bytes]:
    """The records of a kept height, one after another; raises HeightNotRetained, StoreCorrupt."""
    sizes = sizes if sizes is not None else StreamSizes()
    for name, root in sorted(read_roots(reader, height).stores.items()):
        sizes.keys[name] = sizes.size_bytes[name] = 0
        node = root.node()
        if node is None:
            continue
        encoded = name.encode()
        yield STORE + _NAME.pack(len(encoded)) + encoded
        for each in _post_order(node, fetch_from(reader, name)):
            version = ref_version(each.ref)
            if each.height > 0:
                yield INNER + _INNER.pack(version)
                continue
            sizes.keys[name] += 1
            sizes.size_bytes[name] += len(each.key) + len(each.value)
            yield LEAF + _LEAF.pack(version, len(each.key), len(each.value)) + each.key + each.value
    yield END


def chunks(records: Iterable[bytes], chunk_bytes: int) -> Iterator[bytes]:
    """The records joined: each chunk ends with the record that fills it."""
    parts: list[bytes] = []
    size = 0
    for record in records:
        parts.append(record)
        size += len(record)
        if size >= chunk_bytes:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)


def _post_order(root: Node, fetch: Fetch) -> Iterator[Node]:
    """All nodes of a committed tree, children first; holds one path at a time."""
    stack: list[tuple[Node, bool]] = [(unloaded(root.ref, root.hash), False)]
    while stack:
        node, children_done = stack.pop()
        if children_done:
            yield node
            continue
        load(node, fetch)
        stack.append((node, True))
        if node.height > 0:
            stack += [(node.right, False), (node.left, False)]
            # The walk alone holds the children, and drops each when it is through with it.
            del node.left, node.right


@dataclass(slots=True)
class _Made:
    """A subtree that is written: what its parent's record and hash need."""

    ref: bytes
    hash: bytes
    height: int
    size: int
    smallest: bytes
    largest: bytes


class Restore:
    """Makes an empty store's records from the chunks of a stream, in order; `finish` makes them the state.

    Until then the store is empty to all who read it, and after a crash it is emptied when it is opened again.
    """

    def __init__(self, backend: Backend, names: Sequence[str], height: int, app_hash: bytes) -> None:
        assert read_latest(backend) == 0, "only an empty store takes a snapshot"
        self._backend, self._height, self._app_hash = backend, height, app_hash
        self._names = frozenset(names)
        self._roots: dict[str, _Made] = {}
        self._stack: list[_Made] = []
        self._numbers: dict[int, int] = {}
        self._name = ""
        self._ended = False
        backend.wipe()
        backend.write([(RESTORING, b"\x01")], sync=True)

    def feed(self, chunk: bytes) -> None:
        """Takes the next chunk in; raises SnapshotRefused for what no stream holds."""
        writes: list[Write] = []
        at = 0
        while at < len(chunk):
            if self._ended:
                raise SnapshotRefused("the stream goes on after its end")
            try:
                at = self._record(chunk, at, writes)
            except (StructError, UnicodeDecodeError) as error:
                raise SnapshotRefused(f"a record is cut off: {error}") from error
        self._backend.write(writes, sync=False)

    def _record(self, chunk: bytes, at: int, writes: list[Write]) -> int:
        """Takes the record at a place in; returns where the next one begins."""
        kind, at = chunk[at : at + 1], at + 1
        if kind == LEAF:
            return self._leaf(chunk, at, writes)
        if kind == INNER:
            return self._inner(chunk, at, writes)
        if kind == STORE:
            return self._store(chunk, at)
        if kind != END:
            raise SnapshotRefused(f"a record of the unknown kind {kind!r}")
        self._ended = True
        return at

    def finish(self) -> None:
        """Makes the records the state, in one synced batch; raises SnapshotRefused, and empties the store."""
        self._close_store()
        hashes = {name: made.hash for name, made in self._roots.items()}
        root = simple_root(hashes)
        if not self._ended or root != self._app_hash:
            self.abandon()
            raise SnapshotRefused(f"the stream's state has the app hash {root.hex()}, not the trusted one")
        stores = {
            name: StoreRoot(self._roots[name].ref, self._roots[name].hash, 0)
            if name in self._roots
            else StoreRoot(b"", EMPTY_ROOT, 0)
            for name in sorted(self._names)
        }
        height = self._height
        self._backend.write(
            [
                (RESTORING, None),
                (roots_key(height), Roots(self._app_hash, stores).encode()),
                (PRUNED, Progress(height, height + 1, 0).encode()),
                (LATEST, height.to_bytes(8, "big")),
            ],
            sync=True,
        )

    def abandon(self) -> None:
        """Takes back what was written."""
        self._backend.wipe()

    def _store(self, chunk: bytes, at: int) -> int:
        length: int = _NAME.unpack_from(chunk, at)[0]
        at += _NAME.size
        name = chunk[at : at + length].decode()
        self._close_store()
        if name not in self._names or name <= self._name:
            raise SnapshotRefused(f"the store {name!r} is unknown or out of order")
        self._name = name
        return at + length

    def _close_store(self) -> None:
        if not self._name:
            return
        if len(self._stack) != 1:
            raise SnapshotRefused(f"the nodes of the store {self._name} are no tree")
        self._roots[self._name] = self._stack.pop()
        self._numbers.clear()

    def _leaf(self, chunk: bytes, at: int, writes: list[Write]) -> int:
        version: int
        key_length: int
        value_length: int
        version, key_length, value_length = _LEAF.unpack_from(chunk, at)
        at += _LEAF.size
        key_end, end = at + key_length, at + key_length + value_length
        if end > len(chunk) or not self._name or not key_length:
            raise SnapshotRefused("a leaf is cut off, or stands outside of a store")
        # A tree as high as can be leaves one subtree open at each height; leaves alone would fill the memory.
        if len(self._stack) > HEIGHT_MAX:
            raise SnapshotRefused("more subtrees are open than in any tree: no tree is so high")
        key, value = chunk[at:key_end], chunk[key_end:end]
        record = LEAF_RECORD.pack(0, key_length) + key + value
        ref = self._write(version, record, writes)
        writes.append((flat_key(self._name.encode() + b"/" + key), value))
        self._stack.append(_Made(ref, leaf_hash(version, key, value), 0, 1, key, key))
        return end

    def _inner(self, chunk: bytes, at: int, writes: list[Write]) -> int:
        version: int = _INNER.unpack_from(chunk, at)[0]
        if len(self._stack) < 2:
            raise SnapshotRefused("an inner node without two children")
        right, left = self._stack.pop(), self._stack.pop()
        height, size = 1 + max(left.height, right.height), left.size + right.size
        if height > HEIGHT_MAX or not left.largest < right.smallest:
            raise SnapshotRefused("an inner node whose children are out of order")
        record = INNER_RECORD.pack(height, size, left.ref, left.hash, right.ref, right.hash) + right.smallest
        ref = self._write(version, record, writes)
        digest = inner_hash(inner_prefix(height, size, version), left.hash, right.hash)
        self._stack.append(_Made(ref, digest, height, size, left.smallest, right.largest))
        return at + _INNER.size

    def _write(self, version: int, record: bytes, writes: list[Write]) -> bytes:
        """Writes a node under a name of its own: its version, and a number within."""
        if not 0 < version <= self._height:
            raise SnapshotRefused(f"a node of height {version} in the state of height {self._height}")
        number = self._numbers.get(version, 0)
        self._numbers[version] = number + 1
        ref = version.to_bytes(8, "big") + number.to_bytes(4, "big")
        writes.append((node_prefix(self._name) + ref, record))
        return ref
