"""Nonces that several processes compute come out dense, in order and once, whoever fails and whenever."""

from __future__ import annotations

import random

import pytest

from mlnode.nonce_ledger import Found, Ledger


def found(first: int, count: int) -> Found:
    return Found(range(first, first + count), [10 * nonce for nonce in range(first, first + count)])


def test_spans_do_not_overlap_and_end_at_the_last_nonce() -> None:
    ledger = Ledger(5, 15)

    assert [ledger.lease(0, 4), ledger.lease(1, 4), ledger.lease(0, 4), ledger.lease(1, 4)] == [
        (5, 9),
        (9, 13),
        (13, 15),
        None,
    ]


def test_what_comes_out_of_order_is_released_in_order() -> None:
    ledger = Ledger(0, 8)
    ledger.lease(0, 4)
    ledger.lease(1, 4)

    early = ledger.complete(1, 4, 4, found(4, 4))
    late = ledger.complete(0, 0, 4, found(0, 4))

    assert early == []
    assert [list(each.nonces) for each in late] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert ledger.is_exhausted


def test_a_span_may_be_completed_in_parts_and_only_once() -> None:
    ledger = Ledger(0, 100)
    ledger.lease(0, 10)

    assert ledger.complete(0, 4, 3, found(4, 3)) == []
    assert ledger.leases(0) == [(0, 4), (7, 10)]
    assert ledger.complete(0, 4, 3, found(4, 3)) == []
    assert [list(each.nonces) for each in ledger.complete(0, 0, 4, found(0, 4))] == [[0, 1, 2, 3], [4, 5, 6]]


def test_what_a_process_leaves_goes_first_to_whoever_asks_next() -> None:
    ledger = Ledger(0, 100)
    ledger.lease(0, 10)
    ledger.lease(1, 10)
    ledger.complete(0, 0, 6, found(0, 6))

    ledger.give_back(0)

    assert ledger.lease(1, 3) == (6, 9)
    assert ledger.lease(1, 3) == (9, 10)
    assert ledger.lease(1, 3) == (20, 23)
    assert ledger.complete(0, 6, 4, found(6, 4)) == [], "the process has lost it"


def test_a_first_nonce_beyond_the_end_is_a_run_that_is_over() -> None:
    ledger = Ledger(20, 10)

    assert ledger.is_exhausted
    assert ledger.lease(0, None) is None


@pytest.mark.parametrize("seed", range(20))
def test_with_processes_that_fail_at_random_every_nonce_comes_out_once_in_order(seed: int) -> None:
    draw = random.Random(seed)
    ledger, out = Ledger(7, 400), list[int]()

    while not ledger.is_exhausted:
        holder = draw.randrange(3)
        if draw.random() < 0.1:
            ledger.give_back(holder)
        elif draw.random() < 0.5:
            ledger.lease(holder, draw.randrange(1, 30))
        elif leases := ledger.leases(holder):
            first, end = draw.choice(leases)
            count = draw.randint(1, end - first)
            for released in ledger.complete(holder, first, count, found(first, count)):
                out += released.nonces

    assert out == list(range(7, 400))
