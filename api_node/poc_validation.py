"""Re-computes samples of the other participants' nonces on own nodes and says what they showed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from api_node.chain import ChainReader
from api_node.mlnode_client import MLNodeClient, MLNodeError
from api_node.phases import Puzzle
from api_node.verdicts import Recomputed, fold
from api_node.view import ChainView
from client.chain import ChainError
from protocol.claims import decode_claims, decode_nonces
from protocol.gen.evergrid.epochs.v1 import params_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.poc_samples import sampled_nonces, sampled_validators

log = structlog.get_logger("api_node.poc_validation")

RETRY_S = 0.2
RETRY_MAX_S = 5.0
# A request that no callback answered is given to another node after this time.
ANSWER_TIMEOUT_S = 30.0
JOB_NONCES_MAX = 500

Nonces = list[tuple[str, int, int]]


def judged_by(view: ChainView, address: str, with_nonces: Iterable[str]) -> list[str]:
    """On whom this participant has to give a verdict, sorted; empty where it has no vote."""
    assert view.upcoming is not None
    powers = view.effective.voting_powers
    if not powers.get(address):
        return []
    alone = list(powers) == [address]
    candidates = sorted(each for each in with_nonces if alone or each != address)
    slots = view.upcoming.params.poc.validation_slots
    if not slots:
        return candidates
    return [each for each in candidates if address in _drawn(view, each, slots)]


def _drawn(view: ChainView, participant: str, slots: int) -> dict[str, int]:
    assert view.upcoming is not None
    return sampled_validators(
        view.effective.voting_powers,
        slots,
        chain_id=view.chain_id,
        height_start=view.upcoming.height_start,
        block_hash=view.upcoming.validation_seed,
        participant=participant,
    )


def draw_sample(
    view: ChainView, address: str, participant: str, batches: Sequence[poc_pb2.PocBatch]
) -> Nonces:
    """The (node_id, nonce, claim) that this participant re-computes of another one."""
    assert view.upcoming is not None
    claims = claims_of(batches)
    spans = (
        [(node_id, nonce, 1) for node_id, nonce in claims]
        if _explicit(batches)
        else [(batch.node_id, batch.nonce_first, batch.nonce_count) for batch in batches]
    )
    picked = sampled_nonces(
        spans,
        view.upcoming.params.poc.sample_size,
        chain_id=view.chain_id,
        height_start=view.upcoming.height_start,
        block_hash=view.upcoming.validation_seed,
        validator=address,
        participant=participant,
    )
    return [(node_id, nonce, claims[node_id, nonce]) for node_id, nonce in picked]


def _explicit(batches: Sequence[poc_pb2.PocBatch]) -> bool:
    return any(batch.nonces for batch in batches)


def claims_of(batches: Sequence[poc_pb2.PocBatch]) -> dict[tuple[str, int], int]:
    """Every claim by (node_id, nonce)."""
    claims: dict[tuple[str, int], int] = {}
    for batch in batches:
        values = decode_claims(batch.claims)
        dense = range(batch.nonce_first, batch.nonce_first + batch.nonce_count)
        nonces = decode_nonces(batch.nonces) if batch.nonces else tuple(dense)
        claims |= {(batch.node_id, nonce): claim for nonce, claim in zip(nonces, values, strict=True)}
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
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


ReadyNodes = Callable[[Puzzle], Mapping[str, MLNodeClient]]


class Validator:
    """One round at a time; `begin` may be called at every block."""

    def __init__(self, reader: ChainReader, address: str, ready: ReadyNodes) -> None:
        self._reader = reader
        self._address = address
        self._ready = ready
        self._round: Round | None = None
        self._turn = 0

    def begin(self, view: ChainView) -> None:
        """Starts the round of the PoC under way, unless it is running."""
        assert view.upcoming is not None
        puzzle = Puzzle(view.upcoming.height_start, view.upcoming.poc_seed.hex())
        current = self._round
        if current is not None and current.puzzle == puzzle and not _has_failed(current):
            return
        self._end()
        current = Round(puzzle, view.upcoming.params.poc)
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
        if not current.jobs:
            current.complete.set()
        return True

    def on_error(self, request_id: str) -> None:
        """A node could not re-compute; the job goes to another one."""
        current = self._round
        if current and (job := current.jobs.get(request_id)):
            job.answered.set()

    async def close(self) -> None:
        """Ends the round."""
        self._end()
        await asyncio.sleep(0)

    def _end(self) -> None:
        if self._round is not None and self._round.task is not None:
            self._round.task.cancel()
        self._round = None

    async def _run(self, current: Round, view: ChainView) -> None:
        nodes = await self._until_it_works(lambda: self._reader.node_nonces(current.puzzle.height_start))
        judged_already = await self._until_it_works(
            lambda: self._reader.own_verdicts(current.puzzle.height_start)
        )
        with_nonces = {participant for participant, _ in nodes} - judged_already
        participants = judged_by(view, self._address, with_nonces)
        current.drawn = {participant: [("", 0, 0)] for participant in participants}
        await asyncio.gather(*(self._draw(current, view, each) for each in participants))
        log.info(
            "validation begins",
            height_start=current.puzzle.height_start,
            participants=len(participants),
            nonces=sum(len(sample) for sample in current.drawn.values()),
        )
        if not current.jobs:
            current.complete.set()
        await asyncio.gather(*(self._work(current, job) for job in list(current.jobs.values())))

    async def _draw(self, current: Round, view: ChainView, participant: str) -> None:
        height_start = current.puzzle.height_start
        found = await self._until_it_works(lambda: self._reader.participant(participant))
        batches = await self._until_it_works(lambda: self._reader.poc_batches(height_start, participant))
        assert found is not None, "who submitted nonces is a participant"
        if any(batch.root for batch in batches):
            # Leaves behind a root are not fetched here yet; what was not checked gets no verdict.
            log.info("abstains on committed nonces", participant=participant)
            return
        sample = draw_sample(view, self._address, participant, batches)
        current.drawn[participant] = sample
        by_node: dict[str, list[tuple[int, int]]] = {}
        for node_id, nonce, claim in sample:
            by_node.setdefault(node_id, []).append((nonce, claim))
        for node_id, pairs in by_node.items():
            for at in range(0, len(pairs), JOB_NONCES_MAX):
                piece = pairs[at : at + JOB_NONCES_MAX]
                job = _job(current.puzzle, participant, found.public_key.hex(), node_id, piece)
                current.jobs[job.request_id] = job

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
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
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

    @staticmethod
    async def _until_it_works(ask: Callable[[], Any]) -> Any:
        while True:
            try:
                return await ask()
            except ChainError as error:
                log.info("waiting for the chain", problem=str(error))
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
