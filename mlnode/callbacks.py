"""Posts results to the API node and keeps each one until it is acknowledged or its time is over."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from typing import Any

import httpx2
import structlog

from mlnode.metrics import Metrics
from mlnode.settings import Settings

log = structlog.get_logger("mlnode.callbacks")

BACKOFF_FIRST_S = 0.25
# An API node that comes back late in a PoC has a few blocks left.
BACKOFF_MAX_S = 2.0
VALIDATED_POSTS_MAX = 4


def backoff_s(attempt: int) -> float:
    """Doubling waits with jitter, so that a fleet does not come back in step."""
    wait_s: float = min(BACKOFF_FIRST_S * 2**attempt, BACKOFF_MAX_S)
    return wait_s * random.uniform(0.7, 1.3)  # noqa: S311


class Poster:
    """The HTTP client of all callbacks of one service."""

    def __init__(self, settings: Settings, token: str | None, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Callbacks go where the request says and nowhere else: no proxies, no redirects.
        self._client = httpx2.AsyncClient(
            timeout=settings.callback_timeout_s, headers=headers, follow_redirects=False, trust_env=False
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def post(self, url: str, kind: str, body: dict[str, Any]) -> str | None:
        """Why the post was not acknowledged, or None if it was."""
        try:
            response = await self._client.post(f"{url}/{kind}", json=body)
        except httpx2.HTTPError as error:
            problem: str | None = f"{type(error).__name__}: {error}"
        else:
            problem = None if response.is_success else f"status {response.status_code}: {response.text[:200]}"
        self.metrics.callbacks.labels(kind=kind, result="error" if problem else "ok").inc()
        if problem:
            log.warning("callback failed", kind=kind, problem=problem)
        return problem


class GeneratedOutbox:
    """Nonces of one run in ascending order; what is in flight stays the same until it is acknowledged."""

    def __init__(self, poster: Poster, url: str, template: dict[str, Any], batch_max: int) -> None:
        self._poster = poster
        self._url = url
        self._template = template
        self._batch_max = batch_max
        self._found: deque[tuple[int, int]] = deque()
        self._news = asyncio.Event()
        self._deadline: float | None = None
        self.sent = 0
        self.problem: str | None = None
        self.task = asyncio.create_task(self._run())

    def add(self, nonces: list[int], claims: list[int]) -> None:
        self._found.extend(zip(nonces, claims, strict=True))
        self._poster.metrics.nonces_unsent.inc(len(nonces))
        self._news.set()

    def close(self, grace_s: float) -> None:
        """No nonces follow; those that wait are sent within the grace."""
        self._deadline = min(self._deadline or float("inf"), time.monotonic() + grace_s)
        self._news.set()

    def reopen(self) -> bool:
        """Takes the close back; false when it is too late."""
        if self.task.done():
            return False
        self._deadline = None
        return True

    @property
    def unsent(self) -> int:
        return len(self._found)

    async def _run(self) -> None:
        while True:
            self._news.clear()
            if self._found:
                await self._deliver()
            elif self._deadline is not None:
                return
            else:
                await self._news.wait()
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self._give_up()
                return

    async def _deliver(self) -> None:
        """Posts one batch until it is acknowledged or the deadline has come."""
        batch = [self._found[i] for i in range(min(self._batch_max, len(self._found)))]
        body = self._template | {"nonces": [n for n, _ in batch], "dist": [claim for _, claim in batch]}
        attempt = 0
        while self.problem_of(await self._poster.post(self._url, "generated", body)):
            # Who ends the phase is there: it is not kept waiting for what failed while it was not.
            was_open = self._deadline is None
            if not await self._pause(backoff_s(attempt), until_closed=was_open):
                return
            attempt += 1
        for _ in batch:
            self._found.popleft()
        self.sent += len(batch)
        self._poster.metrics.poc_nonces("sent", len(batch))
        self._poster.metrics.nonces_unsent.dec(len(batch))
        if self._deadline is None:
            await self._pause(self._poster.settings.callback_interval_s, until_closed=True)

    def problem_of(self, problem: str | None) -> str | None:
        self.problem = problem
        return problem

    async def _pause(self, seconds: float, *, until_closed: bool = False) -> bool:
        """Waits; false when the deadline has come."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not (until_closed and self._deadline is not None):
            if self._deadline is not None and time.monotonic() >= self._deadline:
                return False
            await asyncio.sleep(min(left, 0.1))
        return self._deadline is None or time.monotonic() < self._deadline

    def _give_up(self) -> None:
        if dropped := len(self._found):
            log.error("nonces dropped", count=dropped, first=self._found[0][0], problem=self.problem)
            self._poster.metrics.poc_nonces("dropped", dropped)
            self._poster.metrics.nonces_unsent.dec(dropped)
            self._found.clear()


class ValidatedOutbox:
    """Verdicts, each on its own: one that the receiver refuses holds up no other."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster
        self._slots = asyncio.Semaphore(VALIDATED_POSTS_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self.problem: str | None = None

    @property
    def unsent(self) -> int:
        return len(self._tasks)

    def add(self, url: str, body: dict[str, Any]) -> None:
        task = asyncio.create_task(self._deliver(url, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, grace_s: float) -> None:
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=grace_s)
        for task in list(self._tasks):
            task.cancel()

    async def _deliver(self, url: str, body: dict[str, Any]) -> None:
        deadline = time.monotonic() + self._poster.settings.callback_grace_s
        attempt = 0
        while True:
            async with self._slots:
                self.problem = await self._poster.post(url, "validated", body)
            if self.problem is None:
                return
            if time.monotonic() >= deadline:
                log.error("verdict dropped", problem=self.problem)
                return
            await asyncio.sleep(backoff_s(attempt))
            attempt += 1
