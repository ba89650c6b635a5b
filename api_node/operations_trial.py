"""Tries a node out before it is needed: reach, download, load, infer, generate nonces; pass, or why not."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import httpx2
import structlog

from api_node.broker import Broker, Node
from api_node.intents import Intent, NodeStatus
from api_node.mlnode_client import MLNodeError, refusal_text
from api_node.operations import countdown, trial_refusal
from api_node.operations_batch import at_work
from api_node.orchestrator import Orchestrator, poc_params_json
from api_node.phases import NodeFacts
from api_node.timeline import Asker, Kind
from api_node.view import ChainView
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from protocol.model_args import merge_model_args

log = structlog.get_logger("api_node.trial")

STEPS = ("reach", "download", "load", "infer", "nonces")
NONCES_MIN = 4
NONCES_WAIT_S = 120.0
LOOK_S = 0.1
# The worker leaves a node with the next look at the chain.
TAKE_OVER_S = 10.0
TOKENS_MAX = 16
PROMPT = [{"role": "user", "content": "Say that you are there."}]


class Result(StrEnum):
    """What became of a step, or of a whole test."""

    WAITING = "waiting"
    RUNNING = "running"
    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    SKIPPED = "skipped"


class StepFailedError(Exception):
    """A step did not do what it should; the text says what was seen."""


class TrialRefusedError(Exception):
    """The node cannot be tested now; the text says why and what ends that."""


@dataclass
class Step:
    """One step of a test."""

    name: str
    result: Result = Result.WAITING
    seconds: float | None = None
    text: str = ""


@dataclass
class Trial:
    """A test that runs or ran. Its nonces are of a seed of its own and go nowhere."""

    node_id: str
    model_id: str
    seed: str = field(default_factory=lambda: secrets.token_hex(32))
    started: float = field(default_factory=time.time)
    steps: list[Step] = field(default_factory=lambda: [Step(name) for name in STEPS])
    nonces: list[int] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def result(self) -> Result:
        """Of the whole: it passes where each step does; skipped: it ended early without a fault."""
        if not self.done.is_set():
            return Result.RUNNING
        results = {step.result for step in self.steps}
        if Result.FAIL in results:
            return Result.FAIL
        return Result.PASS if results == {Result.PASS} else Result.SKIPPED

    def describe(self) -> dict[str, Any]:
        """For the admin API."""
        return {
            "node_id": self.node_id,
            "model": self.model_id,
            "result": str(self.result),
            "started": self.started,
            "steps": [
                {"step": each.name, "result": str(each.result), "seconds": each.seconds, "text": each.text}
                for each in self.steps
            ],
        }


class Trials:
    """The last test of each node; one at a time for each."""

    def __init__(
        self, orchestrator: Orchestrator, broker: Broker, *, callback_url: str, public_key: bytes
    ) -> None:
        self.last: dict[str, Trial] = {}
        self._orchestrator = orchestrator
        self._broker = broker
        self._callback_url = callback_url
        self._public_key = public_key.hex()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, node_id: str, model_id: str = "") -> Trial:
        """Starts a test; raises KeyError for an unknown node and TrialRefusedError."""
        node, view = self._broker.nodes[node_id], self._orchestrator.view
        refusal = trial_refusal(view, node.facts, node.worker.intent, at_work(self._broker, node_id))
        if refusal:
            raise TrialRefusedError(f"node {node_id} cannot be tested now: {refusal}")
        assert view is not None
        chosen = model_id or _first_model(view, node.facts)
        if chosen not in view.governance_models and chosen not in node.config.models:
            raise TrialRefusedError(f"the model {chosen} is neither registered nor configured on {node_id}")
        trial = self.last[node_id] = Trial(node_id, chosen)
        node.tested = True
        self._orchestrator.look_again()
        self._tasks[node_id] = asyncio.create_task(self._run(trial, node, view), name=f"test {node_id}")
        return trial

    async def close(self) -> None:
        """Ends what runs."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def take(self, node_id: str, seed: str, nonces: list[int], claims: int) -> bool:
        """Nonces of a test arrive; whether the test waits for them. Raises ValueError for wrong ones."""
        trial = self.last.get(node_id)
        if trial is None or trial.done.is_set() or seed.lower() != trial.seed:
            return False
        if len(nonces) != claims or nonces != sorted(set(nonces)):
            raise ValueError(f"{len(nonces)} nonces have {claims} claims, or do not rise")
        trial.nonces += nonces
        trial.news.set()
        return True

    # the test

    async def _run(self, trial: Trial, node: Node, view: ChainView) -> None:
        started = time.monotonic()
        work = asyncio.create_task(self._steps(trial, node, view))
        wanted, taken = "", False
        try:
            while not work.done() and not wanted:
                await asyncio.wait({work}, timeout=LOOK_S)
                taken = taken or (node.worker.intent is not None and _is_left(node.worker.intent))
                if taken or time.monotonic() - started > TAKE_OVER_S:
                    wanted = self._wanted_elsewhere(trial, node)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            self._finish(trial, node, wanted, time.monotonic() - started)

    def _wanted_elsewhere(self, trial: Trial, node: Node) -> str:
        """Why the test must end early: the node is gone, or a stage of the chain has it."""
        if self._broker.nodes.get(trial.node_id) is not node:
            return "the node was removed"
        intent = node.worker.intent
        if intent is None or _is_left(intent):
            return ""
        view = self._orchestrator.view
        stage = countdown(view, None).stage if view else "a change"
        return f"the node is wanted for {stage}: test it behind the PoC"

    def _finish(self, trial: Trial, node: Node, wanted: str, seconds: float) -> None:
        for step in trial.steps:
            if step.result in {Result.WAITING, Result.RUNNING}:
                step.result, step.text = Result.SKIPPED, wanted or step.text or "the test ended before"
        node.tested = False
        trial.done.set()
        self._orchestrator.look_again()
        failed = next((step for step in trial.steps if step.result != Result.PASS), None)
        text = f"{failed.name}: {failed.text}" if failed else ""
        self._broker.timeline.record(
            trial.node_id,
            Kind.COMMAND,
            before="test",
            after=str(trial.result),
            asked_by=Asker.OPERATOR,
            duration_s=seconds,
            text=text,
        )
        self._broker.metrics.node_tests.labels(trial.node_id, str(trial.result)).inc()
        log.info("test", node_id=trial.node_id, result=str(trial.result), problem=text or None)

    async def _steps(self, trial: Trial, node: Node, view: ChainView) -> None:
        client, intent = node.worker.client, _model_intent(view, node.facts, trial.model_id)
        model = (intent.model_id, intent.args, intent.hf_repo, intent.hf_commit)

        async def reach() -> str:
            await self._taken_over(node)
            report = await client.report()
            return f"state {report.state}" + (f", {report.reason}" if report.reason else "")

        async def download() -> str:
            loaded = await client.inference_prepare(*model)
            return "the files are there and checked" + (", the model is in memory" if loaded else "")

        async def load() -> str:
            await client.inference_up(*model)
            return f"{trial.model_id} is up"

        async def infer() -> str:
            return await self._infer(node, trial.model_id)

        async def nonces() -> str:
            return await self._nonces(trial, node, view)

        reached = await _do(trial.steps[0], reach)
        if reached:
            await _do(trial.steps[1], download)
            loaded = await _do(trial.steps[2], load)
            await _do(trial.steps[3], infer, skip="" if loaded else "the model is not up")
            await _do(trial.steps[4], nonces)
            with_stop = asyncio.wait_for(client.stop(), NONCES_WAIT_S)
            await asyncio.gather(with_stop, return_exceptions=True)
            return
        for step in trial.steps[1:]:
            step.result, step.text = Result.SKIPPED, "the node is not reached"

    async def _taken_over(self, node: Node) -> None:
        """Waits until the worker has stopped the node and leaves it alone."""
        worker = node.worker
        async with asyncio.timeout(NONCES_WAIT_S):
            while worker.intent is None or not _is_left(worker.intent):  # noqa: ASYNC110 - set by the next view
                await asyncio.sleep(LOOK_S)
            await worker.reached.wait()

    async def _infer(self, node: Node, model_id: str) -> str:
        body = {"model": model_id, "messages": PROMPT, "max_tokens": TOKENS_MAX, "temperature": 0}
        started = time.monotonic()
        try:
            reply = await self._broker.http.post(f"{node.config.inference_url}/chat/completions", json=body)
            fields = reply.json() if reply.is_success else {}
        except (httpx2.HTTPError, ValueError) as error:
            raise StepFailedError(f"{type(error).__name__}: {error}") from error
        if not reply.is_success:
            raise StepFailedError(refusal_text(reply))
        tokens = int((fields.get("usage") or {}).get("completion_tokens") or 0)
        if not tokens or not fields.get("choices"):
            raise StepFailedError("the answer has no tokens")
        return f"{tokens} tokens, {tokens / max(1e-3, time.monotonic() - started):.1f} tokens/s"

    async def _nonces(self, trial: Trial, node: Node, view: ChainView) -> str:
        client = node.worker.client
        await client.inference_down()
        request = {
            "node_id": trial.node_id,
            "block_hash": trial.seed,
            "block_height": view.height,
            "public_key": self._public_key,
            "params": poc_params_json(view.params.poc),
            "first_nonce": 0,
            "url": f"{self._callback_url}/v1/tests/{trial.node_id}",
        }
        await client.pow_init("generate", request)
        started = time.monotonic()
        try:
            async with asyncio.timeout(NONCES_WAIT_S):
                while len(trial.nonces) < NONCES_MIN:
                    trial.news.clear()
                    await trial.news.wait()
        except TimeoutError:
            came = f"{len(trial.nonces)} nonces came within {NONCES_WAIT_S:g} s"
            raise StepFailedError(f"{came}: does the node reach {self._callback_url}?") from None
        rate = len(trial.nonces) / max(1e-3, time.monotonic() - started)
        return f"{len(trial.nonces)} nonces, about {rate:.1f} a second"


