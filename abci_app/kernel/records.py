"""The names of the store's records, and the encoding of those that are the store's own business.

f<store>/<key>     latest value            n<store>/<ref>   tree node
r<height>          app hash and roots      o<height>        nodes that the height made obsolete
m<name>            caller's metadata       u<height>        bulk values and metadata that the height replaced
g/latest           last committed height   g/pruned         lowest height kept, and how far pruning came
g/restoring        there while a snapshot is taken in: what is beside it is not yet the state

The records under g always stand, so that no walk runs off the values into the remains of pruned nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from struct import Struct
from struct import error as StructError  # noqa: N812 - its name says too little
from typing import NamedTuple

from abci_app.kernel.backend import FLAT, RecordReader
from abci_app.kernel.nodes import REF_BYTES, Fetch, Node, StoreCorrupt, unloaded
from abci_app.kernel.proofs import simple_root

META = b"m"
LATEST = b"g/latest"
PRUNED = b"g/pruned"
RESTORING = b"g/restoring"

_U32 = Struct(">I")
_ROOT = Struct(f">{REF_BYTES}s32sI")
_PROGRESS = Struct(">QQQ")


class HeightNotRetained(Exception):
    """The store holds no state of this height: not yet, no more, or not of this part."""


def flat_key(key: bytes) -> bytes:
    return FLAT + key


def roots_key(height: int) -> bytes:
    return b"r" + height.to_bytes(8, "big")


def orphans_key(height: int) -> bytes:
    return b"o" + height.to_bytes(8, "big")


def undo_key(height: int) -> bytes:
    return b"u" + height.to_bytes(8, "big")


def node_prefix(name: str) -> bytes:
    return b"n" + name.encode() + b"/"


class StoreRoot(NamedTuple):
    """A tree at one height: its root (zeros for a ref where empty), and the count of nodes added."""

    ref: bytes
    hash: bytes
    nodes_added: int

    def node(self) -> Node | None:
        return unloaded(self.ref, self.hash) if self.ref.strip(b"\x00") else None


class Roots(NamedTuple):
    """What one height committed."""

    app_hash: bytes
    stores: dict[str, StoreRoot]

    def encode(self) -> bytes:
        parts = [self.app_hash]
        for name, root in sorted(self.stores.items()):
            parts.append(_with_length(name.encode()) + _ROOT.pack(*root))
        return b"".join(parts)


class Progress(NamedTuple):
    """The lowest height kept; the height whose obsolete nodes go next, and how many of them are gone."""

    height_lowest: int
    height_next: int
    nodes_done: int

    def encode(self) -> bytes:
        return _PROGRESS.pack(*self)


def read_latest(reader: RecordReader) -> int:
    """The last committed height, 0 before the first."""
    return int.from_bytes(reader.get(LATEST) or b"", "big")


def read_progress(reader: RecordReader) -> Progress:
    """How far pruning came; all zero before the first commit."""
    record = reader.get(PRUNED)
    return Progress(*_PROGRESS.unpack(record)) if record else Progress(0, 0, 0)


def read_roots(reader: RecordReader, height: int) -> Roots:
    """What the height committed; raises HeightNotRetained, or StoreCorrupt on a damaged record."""
    latest, lowest = read_latest(reader), read_progress(reader).height_lowest
    if not 0 < lowest <= height <= latest:
        kept = f"heights {lowest} to {latest} are kept" if latest else "nothing is committed yet"
        raise HeightNotRetained(f"height {height} is not available: {kept}")
    record = reader.get(roots_key(height))
    if record is None:
        raise StoreCorrupt(f"the roots of height {height} are missing")
    try:
        roots = _decode_roots(record)
    except (StructError, UnicodeDecodeError) as error:
        raise StoreCorrupt(f"the roots of height {height} cannot be read") from error
    stores = roots.stores
    if simple_root({name: root.hash for name, root in stores.items()}) != roots.app_hash:
        raise StoreCorrupt(f"the roots of height {height} do not give its app hash")
    return roots


def _decode_roots(record: bytes) -> Roots:
    stores = {}
    at = 32
    while at < len(record):
        name, at = _take(record, at)
        stores[name.decode()] = StoreRoot(*_ROOT.unpack_from(record, at))
        at += _ROOT.size
    return Roots(record[:32], stores)


def fetch_from(reader: RecordReader, name: str) -> Fetch:
    """The store's node records by ref."""
    prefix, get = node_prefix(name), reader.get

    def fetch(ref: bytes) -> bytes:
        record = get(prefix + ref)
        if record is None:
            raise StoreCorrupt(f"the tree of {name} lacks its node {ref.hex()}")
        return record

    return fetch


def encode_orphans(orphans: Mapping[str, list[bytes]]) -> bytes:
    """The refs of the nodes that one height made obsolete, by store."""
    return b"".join(
        _with_length(name.encode()) + _with_length(b"".join(refs)) for name, refs in sorted(orphans.items())
    )


def decode_orphans(record: bytes) -> list[tuple[str, list[bytes]]]:
    """Each store's obsolete refs, in the order of the record."""
    found: list[tuple[str, list[bytes]]] = []
    at = 0
    while at < len(record):
        name, at = _take(record, at)
        refs, at = _take(record, at)
        found.append((name.decode(), [refs[i : i + REF_BYTES] for i in range(0, len(refs), REF_BYTES)]))
    return found


def encode_undo(replaced: Iterable[tuple[bytes, bytes | None]]) -> bytes:
    """Records as they were before; a flag byte tells a missing one from an empty one."""
    return b"".join(
        _with_length(key) + _with_length(b"\x00" if value is None else b"\x01" + value)
        for key, value in replaced
    )


def decode_undo(record: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    at = 0
    while at < len(record):
        key, at = _take(record, at)
        value, at = _take(record, at)
        yield key, value[1:] if value[0] else None


def _with_length(content: bytes) -> bytes:
    return _U32.pack(len(content)) + content


def _take(record: bytes, at: int) -> tuple[bytes, int]:
    (length,) = _U32.unpack_from(record, at)
    start = at + _U32.size
    return record[start : start + length], start + length
