"""Turns, order and pauses of one connection, on an event loop whose turns the tests count themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from abci_app.node.codec import FrameReader
from abci_app.node.connection import FRAMES_PER_TURN, Connection, Hub
from abci_app.node.dispatch import Dispatcher
from abci_app.node.metrics import Metrics
from bench.kvstore import KeyValueStore
from protocol.gen.tendermint.abci import types_pb2 as abci
from protocol.varint import uvarint
from tests.node.client import check_tx_frame, request_frame

FLUSH = request_frame(flush=abci.RequestFlush())


class Recorder(KeyValueStore):
    """Writes down what is called, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.query_gate = threading.Event()
        self.query_gate.set()

    def check_tx(self, tx: bytes, recheck: bool) -> bytes:
        self.calls.append("check_tx")
        return super().check_tx(tx, recheck)

    def process_proposal(self, req: abci.RequestProcessProposal) -> abci.ResponseProcessProposal:
        self.calls.append("process_proposal")
        return super().process_proposal(req)

    def query(self, req: abci.RequestQuery) -> abci.ResponseQuery:
        assert self.query_gate.wait(10)
        self.calls.append("query")
        return super().query(req)


@dataclass
class Wire(asyncio.Transport):
    """A transport that keeps what is written and remembers whether it is asked to read."""

    written: bytearray = field(default_factory=bytearray)
    reading: bool = True
    closing: bool = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def answers(self) -> list[str]:
        """The kinds of the answers so far, in order."""
        reader = FrameReader()
        reader.feed(bytes(self.written))
        return [kind(body) for body in iter(reader.next_frame, None)]


def kind(body: bytes) -> str:
    return str(abci.Response.FromString(body).WhichOneof("value"))


