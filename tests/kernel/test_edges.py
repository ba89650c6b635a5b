"""Walks begin and end at the edges that earlier ones found: cheaper, and never with another result."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from abci_app.kernel.edges import EDGES_MAX
from abci_app.kernel.store import DiskStore, MemoryStore, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COLLECTIONS = (b"a/p", b"a/q", b"a/r", b"~bulk/q")


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    names = ["a", "~bulk"]
    with MemoryStore(names) if request.param == "memory" else DiskStore(tmp_path, names) as opened:
        yield opened


def commit(store: Store, changes: dict[bytes, bytes | None]) -> None:
    height = store.version + 1
    store.commit(store.stage(changes, height), height)


def number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def walk(store: Store, start: bytes, end: bytes) -> list[bytes]:
    return [key for key, _ in store.iterate(start, end)]


def reads(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Where walks over the records begin from now on."""
    seen: list[bytes] = []
    iterate = store._backend.iterate

    def watched(start: bytes, end: bytes, *, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        seen.append(start)
        return iterate(start, end, reverse=reverse)

    monkeypatch.setattr(store._backend, "iterate", watched)
    return seen


def test_a_key_written_before_the_first_or_behind_the_last_is_found_by_the_next_walk(store: Store) -> None:
    commit(store, {b"a/q/5": b"x", b"a/q/6": b"x"})
    assert walk(store, b"a/q/", b"a/q0") == [b"a/q/5", b"a/q/6"]

    commit(store, {b"a/q/3": b"x", b"a/q/9": b"x", b"a/p/1": b"x", b"a/r/1": b"x"})

    assert walk(store, b"a/q/", b"a/q0") == [b"a/q/3", b"a/q/5", b"a/q/6", b"a/q/9"]


def test_what_was_empty_is_walked_again_once_something_is_written_into_it(store: Store) -> None:
    commit(store, {b"a/p/1": b"x", b"a/r/1": b"x"})
    assert walk(store, b"a/q/", b"a/q0") == []

    commit(store, {b"a/q/4": b"x"})

    assert walk(store, b"a/q/", b"a/q0") == [b"a/q/4"]


def test_an_empty_collection_is_read_once_and_a_queue_from_its_first_key_that_is_left(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(store, {b"a/q/" + number(each): b"x" for each in range(10)})
    commit(store, {b"a/q/" + number(each): None for each in range(7)})
    for bounds in ((b"a/q/", b"a/q0"), (b"a/r/", b"a/r0")):
        walk(store, *bounds)
    began = reads(store, monkeypatch)

    found = walk(store, b"a/q/", b"a/q0")
    found += walk(store, b"a/r/", b"a/r0")

    assert found == [b"a/q/" + number(each) for each in (7, 8, 9)]
    assert began == [b"fa/q/" + number(7)]


def test_a_walk_held_over_a_commit_tells_its_own_moment_and_misleads_no_later_one(store: Store) -> None:
    commit(store, {b"a/q/1": b"x", b"a/q/2": b"x"})
    held = store.iterate(b"a/q/", b"a/q0")
    commit(store, {b"a/q/3": b"x"})

    assert [key for key, _ in held] == [b"a/q/1", b"a/q/2"]

    assert walk(store, b"a/q/", b"a/q0") == [b"a/q/1", b"a/q/2", b"a/q/3"]


def test_a_rollback_brings_back_what_stood_before_the_edges(store: Store) -> None:
    commit(store, {b"a/q/1": b"x", b"a/q/5": b"x"})
    commit(store, {b"a/q/1": None})
    assert walk(store, b"a/q/", b"a/q0") == [b"a/q/5"]

    store.rollback(1)

    assert walk(store, b"a/q/", b"a/q0") == [b"a/q/1", b"a/q/5"]


def test_walks_of_collections_and_numbers_tell_what_a_dict_tells_over_any_history(store: Store) -> None:
    rng = random.Random(7)
    model: dict[bytes, bytes] = {}
    ranges = [(each + b"/", each + b"0") for each in COLLECTIONS]
    ranges += [
        (each + b"/" + number(of), each + b"/" + number(of + 1)) for each in COLLECTIONS for of in range(40)
    ]
    assert len(ranges) > EDGES_MAX

    for _ in range(150):
        changes: dict[bytes, bytes | None] = {}
        for _ in range(rng.randrange(6)):
            key = rng.choice(COLLECTIONS) + b"/" + number(rng.randrange(40)) + bytes((rng.randrange(4),))
            changes[key] = None if rng.random() < 0.6 else b"x"
        commit(store, changes)
        model.update({key: value for key, value in changes.items() if value is not None})
        for key in [key for key, value in changes.items() if value is None]:
            model.pop(key, None)
        for start, end in [*rng.sample(ranges, 6), *ranges[: len(COLLECTIONS)]]:
            assert walk(store, start, end) == sorted(key for key in model if start <= key < end)
