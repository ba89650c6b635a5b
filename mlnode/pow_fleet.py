"""The compute processes of one node as Proof of Compute uses them: one puzzle on each, one run over all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from mlnode.nonce_ledger import Found, Ledger
from mlnode.supervisor import Compute, ComputeError
from mlnode.wire import Message

# Spans that a process is given ahead: one is computed, one is read and sent, one waits.
SPANS_AHEAD = 3
SPAN_NONCES_FIRST = 8

log = structlog.get_logger("mlnode.pow")


@dataclass
class PowProcess:
    """One compute process, and what of the puzzle is there."""

    index: int
    compute: Compute
    loaded: bool = False
    generating: bool = False
    span_nonces: int = SPAN_NONCES_FIRST
    nonces: int = 0  # computed for the present run
    jobs: int = 0  # batches that it re-computes
    batch_size: int | None = None
    problem: str | None = None

    def describe(self) -> dict[str, Any]:
        status = "GENERATING" if self.generating else "LOADED" if self.loaded else "NOT_LOADED"
        return {
            "device": self.compute.ready_info.get("device") or self.compute.device,
            "status": status,
            "batch_size": self.batch_size,
            "nonces_computed": self.nonces,
            "error": self.problem or self.compute.reason,
        }

    def forget(self) -> None:
        """The process, or the puzzle in it, is gone."""
        self.loaded = self.generating = False
        self.batch_size = None


@dataclass(frozen=True, slots=True)
class Spread:
    """A run as all processes get it."""

    run_id: int
    public_key: str
    node_id: str
    ledger: Ledger


class Fleet:
    """Each process is loaded, asked, lost and taken back alone."""

    def __init__(self, computes: Sequence[Compute], timeout_s: float) -> None:
        self.processes = [PowProcess(index, compute) for index, compute in enumerate(computes)]
        self._timeout_s = timeout_s
        self._spread: Spread | None = None
        self._wanted: dict[str, Any] | None = None
        self._loading = False
        self._late: list[PowProcess] = []
        self._joining: set[asyncio.Task[None]] = set()

    @property
    def any_loaded(self) -> bool:
        return any(process.loaded for process in self.processes)

    @property
    def any_generating(self) -> bool:
        return any(process.generating for process in self.processes)

    async def load(self, fields: dict[str, Any]) -> Message:
        """Builds the puzzle everywhere; one process is enough, ComputeError if none can.

        Processes that are not up are not waited for unless none is; they join when they are.
        """
        self._wanted = fields
        up = [process for process in self.processes if process.compute.is_ready] or self.processes
        self._loading = True
        try:
            replies = await asyncio.gather(*(self._load(each, fields) for each in up), return_exceptions=True)
        finally:
            self._loading = False
            late, self._late = self._late, []
        for reply in replies:
            if isinstance(reply, BaseException) and not isinstance(reply, ComputeError):
                raise reply
        done = [reply for reply in replies if not isinstance(reply, BaseException)]
        if not done:
            self._wanted = None
            raise next(reply for reply in replies if isinstance(reply, ComputeError))
        for process in late:
            self.is_ready(process)
        return done[0]

    async def _load(self, process: PowProcess, fields: dict[str, Any]) -> Message:
        process.loaded = False
        try:
            reply = await process.compute.request("pow_load", timeout_s=self._timeout_s, **fields)
        except ComputeError as error:
            process.problem = error.message
            log.warning("puzzle not loaded", device=process.compute.device, problem=error.message)
            raise
        process.loaded, process.problem = True, None
        process.batch_size, process.span_nonces = reply["batch_size"], SPAN_NONCES_FIRST
        return reply

    async def begin(self, spread: Spread) -> None:
        """Starts the run on every process that has the puzzle; ComputeError if none could."""
        self._spread = spread
        loaded = [process for process in self.processes if process.loaded]
        began = await asyncio.gather(*(self._begin(each, spread) for each in loaded), return_exceptions=True)
        failures = [each for each in began if isinstance(each, BaseException)]
        if failures and len(failures) == len(began):
            self._spread = None
            raise failures[0]

    async def _begin(self, process: PowProcess, spread: Spread) -> None:
        process.generating, process.problem, process.nonces = True, None, 0
        try:
            await process.compute.request(
                "pow_generate",
                timeout_s=self._timeout_s,
                run_id=spread.run_id,
                public_key=spread.public_key,
                node_id=spread.node_id,
                spans=self._lease(process, spread.ledger),
            )
        except ComputeError as error:
            process.problem = error.message
            self._end(process, spread)
            raise

    def _lease(self, process: PowProcess, ledger: Ledger) -> list[tuple[int, int]]:
        """Spans up to what is given ahead; a node of one process gets everything at once."""
        spans = []
        count = None if len(self.processes) == 1 else process.span_nonces
        while len(ledger.leases(process.index)) < SPANS_AHEAD:
            span = ledger.lease(process.index, count)
            if span is None:
                break
            spans.append(span)
        return spans

    def computed(self, process: PowProcess, message: Message) -> list[Found]:
        """Books a computed piece, gives the process more, and returns what is released by it."""
        spread = self._spread
        if spread is None or spread.run_id != message["run_id"]:
            return []
        process.nonces += message["computed"]
        process.span_nonces = message["piece_nonces"]
        found = Found(message["nonces"], message["claims"])
        released = spread.ledger.complete(process.index, message["nonce_first"], message["computed"], found)
        if process.generating:
            self._top_up(process, spread)
        return released

    def _top_up(self, process: PowProcess, spread: Spread) -> None:
        if spans := self._lease(process, spread.ledger):
            try:
                process.compute.tell("pow_extend", run_id=spread.run_id, spans=spans)
            except ComputeError:
                self._end(process, spread)

    def failed(self, process: PowProcess, message: Message) -> None:
        """The process cannot go on; the others get what it leaves."""
        if self._spread and self._spread.run_id == message["run_id"]:
            process.problem = message["message"]
            self._end(process, self._spread)
            self._share_out()

    def lost(self, process: PowProcess) -> None:
        """The process has ended; the others get what it leaves."""
        process.forget()
        if self._spread:
            self._end(process, self._spread)
            self._share_out()

    def _end(self, process: PowProcess, spread: Spread) -> None:
        process.generating = False
        spread.ledger.give_back(process.index)

    def _share_out(self) -> None:
        """Processes that had nothing left to do get what was given back."""
        for process in self.processes:
            if process.generating and self._spread:
                self._top_up(process, self._spread)

    async def rest(self) -> None:
        """Ends the run: when this returns everything that was found has been booked, and nothing follows.

        Short spans are computed to their ends, so that no gap keeps back what others found above it.
        """
        spread = self._spread
        if spread is None:
            return
        generating = [process for process in self.processes if process.generating]
        for process in generating:
            process.generating = False
        finish = len(self.processes) > 1
        pauses = (
            process.compute.request("pow_pause", timeout_s=self._timeout_s, finish=finish)
            for process in generating
        )
        for answer in await asyncio.gather(*pauses, return_exceptions=True):
            if isinstance(answer, BaseException):
                log.warning("generation not paused", problem=str(answer))
        self._spread = None
        for process in self.processes:
            spread.ledger.give_back(process.index)

    async def unload(self) -> None:
        """Drops the puzzle everywhere."""
        self._wanted = self._spread = None
        up = [process for process in self.processes if process.compute.is_ready]
        asked = (process.compute.request("pow_unload", timeout_s=self._timeout_s) for process in up)
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, BaseException):
                log.warning("puzzle not unloaded", problem=str(answer))
        for process in self.processes:
            process.forget()
            process.problem = None

    def give_up(self) -> None:
        """No process has the puzzle any more; nobody joins a run that is over."""
        self._wanted = self._spread = None

    def is_ready(self, process: PowProcess) -> None:
        """A process that has (re)started takes part in what the others do."""
        if self._loading:
            self._late.append(process)
            return
        if self._wanted is None or process.loaded or not self.any_loaded:
            return
        task = asyncio.create_task(self._join(process, self._wanted))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    async def _join(self, process: PowProcess, wanted: dict[str, Any]) -> None:
        try:
            await self._load(process, wanted)
            if self._wanted is not wanted:
                # Another command has come in between; it asked this process too, or has unloaded it.
                return
            if self._spread and self.any_generating:
                await self._begin(process, self._spread)
        except ComputeError:
            return  # It is logged, and shown in the process's state.

    def least_busy(self) -> PowProcess:
        """Who gets the next batch to re-compute."""
        loaded = [process for process in self.processes if process.loaded]
        return min(loaded or self.processes, key=lambda process: process.jobs)
