"""Who executes a request: drawn by throughput among those who may serve now, retried, waited for.

A request is lost only when nobody could serve it for as long as it may wait. Before its first byte it is
tried with one executor after another; where none can take it, it waits for the next block, for room, or for
an executor that is back.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence

import httpx2
import structlog

from api_node.breaker import Breakers, BreakerState, Failure, Key
from api_node.broker import Broker, Node
from api_node.chain import ChainReader
from api_node.errors import REASON_OF_FAILURE, ApiError, ExecutorFailedError, unavailable
from api_node.maintenance import drain_blocks, routable
from api_node.metrics import Metrics
from api_node.node_worker import reason_word
from api_node.orchestrator import Orchestrator
from api_node.purse import LatestAnswers
from api_node.relay import Reply
from api_node.settings import Settings
from api_node.view import ChainView
from api_node.waiting import WaitingRoom
from client.chain import CODE_NOT_FOUND, ChainError
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.maintenance.v1 import maintenance_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

log = structlog.get_logger("api_node.routing")

POLL_S = 0.25
PROBE_TIMEOUT_S = 2.0
OWN = "own/"
# Tries with an executor: an own node, or None for another participant. Raises ApiError.
Attempt = Callable[[inference_pb2.Executor, Node | None], Awaitable[Reply]]


def weighted_order(
    executors: Sequence[inference_pb2.Executor], rng: random.Random
) -> list[inference_pb2.Executor]:
    """Executors in an order drawn by throughput, so that load follows capability."""
    left, order = list(executors), []
    while left:
        chosen = rng.choices(left, [max(1, each.throughput) for each in left])[0]
        order.append(chosen)
        left.remove(chosen)
    return order


class Router:
    """Finds an executor for each request of one API node."""

    def __init__(
        self,
        *,
        settings: Settings,
        orchestrator: Orchestrator,
        broker: Broker,
        answers: LatestAnswers,
        peers: httpx2.AsyncClient,
        metrics: Metrics,
    ) -> None:
        self.breakers = Breakers()
        self.room = WaitingRoom(settings.queue_places_max)
        self._settings = settings
        self._orchestrator = orchestrator
        self._reader: ChainReader = orchestrator.reader
        self._broker = broker
        self._answers = answers
        self._peers = peers
        self._metrics = metrics
        self._windows_at = -1
        self._windows_known: list[maintenance_pb2.MaintenanceWindow] = []
        self._rng = random.Random()  # noqa: S311 - it spreads load, nothing depends on its secrecy
        self._probes: set[asyncio.Task[None]] = set()
        broker.released = self.room.wake_one

    async def close(self) -> None:
        """Ends what looks after executors in the background."""
        for task in self._probes:
            task.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)

    def on_view(self, view: ChainView) -> None:
        """The chain went on: others may serve now."""
        self.breakers.keep(frozenset(view.effective.models))
        self.room.wake_all()
        self.show_metrics()

    def show_metrics(self) -> None:
        """Sets the gauges of queues and breakers."""
        for model_id, length in self.room.lengths().items():
            self._metrics.queue_length.labels(model_id).set(length)
        counts: dict[tuple[str, str], int] = {}
        for model_id, state in self.breakers.counts(time.monotonic()):
            counts[model_id, str(state)] = counts.get((model_id, str(state)), 0) + 1
        self._metrics.show_breakers(counts)

    async def serve(self, model_id: str, attempt: Attempt) -> Reply:
        """The reply of the first executor that gives one; raises ApiError, after a wait if that may help."""
        until = time.monotonic() + self._settings.queue_wait_s
        reason = reasons_pb2.REASON_BUSY
        # Who comes while others wait does not go before them.
        if not self.room.length(model_id):
            reply, reason = await self._round(model_id, attempt)
            if reply is not None:
                return reply
        with self.room.place(model_id) as place:
            self.show_metrics()
            try:
                while (left := until - time.monotonic()) > 0:
                    await place.news(min(POLL_S, left))
                    reply, reason = await self._round(model_id, attempt)
                    if reply is not None:
                        return reply
            finally:
                self._metrics.queue_length.labels(model_id).set(self.room.length(model_id) - 1)
        raise unavailable(f"nobody can serve {model_id} now: {reason_word(reason)}", reason)

    async def _round(self, model_id: str, attempt: Attempt) -> tuple[Reply | None, reasons_pb2.Reason]:
        """One try with each executor that may serve; the reply, or why there is none."""
        try:
            executors = await self.executors(model_id)
        except ChainError as error:
            problem = str(error)
            log.info("waiting for the chain", reason="chain_unreachable", problem=problem, retry_s=POLL_S)
            return None, reasons_pb2.REASON_CHAIN_UNREACHABLE
        reason = reasons_pb2.REASON_NO_SLOT_IN_FORCE
        for executor in self._ordered(executors):
            if executor.participant == self._reader.address:
                reply, reason = await self._try_own(executor, model_id, attempt)
            else:
                reply, reason = await self._try_other(executor, model_id, attempt)
            if reply is not None:
                return reply, reason
        return None, reason

    def _ordered(self, executors: Sequence[inference_pb2.Executor]) -> list[inference_pb2.Executor]:
        order = weighted_order(executors, self._rng)
        if self._settings.executor_order == "own_first":
            order.sort(key=lambda each: each.participant != self._reader.address)
        return order

    # who may serve

    async def executors(self, model_id: str) -> list[inference_pb2.Executor]:
        """Who may serve a model in the next block; raises ApiError, or ChainError where nobody knows."""
        view = await self._view()
        if not view.effective.models:
            raise unavailable("no epoch with models has begun yet", reasons_pb2.REASON_NO_EPOCH_DATA)
        grace = max(0, view.params.inference.slot_grace - 1)
        request = inference_pb2.QueryExecutorsRequest(model_id=model_id)
        try:
            answer = await self._answers.ask(request, inference_pb2.QueryExecutorsResponse, grace)
        except ChainError as error:
            if error.code != CODE_NOT_FOUND:
                raise
            served = ", ".join(sorted(view.effective.models))
            text = f"{model_id} is no model of epoch {view.effective.epoch_index}; those are {served}"
            raise ApiError(404, text, code="model_not_found") from error
        return routable(answer.executors, await self._windows(), view.height + 1, drain_blocks(view.params))

    async def _view(self) -> ChainView:
        """The chain as it is; a node that has just started waits for it as long as a request may."""
        until = time.monotonic() + self._settings.queue_wait_s
        while (view := self._orchestrator.view) is None:
            if time.monotonic() >= until:
                text = f"this node waits for the chain: {self._orchestrator.problem}"
                raise unavailable(text, reasons_pb2.REASON_CHAIN_UNREACHABLE)
            await asyncio.sleep(POLL_S)
        return view

    async def _windows(self) -> list[maintenance_pb2.MaintenanceWindow]:
        """What all participants have announced, asked once for each height."""
        height = self._reader.height
        if self._windows_at != height:
            try:
                self._windows_known = await self._reader.windows(height=height)
                self._windows_at = height
            except ChainError:
                if self._windows_at < 0:
                    raise
        return self._windows_known

    # tries

    async def _try_own(
        self, executor: inference_pb2.Executor, model_id: str, attempt: Attempt
    ) -> tuple[Reply | None, reasons_pb2.Reason]:
        keys = {node_id: (OWN + node_id, model_id) for node_id in executor.node_ids}
        untried = dict(keys)
        while True:
            now = time.monotonic()
            able = [node_id for node_id, key in untried.items() if self.breakers.may_take(key, now)]
            node = self._broker.lock_available_node(model_id, able)
            if node is None:
                break
            key = untried.pop(node.config.id)
            self.breakers.take(key, now)
            reply, reason = await self._attempted(key, attempt(executor, node))
            if reply is not None:
                return reply, reason
        failures = [failure for key in keys.values() if (failure := self.breakers.failure(key))]
        why = self._broker.why_not(model_id, list(keys))
        return None, REASON_OF_FAILURE[failures[0]] if failures else why

    async def _try_other(
        self, executor: inference_pb2.Executor, model_id: str, attempt: Attempt
    ) -> tuple[Reply | None, reasons_pb2.Reason]:
        key, now = (executor.participant, model_id), time.monotonic()
        if not executor.url:
            return None, reasons_pb2.REASON_UNREACHABLE
        failure = self.breakers.failure(key)
        gone = failure == Failure.UNREACHABLE
        if gone and self.breakers.state(key, now) == BreakerState.PROBATION:
            # No request is risked on who did not answer: its status page is asked first.
            if self.breakers.take(key, now):
                self._spawn_probe(key, executor.url)
            return None, reasons_pb2.REASON_UNREACHABLE
        if not self.breakers.take(key, now):
            return None, REASON_OF_FAILURE[failure or Failure.BUSY]
        return await self._attempted(key, attempt(executor, None))

    async def _attempted(
        self, key: Key, attempt: Awaitable[Reply]
    ) -> tuple[Reply | None, reasons_pb2.Reason]:
        try:
            reply = await attempt
        except ExecutorFailedError as error:
            self.breakers.failed(key, error.failure, time.monotonic())
            self._metrics.attempts.labels(key[1], str(error.failure)).inc()
            log.info(
                "executor failed", executor=key[0], model=key[1], reason=error.reason, text=error.message
            )
            return None, REASON_OF_FAILURE[error.failure]
        except BaseException:
            self.breakers.let_go(key)
            raise
        self._metrics.attempts.labels(key[1], "ok").inc()
        if self.breakers.succeeded(key):
            self.room.wake_all()
        return reply, reasons_pb2.REASON_UNSPECIFIED

    def _spawn_probe(self, key: Key, url: str) -> None:
        task = asyncio.create_task(self._probe(key, url), name=f"probe {key[0]}")
        self._probes.add(task)
        task.add_done_callback(self._probes.discard)

    async def _probe(self, key: Key, url: str) -> None:
        """Whether an executor that did not answer is back."""
        back = False
        try:
            status = f"{url.rstrip('/')}/v1/status"
            async with self._peers.stream("GET", status, timeout=PROBE_TIMEOUT_S) as reply:
                back = reply.status_code == httpx2.codes.OK
        except (httpx2.HTTPError, httpx2.InvalidURL):
            back = False
        if back:
            self.breakers.reachable(key)
            self.room.wake_all()
        else:
            self.breakers.failed(key, Failure.UNREACHABLE, time.monotonic())
