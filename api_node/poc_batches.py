"""Nonces of own nodes on their way to the chain: checked, cut into batches, queued."""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import structlog

from api_node.metrics import Metrics
from api_node.outbox import Status
from api_node.poc_artifacts import ArtifactStore, Leaves, longest_run
from api_node.sender import Sender
from api_node.view import ChainView
from protocol.claims import encode_claims
from protocol.gen.evergrid.epochs.v1 import params_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2

log = structlog.get_logger("api_node.poc_batches")

EVERY_NONCE_BPS = 10_000
FACT = "poc_batches"


class BatchRefusedError(ValueError):
    """Nonces that belong to no node or PoC of this participant; the text names all that is wrong."""


@dataclass(frozen=True, slots=True)
class OpenStage:
    """The PoC that takes batches now."""

    height_start: int
    poc_seed: str
    height_last: int
    params: params_pb2.PocParams


@dataclass(frozen=True, slots=True)
class Generated:
    """What an MLNode posts: nonces in rising order, each with its claim in 1e-6."""

    node_id: str
    block_hash: str
    block_height: int
    public_key: str
    nonces: Sequence[int]
    claims: Sequence[int]


Run = tuple[list[int], list[int]]


def batch_runs(
    nonces: Sequence[int], claims: Sequence[int], nonce_next: int, batch_max: int, *, dense: bool
) -> list[Run]:
    """Nonces from `nonce_next` on, in runs of at most `batch_max`; each without gaps if `dense`."""
    runs: list[Run] = []
    last: int | None = None
    for nonce, claim in zip(nonces, claims, strict=True):
        if nonce < nonce_next:
            continue  # it was taken already: the MLNode posts again what was not acknowledged
        begins = last is None or len(runs[-1][0]) >= batch_max or (dense and nonce != last + 1)
        if begins:
            runs.append(([], []))
        runs[-1][0].append(nonce)
        runs[-1][1].append(claim)
        last = nonce
    return runs


def batch_message(
    creator: str, height_start: int, node_id: str, run: Run, *, dense: bool
) -> poc_pb2.MsgSubmitPocBatch:
    """One run as the chain takes it, inline."""
    nonces, claims = run
    message = poc_pb2.MsgSubmitPocBatch(
        creator=creator,
        poc_stage_start_height=height_start,
        node_id=node_id,
        batch_id=f"{height_start}-{nonces[0]}",
        claims=encode_claims(claims),
    )
    if dense:
        message.nonce_first, message.nonce_count = nonces[0], len(nonces)
    else:
        message.nonces.extend(nonces)
    return message


def root_message(
    creator: str, height_start: int, leaves: Leaves, root: bytes, *, dense: bool
) -> poc_pb2.MsgSubmitPocBatch:
    """All nonces of a node as the chain takes them committed."""
    nonces = leaves.nonces
    message = poc_pb2.MsgSubmitPocBatch(
        creator=creator,
        poc_stage_start_height=height_start,
        node_id=leaves.node_id,
        batch_id=f"{height_start}-{nonces[0]}",
        root=root,
    )
    if dense:
        message.nonce_first, message.nonce_count = nonces[0], len(nonces)
    else:
        message.nonces.extend(nonces)
    return message


