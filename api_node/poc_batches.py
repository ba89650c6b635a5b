"""Nonces of own nodes on their way to the chain: checked, cut into batches, queued."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import structlog

from api_node.metrics import Metrics
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


class BatchCollector:
    """Takes what MLNodes post, and remembers per node how far it has come."""

    def __init__(self, sender: Sender, metrics: Metrics, address: str, public_key: bytes) -> None:
        self._sender = sender
        self._metrics = metrics
        self._address = address
        self._public_key = public_key.hex()
        self._nonce_next: dict[str, int] = {}
        self.stage: OpenStage | None = None

    def open(self, view: ChainView, on_chain: dict[str, int]) -> None:
        """Begins or resumes a PoC; `on_chain` is the next nonce of each own node there."""
        assert view.upcoming is not None and view.heights is not None
        self.stage = OpenStage(
            height_start=view.upcoming.height_start,
            poc_seed=view.upcoming.poc_seed.hex(),
            height_last=view.heights.batches_end,
            params=view.upcoming.params.poc,
        )
        kept = json.loads(self._sender.outbox.fact(FACT) or "{}")
        queued = kept.get("nonce_next", {}) if kept.get("height_start") == self.stage.height_start else {}
        nodes = {*queued, *on_chain}
        self._nonce_next = {each: max(queued.get(each, 0), on_chain.get(each, 0)) for each in nodes}

    def nonce_next(self, node_id: str) -> int:
        """The first nonce that is neither on chain nor on its way there."""
        return self._nonce_next.get(node_id, 0)

    def take(self, batch: Generated, own_nodes: Sequence[str]) -> int:
        """Queues what is new of a post and returns how many nonces; raises BatchRefusedError."""
        if errors := self._errors(batch, own_nodes):
            raise BatchRefusedError("; ".join(errors))
        stage = self.stage
        assert stage is not None
        dense = stage.params.acceptance_bps == EVERY_NONCE_BPS
        runs = batch_runs(
            batch.nonces,
            batch.claims,
            self.nonce_next(batch.node_id),
            stage.params.max_nonces_per_batch,
            dense=dense,
        )
        taken = 0
        for run in runs:
            message = batch_message(self._address, stage.height_start, batch.node_id, run, dense=dense)
            key = f"poc_batch/{stage.height_start}/{batch.node_id}/{run[0][0]}"
            self._sender.submit(key, message, stage.height_last)
            self._nonce_next[batch.node_id] = run[0][-1] + 1
            taken += len(run[0])
        kept = {"height_start": stage.height_start, "nonce_next": self._nonce_next}
        self._sender.outbox.remember(FACT, json.dumps(kept))
        self._metrics.nonces.labels(batch.node_id, "queued").inc(taken)
        self._metrics.nonces.labels(batch.node_id, "repeated").inc(len(batch.nonces) - taken)
        return taken

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
