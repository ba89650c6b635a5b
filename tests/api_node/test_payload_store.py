"""What is kept of prompts and answers: as long as it may be asked for, and within a budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_node.payloads import Payload, PayloadStore
from tests.api_node.views import view_at

PAYLOAD = Payload(b"x" * 600, "y" * 398, (1,))
SIZE = 600 + 398 + 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "payloads.sqlite"


def test_copies_go_before_what_this_node_was_paid_for(path: Path) -> None:
    store, view = PayloadStore(path, 3 * SIZE), view_at(5)

    store.keep("executed", PAYLOAD, view)
    for name in ("copy-1", "copy-2", "copy-3"):
        store.keep(name, PAYLOAD, view, is_copy=True)

    assert store.get("executed") == PAYLOAD
    assert [store.get(f"copy-{i}") is not None for i in (1, 2, 3)] == [False, True, True]
    assert store.bytes_kept == 3 * SIZE


def test_without_copies_what_is_asked_for_the_shortest_time_goes(path: Path) -> None:
    store = PayloadStore(path, 2 * SIZE)

    for height in (7, 5, 6):
        store.keep(f"at-{height}", PAYLOAD, view_at(height))

    assert store.get("at-5") is None
    assert store.get("at-7") == store.get("at-6") == PAYLOAD


def test_the_budget_counts_what_a_former_run_kept_and_forgets_what_is_pruned(path: Path) -> None:
    first = PayloadStore(path)
    first.keep("one", PAYLOAD, view_at(5))
    first.keep("one", PAYLOAD, view_at(5))
    first.close()

    again = PayloadStore(path)

    assert again.bytes_kept == SIZE
    assert again.prune(10**6) == 1
    assert again.bytes_kept == 0
