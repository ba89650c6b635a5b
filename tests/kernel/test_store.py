"""The store by example: what stage, commit, at, prune, rollback and open promise, on disk and in memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.kernel.backend import MemoryBackend
from abci_app.kernel.disk import DiskBackend
from abci_app.kernel.nodes import UNLOADED, Node
from abci_app.kernel.records import roots_key
from abci_app.kernel.store import (
    DiskStore,
    HeightNotRetained,
    MemoryStore,
    Overlay,
    Store,
    StoreCorrupt,
    StoreLocked,
)

STORES = ["auth", "bank", "bank-x", "~bulk"]

Changes = Mapping[bytes, bytes | None]
Reopen = Callable[[Store], Store]


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = (
        MemoryStore(STORES, nodes_cached=16)
        if request.param == "memory"
        else DiskStore(tmp_path / "state", STORES, nodes_cached=16)
    )
    yield made
    made.close()


def commit(store: Store, changes: Changes, meta: Mapping[str, bytes] | None = None) -> bytes:
    height = store.version + 1
    store.commit(store.stage(changes, height), height, meta or {})
    return store.app_hash


def numbered(count: int, value: bytes = b"v", store: bytes = b"bank") -> dict[bytes, bytes | None]:
    return {store + b"/%04d" % number: value for number in range(count)}


# stage and commit


def test_staging_writes_nothing_and_can_be_repeated(store: Store) -> None:
    commit(store, numbered(50))
    before = store.app_hash

    first = store.stage({b"bank/0001": b"other"}, 2)
    second = store.stage({b"bank/0002": None}, 2)
    again = store.stage({b"bank/0001": b"other"}, 2)

    assert first.app_hash == again.app_hash != second.app_hash
    assert (store.version, store.app_hash, store.get(b"bank/0001")) == (1, before, b"v")

    store.commit(second, 2)

    assert (store.version, store.app_hash) == (2, second.app_hash)
    assert (store.get(b"bank/0001"), store.get(b"bank/0002")) == (b"v", None)


def test_a_staged_version_is_refused_once_another_is_committed(store: Store) -> None:
    stale = store.stage({b"bank/a": b"1"}, 1)
    commit(store, {b"bank/a": b"2"})

    with pytest.raises(AssertionError, match="since the staging"):
        store.commit(stale, 1)
    with pytest.raises(AssertionError, match="does not follow"):
        store.stage({}, 3)

    assert store.get(b"bank/a") == b"2"


def test_the_first_height_may_be_any(store: Store) -> None:
    store.commit(store.stage({b"bank/a": b"1"}, 700), 700)

    assert (store.version, store.height_lowest) == (700, 700)
    assert commit(store, {}) == store.at(700).app_hash


def test_the_app_hash_is_the_simple_merkle_root_over_names_and_hashed_roots_of_filled_stores(
    store: Store,
) -> None:
    def leaf(name: bytes, root: bytes) -> bytes:
        return sha256(b"\x00" + bytes([len(name)]) + name + b"\x20" + sha256(root).digest()).digest()

    root = sha256(bytes([0, 2, 2, 1]) + b"k" + b"\x20" + sha256(b"v").digest()).digest()
    commit(store, {b"bank/k": b"v"})
    alone = store.app_hash
    commit(store, {b"bank-x/k": b"v"})
    root_later = sha256(bytes([0, 2, 4, 1]) + b"k" + b"\x20" + sha256(b"v").digest()).digest()

    # auth has no keys: it is no leaf.
    assert alone == leaf(b"bank", root)
    both = leaf(b"bank", root) + leaf(b"bank-x", root_later)
    assert store.app_hash == sha256(b"\x01" + both).digest()


def test_an_empty_height_keeps_the_app_hash_and_is_kept_itself(store: Store) -> None:
    filled = commit(store, numbered(10))

    assert commit(store, {}) == filled
    assert store.version == 2
    with store.at(2) as latest, store.at(1) as earlier:
        assert latest.get(b"bank/0003") == earlier.get(b"bank/0003") == b"v"


def test_bulk_stores_are_kept_but_do_not_enter_the_app_hash(store: Store) -> None:
    without = store.stage({b"bank/a": b"1"}, 1).app_hash

    assert commit(store, {b"bank/a": b"1", b"~bulk/b": b"2"}) == without
    assert store.get(b"~bulk/b") == b"2"


def test_a_key_of_no_declared_store_is_our_bug(store: Store) -> None:
    for key in (b"mint/a", b"bank", b"bank/", b"/a", b""):
        with pytest.raises(AssertionError, match=r"declared store|name of a store"):
            store.stage({key: b"1"}, 1)


def test_metadata_stands_until_it_is_replaced(store: Store) -> None:
    commit(store, {}, {"validators": b"one", "results": b"r1"})
    commit(store, {}, {"results": b"r2"})

    assert store.meta("validators") == b"one"
    assert store.meta("results") == b"r2"
    assert store.meta("else") is None


@given(st.dictionaries(st.binary(min_size=1, max_size=3), st.none() | st.binary(max_size=3)), st.randoms())
def test_the_order_of_the_mapping_does_not_matter(changes: dict[bytes, bytes | None], random: object) -> None:
    named = {b"bank/" + key: value for key, value in changes.items()}
    pairs = list(named.items())
    random.shuffle(pairs)  # type: ignore[attr-defined]
    store = MemoryStore(STORES)
    commit(store, numbered(20) | {b"bank/\x00": b"1"})

    assert store.stage(named, 2).app_hash == store.stage(dict(pairs), 2).app_hash


def test_both_stores_agree_when_almost_nothing_is_kept_in_memory(tmp_path: Path) -> None:
    memory = MemoryStore(STORES)
    with DiskStore(tmp_path, STORES, nodes_cached=8) as disk:
        for block in range(12):
            changes: dict[bytes, bytes | None] = {
                b"bank/%04d" % (number * 37 % 500): None if number % 5 == 0 else b"%d" % block
                for number in range(block, 200, 1 + block % 3)
            }

            assert commit(disk, changes) == commit(memory, changes)

        span = (b"a", b"z")
        assert list(disk.iterate(*span)) == list(memory.iterate(*span)) != []


def test_no_more_nodes_stay_in_memory_than_were_allowed(tmp_path: Path) -> None:
    def loaded(node: Node) -> int:
        if node.height == UNLOADED:
            return 0
        return 1 + (loaded(node.left) + loaded(node.right) if node.height > 0 else 0)

    with DiskStore(tmp_path, STORES, nodes_cached=64) as store:
        for block in range(10):
            commit(store, numbered(100, b"%d" % block))

            assert sum(loaded(root) for root in store._roots.values() if root is not None) <= 64


# reading


def test_walks_are_bounded_and_go_both_ways(store: Store) -> None:
    commit(store, {b"auth/z": b"0", **numbered(5), b"bank-x/a": b"9"})
    keys = [b"bank/%04d" % number for number in range(5)]

    assert [key for key, _ in store.iterate(b"bank/", b"bank0")] == keys
    assert [key for key, _ in store.iterate(b"bank/", b"bank0", reverse=True)] == keys[::-1]
    assert [key for key, _ in store.iterate(keys[1], keys[3])] == keys[1:3]
    assert [key for key, _ in store.iterate(keys[1], keys[3], reverse=True)] == keys[2:0:-1]
    assert list(store.iterate(keys[3], keys[1])) == []
    assert list(store.iterate(keys[1], keys[1], reverse=True)) == []


def test_a_walk_of_an_overlay_is_not_disturbed_by_its_own_loop(store: Store) -> None:
    commit(store, numbered(6))
    block = Overlay(store)
    block.set(b"bank/0002x", b"new")
    tx = Overlay(block)
    seen = []

    for key, value in tx.iterate(b"bank/", b"bank0"):
        seen.append((key, value))
        tx.delete(key)
        tx.set(key + b"-after", b"later")
        tx.flush()

    assert [key for key, _ in seen] == sorted([*numbered(6), b"bank/0002x"])
    assert all(key.endswith(b"-after") for key, _ in tx.iterate(b"bank/", b"bank0"))


def test_an_overlay_is_seen_above_and_not_below_until_it_is_flushed(store: Store) -> None:
    commit(store, {b"bank/a": b"1"})
    block = Overlay(store)
    tx = Overlay(block)

    tx.set(b"bank/b", b"2")
    tx.delete(b"bank/a")

    assert (tx.get(b"bank/a"), block.get(b"bank/a")) == (None, b"1")
    assert block.changes == {}
    tx.flush()
    assert (tx.changes, block.changes) == ({}, {b"bank/a": None, b"bank/b": b"2"})
    tx.set(b"bank/c", b"3")
    tx.clear()
    assert list(tx.iterate(b"bank/", b"bank0")) == [(b"bank/b", b"2")]
    with pytest.raises(AssertionError, match="stage and commit"):
        block.flush()


def test_changes_written_into_the_dict_itself_are_walked_too(store: Store) -> None:
    overlay = Overlay(store)
    overlay.set(b"bank/b", b"2")
    assert list(overlay.iterate(b"bank/", b"bank0")) == [(b"bank/b", b"2")]

    overlay.changes[b"bank/a"] = b"1"

    assert list(overlay.iterate(b"bank/", b"bank0")) == [(b"bank/a", b"1"), (b"bank/b", b"2")]


# heights


def test_an_earlier_height_reads_as_it_was_across_stores(store: Store) -> None:
    commit(store, {**numbered(30), b"auth/q": b"0", b"bank-x/q": b"8"})
    old = list(store.iterate(b"", b"~"))
    commit(store, {**numbered(20, b"w"), b"bank/0025": None, b"auth/q": None, b"bank-x/r": b"9"})

    with store.at(1) as view:
        assert list(view.iterate(b"", b"~")) == old
        assert list(view.iterate(b"", b"~", reverse=True)) == old[::-1]
        assert [key for key, _ in view.iterate(b"bank/0003", b"bank/0005")] == [b"bank/0003", b"bank/0004"]
        assert (view.get(b"bank/0001"), view.get(b"bank/0025"), view.get(b"bank-x/r")) == (b"v", b"v", None)
        assert (view.get(b"mint/a"), view.get(b"bank"), view.get(b"bank/zz")) == (None, None, None)


def test_a_view_keeps_its_moment_while_commits_and_pruning_go_on(store: Store) -> None:
    commit(store, numbered(40))
    commit(store, numbered(10, b"w"))
    with store.at(1) as old, store.at(2) as latest:
        for _ in range(4):
            commit(store, numbered(40, b"x"))
        store.prune(6, 10_000)

        assert dict(old.iterate(b"bank/", b"bank0")) == numbered(40)
        assert dict(latest.iterate(b"bank/", b"bank0")) == numbered(40) | numbered(10, b"w")


def test_heights_outside_the_window_are_refused_with_what_is_kept(store: Store) -> None:
    with pytest.raises(HeightNotRetained, match="nothing is committed"):
        store.at(0)
    for _ in range(3):
        commit(store, numbered(3))
    store.prune(2, 100)

    for height in (0, 1, 4):
        with pytest.raises(HeightNotRetained, match=f"height {height} .* 2 to 3 are kept"):
            store.at(height)


def test_bulk_stores_are_read_at_the_latest_height_only(store: Store) -> None:
    commit(store, {b"~bulk/a": b"1", b"bank/a": b"1"})
    latest = store.at(1)
    assert latest.get(b"~bulk/a") == b"1"
    latest.close()
    commit(store, {})

    with store.at(1) as view:
        with pytest.raises(HeightNotRetained, match="~bulk"):
            view.get(b"~bulk/a")
        with pytest.raises(HeightNotRetained, match="~bulk"):
            view.iterate(b"", b"\xff")


def test_a_walk_of_the_latest_view_goes_on_through_a_commit_and_starts_anew_after_it(store: Store) -> None:
    commit(store, numbered(40))
    with store.at(1) as view:
        walk = view.iterate(b"bank/", b"bank0")
        first = next(walk)
        commit(store, numbered(40, b"w"))

        assert dict([first, *walk]) == numbered(40)
        for reverse in (False, True):
            again = list(view.iterate(b"bank/0010", b"bank/0030", reverse=reverse))
            assert [key for key, _ in again] == sorted(dict(again), reverse=reverse)
            assert dict(again) == {key: b"v" for key in numbered(40) if b"bank/0010" <= key < b"bank/0030"}


def test_the_latest_view_walks_both_ways_and_over_bulk(store: Store) -> None:
    commit(store, {**numbered(4), b"~bulk/a": b"1", b"auth/q": b"0"})
    pairs = sorted({**numbered(4), b"~bulk/a": b"1", b"auth/q": b"0"}.items())

    with store.at(1) as view:
        assert list(view.iterate(b"", b"\xff")) == pairs
        assert list(view.iterate(b"", b"\xff", reverse=True)) == pairs[::-1]
        assert list(view.iterate(b"bank/0001", b"bank/0003", reverse=True)) == [
            (b"bank/0002", b"v"),
            (b"bank/0001", b"v"),
        ]


def test_views_are_used_in_other_threads_while_commits_go_on(store: Store) -> None:
    commit(store, numbered(60))

    def read(_: int) -> bool:
        with store.at(1) as view:
            return dict(view.iterate(b"bank/", b"bank0")) == numbered(60) and view.get(b"bank/0007") == b"v"

    with ThreadPoolExecutor(2) as threads:
        answers = threads.map(read, range(40))
        for block in range(20):
            commit(store, numbered(60, b"%d" % block))

        assert all(answers)


# pruning


def node_records(store: Store) -> int:
    backend = store._backend
    if isinstance(backend, DiskBackend):
        return sum(1 for _ in backend.iterate(b"n", b"o", reverse=False))
    assert isinstance(backend, MemoryBackend)
    return sum(key.startswith(b"n") for key in backend._records)


def test_pruning_in_small_steps_leaves_just_the_nodes_of_the_kept_heights(store: Store) -> None:
    for block in range(8):
        commit(store, numbered(64, b"%d" % block))
    steps = 0

    while removed := store.prune(8, 50):
        assert removed <= 50
        steps += 1

    assert steps > 5
    # 64 leaves and the 63 inner nodes above them.
    assert node_records(store) == 127
    assert dict(store.iterate(b"bank/", b"bank0")) == numbered(64, b"7")
    assert store.stage({}, 9).app_hash == store.app_hash


def test_the_latest_height_is_never_pruned(store: Store) -> None:
    commit(store, numbered(20))
    commit(store, numbered(20, b"w"))

    store.prune(1000, 10_000)

    assert store.height_lowest == 2
    with store.at(2) as view:
        assert view.get(b"bank/0001") == b"w"
    assert store.prune(1, 10_000) == 0


def test_pruning_goes_on_where_it_stopped_after_a_restart(tmp_path: Path) -> None:
    with DiskStore(tmp_path, STORES) as store:
        for block in range(5):
            commit(store, numbered(64, b"%d" % block))
        first = store.prune(5, 100)

    with DiskStore(tmp_path, STORES) as store:
        assert store.height_lowest == 5
        rest = store.prune(5, 10_000)

        assert (first, rest) == (100, 4 * 127 - 100)
        assert node_records(store) == 127


# rollback


def test_rollback_restores_values_bulk_and_metadata_and_the_chain_goes_on_alike(store: Store) -> None:
    commit(store, {**numbered(30), b"~bulk/a": b"1", b"~bulk/gone": b"x"}, {"m": b"one"})
    hashes = [store.app_hash]
    before = (dict(store.iterate(b"", b"\xff")), store.meta("m"))
    blocks: list[Changes] = [
        {**numbered(10, b"w"), b"bank/0020": None, b"bank/new": b"1", b"~bulk/a": b"2", b"~bulk/gone": None},
        {b"bank/0020": b"back", b"bank/new": None, b"~bulk/b": b"3", b"auth/z": b"z"},
        {b"bank/0020": b"again", b"bank/new": b"2", b"bank/0001": None, b"~bulk/b": None},
    ]
    for number, block in enumerate(blocks):
        hashes.append(commit(store, block, {"m": b"%d" % number, "n": b"n"}))
    after = dict(store.iterate(b"", b"\xff"))

    store.rollback(1)

    assert (store.version, store.app_hash) == (1, hashes[0])
    assert (dict(store.iterate(b"", b"\xff")), store.meta("m")) == before
    assert store.meta("n") is None
    with pytest.raises(HeightNotRetained):
        store.at(2)
    assert [commit(store, block) for block in blocks] == hashes[1:]
    assert dict(store.iterate(b"", b"\xff")) == after


def test_rollback_below_the_kept_heights_is_refused_and_changes_nothing(store: Store) -> None:
    for block in range(4):
        commit(store, numbered(10, b"%d" % block))
    store.prune(3, 1000)
    app_hash = store.app_hash

    with pytest.raises(HeightNotRetained):
        store.rollback(2)

    assert (store.version, store.app_hash, store.get(b"bank/0001")) == (4, app_hash, b"3")


# opening


def test_a_reopened_store_goes_on_as_if_it_had_never_closed(tmp_path: Path) -> None:
    memory = MemoryStore(STORES)
    for block in range(6):
        changes = numbered(30 + block, b"%d" % block)
        with DiskStore(tmp_path, STORES) as disk:
            assert commit(disk, changes, {"m": b"%d" % block}) == commit(memory, changes)

    with DiskStore(tmp_path, STORES) as disk:
        assert (disk.version, disk.app_hash, disk.meta("m")) == (6, memory.app_hash, b"5")


def test_a_directory_in_use_is_refused_in_this_process_and_in_another(tmp_path: Path) -> None:
    program = (
        "import sys; from abci_app.kernel.store import DiskStore, StoreLocked\n"
        "try: DiskStore(sys.argv[1], ['bank'])\n"
        "except StoreLocked as error: print('locked:', error)"
    )
    with DiskStore(tmp_path, STORES):
        with pytest.raises(StoreLocked, match="open in another process"):
            DiskStore(tmp_path, STORES)
        answer = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )

    assert answer.stdout.startswith("locked:")


def test_closing_the_store_ends_its_views_and_frees_the_directory(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, STORES)
    commit(store, numbered(3))
    view = store.at(1)

    store.close()

    with pytest.raises(AssertionError, match="closed"):
        view.get(b"bank/0001")
    DiskStore(tmp_path, STORES).close()


@pytest.mark.parametrize("what", ["roots", "root node", "unknown store"])
def test_a_damaged_or_foreign_directory_is_refused_when_it_is_opened(tmp_path: Path, what: str) -> None:
    stores = STORES
    with DiskStore(tmp_path, STORES) as store:
        commit(store, numbered(20))
        root = store._roots["bank"]
        assert root is not None
        if what == "roots":
            store._backend.write([(roots_key(1), bytes(100))], sync=True)
        elif what == "root node":
            store._backend.write([(b"nbank/" + root.ref, None)], sync=True)
        else:
            stores = ["auth", "bank-x"]

    for _ in range(2):
        with pytest.raises(StoreCorrupt):
            DiskStore(tmp_path, stores)


def test_a_store_added_by_a_new_release_begins_empty(tmp_path: Path) -> None:
    with DiskStore(tmp_path, ["bank"]) as store:
        commit(store, numbered(5))

    with DiskStore(tmp_path, ["bank", "poc"]) as store:
        commit(store, {b"poc/a": b"1"})

        assert (store.get(b"bank/0001"), store.get(b"poc/a")) == (b"v", b"1")
        with store.at(1) as view:
            assert view.get(b"poc/a") is None
