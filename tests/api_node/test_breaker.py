"""Whom requests are given to after failures, and who waits for whom."""

from __future__ import annotations

import asyncio

import pytest

from api_node.breaker import PAUSES_S, Breakers, BreakerState, Failure
from api_node.errors import ApiError
from api_node.waiting import WaitingRoom

pytestmark = pytest.mark.anyio

KEY, OTHER = ("alice", "org/x"), ("alice", "org/y")


def test_a_failure_closes_an_executor_for_one_model_alone() -> None:
    breakers = Breakers()

    breakers.failed(KEY, Failure.FAILED, 100.0)

    assert breakers.state(KEY, 100.1) == BreakerState.OPEN
    assert not breakers.take(KEY, 100.1)
    assert breakers.take(OTHER, 100.1)


def test_on_probation_one_request_tries_and_decides_for_the_others() -> None:
    breakers = Breakers()
    breakers.failed(KEY, Failure.FAILED, 100.0)
    later = 100.0 + PAUSES_S[Failure.FAILED][0]

    tries = [breakers.take(KEY, later) for _ in range(3)]
    breakers.succeeded(KEY)

    assert tries == [True, False, False]
    assert [breakers.take(KEY, later) for _ in range(3)] == [True, True, True]


def test_pauses_double_with_each_failure_in_a_row_up_to_their_longest() -> None:
    for failure, (first, longest) in PAUSES_S.items():
        breakers, now, pauses = Breakers(), 0.0, []
        for _ in range(12):
            breakers.failed(KEY, failure, now)
            pause = first
            while not breakers.may_take(KEY, now + pause):
                pause *= 2
                pause = min(pause, longest)
            pauses.append(pause)
            now += pause
            assert breakers.take(KEY, now)

        assert pauses[:2] == [first, 2 * first]
        assert pauses[-1] == longest


def test_a_probation_slot_that_nobody_used_to_its_end_is_free_again() -> None:
    breakers = Breakers()
    breakers.failed(KEY, Failure.BUSY, 0.0)
    assert breakers.take(KEY, 10.0)

    breakers.let_go(KEY)

    assert breakers.take(KEY, 10.0)


def test_who_answers_a_status_page_again_gets_one_request() -> None:
    breakers = Breakers()
    breakers.failed(KEY, Failure.UNREACHABLE, 0.0)

    breakers.reachable(KEY)

    assert [breakers.take(KEY, 0.1), breakers.take(KEY, 0.1)] == [True, False]


def test_breakers_of_models_that_are_gone_are_forgotten() -> None:
    breakers = Breakers()
    breakers.failed(KEY, Failure.BUSY, 0.0)
    breakers.failed(OTHER, Failure.BUSY, 0.0)

    breakers.keep(frozenset({"org/y"}))

    assert [model for model, _ in breakers.counts(0.0)] == ["org/y"]


async def test_who_waits_is_woken_in_the_order_of_arrival() -> None:
    room, woken = WaitingRoom(8), []

    async def wait(name: int) -> None:
        with room.place("m") as place:
            await place.news(5)
            woken.append(name)

    tasks = [asyncio.create_task(wait(name)) for name in range(3)]
    await asyncio.sleep(0)
    room.wake_one("m")
    await asyncio.sleep(0.01)
    after_one = list(woken)
    room.wake_all()
    await asyncio.gather(*tasks)

    assert after_one == [0]
    assert woken == [0, 1, 2]
    assert room.lengths() == {}


async def test_a_full_queue_sends_requests_away_with_a_time_to_come_again() -> None:
    room = WaitingRoom(1)

    with room.place("m"), pytest.raises(ApiError) as refused, room.place("m"):
        pytest.fail("there is no second place")

    assert (refused.value.status, refused.value.code) == (429, "queue_full")
    assert int(refused.value.headers["Retry-After"]) > 0
    with room.place("m"):
        assert room.length("m") == 1
