"""Drives one MLNode from what it does to what it should do, one command at a time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from api_node.intents import Intent, NodeStatus, Puzzle
from api_node.metrics import Metrics
from api_node.mlnode_client import FailureKind, MLNodeClient, MLNodeError, NodeReport
from api_node.node_config import NodeConfig
from api_node.node_state import Command, Current, Served, next_command, status_of, target
from api_node.timeline import Asker, Kind, Timeline
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

log = structlog.get_logger("api_node.worker")

STATUS_INTERVAL_S = 5.0
# Between a command and the look at what it did.
STEP_PAUSE_S = 0.02
BACKOFF_FIRST_S = 0.25
BACKOFF_MAX_S = {
    FailureKind.HOST: 4.0,
    FailureKind.BUSY: 2.0,
    FailureKind.POLICY: 15.0,
    FailureKind.NODE: 8.0,
    FailureKind.CHAIN: 2.0,
}


# Commands that load something, which may take minutes.
LOADS = (Command.INFERENCE_UP, Command.POW_GENERATE, Command.POW_VALIDATE)
# Who stands behind an intent; behind every other the chain does.
ASKERS = {
    reasons_pb2.REASON_ADMIN_DISABLED: Asker.OPERATOR,
    reasons_pb2.REASON_UNDER_TEST: Asker.OPERATOR,
    reasons_pb2.REASON_MAINTENANCE: Asker.WINDOW,
}
InitRequest = Callable[[Puzzle, str], Awaitable[dict[str, object]]]


class NodeWorker:
    """One task per node. A new intent ends the wait for what the old one asked, and drops its result."""

    def __init__(
        self,
        node: NodeConfig,
        client: MLNodeClient,
        init_request: InitRequest,
        metrics: Metrics,
        timeline: Timeline | None = None,
    ) -> None:
        self.node = node
        self.client = client
        self.timeline = timeline or Timeline()
        self.intent: Intent | None = None
        self.intended_since = 0.0
        self.current = Current()
        self.lock_count = 0
        # Answers of others that it judges or that wait for it to do so, one at a time.
        self.validations = 0
        self.judging = asyncio.Semaphore(1)
        self.backoff_until = 0.0
        self.reached = asyncio.Event()
        self._init_request = init_request
        self._metrics = metrics
        self._served: Served | None = None
        self._failures = 0
        self._wake = asyncio.Event()
        self._step: asyncio.Task[bool] | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._prepared: Served | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to reconcile."""
        self._task = asyncio.create_task(self._run(), name=f"node {self.node.id}")

    async def close(self) -> None:
        """Ends the task; the node keeps doing what it does."""
        if self._preparing:
            self._preparing.cancel()
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def intend(self, intent: Intent) -> None:
        """Sets what the node should do; equal intents change nothing."""
        before, self.intent = self.intent, intent
        self._record_intent(before, intent)
        if before is not None and target(before) == target(intent):
            if self.current.reason == before.reason:
                self.current = replace(self.current, reason=intent.reason)
            return
        self.intended_since = time.time()
        self.reached.clear()
        self._failures, self.backoff_until = 0, 0.0
        log.info(
            "intent",
            node_id=self.node.id,
            status=intent.status,
            model=intent.model_id or None,
            reason=reason_word(intent.reason),
            by=intent.height_deadline or None,
        )
        self._overtake(intent)

    def _overtake(self, intent: Intent) -> None:
        """A new target waits for nothing: looks, commands and loads ahead that it does not need end now."""
        if self._step and not self._step.done():
            self._step.cancel()
        if self._preparing and Served.of(intent) not in (self._prepared, self._served):
            self._preparing.cancel()
        self._wake.set()

    def replace_node(self, node: NodeConfig, client: MLNodeClient) -> None:
        """The operator changed where or what the node is: what it serves there is not known."""
        self.node, self.client, self._served = node, client, None
        self.wake()

    def wake(self) -> None:
        """Looks at the node again now."""
        self._wake.set()

    @property
    def serves(self) -> str:
        """The model that the node serves now, as far as is known; empty where none."""
        return self.current.model_id if self.current.status == NodeStatus.INFERENCE else ""

    @property
    def holds_puzzle(self) -> Puzzle | None:
        """The puzzle that is loaded and not being mined."""
        return None if self.current.status == NodeStatus.POC_GENERATE else self.current.puzzle

    def report_failure(self, error: MLNodeError) -> None:
        """Somebody else's call to the node failed; that is stale where the node does not serve any more."""
        if self.current.status != NodeStatus.INFERENCE:
            return
        self._fail(error)
        self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            intent, arrived = self.intent, False
            if intent is not None and time.monotonic() >= self.backoff_until:
                self._step = asyncio.create_task(self._reconcile(intent))
                try:
                    arrived = await self._step
                except asyncio.CancelledError:
                    if self._task and self._task.cancelling():
                        raise
                    continue
            wait_s: float | None = (
                STATUS_INTERVAL_S if arrived else max(STEP_PAUSE_S, self.backoff_until - time.monotonic())
            )
            if intent is None or (arrived and intent.status == NodeStatus.MAINTENANCE):
                # A node in maintenance is not asked anything until the window is over.
                wait_s = STATUS_INTERVAL_S if intent is None else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait_s)

    async def _reconcile(self, intent: Intent) -> bool:
        """One look and one command; true when nothing is left to do."""
        if intent.status == NodeStatus.MAINTENANCE:
            return await self._leave(intent)
        try:
            report = await self.client.report()
            self._observe(intent, report)
            command = next_command(intent, report, self._served)
            if command is None:
                self._failures = 0
                self.reached.set()
                return True
            self.reached.clear()
            await self._execute(command, intent)
        except MLNodeError as error:
            self._fail(error)
            return False
        except Exception:
            # A bug in the handling of one node must not leave it without a worker.
            log.exception("worker failed", node_id=self.node.id)
            self.backoff_until = time.monotonic() + STATUS_INTERVAL_S
            return False
        return False

    async def _leave(self, intent: Intent) -> bool:
        """Stops the node once, if it can be reached, and leaves it to its operator."""
        if self.current.status == NodeStatus.MAINTENANCE:
            return True
        try:
            await self._execute(Command.STOP, intent)
        except MLNodeError as error:
            log.info("node is left as it is", node_id=self.node.id, problem=str(error))
        # Whatever it serves when it is back, it is looked at first and asked anew.
        self._served = None
        self._become(Current(NodeStatus.MAINTENANCE, "", None, intent.reason))
        self.reached.set()
        return True

    async def _execute(self, command: Command, intent: Intent) -> None:
        started, result = time.monotonic(), "error"
        until = time.time() + self.client.command_timeout_s
        self.current = replace(self.current, command=str(command), deadline=until)
        if command in LOADS:
            log.info(
                "waiting for the node",
                node_id=self.node.id,
                command=str(command),
                reason=reason_word(reasons_pb2.REASON_MODEL_LOADING),
                seconds_max=self.client.command_timeout_s,
            )
        try:
            await self._call(command, intent)
            result = "ok"
        except asyncio.CancelledError:
            result = "superseded"
            raise
        finally:
            self.current = replace(self.current, command="", deadline=0.0)
            self._metrics.reconcile.labels(self.node.id, str(command), result).inc()
            seconds = round(time.monotonic() - started, 3)
            self.timeline.record(
                self.node.id,
                Kind.COMMAND,
                before=str(command),
                after=result,
                reason=reason_word(intent.reason) or "",
                duration_s=seconds,
            )
            log.info("command", node_id=self.node.id, command=str(command), result=result, seconds=seconds)

    async def _call(self, command: Command, intent: Intent) -> None:
        client = self.client
        if command == Command.INFERENCE_UP:
            self._served = None
            await client.inference_up(intent.model_id, intent.args, intent.hf_repo, intent.hf_commit)
            self._served = Served.of(intent)
        elif command in {Command.POW_GENERATE, Command.POW_VALIDATE}:
            assert intent.puzzle is not None
            phase = "generate" if command == Command.POW_GENERATE else "validate"
            await client.pow_init(phase, await self._init_request(intent.puzzle, self.node.id))
        elif command == Command.POW_STOP:
            await client.pow_stop()
        elif command == Command.INFERENCE_DOWN:
            await client.inference_down()
        else:
            await client.stop()

    def prepare(self, intent: Intent) -> None:
        """Has the node load the intent's model ahead; that it could not is only logged."""
        self._prepared = Served.of(intent)
        if self._preparing is not None:
            self._preparing.cancel()
        self._preparing = asyncio.create_task(self._prepare(intent), name=f"prepare {self.node.id}")

    async def _prepare(self, intent: Intent) -> None:
        try:
            loaded = await self.client.inference_prepare(
                intent.model_id, intent.args, intent.hf_repo, intent.hf_commit
            )
        except MLNodeError as error:
            log.info("model not prepared", node_id=self.node.id, model=intent.model_id, problem=str(error))
        else:
            log.info("model prepared", node_id=self.node.id, model=intent.model_id, loaded=loaded)

    def _observe(self, intent: Intent, report: NodeReport) -> None:
        status = status_of(report)
        if report.pow_node_id and status == NodeStatus.POC_GENERATE and report.pow_node_id != self.node.id:
            raise MLNodeError(FailureKind.POLICY, f"the MLNode generates for node {report.pow_node_id}")
        puzzle = Puzzle(report.pow_height, report.pow_seed) if report.pow_seed else None
        if report.pow_status in {"NOT_LOADED", "LOADING"}:
            puzzle = None
        waiting = status != intent.status
        reason = intent.reason
        if waiting and intent.status == NodeStatus.INFERENCE:
            reason = reasons_pb2.REASON_MODEL_LOADING
        self._become(Current(status, report.model, puzzle, reason, report.reason))

    def _become(self, current: Current) -> None:
        before = self.current
        changed = (before.status, before.model_id) != (current.status, current.model_id)
        since = current.since if changed else before.since
        self.current = replace(current, since=since)
        if changed:
            self._record_state(before, current)
            log.info(
                "state",
                node_id=self.node.id,
                status=current.status,
                before=before.status,
                model=current.model_id or None,
                reason=reason_word(current.reason),
            )

    def _record_state(self, before: Current, current: Current) -> None:
        wanted = self.intent is not None and current.status == self.intent.status
        self.timeline.record(
            self.node.id,
            Kind.STATE,
            before=_shown(before.status, before.model_id),
            after=_shown(current.status, current.model_id),
            reason=reason_word(current.reason) or "",
            asked_by=Asker.WORKER if wanted else Asker.NODE,
            duration_s=max(0.0, current.since - before.since),
            text=current.text,
        )

    def _record_intent(self, before: Intent | None, intent: Intent) -> None:
        if before is not None and _announced(before) == _announced(intent):
            return
        self.timeline.record(
            self.node.id,
            Kind.INTENT,
            before=_shown(before.status, before.model_id, drains=_drains(before)) if before else "",
            after=_shown(intent.status, intent.model_id, drains=_drains(intent)),
            reason=reason_word(intent.reason) or "",
            asked_by=Asker.OPERATOR if intent.by_operator else ASKERS.get(intent.reason, Asker.CHAIN),
            text=f"by height {intent.height_deadline}" if intent.height_deadline else "",
        )

    def _fail(self, error: MLNodeError) -> None:
        self._failures += 1
        wait_s = min(BACKOFF_FIRST_S * 2 ** (self._failures - 1), BACKOFF_MAX_S[error.kind])
        self.backoff_until = time.monotonic() + wait_s
        said = replace(self.current, reason=error.reason, text=str(error), deadline=time.time() + wait_s)
        if error.kind in {FailureKind.BUSY, FailureKind.CHAIN}:
            # The node goes on with what it does.
            self._become(said)
        else:
            if error.kind == FailureKind.HOST:
                self._served = None
            self._become(replace(said, status=NodeStatus.FAILED, model_id="", puzzle=None, since=time.time()))
        log.info(
            "waiting for the node",
            node_id=self.node.id,
            reason=reason_word(error.reason),
            problem=str(error),
            retry_s=wait_s,
        )


def _announced(intent: Intent) -> tuple[object, ...]:
    """What of an intent is told to people."""
    return (*target(intent), intent.admits, intent.reason)


def _drains(intent: Intent) -> bool:
    return intent.status == NodeStatus.INFERENCE and not intent.admits


def _shown(status: NodeStatus, model_id: str, *, drains: bool = False) -> str:
    """A state in a few words."""
    return f"{status} {model_id}".strip() + (", admits none" if drains else "")


def reason_word(reason: reasons_pb2.Reason) -> str | None:
    """The reason as logs, errors and answers say it."""
    word = reasons_pb2.Reason.Name(reason).removeprefix("REASON_").lower()
    return None if word == "unspecified" else word
