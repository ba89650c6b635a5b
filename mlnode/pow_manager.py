"""The HTTP process's book of Proof of Compute: which puzzle, which run, which batches await a verdict."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from mlnode.callbacks import GeneratedOutbox, Poster, ValidatedOutbox
from mlnode.errors import RefusedError
from mlnode.nonce_ledger import Ledger
from mlnode.pow_fleet import Fleet, PowProcess, Spread
from mlnode.schemas import InitRequest, ProofBatch
from mlnode.supervisor import Compute, ComputeError
from mlnode.wire import Message

VALIDATIONS_MAX = 10_000

log = structlog.get_logger("mlnode.pow")


@dataclass
class Run:
    """One walk through a node's nonces; it outlives pauses and ends of compute processes."""

    run_id: int
    key: tuple[object, ...]
    request: InitRequest
    ledger: Ledger
    outbox: GeneratedOutbox
    found: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A batch that a process re-computes, and where its verdict goes."""

    batch: ProofBatch
    url: str
    process: PowProcess


class PowManager:
    """Statuses: NOT_LOADED, LOADING, IDLE, GENERATING, VALIDATING."""

    def __init__(self, computes: Sequence[Compute], poster: Poster) -> None:
        self._poster = poster
        self._metrics = poster.metrics
        self._settings = poster.settings
        self._fleet = Fleet(computes, poster.settings.load_timeout_s)
        self._ids = itertools.count(1)
        self._run: Run | None = None
        self._outboxes: list[GeneratedOutbox] = []
        self._jobs: dict[int, Job] = {}
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
            reply = await self._fleet.load(
                {
                    "params": request.params,
                    "poc_seed": request.block_hash,
                    "batch_size": request.batch_size,
                }
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
            await self._fleet.begin(Spread(run.run_id, request.public_key, request.node_id, run.ledger))
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
        if any(batch == job.batch for job in self._jobs.values()):
            return
        if len(self._jobs) >= VALIDATIONS_MAX:
            message = f"{len(self._jobs)} batches wait already; try again later"
            raise RefusedError(429, message, code="full", retry_after_s=5)
        job_id = next(self._ids)
        process = self._fleet.least_busy()
        self._jobs[job_id] = Job(batch, request.callback, process)
        process.jobs += 1
        try:
            await process.compute.request(
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
            self._take_job(job_id)
            raise RefusedError.of(error) from error

    async def stop(self) -> None:
        """Drops the puzzle; what was found is still sent, batches that wait are reported as failed."""
        if self.status == "NOT_LOADED":
            return
        await self._rest()
        await self._fleet.unload()
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
            # The puzzle is dropped; what was found with it may still be on its way.
            unsent = sum(outbox.unsent for outbox in self._outboxes)
            return {"status": self.status} | ({"nonces_unsent": unsent} if unsent else {})
        status: dict[str, Any] = {
            "status": self.status,
            "is_model_initialized": True,
            "block_hash": self.request.block_hash,
            "block_height": self.request.block_height,
            "node_id": self.request.node_id,
            "validations_pending": len(self._jobs) + self._validated.unsent,
            "callback_error": self._validated.problem,
            "devices": [process.describe() for process in self._fleet.processes],
        }
        if run := self._run:
            status |= {
                "nonce_next": run.ledger.nonce_next,
                "nonces_found": run.found,
                "nonces_unsent": run.outbox.unsent,
                "exhausted": run.ledger.is_exhausted,
                "error": run.problem,
                "callback_error": run.outbox.problem or self._validated.problem,
            }
        return status

    # events

    def on_event(self, index: int, message: Message) -> None:
        """What a compute process reports on its own."""
        process = self._fleet.processes[index]
        if message["event"] == "validated":
            self._on_validated(message)
        elif message["event"] == "generated":
            self._on_generated(process, message)
        elif message["event"] == "recomputed":
            self._metrics.poc_piece("validate", index, message["computed"], message["seconds"])
        elif message["event"] == "generation_failed":
            self._on_failed(process, message)

    def _on_generated(self, process: PowProcess, message: Message) -> None:
        self._metrics.poc_piece("generate", process.index, message["computed"], message["seconds"])
        self._metrics.poc_nonces("generated", message["computed"])
        run = self._run
        for found in self._fleet.computed(process, message):
            assert run is not None
            run.found += len(found.nonces)
            run.outbox.add(list(found.nonces), list(found.claims))

    def _on_failed(self, process: PowProcess, message: Message) -> None:
        log.error("generation failed", device=process.compute.device, problem=message["message"])
        self._fleet.failed(process, message)
        run = self._run
        if run is not None and run.run_id == message["run_id"]:
            self._end_if_nobody_generates(run, message["message"])

    def _end_if_nobody_generates(self, run: Run, problem: str) -> None:
        if self.status == "GENERATING" and not self._fleet.any_generating:
            run.problem = problem
            run.outbox.close(self._settings.callback_grace_s)
            self.status = "IDLE"

    def on_ready(self, index: int) -> None:
        """A compute process has started; it joins what the others do."""
        self._fleet.is_ready(self._fleet.processes[index])

    def on_down(self, index: int, reason: str) -> None:
        """A compute process is gone, and the puzzle in it; nothing stays silently pending.

        The others go on, and compute what it leaves; without any the puzzle has to be asked for again.
        """
        process = self._fleet.processes[index]
        self._fleet.lost(process)
        for job_id in [job_id for job_id, job in self._jobs.items() if job.process is process]:
            self._on_validated({"job_id": job_id, "error": reason, "verdict": "error"})
        if self._fleet.any_loaded or (self.status == "LOADING" and len(self._fleet.processes) > 1):
            if self._run:
                self._end_if_nobody_generates(self._run, reason)
            return
        if self._run:
            self._run.outbox.close(self._settings.callback_grace_s)
        self._fleet.give_up()
        self.request, self.status = None, "NOT_LOADED"

    def _take_job(self, job_id: int) -> Job | None:
        job = self._jobs.pop(job_id, None)
        if job is not None:
            job.process.jobs -= 1
        return job

    def _on_validated(self, message: Message) -> None:
        job = self._take_job(message["job_id"])
        if job is None:
            return
        batch = job.batch
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
        self._validated.add(job.url, batch.model_dump() | {"received_dist": batch.dist} | failed | outcome)

    @property
    def batch_sizes(self) -> dict[int, int]:
        """Nonces of one forward pass, by process."""
        return {each.index: each.batch_size for each in self._fleet.processes if each.batch_size}

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
        await self._fleet.rest()
        if self._run:
            self._run.outbox.close(self._settings.callback_grace_s)
        if self.status == "GENERATING":
            self.status = "IDLE"

    def _new_run(self, request: InitRequest) -> Run:
        outbox = self._new_outbox(request)
        ledger = Ledger(request.first_nonce, int(self._params["max_nonces_per_node"]))
        return Run(next(self._ids), request.generation_key(), request, ledger, outbox)

    def _new_outbox(self, request: InitRequest) -> GeneratedOutbox:
        template = request.model_dump(include={"public_key", "block_hash", "block_height", "node_id"})
        outbox = GeneratedOutbox(
            self._poster, request.callback, template, int(self._params["max_nonces_per_batch"])
        )
        self._outboxes = [*(old for old in self._outboxes if not old.task.done()), outbox]
        return outbox
