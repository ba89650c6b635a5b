"""The records on disk: one RocksDB, whose batches are atomic and, where asked, synced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import cast

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    Checkpoint,
    DBRecoveryMode,
    Options,
    Rdict,
    RdictIter,
    Snapshot,
    WriteBatch,
    WriteOptions,
)

from abci_app.kernel.backend import Write

MEBIBYTE = 1 << 20
BLOCK_CACHE_MIB = 128
MEMTABLE_MIB = 64
BLOOM_BITS_PER_KEY = 10
WIPED_AT_ONCE = 10_000
MISSING_KEY = "key not found"


class StoreFailed(OSError):
    """The disk did not give what it holds: an OSError, so that it stops the node and is no one's result."""


class StoreLocked(Exception):
    """Another process, or an unclosed store of this one, has the directory open."""


class DiskSnapshot:
    """The records of one moment; as long as one is open, the database keeps its lock."""

    def __init__(self, db: Rdict, marker: bytes) -> None:
        self._db: Rdict | None = db
        self._snapshot: Snapshot | None = db.snapshot()
        self._marker = marker
        self._marked = self.get(marker)

    def get(self, key: bytes) -> bytes | None:
        assert self._snapshot is not None, "the view is closed"
        try:
            return cast("bytes", self._snapshot[key])
        except Exception as error:  # determinism: so a snapshot of rocksdict reports a missing key
            if str(error) != MISSING_KEY:
                raise
            return None

    def iterate(self, start: bytes, end: bytes, *, reverse: bool) -> Iterator[tuple[bytes, bytes]] | None:
        # A walk of rocksdict's snapshot shows later writes too. One over the database keeps to the moment it
        # is made, which is as good if the marker has not changed until then.
        assert self._db is not None, "the view is closed"
        cursor = self._db.iter()
        cursor.seek(self._marker)
        unchanged = cursor.valid() and cursor.key() == self._marker and cursor.value() == self._marked
        return _walk(cursor, start, end, reverse=reverse) if unchanged else None

    def close(self) -> None:
        self._db = self._snapshot = None


class DiskBackend:
    """All records in one RocksDB directory; StoreLocked where somebody else has it open."""

    def __init__(self, path: Path | str) -> None:
        Path(path).mkdir(parents=True, exist_ok=True)
        try:
            self._db = Rdict(str(path), _options())
        except Exception as error:  # determinism: rocksdict raises nothing more precise
            if "lock" in str(error).lower():
                raise StoreLocked(
                    f"{path} is open in another process, or was not closed in this one"
                ) from error
            raise
        self._get = self._db.get
        self._synced = WriteOptions()
        self._synced.sync = True
        self._unsynced = WriteOptions()

    def get(self, key: bytes) -> bytes | None:
        try:
            found: bytes | None = self._get(key)
        except Exception as error:  # determinism: a failing disk is no bug of a transaction
            raise StoreFailed(str(error)) from error
        return found

    def iterate(self, start: bytes, end: bytes, *, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        # Bounds are checked here: rocksdict frees the bytes of a bound while RocksDB still points at them.
        if reverse:
            downward = self._db.items(backwards=True, from_key=end)
            return _read(_down_to(start, end, cast("Iterator[tuple[bytes, bytes]]", downward)))
        return _up_to(end, cast("Iterator[tuple[bytes, bytes]]", self._db.items(from_key=start)))

    def write(self, writes: Iterable[Write], *, sync: bool) -> None:
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, value in writes:
            if value is None:
                delete(key)
            else:
                put(key, value)
        self._db.write(batch, self._synced if sync else self._unsynced)

    def wipe(self) -> None:
        keys = cast("Iterator[bytes]", self._db.keys())
        while batch := list(islice(keys, WIPED_AT_ONCE)):
            self.write([(key, None) for key in batch], sync=False)

    def snapshot(self, marker: bytes) -> DiskSnapshot:
        return DiskSnapshot(self._db, marker)

    def checkpoint(self, path: Path | str) -> None:
        """A copy at this moment in a directory that must not exist; files are linked where they can be."""
        Checkpoint(self._db).create_checkpoint(str(path))

    def compact(self) -> None:
        """Writes all files anew, without what was removed or replaced."""
        self._db.flush()
        self._db.compact_range(None, None)

    def close(self) -> None:
        self._db.close()


def read_records(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Every record of a directory in order, as it is at the first one, without the lock of who writes."""
    db = Rdict(str(path), Options(raw_mode=True), access_type=AccessType.read_only())
    try:
        yield from cast("Iterator[tuple[bytes, bytes]]", db.items())
    finally:
        db.close()


def _options() -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(Cache(BLOCK_CACHE_MIB * MEBIBYTE))
    table.set_bloom_filter(BLOOM_BITS_PER_KEY, block_based=False)
    options = Options(raw_mode=True)
    options.create_if_missing(create_if_missing=True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(MEMTABLE_MIB * MEBIBYTE)
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(4)
    # A batch torn by a crash at the log's end was never acknowledged; damage anywhere else refuses to open.
    options.set_wal_recovery_mode(DBRecoveryMode.tolerate_corrupted_tail_records())
    return options


def _read(records: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    try:
        yield from records
    except Exception as error:  # determinism: as for a single key
        raise StoreFailed(str(error)) from error


def _walk(cursor: RdictIter, start: bytes, end: bytes, *, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
    """The cursor's records with start <= key < end."""
    if reverse:
        cursor.seek_for_prev(end)
        step = cursor.prev
    else:
        cursor.seek(start)
        step = cursor.next
    while cursor.valid():
        key: bytes = cursor.key()
        if key < start or (key >= end and not reverse):
            return
        if key < end:
            yield key, cursor.value()
        step()


def _up_to(end: bytes, pairs: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    try:
        for pair in pairs:
            if pair[0] >= end:
                return
            yield pair
    except Exception as error:  # determinism: as for a single key
        raise StoreFailed(str(error)) from error


def _down_to(start: bytes, end: bytes, pairs: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    for pair in pairs:
        if pair[0] < start:
            return
        if pair[0] < end:
            yield pair