class Bench:
    """One hub with as many connections as a test opens."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor) -> None:
        self.app = Recorder()
        self.failures: list[Exception] = []
        self.metrics = Metrics()
        self.hub = Hub(loop, Dispatcher(self.app, self.metrics), self.metrics, pool, self.failures.append)

    def open(self) -> tuple[Connection, Wire]:
        connection, wire = Connection(self.hub), Wire()
        connection.connection_made(wire)
        return connection, wire

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not happened():  # noqa: ASYNC110 - what is waited for has no event to set
                await asyncio.sleep(0.001)


@contextmanager
def bench() -> Iterator[Bench]:
    with ThreadPoolExecutor(2) as pool:
        made = Bench(asyncio.get_running_loop(), pool)
        try:
            yield made
        finally:
            made.app.query_gate.set()


@pytest.mark.parametrize("flood", [1, FRAMES_PER_TURN, FRAMES_PER_TURN + 1, 5000])
def test_a_flood_gets_sixteen_answers_a_turn_of_the_loop_until_it_is_done(flood: int) -> None:
    async def scenario() -> None:
        with bench() as b:
            connection, wire = b.open()
            connection.data_received(check_tx_frame(b"a=1") * flood)

            turns = 1
            while len(b.app.calls) < flood:
                assert len(b.app.calls) == turns * FRAMES_PER_TURN
                assert not wire.reading
                await asyncio.sleep(0)
                turns += 1

            assert turns == -(-flood // FRAMES_PER_TURN)
            assert wire.reading
            assert wire.answers() == ["check_tx"] * flood

    asyncio.run(scenario())


def test_a_proposal_is_processed_between_two_slices_of_a_flood() -> None:
    async def scenario() -> None:
        with bench() as b:
            mempool, _ = b.open()
            consensus, wire = b.open()
            mempool.data_received(check_tx_frame(b"a=1") * 5000)
            for _ in range(3):
                await asyncio.sleep(0)

            checked = len(b.app.calls)
            consensus.data_received(request_frame(process_proposal=abci.RequestProcessProposal()) + FLUSH)

            assert checked == 4 * FRAMES_PER_TURN
            assert b.app.calls[checked:] == ["process_proposal"]
            assert wire.answers() == ["process_proposal", "flush"]

    asyncio.run(scenario())


def test_pipelined_answers_keep_the_order_of_the_requests_also_behind_a_slow_query() -> None:
    async def scenario() -> None:
        with bench() as b:
            connection, wire = b.open()
            b.app.query_gate.clear()
            query = request_frame(query=abci.RequestQuery(data=b"k"))

            connection.data_received(check_tx_frame(b"a=1") + query + check_tx_frame(b"b=1") + query + FLUSH)
            before = wire.answers()
            b.app.query_gate.set()
            await b.until(lambda: len(wire.answers()) == 5)

            assert before == ["check_tx"]
            assert wire.answers() == ["check_tx", "query", "check_tx", "query", "flush"]
            assert b.app.calls == ["check_tx", "query", "check_tx", "query"]

    asyncio.run(scenario())


def test_a_slow_query_does_not_hold_up_another_connection() -> None:
    async def scenario() -> None:
        with bench() as b:
            queries, _ = b.open()
            consensus, wire = b.open()
            b.app.query_gate.clear()
            queries.data_received(request_frame(query=abci.RequestQuery()))

            consensus.data_received(request_frame(process_proposal=abci.RequestProcessProposal()))

            assert wire.answers() == ["process_proposal"]
            assert "query" not in b.app.calls

    asyncio.run(scenario())


def test_reading_never_pauses_while_only_an_unfinished_frame_lies_there() -> None:
    async def scenario() -> None:
        with bench() as b:
            connection, wire = b.open()
            block = request_frame(
                finalize_block=abci.RequestFinalizeBlock(height=1, txs=[b"k=" + bytes(30_000_000)])
            )

            for start in range(0, len(block) - 1, 262_144):
                connection.data_received(block[start : min(start + 262_144, len(block) - 1)])
                assert wire.reading
            connection.data_received(block[-1:])

            assert wire.answers() == ["finalize_block"]

    asyncio.run(scenario())


def test_a_peer_that_does_not_read_is_answered_no_further_until_it_reads_again() -> None:
    async def scenario() -> None:
        with bench() as b:
            connection, wire = b.open()
            connection.pause_writing()
            connection.data_received(check_tx_frame(b"a=1") * 3)
            before = wire.answers()

            connection.resume_writing()

            assert before == []
            assert wire.answers() == ["check_tx"] * 3
            assert wire.reading

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "garbage",
    [b"\xff" * 10, b"\x00", b"\x05hello", uvarint(2**31 - 1), b"\x03\xfa\x06\x00"],
    ids=["endless length", "empty request", "no protobuf", "too long", "unknown method"],
)
def test_malformed_bytes_end_their_own_connection_after_the_answers_before_them(garbage: bytes) -> None:
    async def scenario() -> None:
        with bench() as b:
            connection, wire = b.open()
            other, other_wire = b.open()

            connection.data_received(check_tx_frame(b"a=1") + garbage)
            other.data_received(check_tx_frame(b"b=1"))

            assert wire.answers() == ["check_tx"]
            assert wire.closing
            assert not other_wire.closing
            assert other_wire.answers() == ["check_tx"]
            assert b.failures == []
            assert b.metrics.registry.get_sample_value("evergrid_abci_frames_malformed_total") == 1

    asyncio.run(scenario())


def test_a_failed_block_is_reported_and_nothing_is_sent_for_it() -> None:
    async def scenario() -> None:
        with bench() as b:
            connection, wire = b.open()
            b.app.finalize_block = fail  # type: ignore[method-assign, assignment]

            connection.data_received(
                request_frame(finalize_block=abci.RequestFinalizeBlock(height=1)) + FLUSH
            )

            assert wire.answers() == []
            assert [str(error) for error in b.failures] == ["finalize_block raised OSError: disk full"]

    asyncio.run(scenario())


def fail(_request: abci.RequestFinalizeBlock) -> abci.ResponseFinalizeBlock:
    raise OSError("disk full")
