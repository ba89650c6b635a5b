"""Where the store keeps its records: ordered bytes, written in atomic batches; and the one in memory."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Protocol

Write = tuple[bytes, bytes | None]
"""A record and its new content; None removes it."""

FLAT = b"f"


class RecordReader(Protocol):
    """Records by key."""

    def get(self, key: bytes) -> bytes | None: ...

    def close(self) -> None: ...


class RecordSnapshot(RecordReader, Protocol):
    """The records of one moment, for use in any thread while writing goes on."""

    def iterate(self, start: bytes, end: bytes, *, reverse: bool) -> Iterator[tuple[bytes, bytes]] | None:
        """As the backend's, or None where the records of the moment cannot be walked any more."""
        ...


class Backend(RecordReader, Protocol):
    """Records as they are now; a walk keeps to the moment in which it was asked for."""

    def iterate(self, start: bytes, end: bytes, *, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """The records with start <= key < end; only those under FLAT can be walked."""
        ...

    def write(self, writes: Iterable[Write], *, sync: bool) -> None:
        """Writes all or nothing; with sync it has survived a crash of the machine when this returns."""
        ...

    def wipe(self) -> None:
        """Removes every record."""
        ...

    def snapshot(self, marker: bytes) -> RecordSnapshot:
        """The records of this moment; a write of records under FLAT must change the marker's too."""
        ...


class MemorySnapshot:
    """A dict with its walked keys in order."""

    def __init__(self, records: dict[bytes, bytes]) -> None:
        self._records = records
        self._ordered: list[bytes] | None = None

    def get(self, key: bytes) -> bytes | None:
        return self._records.get(key)

    def iterate(self, start: bytes, end: bytes, *, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        if self._ordered is None:
            self._ordered = sorted(key for key in self._records if key.startswith(FLAT))
        keys = self._ordered[bisect_left(self._ordered, start) : bisect_left(self._ordered, end)]
        if reverse:
            keys.reverse()
        return iter([(key, self._records[key]) for key in keys])

    def close(self) -> None:
        """Nothing is held."""


class MemoryBackend(MemorySnapshot):
    """The in-memory twin, with the same semantics as the disk's but for surviving the process."""

    def __init__(self) -> None:
        super().__init__({})
        self._snapshot: MemorySnapshot | None = None

    def write(self, writes: Iterable[Write], *, sync: bool) -> None:
        del sync
        self._snapshot = None
        records, fresh, gone = self._records, [], 0
        for key, value in writes:
            if value is not None:
                if key not in records and key.startswith(FLAT):
                    fresh.append(key)
                records[key] = value
            elif records.pop(key, None) is not None and key.startswith(FLAT):
                gone += 1
        if self._ordered is not None:
            kept = [key for key in self._ordered if key in records] if gone else self._ordered
            kept.extend(fresh)
            kept.sort()
            self._ordered = kept

    def wipe(self) -> None:
        self._records.clear()
        self._ordered = self._snapshot = None

    def snapshot(self, marker: bytes) -> MemorySnapshot:
        """A copy, shared by all who ask before the next write."""
        del marker
        if self._snapshot is None:
            self._snapshot = MemorySnapshot(dict(self._records))
        return self._snapshot
