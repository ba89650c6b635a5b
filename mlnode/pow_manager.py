"""The HTTP process's book of Proof of Compute: which puzzle, which run, which batches await a verdict."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

import structlog

from mlnode.callbacks import GeneratedOutbox, Poster, ValidatedOutbox
from mlnode.errors import RefusedError
from mlnode.schemas import InitRequest, ProofBatch
from mlnode.supervisor import Compute, ComputeError
from mlnode.wire import Message

VALIDATIONS_MAX = 10_000

log = structlog.get_logger("mlnode.pow")


@dataclass
class Run:
    """One walk through a node's nonces; it outlives pauses and ends of the compute process."""

    run_id: int
    key: tuple[object, ...]
    request: InitRequest
    nonce_next: int
    outbox: GeneratedOutbox
    found: int = 0
    exhausted: bool = False
    problem: str | None = None


class PowManager:
    """Statuses: NOT_LOADED, LOADING, IDLE, GENERATING, VALIDATING."""

    def __init__(self, compute: Compute, poster: Poster) -> None:
        self._compute = compute
        self._poster = poster
        self._metrics = poster.metrics
        self._settings = poster.settings
        self._ids = itertools.count(1)
        self._run: Run | None = None
        self._outboxes: list[GeneratedOutbox] = []
        self._jobs: dict[int, tuple[ProofBatch, str]] = {}
        self._validated = ValidatedOutbox(poster)
        self._params: dict[str, Any] = {}
        self.request: InitRequest | None = None
        self.status = "NOT_LOADED"

    # commands; the caller holds the node's lock

    async def load(self, request: InitRequest) -> None:
        """Builds the puzzle, or keeps it when it is the same; generation rests afterwards."""
        await self._rest()
        self.status = "LOADING"
        try:
            reply = await self._compute.request(
                "pow_load",
                timeout_s=self._settings.load_timeout_s,
                params=request.params,
                poc_seed=request.block_hash,
                batch_size=request.batch_size,
            )
        except ComputeError as error:
            self.status, self.request = "NOT_LOADED", None
            raise RefusedError.of(error) from error
        self._params = reply["params"]
        self.request = request
        self.status = "IDLE"

    def is_generating(self, request: InitRequest) -> bool:
        run = self._run
        return self.status == "GENERATING" and run is not None and run.key == request.generation_key()

    async def generate(self) -> None:
        """Starts the run of the loaded request, or goes on where an equal one was interrupted."""
        if self.status == "GENERATING":
            return
        request = self._loaded()
        run = self._run
        if run is None or run.key != request.generation_key():
            run = self._new_run(request)
        elif not run.outbox.reopen():
            run.outbox = self._new_outbox(request)
        self._run = run
        try:
            await self._compute.request(
                "pow_generate",
                timeout_s=self._settings.load_timeout_s,
                run_id=run.run_id,
                public_key=request.public_key,
                node_id=request.node_id,
                first_nonce=run.nonce_next,
            )
        except ComputeError as error:
            raise RefusedError.of(error) from error
        run.problem = None
        self.status = "GENERATING"

    async def validate_phase(self) -> None:
        self._loaded()
        await self._rest()
        self.status = "VALIDATING"

    async def validate(self, batch: ProofBatch) -> None:
        """Hands a batch over for re-computing; its verdict goes to the callback, whatever happens."""
        request = self._loaded()
        theirs = (batch.block_hash.lower(), batch.block_height)
        if theirs != (request.block_hash.lower(), request.block_height):
            raise RefusedError(
                409,
                f"the batch belongs to the PoC of height {batch.block_height} and hash {batch.block_hash}, "
                f"initialised is that of height {request.block_height} and hash {request.block_hash}",
            )
        if any(batch == pending for pending, _ in self._jobs.values()):
            return
        if len(self._jobs) >= VALIDATIONS_MAX:
            message = f"{len(self._jobs)} batches wait already; try again later"
            raise RefusedError(429, message, code="full", retry_after_s=5)
        job_id = next(self._ids)
        self._jobs[job_id] = (batch, request.callback)
        try:
            await self._compute.request(
                "pow_validate",
                timeout_s=self._settings.load_timeout_s,
                job_id=job_id,
                poc_seed=batch.block_hash,
                public_key=batch.public_key,
                node_id=batch.node_id,
                nonces=batch.nonces,
                dist=batch.dist,
            )
        except ComputeError as error:
            # If the process ended, the batch has had its callback; the refusal says the same.
            self._jobs.pop(job_id, None)
            raise RefusedError.of(error) from error

    async def stop(self) -> None:
        """Drops the puzzle; what was found is still sent, batches that wait are reported as failed."""
        if self.status == "NOT_LOADED":
            return
        await self._rest()
        try:
            await self._compute.request("pow_unload", timeout_s=self._settings.load_timeout_s)
        except ComputeError as error:
            log.warning("puzzle not unloaded", problem=error.message)
        self._run, self.request, self.status = None, None, "NOT_LOADED"

    async def close(self, grace_s: float) -> None:
        """Sends what can be sent within the grace."""
        for outbox in self._outboxes:
            outbox.close(grace_s)
        tasks = [outbox.task for outbox in self._outboxes]
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s + 1)
        for task in tasks:
            task.cancel()
        await self._validated.close(grace_s)

    def describe(self) -> dict[str, Any]:
        """The body of GET /pow/status."""
        if self.request is None:
            return {"status": self.status}
        status: dict[str, Any] = {
            "status": self.status,
            "is_model_initialized": True,
            "block_hash": self.request.block_hash,
            "block_height": self.request.block_height,
            "node_id": self.request.node_id,
            "validations_pending": len(self._jobs) + self._validated.unsent,
            "callback_error": self._validated.problem,
        }
        if run := self._run:
            status |= {
                "nonce_next": run.nonce_next,
                "nonces_found": run.found,
                "nonces_unsent": run.outbox.unsent,
                "exhausted": run.exhausted,
                "error": run.problem,
                "callback_error": run.outbox.problem or self._validated.problem,
            }
        return status

    # events

    def on_event(self, message: Message) -> None:
        """What the compute process reports on its own."""
        if message["event"] == "validated":
            self._on_validated(message)
            return
        run = self._run
        if run is None or run.run_id != message["run_id"]:
            return
        if message["event"] == "generated":
            run.nonce_next = message["nonce_next"]
            run.found += len(message["nonces"])
            run.outbox.add(message["nonces"], message["claims"])
            self._metrics.poc_nonces("generated", message["computed"])
            self._metrics.batch_seconds.observe(message["seconds"])
        elif message["event"] == "exhausted":
            run.exhausted = True
        else:
            run.problem = message["message"]
            log.error("generation failed", problem=run.problem)
            run.outbox.close(self._settings.callback_grace_s)
            self.status = "IDLE"

    def on_down(self, reason: str) -> None:
        """The compute process is gone, and the puzzle with it; nothing stays silently pending."""
        if self._run:
            self._run.outbox.close(self._settings.callback_grace_s)
        for job_id in list(self._jobs):
            self._on_validated({"job_id": job_id, "error": reason, "verdict": "error"})
        self.request, self.status = None, "NOT_LOADED"

    def _on_validated(self, message: Message) -> None:
        job = self._jobs.pop(message["job_id"], None)
        if job is None:
            return
        batch, url = job
        outcome = {name: value for name, value in message.items() if name not in {"event", "job_id"}}
        failed = {
            "dist": [None] * len(batch.dist),
            "reasons": [],
            "n_invalid": -1,
            "probability_honest": -1,
            "fraud_detected": False,
            "error": None,
        }
        self._metrics.validations.labels(verdict=outcome["verdict"]).inc()
        if outcome["verdict"] != "error":
            self._metrics.poc_nonces("validated", len(batch.nonces))
            self._metrics.poc_nonces("mismatch", outcome["n_invalid"])
        self._validated.add(url, batch.model_dump() | {"received_dist": batch.dist} | failed | outcome)

    @property
    def validations_pending(self) -> int:
        return len(self._jobs) + self._validated.unsent

    # helpers

    def _loaded(self) -> InitRequest:
        if self.request is None:
            raise RefusedError(
                400, "no PoC is initialised; ask /pow/init/generate or /pow/init/validate first"
            )
        return self.request

    async def _rest(self) -> None:
        """Ends generation; every nonce that was found by then is in the outbox when this returns."""
        if self.status != "GENERATING":
            return
        try:
            await self._compute.request("pow_pause", timeout_s=self._settings.load_timeout_s)
        except ComputeError as error:
            log.warning("generation not paused", problem=error.message)
        if self._run:
            self._run.outbox.close(self._settings.callback_grace_s)
        if self.status == "GENERATING":
            self.status = "IDLE"

    def _new_run(self, request: InitRequest) -> Run:
        outbox = self._new_outbox(request)
        return Run(next(self._ids), request.generation_key(), request, request.first_nonce, outbox)

    def _new_outbox(self, request: InitRequest) -> GeneratedOutbox:
        template = request.model_dump(include={"public_key", "block_hash", "block_height", "node_id"})
        outbox = GeneratedOutbox(
            self._poster, request.callback, template, int(self._params["max_nonces_per_batch"])
        )
        self._outboxes = [*(old for old in self._outboxes if not old.task.done()), outbox]
        return outbox
