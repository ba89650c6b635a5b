"""One connection of CometBFT: answers in the order of the requests, in turns that leave room for others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final, cast

import structlog

from abci_app.node.codec import FRAME_BYTES_MAX, FrameError, FrameReader
from abci_app.node.dispatch import Dispatcher, decode_request
from abci_app.node.metrics import Metrics

log = structlog.get_logger(__name__)

# A flood of CheckTx is served in slices of so many frames; between two slices every connection gets a turn.
FRAMES_PER_TURN: Final = 16


@dataclass
class Hub:
    """What the connections of one server share."""

    loop: asyncio.AbstractEventLoop
    dispatcher: Dispatcher
    metrics: Metrics
    query_pool: Executor
    failed: Callable[[Exception], None]
    frame_bytes_max: int = FRAME_BYTES_MAX
    connections: dict[Connection, None] = field(default_factory=dict)
    empty: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: bool = False


class Connection(asyncio.Protocol):
    """Reads while no whole frame waits, however long the unfinished one is; a pause there would never end."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._reader = FrameReader(hub.frame_bytes_max)
        self._transport: asyncio.Transport | None = None
        self._turn_due = False
        self._query_running = False
        self._peer_slow = False

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._hub.connections[self] = None
        self._hub.empty.clear()
        self._hub.metrics.connections.inc()
        if self._hub.stopping:
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._hub.connections.pop(self, None)
        if not self._hub.connections:
            self._hub.empty.set()
        self._hub.metrics.connections.dec()
        log.info("connection closed", reason=str(exc) if exc else "the peer is done")

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if not self._turn_due:
            self._take_turn()

    def pause_writing(self) -> None:
        self._peer_slow = True

    def resume_writing(self) -> None:
        self._peer_slow = False
        if not self._turn_due:
            self._take_turn()

    # What the server calls.

    def finish(self) -> None:
        """Ends the connection once the query in hand is answered and all answers are sent."""
        if self._transport is not None and not self._query_running:
            self._transport.close()

    def abort(self) -> None:
        """Ends the connection at once; what is not yet sent never will be."""
        if self._transport is not None:
            self._transport.abort()

    # A turn.

    def _take_turn(self) -> None:
        self._turn_due = False
        answers: list[bytes] = []
        try:
            self._answer_slice(answers)
            self._send(answers)
            self._plan_next_turn()
        except FrameError as error:
            self._send(answers)
            self._refuse(error)
        except Exception as error:  # noqa: BLE001 - the application's failure or a bug of ours: no reply, and stop
            self._hub.failed(error)

    def _waiting(self) -> bool:
        transport = self._transport
        gone = transport is None or transport.is_closing()
        return gone or self._query_running or self._peer_slow or self._hub.stopping

    def _answer_slice(self, answers: list[bytes]) -> None:
        for _ in range(FRAMES_PER_TURN):
            if self._waiting():
                return
            frame = self._reader.next_frame()
            if frame is None:
                return
            method, request = decode_request(frame)
            if method == "query":
                self._start_query(request)
            else:
                answers.append(self._hub.dispatcher.answer(method, request))

    def _send(self, answers: list[bytes]) -> None:
        if answers and self._transport is not None and not self._transport.is_closing():
            self._transport.write(answers[0] if len(answers) == 1 else b"".join(answers))

    def _plan_next_turn(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if not self._reader.has_frame():
            transport.resume_reading()
            return
        transport.pause_reading()
        if not self._waiting():
            self._turn_due = True
            self._hub.loop.call_soon(self._take_turn)

    def _refuse(self, error: FrameError) -> None:
        self._hub.metrics.frames_malformed.inc()
        log.warning("malformed bytes; closing this connection", error=str(error))
        if self._transport is not None:
            self._transport.close()

    # Queries: one at a time on a connection, so that answers keep their order; others wait in the reader.

    def _start_query(self, request: Any) -> None:
        self._query_running = True
        running = self._hub.loop.run_in_executor(
            self._hub.query_pool, self._hub.dispatcher.answer, "query", request
        )
        running.add_done_callback(self._query_done)

    def _query_done(self, done: asyncio.Future[bytes]) -> None:
        self._query_running = False
        if done.cancelled() or self._transport is None:
            return
        self._send([done.result()])
        if self._hub.stopping:
            self.finish()
        elif not self._turn_due:
            self._take_turn()
