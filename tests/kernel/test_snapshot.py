"""A height as a stream, and the store that is made from it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.kernel.snapshot import Restore, SnapshotRefused, StreamSizes, chunks, stream
from abci_app.kernel.store import DiskStore, HeightNotRetained, MemoryStore, Store

STORES = ["auth", "bank", "epochs", "poc", "~bulk"]
Changes = dict[bytes, bytes | None]


def commit(store: Store, changes: Changes) -> None:
    height = store.version + 1
    store.commit(store.stage(changes, height), height)


def grown(store: Store, blocks: int = 6) -> Store:
    """Blocks that write, overwrite and remove."""
    for block in range(1, blocks + 1):
        changes: Changes = {b"bank/%03d" % n: b"%d in %d" % (n, block) for n in range(block, 80, block)}
        changes |= {b"bank/%03d" % (block * 7): None, b"epochs/one": b"", b"~bulk/a": b"%d" % block}
        commit(store, changes)
    return store


def taken(store: Store, height: int, chunk_bytes: int = 300) -> list[bytes]:
    reader = store.snapshot()
    try:
        return list(chunks(stream(reader, height), chunk_bytes))
    finally:
        reader.close()


def restored(into: Store, height: int, app_hash: bytes, parts: list[bytes]) -> Store:
    restore = into.restore(height, app_hash)
    for part in parts:
        restore.feed(part)
    restore.finish()
    into.reopen()
    return into


def everything(store: Store) -> list[tuple[bytes, bytes]]:
    return list(store.iterate(b"", b"~"))


def test_a_store_made_from_a_snapshot_is_the_store_and_goes_on_alike(tmp_path: Path) -> None:
    source = grown(MemoryStore(STORES))
    parts = taken(source, 6)

    with DiskStore(tmp_path, STORES) as made:
        restored(made, 6, source.app_hash, parts)

        assert len(parts) > 5
        assert (made.version, made.app_hash, made.height_lowest) == (6, source.app_hash, 6)
        assert everything(made) == everything(source)
        assert made.get(b"~bulk/a") is None
        for block in range(7, 30):
            changes: Changes = {b"bank/%03d" % (n * block % 97): b"%d" % block for n in range(20)}
            changes |= {b"bank/%03d" % (block * 3): None, b"poc/%d" % block: b"x"}
            commit(source, changes)
            commit(made, changes)
            assert made.app_hash == source.app_hash
            assert made.prove(block, b"bank/001") == source.prove(block, b"bank/001")
        made.rollback(20)
        with source.at(20) as view:
            assert made.app_hash == view.app_hash
            assert everything(made) == list(view.iterate(b"", b"~"))
        assert made.prune(18, 10**6) > 0
    with DiskStore(tmp_path, STORES) as again:
        assert again.version == 20


def test_an_earlier_kept_height_can_be_taken_and_one_that_is_gone_cannot() -> None:
    source = grown(MemoryStore(STORES))
    with source.at(4) as view:
        app_hash = view.app_hash

    made = restored(MemoryStore(STORES), 4, app_hash, taken(source, 4))

    assert made.app_hash == app_hash
    source.prune(5, 10**6)
    with pytest.raises(HeightNotRetained, match="5 to 6 are kept"):
        taken(source, 4)


def test_chunks_end_with_the_record_that_fills_them_and_sizes_are_counted() -> None:
    source = grown(MemoryStore(STORES))
    sizes = StreamSizes()

    reader = source.snapshot()
    whole = b"".join(stream(reader, 6, sizes))

    assert b"".join(taken(source, 6, 1)) == b"".join(taken(source, 6, 10**9)) == whole
    assert all(len(part) >= 300 for part in taken(source, 6)[:-1])
    assert sizes.keys == source.sizes()
    assert sizes.size_bytes["bank"] == sum(
        len(key) - len(b"bank/") + len(value) for key, value in source.iterate(b"bank/", b"bank0")
    )


@given(st.data())
def test_no_flipped_byte_dropped_or_doubled_chunk_makes_a_state(data: st.DataObject) -> None:
    source = grown(MemoryStore(STORES), 3)
    parts = taken(source, 3, 200)
    number = data.draw(st.integers(0, len(parts) - 1))
    part = parts[number]
    how = data.draw(st.sampled_from(["flip", "drop", "double", "cut"]))
    at = data.draw(st.integers(0, len(part) - 1))
    if how == "flip":
        parts[number] = part[:at] + bytes([part[at] ^ data.draw(st.integers(1, 255))]) + part[at + 1 :]
    elif how == "drop":
        del parts[number]
    elif how == "double":
        parts.insert(number, part)
    else:
        parts[number] = part[:at]
    store = MemoryStore(STORES)

    with pytest.raises(SnapshotRefused):
        restored(store, 3, source.app_hash, parts)

    # What a refused one left behind is gone with the next attempt.
    assert everything(restored(store, 3, source.app_hash, taken(source, 3))) == everything(source)


def test_leaves_that_no_tree_takes_in_are_refused_before_they_fill_the_memory() -> None:
    restore = MemoryStore(STORES).restore(3, bytes(32))
    restore.feed(b"S" + struct.pack(">H", 4) + b"bank")
    leaves = [b"L" + struct.pack(">QII", 1, 4, 1) + b"%04d" % n + b"x" for n in range(1000)]

    restore.feed(b"".join(leaves[:200]))
    with pytest.raises(SnapshotRefused, match="no tree is so high"):
        restore.feed(b"".join(leaves[200:]))


@pytest.mark.parametrize(
    "record",
    [
        b"L" + struct.pack(">QII", 1, 2**32 - 1, 2**32 - 1) + b"k",
        b"L" + struct.pack(">QII", 2**64 - 1, 1, 1) + b"kv",
        b"L" + struct.pack(">QII", 0, 1, 1) + b"kv",
        b"L" + struct.pack(">QII", 1, 0, 1) + b"v",
        b"L" + struct.pack(">QI", 1, 1),
        b"I" + struct.pack(">Q", 1),
        b"S" + struct.pack(">H", 65535) + b"x",
        b"S" + struct.pack(">H", 4) + b"\xff\xfe\xfd\xfc",
        b"S" + struct.pack(">H", 4) + b"auth",
        b"S" + struct.pack(">H", 5) + b"~bulk",
        b"E" + b"E",
        b"Z",
    ],
)
def test_records_whose_sizes_or_numbers_lie_are_refused(record: bytes) -> None:
    start = b"S" + struct.pack(">H", 4) + b"bank" + b"L" + struct.pack(">QII", 1, 1, 1) + b"ax"

    with pytest.raises(SnapshotRefused):
        restored(MemoryStore(STORES), 3, bytes(32), [start + record])


@pytest.mark.parametrize("done", [0, 1, 3, 7])
def test_a_crash_between_two_chunks_leaves_an_empty_store_that_takes_the_snapshot_again(
    tmp_path: Path, done: int
) -> None:
    source = grown(MemoryStore(STORES))
    parts = taken(source, 6)
    with DiskStore(tmp_path, STORES) as broken:
        restore = broken.restore(6, source.app_hash)
        for part in parts[:done]:
            restore.feed(part)

    with DiskStore(tmp_path, STORES) as made:
        assert (made.version, everything(made)) == (0, [])
        with pytest.raises(HeightNotRetained, match="nothing is committed"):
            made.at(6)
        restored(made, 6, source.app_hash, parts)
        assert everything(made) == everything(source)


def test_another_height_or_app_hash_than_the_trusted_one_is_refused() -> None:
    source = grown(MemoryStore(STORES))
    parts = taken(source, 6)

    with pytest.raises(SnapshotRefused, match="not the trusted one"):
        restored(MemoryStore(STORES), 6, bytes(32), parts)
    with pytest.raises(SnapshotRefused, match="a node of height 6 in the state of height 5"):
        restored(MemoryStore(STORES), 5, source.app_hash, parts)
    with pytest.raises(SnapshotRefused, match="is unknown or out of order"):
        restored(MemoryStore(["epochs", "mint"]), 6, source.app_hash, parts)
    with pytest.raises(AssertionError, match="only an empty store"):
        Restore(source._backend, STORES, 6, source.app_hash)
