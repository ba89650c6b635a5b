"""Two pieces under way give what one gives, and lose and repeat nothing when something ends or fails."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from mlnode.poc_worker import PocWorker
from mlnode.pow import PRESETS, Puzzle
from mlnode.pow_engine import Pending
from mlnode.wire import Channel, Message

SEED, KEY, NODE = "ab" * 32, "02" + "11" * 32, "node-1"
TIMEOUT_S = 30


class Asker:
    """The other end of the worker's connection."""

    def __init__(self, in_flight: int) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(TIMEOUT_S)
        self._channel = Channel(ours)
        self._ids = itertools.count(1)
        self.events: list[Message] = []
        self.worker = PocWorker(Channel(theirs), "cpu", 1, in_flight)
        self.worker.start()

    def ask(self, command: Callable[[Message], None], **fields: Any) -> Message:
        request_id = next(self._ids)
        command({"id": request_id} | fields)
        while (message := self.receive()).get("id") != request_id:
            pass
        return message

    def receive(self) -> Message:
        message = self._channel.receive()
        assert message is not None
        if "event" in message:
            self.events.append(message)
        return message

    def load(self, **changes: int) -> None:
        params = PRESETS["tiny"].to_json() | changes
        assert "ok" in self.ask(self.worker.load, params=params, poc_seed=SEED)

    def generate(self, *spans: tuple[int, int]) -> None:
        fields = {"run_id": 1, "public_key": KEY, "node_id": NODE, "spans": spans}
        assert "ok" in self.ask(self.worker.generate, **fields)

    def pause(self, *, finish: bool) -> None:
        assert "ok" in self.ask(self.worker.pause, finish=finish)

    def claims(self) -> list[tuple[int, int]]:
        """As they came."""
        found = [event for event in self.events if event["event"] == "generated"]
        return [pair for event in found for pair in zip(event["nonces"], event["claims"], strict=True)]

    def until(self, count: int) -> None:
        while len(self.claims()) < count:
            self.receive()


@contextmanager
def asker(in_flight: int = 2) -> Iterator[Asker]:
    one = Asker(in_flight)
    yield one
    one.ask(one.worker.unload)


@pytest.fixture(scope="module")
def expected() -> list[tuple[int, int]]:
    torch.set_num_threads(1)
    with Puzzle(PRESETS["tiny"], bytes.fromhex(SEED)) as puzzle:
        claims = puzzle.generate(bytes.fromhex(KEY), NODE, 0, 600)
    return [(nonce, claim) for nonce, claim in enumerate(claims) if claim is not None]


def near(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> bool:
    """The same nonces in the same order; claims as of one machine that forms batches of other sizes."""
    pairs = zip(some, others, strict=True)
    return all(a[0] == b[0] and abs(a[1] - b[1]) <= PRESETS["tiny"].epsilon // 20 for a, b in pairs)


@pytest.mark.parametrize("in_flight", [1, 2])
def test_the_claims_are_those_of_the_puzzle_however_many_pieces_are_under_way(
    in_flight: int, expected: list[tuple[int, int]]
) -> None:
    with asker(in_flight) as one:
        one.load()
        one.generate((0, 600))
        one.until(600)

        assert near(one.claims(), expected)


def test_a_piece_is_computed_while_the_one_before_waits_to_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, started = threading.Event(), list[int]()
    claims, start = Pending.claims, Puzzle.start_generate

    def slow(pending: Pending) -> list[int | None]:
        reading.wait(TIMEOUT_S)
        return claims(pending)

    def counted(puzzle: Puzzle, key: bytes, node_id: str, first: int, count: int) -> Pending:
        started.append(first)
        return start(puzzle, key, node_id, first, count)

    monkeypatch.setattr(Pending, "claims", slow)
    monkeypatch.setattr(Puzzle, "start_generate", counted)
    with asker() as one:
        one.load()
        one.generate((0, 100))
        time.sleep(0.3)
        under_way = list(started)
        reading.set()
        one.until(100)

    assert under_way == [0, 8], "two, and no third before the first is sent"
    assert [nonce for nonce, _ in one.claims()] == list(range(100))


@pytest.mark.parametrize("finish", [False, True])
def test_a_pause_in_the_middle_sends_all_that_was_computed_before_it_answers(*, finish: bool) -> None:
    with asker() as one:
        one.load()
        one.generate((0, 300), (1000, 1200))
        one.until(20)
        one.pause(finish=finish)
        nonces = [nonce for nonce, _ in one.claims()]
        covered = sorted(
            (event["nonce_first"], event["nonce_first"] + event["computed"]) for event in one.events
        )
        one.generate((5000, 5010))
        one.until(len(nonces) + 10)

    assert len(set(nonces)) == len(nonces)
    assert [n for first, end in covered for n in range(first, end)] == nonces
    assert all(end == first for (_, end), (first, _) in itertools.pairwise(covered) if first != 1000)
    if finish:
        assert nonces == [*range(300), *range(1000, 1200)]
    assert [nonce for nonce, _ in one.claims()][len(nonces) :] == list(range(5000, 5010))


def test_a_piece_that_fails_when_it_is_read_is_computed_again_in_smaller_ones(
    monkeypatch: pytest.MonkeyPatch, expected: list[tuple[int, int]]
) -> None:
    claims, failures = Pending.claims, itertools.count()

    def fail_twice(pending: Pending) -> list[int | None]:
        if next(failures) in (1, 2):
            raise RuntimeError("out of memory")
        return claims(pending)

    monkeypatch.setattr(Pending, "claims", fail_twice)
    with asker() as one:
        one.load()
        one.generate((0, 600))
        one.until(600)

    assert near(sorted(one.claims()), expected)


def test_a_nonce_that_cannot_be_computed_ends_the_run_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> Pending:
        raise RuntimeError("no kernel image")

    with asker() as one:
        one.load()
        monkeypatch.setattr(Puzzle, "start_generate", fail)
        one.generate((0, 600))
        message = one.receive()

    assert message["event"] == "generation_failed"
    assert "nonce 0: RuntimeError: no kernel image" in message["message"]
