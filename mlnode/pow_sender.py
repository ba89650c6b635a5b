"""Two pieces of generation under way: one is computed while the results of the other are read and sent."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from mlnode.pow import PocParams
from mlnode.pow_engine import Pending

IN_FLIGHT = 2


@dataclass(frozen=True, slots=True)
class Piece:
    """Nonces first … first + count - 1 of a run, handed to the device."""

    run_id: int
    params: PocParams
    first: int
    count: int
    pending: Pending
    started: float


class PieceSender(threading.Thread):
    """Waits for the device and hands the claims on, in the order of the pieces; it inherits its priority.

    On a card the wait leaves the interpreter to the thread that queues the next kernels; on a processor
    the piece is computed already, and what is left is to encode and send it.
    """

    def __init__(
        self,
        done: Callable[[Piece, list[int | None], float], None],
        failed: Callable[[Piece, Exception], None],
        in_flight: int = IN_FLIGHT,
    ) -> None:
        super().__init__(name="poc-send", daemon=True)
        self._done = done
        self._failed = failed
        self._in_flight = in_flight
        self._room = threading.Semaphore(in_flight)
        self._pieces: queue.SimpleQueue[Piece] = queue.SimpleQueue()

    def reserve(self) -> None:
        """Waits until fewer pieces than allowed are under way; `put` or `release` must follow."""
        self._room.acquire()

    def release(self) -> None:
        self._room.release()

    def put(self, piece: Piece) -> None:
        self._pieces.put(piece)

    def settle(self) -> None:
        """Returns when everything that was handed over is sent or has failed."""
        for _ in range(self._in_flight):
            self._room.acquire()
        self._room.release(self._in_flight)

    def run(self) -> None:
        done_before = 0.0
        while True:
            piece = self._pieces.get()
            try:
                claims = piece.pending.claims()
            except (RuntimeError, MemoryError) as error:
                self._failed(piece, error)
            else:
                now = time.monotonic()
                # While two are under way the second one's own time begins when the first one is done.
                self._done(piece, claims, now - max(piece.started, done_before))
                done_before = now
            self._room.release()
