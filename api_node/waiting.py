"""Requests that wait until somebody may serve them: a bounded queue for each model, first come first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from api_node.errors import ApiError
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

FULL_RETRY_AFTER_S = 2


class Place:
    """One request's place in a queue."""

    def __init__(self) -> None:
        self._news: asyncio.Future[None] | None = None

    @property
    def sleeps(self) -> bool:
        """Whether it waits for news now."""
        return self._news is not None and not self._news.done()

    async def news(self, timeout_s: float) -> None:
        """Returns when it is woken, or after the time-out."""
        self._news = asyncio.get_running_loop().create_future()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news, timeout_s)
        self._news = None

    def wake(self) -> None:
        """Something changed."""
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


class WaitingRoom:
    """The queues of all models. A model's queue is bounded; who finds it full is told to come again."""

    def __init__(self, places_max: int) -> None:
        self._places_max = places_max
        self._queues: dict[str, list[Place]] = {}

    def length(self, model_id: str) -> int:
        """How many requests wait for a model."""
        return len(self._queues.get(model_id, ()))

    def lengths(self) -> dict[str, int]:
        """How many requests wait, by model; of models for which any do."""
        return {model_id: len(queue) for model_id, queue in self._queues.items()}

    @contextlib.contextmanager
    def place(self, model_id: str) -> Iterator[Place]:
        """A place at the end of a model's queue; raises ApiError 429 where it is full."""
        queue = self._queues.setdefault(model_id, [])
        if len(queue) >= self._places_max:
            text = f"{len(queue)} requests wait for {model_id} already: the queue is full"
            busy = reasons_pb2.REASON_BUSY
            raise ApiError(429, text, reason=busy, code="queue_full", retry_after_s=FULL_RETRY_AFTER_S)
        place = Place()
        queue.append(place)
        try:
            yield place
        finally:
            queue.remove(place)
            if not queue:
                del self._queues[model_id]

    def wake_one(self, model_id: str) -> None:
        """Room for one request: the first that sleeps tries."""
        for place in self._queues.get(model_id, ()):
            if place.sleeps:
                place.wake()
                return

    def wake_all(self) -> None:
        """The chain went on, or an executor is back: all try, in their order."""
        for queue in self._queues.values():
            for place in queue:
                place.wake()
