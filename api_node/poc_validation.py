"""Re-computes samples of the other participants' nonces on own nodes and says what they showed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2
import structlog

from api_node.chain import ChainReader
from api_node.intents import Puzzle
from api_node.mlnode_client import MLNodeClient, MLNodeError
from api_node.poc_fetch import Commitment, WithheldError, fetch_claims
from api_node.poc_pace import Pace, job_size
from api_node.poc_queries import read_bench
from api_node.verdicts import Recomputed, fold, verdicts_message
from api_node.view import ChainView
from client.chain import ChainError
from protocol.claims import decode_claims, decode_nonces
from protocol.gen.evergrid.epochs.v1 import params_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.poc_samples import sampled_nonces

log = structlog.get_logger("api_node.poc_validation")

RETRY_S = 0.2
RETRY_MAX_S = 5.0
# So many answers of participants are waited for at once, and each participant is asked so often for leaves.
PARTICIPANTS_ASKED_MAX = 16
ASKED_TIMES_MAX = 4

R = TypeVar("R")
Nonces = list[tuple[str, int, int]]


def draw_sample(
    view: ChainView, address: str, participant: str, batches: Sequence[poc_pb2.PocBatch]
) -> list[tuple[str, int]]:
    """The (node_id, nonce) that this participant re-computes of another one."""
    assert view.upcoming is not None
    spans = (
        [(batch.node_id, nonce, 1) for batch in batches for nonce in nonces_of(batch)]
        if _explicit(batches)
        else [(batch.node_id, batch.nonce_first, batch.nonce_count) for batch in batches]
    )
    return sampled_nonces(
        spans,
        view.upcoming.params.poc.sample_size,
        chain_id=view.chain_id,
        height_start=view.upcoming.height_start,
        block_hash=view.upcoming.validation_seed,
        validator=address,
        participant=participant,
    )


def _explicit(batches: Sequence[poc_pb2.PocBatch]) -> bool:
    return any(batch.nonces for batch in batches)


def nonces_of(batch: poc_pb2.PocBatch) -> Sequence[int]:
    """The nonces of a batch, in their order."""
    dense = range(batch.nonce_first, batch.nonce_first + batch.nonce_count)
    return decode_nonces(batch.nonces) if batch.nonces else dense


def claims_of(batches: Iterable[poc_pb2.PocBatch]) -> dict[tuple[str, int], int]:
    """Every claim of inline batches by (node_id, nonce)."""
    claims: dict[tuple[str, int], int] = {}
    for batch in batches:
        if not batch.root:
            values = decode_claims(batch.claims)
            pairs = zip(nonces_of(batch), values, strict=True)
            claims |= {(batch.node_id, nonce): claim for nonce, claim in pairs}
    return claims


@dataclass
class Job:
    """Some nonces of one node, to be re-computed in one request."""

    participant: str
    node_id: str
    nonces: list[int]
    claims: list[int]
    request_id: str
    body: dict[str, Any]
    answered: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Round:
    """The validation of one PoC."""

    puzzle: Puzzle
    params: params_pb2.PocParams
    drawn: dict[str, Nonces] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    found: dict[tuple[str, str, int], Recomputed] = field(default_factory=dict)
    # Whose sample is not known yet.
    drawing: set[str] = field(default_factory=set)
    places: Mapping[str, int] = field(default_factory=dict)
    height_end: int = 0
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def note_complete(self) -> None:
        """Sets `complete` once nothing is drawn or re-computed any more."""
        if not self.jobs and not self.drawing:
            self.complete.set()


ReadyNodes = Callable[[Puzzle], Mapping[str, MLNodeClient]]


class Validator:
    """One round at a time; `begin` may be called at every block."""

    def __init__(
        self, reader: ChainReader, address: str, ready: ReadyNodes, http: httpx2.AsyncClient | None = None
    ) -> None:
        self._reader = reader
        self._address = address
        self._ready = ready
        self._round: Round | None = None
        self._turn = 0
        self._pace = Pace()
        self._http = http or httpx2.AsyncClient(trust_env=False, follow_redirects=False)
        # Whoever does not answer holds one of these, and no longer than one answer may take.
        self._asking = asyncio.Semaphore(PARTICIPANTS_ASKED_MAX)

    def note_height(self, height: int) -> None:
        """Each block tells how much time is left."""
        self._pace.note(height, time.monotonic())

    def begin(self, view: ChainView) -> None:
        """Starts the round of the PoC under way, unless it is running."""
        assert view.upcoming is not None
        puzzle = Puzzle(view.upcoming.height_start, view.upcoming.poc_seed.hex())
        current = self._round
        if current is not None and current.puzzle == puzzle and not _has_failed(current):
            return
        self._end()
        assert view.heights is not None
        current = Round(puzzle, view.upcoming.params.poc, height_end=view.heights.validation_end)
        self._round = current
        current.task = asyncio.create_task(self._run(current, view), name="poc validation")

    def is_complete(self, height_start: int) -> bool:
        """Whether every sample of this PoC is re-computed."""
        current = self._round
        return (
            current is not None and current.puzzle.height_start == height_start and current.complete.is_set()
        )

    def verdicts(self, height_start: int) -> list[poc_pb2.PocVerdict]:
        """What is known of this PoC: a verdict on whoever was checked in full, abstention on the rest."""
        current = self._round
        if current is None or current.puzzle.height_start != height_start:
            return []
        return fold(current.drawn, current.found, current.params)

    def message(
        self, height_start: int, verdicts: Sequence[poc_pb2.PocVerdict]
    ) -> poc_pb2.MsgSubmitPocValidations:
        """The verdicts as they are sent: by place, together where they say the same."""
        places = self._round.places if self._round else {}
        return verdicts_message(self._address, height_start, verdicts, places)

    async def wait_complete(self) -> None:
        """Until the round that runs now is complete; for ever where there is none."""
        while True:
            if self._round is not None:
                await self._round.complete.wait()
                return
            await asyncio.sleep(RETRY_S)

    def on_validated(self, request_id: str, nonces: Sequence[int], dist: Sequence[Recomputed]) -> bool:
        """A node's callback; false where nobody waits for it, or it says that it could not do it."""
        current = self._round
        job = current.jobs.get(request_id) if current else None
        if current is None or job is None or list(nonces) != job.nonces or len(dist) != len(nonces):
            return False
        del current.jobs[request_id]
        job.answered.set()
        for nonce, claim in zip(nonces, dist, strict=True):
            current.found[job.participant, job.node_id, nonce] = claim
        current.note_complete()
        return True

    def on_error(self, request_id: str) -> None:
        """A node could not re-compute; the job goes to another one."""
        current = self._round
        if current and (job := current.jobs.get(request_id)):
            job.answered.set()

    async def close(self) -> None:
        """Ends the round."""
        self._end()
        await self._http.aclose()

    def _end(self) -> None:
        if self._round is not None and self._round.task is not None:
            self._round.task.cancel()
        self._round = None

    async def _run(self, current: Round, view: ChainView) -> None:
        assert view.upcoming is not None
        start, seed = current.puzzle.height_start, view.upcoming.validation_seed
        bench = await _until_it_works(lambda: read_bench(self._reader, view.chain_id, start, seed))
        participants = await asyncio.to_thread(bench.judged_by, self._address)
        current.places = bench.places
        current.drawn = {participant: [("", 0, 0)] for participant in participants}
        current.drawing = set(participants)
        log.info("validation begins", height_start=start, participants=len(participants))
        current.note_complete()
        await asyncio.gather(*(self._check(current, view, each) for each in participants))

    async def _check(self, current: Round, view: ChainView, participant: str) -> None:
        """One participant from its batches to its last re-computed nonce; it waits for no other one."""
        jobs = await self._draw(current, view, participant)
        current.drawing.discard(participant)
        current.note_complete()
        await asyncio.gather(*(self._work(current, job) for job in jobs))

    async def _draw(self, current: Round, view: ChainView, participant: str) -> list[Job]:
        height_start = current.puzzle.height_start
        found = await _until_it_works(lambda: self._reader.participant(participant))
        batches = await _until_it_works(lambda: self._reader.poc_batches(height_start, participant))
        assert found is not None, "who submitted nonces is a participant"
        picked = draw_sample(view, self._address, participant, batches)
        shown = await self._shown(found.url, height_start, participant, batches, picked)
        if shown is None:
            return []
        claims: dict[tuple[str, int], int | None] = {**claims_of(batches), **shown}
        by_node: dict[str, list[tuple[int, int]]] = {}
        for node_id, nonce in picked:
            claim = claims[node_id, nonce]
            if claim is None:
                # Nothing is left to re-compute: what was shown is not what was committed to.
                current.found[participant, node_id, nonce] = None
            else:
                by_node.setdefault(node_id, []).append((nonce, claim))
        current.drawn[participant] = [(*each, claims[each] or 0) for each in picked]
        jobs = []
        size = job_size(len(picked), len(self._ready(current.puzzle)), len(current.drawn))
        for node_id, pairs in by_node.items():
            for at in range(0, len(pairs), size):
                piece = pairs[at : at + size]
                jobs.append(_job(current.puzzle, participant, found.public_key.hex(), node_id, piece))
        current.jobs |= {job.request_id: job for job in jobs}
        return jobs

    async def _shown(
        self,
        url: str,
        height_start: int,
        participant: str,
        batches: Sequence[poc_pb2.PocBatch],
        picked: Sequence[tuple[str, int]],
    ) -> dict[tuple[str, int], int | None] | None:
        """The claims behind commitments, None each where what is shown is wrong; None: they are withheld."""
        claims: dict[tuple[str, int], int | None] = {}
        for batch in batches:
            nonces = [nonce for node_id, nonce in picked if node_id == batch.node_id]
            if not batch.root or not nonces:
                continue
            commitment = Commitment.of(batch, nonces_of(batch))
            by_nonce = await self._ask_often(url, height_start, participant, commitment, nonces)
            if by_nonce is None:
                return None
            claims |= {(batch.node_id, nonce): claim for nonce, claim in by_nonce.items()}
        return claims

    async def _ask_often(
        self, url: str, height_start: int, participant: str, commitment: Commitment, nonces: Sequence[int]
    ) -> dict[int, int | None] | None:
        indices = [bisect_left(commitment.nonces, nonce) for nonce in nonces]
        wait_s = RETRY_S
        for _ in range(ASKED_TIMES_MAX):
            try:
                async with self._asking:
                    found = await fetch_claims(self._http, url, height_start, commitment, indices)
                return {commitment.nonces[index]: claim for index, claim in found.items()}
            except WithheldError as error:
                names = {"participant": participant, "node_id": commitment.node_id}
                log.info("leaves are withheld", problem=str(error), **names)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RETRY_MAX_S)
        return None

    async def _work(self, current: Round, job: Job) -> None:
        """Gives a job to ready nodes, one after another, until one has answered."""
        wait_s = RETRY_S
        while job.request_id in current.jobs:
            client = self._next_node(current.puzzle)
            if client is None:
                await asyncio.sleep(RETRY_S)
                continue
            job.answered.clear()
            try:
                await client.pow_validate(job.body)
            except MLNodeError as error:
                log.info("a node does not re-compute", node_id=client.node.id, problem=str(error))
                await asyncio.sleep(RETRY_S)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace.patience_s(current.height_end)):
                    await job.answered.wait()
            if job.request_id in current.jobs:
                # It was answered that it cannot be done, or not at all: another node, and not at once.
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, RETRY_MAX_S)

    def _next_node(self, puzzle: Puzzle) -> MLNodeClient | None:
        ready = self._ready(puzzle)
        if not ready:
            return None
        self._turn += 1
        return ready[sorted(ready)[self._turn % len(ready)]]


async def _until_it_works(ask: Callable[[], Awaitable[R]]) -> R:
    while True:
        try:
            return await ask()
        except ChainError as error:
            log.info("waiting for the chain", reason="chain_unreachable", problem=str(error), retry_s=RETRY_S)
            await asyncio.sleep(RETRY_S)


def _has_failed(current: Round) -> bool:
    task = current.task
    return task is not None and task.done() and not task.cancelled() and task.exception() is not None


def _job(
    puzzle: Puzzle, participant: str, public_key: str, node_id: str, pairs: Sequence[tuple[int, int]]
) -> Job:
    nonces, claims = [nonce for nonce, _ in pairs], [claim for _, claim in pairs]
    request_id = f"{puzzle.height_start}/{participant}/{node_id}/{nonces[0]}"
    body = {
        "public_key": public_key,
        "block_hash": puzzle.poc_seed,
        "block_height": puzzle.height_start,
        "nonces": nonces,
        "dist": claims,
        "node_id": node_id,
        "request_id": request_id,
    }
    return Job(participant, node_id, nonces, claims, request_id, body)
