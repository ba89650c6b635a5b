"""The Proof-of-Compute thread of the compute process: it computes nonces and re-computes those of others.

It runs at the lowest priority, so that answers beside it stay fast, and works in pieces of a fraction of a
second: commands take effect between two pieces. Which nonces it computes the HTTP process says, in spans.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from mlnode.pow import Claim, Item, PocParams, Puzzle, verify
from mlnode.pow_engine import free_bytes, parse_devices, worth_compiling
from mlnode.pow_sender import IN_FLIGHT, Piece, PieceSender
from mlnode.wire import Channel, Message

PIECE_S = 0.25  # how long one piece should take: long enough for full speed, short enough to obey soon
PIECE_NONCES_FIRST = 8
PIECE_NONCES_MAX = 4096
NICE = 19


def lower_priority() -> None:
    """Puts the calling thread, and the threads that it starts from now on, behind everything else."""
    # On Linux a thread's id names the thread alone.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def release_memory() -> None:
    """Gives freed memory back to the device and to the system."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def memory_free_bytes(device: torch.device) -> int:
    """What a model or a puzzle may still take on the device."""
    return free_bytes(device)


@dataclass
class Run:
    """One node's walk through the nonces that this process was given, in spans of first and end."""

    run_id: int
    public_key: bytes
    node_id: str
    spans: deque[tuple[int, int]]

    def take(self, count: int) -> range:
        """The next nonces, at most `count`, without a gap."""
        first, end = self.spans.popleft()
        if end - first > count:
            self.spans.appendleft((first + count, end))
        return range(first, min(first + count, end))


@dataclass
class Job:
    """One batch to re-compute; `claims` grows until it is as long as `claimed`."""

    job_id: int
    public_key: bytes
    node_id: str
    nonces: list[int]
    claimed: list[Claim]
    claims: list[int | None] = field(default_factory=list)
    error: str | None = None

    @property
    def is_done(self) -> bool:
        return self.error is not None or len(self.claims) == len(self.claimed)

    def next_items(self, count: int) -> list[Item]:
        first = len(self.claims)
        return [(self.public_key, self.node_id, nonce) for nonce in self.nonces[first : first + count]]