async def _do(step: Step, work: Callable[[], Awaitable[str]], skip: str = "") -> bool:
    """Runs a step and notes what became of it."""
    if skip:
        step.result, step.text = Result.SKIPPED, skip
        return False
    started, step.result = time.monotonic(), Result.RUNNING
    try:
        step.text, step.result = await work(), Result.PASS
    except (MLNodeError, StepFailedError) as error:
        step.text, step.result = str(error), Result.FAIL
    except TimeoutError:
        step.text, step.result = "it was not ready in time", Result.FAIL
    step.seconds = round(time.monotonic() - started, 3)
    return step.result == Result.PASS


def _is_left(intent: Intent) -> bool:
    """Whether the worker leaves the node to a test."""
    return intent.reason == reasons_pb2.REASON_UNDER_TEST


def _first_model(view: ChainView, node: NodeFacts) -> str:
    """The model that the node would be assigned: its first that is registered, else its first."""
    names = [model_id for model_id, _ in node.models]
    return next((model_id for model_id in names if model_id in view.governance_models), names[0])


def _model_intent(view: ChainView, node: NodeFacts, model_id: str) -> Intent:
    """The model with its registered and local arguments, as the next epoch would have the node serve it."""
    model = view.governance_models.get(model_id)
    local = list(dict(node.models).get(model_id, ()))
    args = tuple(merge_model_args(list(model.model_args) if model else [], local))
    return Intent(
        NodeStatus.INFERENCE,
        model_id=model_id,
        args=args,
        hf_repo=model.hf_repo if model else "",
        hf_commit=model.hf_commit if model else "",
    )
