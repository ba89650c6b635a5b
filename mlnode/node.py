"""The MLNode's states, STOPPED, POW and INFERENCE: one switch at a time, with a deadline and a reason."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from mlnode.callbacks import Poster
from mlnode.engines import make_engine
from mlnode.engines.base import Asked, AskedText, Host, ModelToServe, Prepared
from mlnode.errors import RefusedError
from mlnode.metrics import Metrics
from mlnode.model_store import ModelStore
from mlnode.openai_schemas import ScoreRequest, TokenizeRequest
from mlnode.pow_manager import PowManager
from mlnode.schemas import InferenceUp, InitRequest, ProofBatch
from mlnode.sensors import Sensors
from mlnode.settings import Settings, read_token
from mlnode.supervisor import Compute, ComputeError
from mlnode.wire import Message
from protocol.model_args import argument_errors, merge_model_args

log = structlog.get_logger("mlnode.node")

STOPPED, POW, INFERENCE = "STOPPED", "POW", "INFERENCE"
SHUTDOWN_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Served:
    """The model that is up, and the request that asked for it."""

    request: InferenceUp
    context: int | None
    since: float


class Node:
    """All that the HTTP process knows; the compute process does the work."""

    def __init__(self, settings: Settings) -> None:
        token = read_token(settings.token_file)
        self.settings = settings
        self.token = token
        self.metrics = Metrics(Sensors(settings.models_dir))
        self._poster = Poster(settings, read_token(settings.callback_token_file) or token, self.metrics)
        self.computes = [
            Compute(
                settings,
                partial(self._on_event, index),
                partial(self._on_down, index),
                partial(self._on_ready, index),
                device,
            )
            for index, device in enumerate(settings.device_groups)
        ]
        self.compute = self.computes[0]  # the one that serves models
        self.pow = PowManager(self.computes, self._poster)
        self.store = ModelStore(settings, self.metrics)
        self.engine = make_engine(Host(settings, self.metrics, self.compute))
        self.served: Served | None = None
        self.in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._lock = asyncio.Lock()
        self._draining = False
        self._switching_to: str | None = None
        self._since = time.time()
        self._deadline: float | None = None
        self._reason: str | None = None

    async def start(self) -> None:
        for compute in self.computes:
            compute.start()

    async def close(self) -> None:
        """Lets answers and callbacks finish for a while, then ends the compute process."""
        self._draining = True
        await self._drain()
        with contextlib.suppress(RefusedError, ComputeError, TimeoutError):
            if any(compute.is_ready for compute in self.computes):
                await asyncio.wait_for(self.pow.stop(), SHUTDOWN_GRACE_S)
        await self.pow.close(SHUTDOWN_GRACE_S)
        await self.engine.close()
        await asyncio.gather(*(compute.close() for compute in self.computes))
        await self._poster.close()

    # state

    @property
    def state(self) -> str:
        if self.served:
            return INFERENCE
        return STOPPED if self.pow.status == "NOT_LOADED" else POW

    def describe(self) -> dict[str, Any]:
        """The body of GET /state."""
        return {
            "state": self.state,
            "switching_to": self._switching_to,
            "reason": self._reason,
            "since": self._since,
            "deadline": self._deadline,
            "node_id": self.settings.node_id or None,
            "model": self.served.request.model if self.served else None,
            "pow_status": self.pow.describe(),
            "requests_in_flight": self.in_flight,
            "engine": self.engine.describe(),
            "download": self.store.progress,
            "compute": self.compute.describe()
            | {"processes": [compute.describe() for compute in self.computes]},
        }

    async def render_metrics(self) -> bytes:
        self.metrics.requests_in_flight.set(self.in_flight)
        self.metrics.validations_pending.set(self.pow.validations_pending)
        self.metrics.update(
            self._metric_state(),
            [compute.is_ready for compute in self.computes],
            [compute.pid for compute in self.computes],
        )
        self.metrics.update_batches(self.pow.batch_sizes)
        request = self.served.request if self.served else None
        self.metrics.update_config((request.model, request.dtype, self.engine.name) if request else None)
        # A GPU's driver may take its time, or never answer again after a fault.
        return await asyncio.to_thread(self.metrics.render)

    def _metric_state(self) -> str:
        if self._draining:
            return "draining"
        if self.pow.status == "LOADING" or self._switching_to == INFERENCE:
            return "loading"
        if self.served:
            return "inference"
        states = {"IDLE": "pow_idle", "GENERATING": "pow_generate", "VALIDATING": "pow_validate"}
        return states.get(self.pow.status, "stopped")

    # Proof of Compute

    async def pow_init(self, request: InitRequest, phase: str | None) -> None:
        """Loads the puzzle and enters the phase (generate, validate, none); equal requests change nothing."""
        if self.settings.node_id and phase == "generate" and request.node_id != self.settings.node_id:
            raise RefusedError(400, f"node_id: this node is {self.settings.node_id}, not {request.node_id}")
        async with self._switch(POW, self.settings.load_timeout_s):
            if phase != "validate":
                self._refuse_beside_inference()
                await self.engine.forget()
            if phase == "generate" and self.pow.is_generating(request):
                return
            await self.pow.load(request)
            await self._enter(phase)

    async def pow_phase(self, phase: str) -> None:
        async with self._switch(POW, self.settings.load_timeout_s):
            if phase == "generate":
                self._refuse_beside_inference()
            await self._enter(phase)

    async def validate(self, batch: ProofBatch) -> None:
        await self.pow.validate(batch)

    async def pow_stop(self) -> None:
        async with self._switch(INFERENCE if self.served else STOPPED, self.settings.load_timeout_s):
            await self.pow.stop()

    async def _enter(self, phase: str | None) -> None:
        if phase == "generate":
            await self.pow.generate()
        elif phase == "validate":
            await self.pow.validate_phase()

    def _refuse_beside_inference(self) -> None:
        if self.served:
            raise RefusedError(
                409,
                f"the node serves {self.served.request.model}; call /api/v1/inference/down or /api/v1/stop "
                "first (only re-computing, /pow/init/validate, is possible beside inference)",
            )

    # inference

    async def inference_up(self, request: InferenceUp) -> None:
        """Serves the model; a running one is replaced, an equal one stays; returns when it answers."""
        try:
            model = await self._prepare(request)
        except RefusedError as error:
            if self.served is None:
                self._reason = error.message
            raise
        async with self._switch(INFERENCE, self.settings.drain_timeout_s + self.settings.load_timeout_s):
            if self.pow.status == "GENERATING":
                raise RefusedError(
                    409, "the node generates nonces; call /api/v1/pow/stop or /api/v1/stop first"
                )
            if self.served and self.served.request == request:
                return
            await self._take_down()
            await self._load(request, model)

    async def inference_prepare(self, request: InferenceUp) -> Prepared:
        """Fetches and checks the next model, and loads it where memory allows; what runs goes on."""
        model = await self._prepare(request)
        try:
            prepared = await self.engine.prepare(model)
        except ComputeError as error:
            raise RefusedError.of(error) from error
        self._observe_phases(request.model, prepared.phases)
        log.info("model prepared", model=request.model, loaded=prepared.loaded, reason=prepared.reason)
        return prepared

    async def _prepare(self, request: InferenceUp) -> ModelToServe:
        """All checks that need no compute, before anything that runs is touched."""
        if errors := argument_errors(request.additional_args):
            raise RefusedError(400, f"additional_args: {'; '.join(errors)}")
        args = tuple(merge_model_args([], request.additional_args))
        if not self.engine.needs_files:
            return ModelToServe(request.model, request.dtype, args)
        files = await self.store.get(request)
        self._observe_phases(request.model, files.phases)
        model = ModelToServe(request.model, request.dtype, args, files.folder, files.bytes)
        try:
            await self.engine.check(model)
        except ComputeError as error:
            raise RefusedError.of(error) from error
        return model

    def _observe_phases(self, model: str, phases: Mapping[str, float]) -> None:
        for phase, seconds in phases.items():
            self.metrics.model_load_seconds.labels(model=model, phase=phase).set(seconds)

    async def _load(self, request: InferenceUp, model: ModelToServe) -> None:
        serving = await self.engine.up(model)
        self._observe_phases(request.model, serving.phases)
        self.served = Served(request, serving.context, time.time())
        log.info("model up", model=request.model, engine=self.engine.name, context=serving.context)

    async def inference_down(self) -> None:
        async with self._switch(POW if self.pow.request else STOPPED, self.settings.drain_timeout_s):
            await self._take_down()

    async def stop(self) -> None:
        """Ends whatever runs, and gives its memory back."""
        async with self._switch(STOPPED, self.settings.drain_timeout_s):
            await self.pow.stop()
            await self._take_down()
            await self.engine.forget()

    async def _take_down(self) -> None:
        """New requests are refused, running ones may finish until the deadline, then the memory is freed."""
        if self.served is None:
            return
        self._draining = True
        try:
            await self._drain()
            self.served = None
            await self.engine.down()
        finally:
            self._draining = False

    async def _drain(self) -> None:
        started = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), self.settings.drain_timeout_s)
        if self.served:
            self.metrics.drain_seconds.observe(time.monotonic() - started)

    async def complete(self, asked: AskedText) -> AsyncGenerator[dict[str, Any]]:
        """The engine's objects: one, or chunks; a switch waits for them until its deadline."""
        self.check_served(asked.request.model)
        self.in_flight += 1
        self._idle.clear()
        try:
            async with contextlib.aclosing(self.engine.complete(asked)) as objects:
                async for each in objects:
                    yield each
        except ComputeError as error:
            raise RefusedError.of(error) from error
        finally:
            self.in_flight -= 1
            if self.in_flight == 0:
                self._idle.set()

    async def score(self, asked: Asked[ScoreRequest]) -> dict[str, Any]:
        """The judgement of a given answer; no switch waits for it."""
        self.check_served(asked.request.request.model)
        outcome = "cancelled"
        try:
            answer = await self.engine.score(asked)
            outcome = "scored"
        except ComputeError as error:
            outcome = error.kind
            raise RefusedError.of(error) from error
        except RefusedError as error:
            outcome = error.code or "refused"
            raise
        finally:
            self.metrics.scores.labels(outcome).inc()
        return answer

    async def tokenize(self, asked: Asked[TokenizeRequest]) -> dict[str, Any]:
        """The tokens of a prompt."""
        self.check_served(asked.request.model)
        try:
            return await self.engine.tokenize(asked)
        except ComputeError as error:
            raise RefusedError.of(error) from error

    def check_served(self, model: str | None) -> None:
        """Raises RefusedError unless this model (None: any) can be asked now."""
        served = self.served
        if served is None or self._draining:
            reason = "the model is being taken down" if served else self._reason or "no model is up"
            raise RefusedError(503, f"no model can answer now: {reason}", code="unavailable", retry_after_s=5)
        if model is not None and model != served.request.model:
            message = f"the model {model[:200]} is not served here; {served.request.model} is"
            raise RefusedError(404, message, code="model_not_found")

    # switches and events

    @contextlib.asynccontextmanager
    async def _switch(self, target: str, timeout_s: float) -> AsyncIterator[None]:
        """One switch at a time; the reason of a failure stays visible until the next success."""
        async with self._lock:
            started, before = time.time(), self.state
            self._switching_to, self._deadline = target, started + timeout_s
            result = "error"
            try:
                yield
                self._reason, result = None, "ok"
            except RefusedError as error:
                # A refusal of what conflicts changes nothing, so it is no reason for the state.
                if error.status != 409:
                    self._reason = error.message
                raise
            except ComputeError as error:
                self._reason = error.message
                raise RefusedError.of(error) from error
            finally:
                self._switching_to, self._deadline = None, None
                if self.state != before:
                    self._since = time.time()
                    log.info("state", state=self.state, before=before, reason=self._reason)
                seconds = time.time() - started
                self.metrics.switch_seconds.labels(before, target, result).observe(seconds)

    def _on_event(self, index: int, message: Message) -> None:
        if message["event"] == "memory":
            self.metrics.update_memory(index, message["devices"])
        else:
            self.pow.on_event(index, message)

    def _on_ready(self, index: int) -> None:
        self.pow.on_ready(index)

    def _on_down(self, index: int, reason: str) -> None:
        self.metrics.compute_restarts.labels(str(index)).inc()
        self.metrics.update_memory(index, ())
        before = self.state
        if self.computes[index] is self.compute:
            self.served = None
            self._reason = reason
        self.pow.on_down(index, reason)
        if self.state != before:
            self._since = time.time()
            self._reason = reason