class PieceSize:
    """How many nonces make a piece of PIECE_S: it doubles or halves towards it."""

    def __init__(self, limit: int | None) -> None:
        self._limit = min(limit or PIECE_NONCES_MAX, PIECE_NONCES_MAX)
        self.count = min(PIECE_NONCES_FIRST, self._limit)

    def took(self, count: int, seconds: float) -> None:
        if seconds > 2 * PIECE_S:
            self.count = max(1, self.count // 2)
        elif seconds < PIECE_S / 2 and count == self.count:
            self.count = min(2 * self.count, self._limit)


def judge(job: Job, params: PocParams) -> Message:
    """The verdict on a job, in the words of the callback."""
    if job.error is not None:
        return {"error": job.error, "verdict": "error"}
    verdict = verify(job.claimed, job.claims, params)
    return {
        "dist": job.claims,
        "reasons": [str(reason) for reason in verdict.reasons],
        "failed_tests": list(verdict.failed),
        "n_invalid": verdict.mismatches,
        "probability_honest": 10.0 ** max(verdict.log10_p, -300.0),
        "fraud_detected": verdict.verdict == "fraud",
        "fraud_threshold": 10.0 ** max(params.fraud_threshold_log10, -300),
        "verdict": verdict.verdict,
    }


def qualifies(claim: int | None, params: PocParams) -> bool:
    """Whether a computed nonce may be submitted."""
    return claim is not None and (params.acceptance_bps == 10_000 or claim >= params.z_target)


class PocWorker(threading.Thread):
    """Owns the puzzle; every method but `run` only leaves a command for the thread."""

    def __init__(self, channel: Channel, device: str, threads: int, in_flight: int = IN_FLIGHT) -> None:
        super().__init__(name="poc", daemon=True)
        self._channel = channel
        self._device = device
        self._devices = parse_devices(device)
        self._threads = threads
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._sender = PieceSender(self._report_found, self._report_failed, in_flight)
        self._puzzle: Puzzle | None = None
        self._key: tuple[PocParams, bytes] | None = None
        self._run: Run | None = None
        self._jobs: deque[Job] = deque()
        self._piece = PieceSize(None)

    # commands

    def load(self, request: Message) -> None:
        self._commands.put(lambda: self._answer(request, self._load))

    def generate(self, request: Message) -> None:
        self._commands.put(lambda: self._answer(request, self._generate))

    def extend(self, message: Message) -> None:
        self._commands.put(lambda: self._extend(message))

    def pause(self, request: Message) -> None:
        self._commands.put(lambda: self._answer(request, self._pause))

    def unload(self, request: Message) -> None:
        self._commands.put(lambda: self._answer(request, self._unload))

    def validate(self, request: Message) -> None:
        self._commands.put(lambda: self._answer(request, self._enqueue))

    def _answer(self, request: Message, act: Callable[[Message], dict[str, Any]]) -> None:
        try:
            self._channel.reply(request["id"], **act(request))
        except ValueError as error:
            self._channel.fail(request["id"], "invalid", str(error))
        except (RuntimeError, MemoryError) as error:
            self._channel.fail(request["id"], "failed", f"{type(error).__name__}: {error}")

    # the thread

    def run(self) -> None:
        lower_priority()
        torch.set_num_threads(self._threads)
        self._sender.start()
        while True:
            self._obey()
            if self._jobs:
                self._recompute_piece()
            elif self._run and self._run.spans:
                self._generate_piece(self._run)

    def _obey(self) -> None:
        """Runs the commands that wait; waits for one when there is nothing else to do."""
        idle = not self._jobs and not (self._run and self._run.spans)
        try:
            while True:
                self._commands.get(block=idle)()
                idle = False
        except queue.Empty:
            return

    def _load(self, request: Message) -> dict[str, Any]:
        params, seed = PocParams.from_json(request["params"]), bytes.fromhex(request["poc_seed"])
        self._end_run()
        if self._puzzle is None or self._key != (params, seed):
            needed = params.weight_bytes + params.activation_bytes
            self._drop_puzzle("another PoC was initialised before this batch was re-computed")
            if needed > (free := sum(free_bytes(device) for device in set(self._devices))):
                raise ValueError(f"params need {needed} bytes for the weights and one nonce, {free} are free")
            compiled = worth_compiling(params.weight_count, self._devices[0])
            self._puzzle = Puzzle(params, seed, self._device, self._threads, compiled=compiled)
            self._key = (params, seed)
        self._piece = PieceSize(request.get("batch_size"))
        return {"params": params.to_json(), "batch_size": self._puzzle.batch_size}

    def _generate(self, request: Message) -> dict[str, Any]:
        if self._key is None:
            raise ValueError("no PoC is initialised")
        self._run = Run(
            run_id=request["run_id"],
            public_key=bytes.fromhex(request["public_key"]),
            node_id=request["node_id"],
            spans=deque((first, end) for first, end in request["spans"]),
        )
        return {}

    def _extend(self, message: Message) -> None:
        # A run that has ended here takes no more; the HTTP process gives its nonces to somebody else.
        if self._run and self._run.run_id == message["run_id"]:
            self._run.spans.extend((first, end) for first, end in message["spans"])

    def _pause(self, request: Message) -> dict[str, Any]:
        """Everything that was found is sent before the answer; `finish` computes what was handed out."""
        run = self._run
        while request["finish"] and run and self._run is run and run.spans:
            self._generate_piece(run)
        self._end_run()
        return {}

    def _end_run(self) -> None:
        self._run = None
        self._sender.settle()

    def _unload(self, _request: Message) -> dict[str, Any]:
        self._drop_puzzle("the PoC was stopped before this batch was re-computed")
        return {}

    def _enqueue(self, request: Message) -> dict[str, Any]:
        job = Job(
            job_id=request["job_id"],
            public_key=bytes.fromhex(request["public_key"]),
            node_id=request["node_id"],
            nonces=request["nonces"],
            claimed=request["dist"],
        )
        if self._key is None or self._key[1] != bytes.fromhex(request["poc_seed"]):
            job.error = "the PoC that this batch belongs to is not initialised"
        self._jobs.append(job)
        return {}

    def _drop_puzzle(self, reason: str) -> None:
        self._end_run()
        self._key = None
        for job in self._jobs:
            job.error = job.error or reason
        self._report_done()
        if self._puzzle:
            self._puzzle.close()
            self._puzzle = None
            release_memory()

    # pieces of work

    def _generate_piece(self, run: Run) -> None:
        assert self._puzzle is not None
        self._sender.reserve()
        nonces = run.take(self._piece.count)
        started = time.monotonic()
        try:
            pending = self._puzzle.start_generate(run.public_key, run.node_id, nonces.start, len(nonces))
        except (RuntimeError, MemoryError) as error:
            self._sender.release()
            self._generation_failed(run.run_id, nonces, error)
            return
        params = self._puzzle.params
        self._sender.put(Piece(run.run_id, params, nonces.start, len(nonces), pending, started))

    def _report_found(self, piece: Piece, claims: list[int | None], seconds: float) -> None:
        """Sends what counts, and which span it is of: a nonce without a finite claim is left out.

        Called by the sender's thread, which leaves all else to this one.
        """
        nonces = range(piece.first, piece.first + piece.count)
        found = [
            (n, claim) for n, claim in zip(nonces, claims, strict=True) if qualifies(claim, piece.params)
        ]
        event = {"event": "generated", "run_id": piece.run_id, "nonce_first": piece.first}
        event |= {"computed": piece.count, "seconds": seconds, "piece_nonces": self._piece.count}
        found_event = {"nonces": [n for n, _ in found], "claims": [claim for _, claim in found]}
        self._channel.send(event | found_event)
        self._commands.put(partial(self._took, piece.count, seconds))

    def _took(self, count: int, seconds: float) -> None:
        self._piece.took(count, seconds)

    def _report_failed(self, piece: Piece, error: Exception) -> None:
        """A card tells of some failures only when its results are read; called by the sender's thread."""
        nonces = range(piece.first, piece.first + piece.count)
        self._commands.put(partial(self._generation_failed, piece.run_id, nonces, error))

    def _generation_failed(self, run_id: int, nonces: range, error: Exception) -> None:
        """Smaller pieces may fit into memory; a single nonce that fails ends the run, loudly."""
        release_memory()
        run = self._run
        if run is None or run.run_id != run_id:
            return
        if len(nonces) > 1:
            run.spans.appendleft((nonces.start, nonces.stop))
            self._piece = PieceSize(len(nonces) // 2)
            return
        self._end_run()
        message = f"generation stopped at nonce {nonces.start}: {type(error).__name__}: {error}"
        self._channel.send({"event": "generation_failed", "run_id": run_id, "message": message})

    def _recompute_piece(self) -> None:
        """One forward pass over the next samples of as many participants as fit."""
        shares: list[tuple[Job, list[Item]]] = []
        room = self._piece.count
        for job in self._jobs:
            if room > 0 and not job.is_done:
                shares.append((job, job.next_items(room)))
                room -= len(shares[-1][1])
        if shares:
            started = time.monotonic()
            self._recompute(shares)
            count, seconds = self._piece.count - room, time.monotonic() - started
            self._channel.send({"event": "recomputed", "computed": count, "seconds": seconds})
            self._piece.took(count, seconds)
        self._report_done()

    def _recompute(self, shares: Sequence[tuple[Job, list[Item]]]) -> None:
        assert self._puzzle is not None
        try:
            claims = iter(self._puzzle.claims([item for _, items in shares for item in items]))
        except Exception as error:  # noqa: BLE001 - whatever it is, it concerns a batch and must be reported for it
            self._recompute_apart(shares, error)
            return
        for job, items in shares:
            job.claims += [next(claims) for _ in items]

    def _recompute_apart(self, shares: Sequence[tuple[Job, list[Item]]], error: Exception) -> None:
        """After a failed merged pass each batch goes alone, so that one cannot stop the others."""
        release_memory()
        if len(shares) > 1:
            for share in shares:
                self._recompute([share])
            return
        job, items = shares[0]
        if isinstance(error, RuntimeError | MemoryError) and len(items) > 1:
            self._piece = PieceSize(len(items) // 2)
            return
        job.error = f"re-computing failed: {type(error).__name__}: {error}"

    def _report_done(self) -> None:
        for job in [job for job in self._jobs if job.is_done]:
            self._jobs.remove(job)
            assert job.error is not None or self._key is not None
            params = self._key[0] if self._key else None
            self._channel.send({"event": "validated", "job_id": job.job_id} | self._verdict(job, params))

    @staticmethod
    def _verdict(job: Job, params: PocParams | None) -> Message:
        if params is None:
            return {"error": job.error, "verdict": "error"}
        try:
            return judge(job, params)
        except Exception as error:  # noqa: BLE001 - a verdict that cannot be reached is reported, not left pending
            return {"error": f"judging failed: {type(error).__name__}: {error}", "verdict": "error"}