class BatchCollector:
    """Takes what MLNodes post, and remembers per node how far it has come.

    Where the committed form is open nonces are kept until `close` sends each node's: as a root, or inline
    where that form is open too and one inline batch can hold them all.
    """

    def __init__(
        self, sender: Sender, metrics: Metrics, address: str, public_key: bytes, store: ArtifactStore
    ) -> None:
        self.store = store
        self._sender = sender
        self._metrics = metrics
        self._address = address
        self._public_key = public_key.hex()
        # By node: after what was taken, and after what was queued inline.
        self._nonce_next: dict[str, int] = {}
        self._queued_next: dict[str, int] = {}
        self._closed: set[str] = set()
        # Of these, whose nonces went inline: what comes later goes the same way.
        self._closed_inline: set[str] = set()
        self._kept_stage = -1
        self.stage: OpenStage | None = None

    def open(self, view: ChainView, on_chain: dict[str, int]) -> None:
        """Begins or resumes a PoC; `on_chain` is the next nonce of each own node there."""
        assert view.upcoming is not None and view.heights is not None
        start = view.upcoming.height_start
        self.stage = OpenStage(
            height_start=start,
            poc_seed=view.upcoming.poc_seed.hex(),
            height_last=view.heights.batches_end,
            params=view.upcoming.params.poc,
        )
        kept = json.loads(self._sender.outbox.fact(FACT) or "{}")
        queued = kept.get("nonce_next", {}) if kept.get("height_start") == start else {}
        stored = {node_id: self.store.nonce_next(start, node_id) for node_id in self.store.nodes(start)}
        self._queued_next = _highest(queued, on_chain)
        self._nonce_next = _highest(queued, on_chain, stored)
        self._closed_inline = set()
        self._closed = {node_id for node_id in stored if self.store.root(start, node_id)}
        for node_id in self._closed:
            # It is queued once, however often: what ended the process may have stood between disk and queue.
            if leaves := self.store.committed(start, node_id):
                self._queue_root(self.stage, leaves)

    def step(self, view: ChainView) -> None:
        """What a new block makes due: leaves that nobody needs any more are forgotten."""
        at = view.heights
        kept_stage = at.start if at is not None and view.height <= at.validation_end else 0
        if kept_stage != self._kept_stage:
            self.store.prune(kept_stage)
            self._kept_stage = kept_stage

    def held_back(self) -> list[str]:
        """The nodes whose nonces are kept and not yet sent."""
        stage = self.stage
        if stage is None or not stage.params.committed_batches:
            return []
        return [each for each in self.store.nodes(stage.height_start) if each not in self._closed]

    async def close(self, node_id: str) -> None:
        """Sends the kept nonces of a node; done again after a restart it sends nothing twice."""
        stage = self.stage
        if stage is None or node_id not in self.held_back():
            return
        self._closed.add(node_id)
        start, params = stage.height_start, stage.params
        nonces, claims = self.store.kept(start, node_id)
        fits = len(nonces) <= params.max_nonces_per_batch or self._queued_next.get(node_id, 0) > 0
        if params.inline_batches and fits:
            self._closed_inline.add(node_id)
            self._queue(stage, node_id, nonces, claims)
            return
        run = longest_run(nonces, claims, params.max_nonces_per_node, dense=_is_dense(params))
        leaves = Leaves(node_id, *run)
        # Hashing takes a second for some hundred thousand of them.
        await asyncio.to_thread(getattr, leaves, "tree")
        self.store.commit(start, leaves)
        self._queue_root(stage, leaves)

    def nonce_next(self, node_id: str) -> int:
        """The first nonce that is neither on chain nor on its way there."""
        return self._nonce_next.get(node_id, 0)

    def take(self, batch: Generated, own_nodes: Sequence[str]) -> int:
        """Keeps or queues what is new of a post and returns how many nonces; raises BatchRefusedError."""
        if errors := self._errors(batch, own_nodes):
            raise BatchRefusedError("; ".join(errors))
        stage = self.stage
        assert stage is not None
        closed = batch.node_id in self._closed
        if closed and batch.node_id not in self._closed_inline:
            # All are committed to; what comes after them is acknowledged, for it is not to come again.
            self._metrics.nonces.labels(batch.node_id, "late").inc(len(batch.nonces))
            return 0
        if closed or not stage.params.committed_batches:
            taken, what = self._queue(stage, batch.node_id, batch.nonces, batch.claims), "queued"
        else:
            taken, what = self._keep(stage, batch), "kept"
        self._metrics.nonces.labels(batch.node_id, what).inc(taken)
        self._metrics.nonces.labels(batch.node_id, "repeated").inc(len(batch.nonces) - taken)
        return taken

    def is_on_chain(self, height_start: int, node_id: str) -> bool:
        """Whether a node's commitment is in a block."""
        entry = self._sender.outbox.get(_root_key(height_start, node_id))
        return entry is not None and entry.status == Status.INCLUDED

    def _keep(self, stage: OpenStage, batch: Generated) -> int:
        begin = bisect_left(batch.nonces, self.nonce_next(batch.node_id))
        nonces = batch.nonces[begin:]
        if nonces:
            self.store.add(stage.height_start, batch.node_id, nonces, batch.claims[begin:])
            self._nonce_next[batch.node_id] = nonces[-1] + 1
        return len(nonces)

    def _queue(self, stage: OpenStage, node_id: str, nonces: Sequence[int], claims: Sequence[int]) -> int:
        """Inline batches of what is new; a batch that was queued before is not queued again."""
        dense = _is_dense(stage.params)
        begin = self._queued_next.get(node_id, 0)
        batch_max = stage.params.max_nonces_per_batch
        taken = 0
        for run in batch_runs(nonces, claims, begin, batch_max, dense=dense):
            message = batch_message(self._address, stage.height_start, node_id, run, dense=dense)
            key = f"poc_batch/{stage.height_start}/{node_id}/{run[0][0]}"
            self._sender.submit(key, message, stage.height_last)
            self._queued_next[node_id] = run[0][-1] + 1
            taken += len(run[0])
        self._nonce_next[node_id] = max(self.nonce_next(node_id), self._queued_next.get(node_id, 0))
        kept = {"height_start": stage.height_start, "nonce_next": self._queued_next}
        self._sender.outbox.remember(FACT, json.dumps(kept))
        return taken

    def _queue_root(self, stage: OpenStage, leaves: Leaves) -> None:
        start, node_id = stage.height_start, leaves.node_id
        root = self.store.root(start, node_id)
        assert root is not None, "leaves that are fixed have a root"
        message = root_message(self._address, start, leaves, root, dense=_is_dense(stage.params))
        if self._sender.submit(_root_key(start, node_id), message, stage.height_last):
            count = len(leaves.nonces)
            log.info("committed", node_id=node_id, height_start=start, nonces=count, root=root.hex())

    def _errors(self, batch: Generated, own_nodes: Sequence[str]) -> list[str]:
        stage = self.stage
        if stage is None:
            return ["no PoC is under way"]
        errors = []
        if batch.node_id not in own_nodes:
            errors.append(f"node {batch.node_id} is none of this participant's")
        if batch.public_key.lower() != self._public_key:
            errors.append("public_key is not this participant's")
        if (batch.block_height, batch.block_hash.lower()) != (stage.height_start, stage.poc_seed):
            errors.append(
                f"the PoC under way is that of height {stage.height_start} and hash {stage.poc_seed}"
            )
        if not batch.nonces or len(batch.nonces) != len(batch.claims):
            errors.append(f"{len(batch.nonces)} nonces have {len(batch.claims)} claims")
        if any(low >= high for low, high in pairwise(batch.nonces)):
            errors.append("nonces do not rise strictly")
        if any(not -(2**31) <= claim < 2**31 for claim in batch.claims):
            errors.append("a claim does not fit into 32 bits")
        return errors


def _is_dense(params: params_pb2.PocParams) -> bool:
    return params.acceptance_bps == EVERY_NONCE_BPS


def _highest(*known: Mapping[str, int]) -> dict[str, int]:
    """By node the highest number that any of them has."""
    nodes = {node_id for each in known for node_id in each}
    return {node_id: max(each.get(node_id, 0) for each in known) for node_id in nodes}


def _root_key(height_start: int, node_id: str) -> str:
    return f"poc_root/{height_start}/{node_id}"
