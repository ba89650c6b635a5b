"""poc: what the chain keeps. Keys begin with the start height of the PoC, so one stage is one prefix."""

from __future__ import annotations

from abci_app.kernel.collections import STR, U64, KeySet, Map
from protocol.gen.evergrid.poc.v1.poc_pb2 import (
    NodeNonces,
    PocBatch,
    PocOutcome,
    PocTally,
    ValidatorJudgements,
    WeighedNode,
)

BatchKey = tuple[int, str, str, int]  # start height, participant, node_id, first nonce
NodeKey = tuple[int, str, str]  # start height, participant, node_id

BATCHES: Map[BatchKey, PocBatch] = Map("poc/batches", (U64, STR, STR, U64), PocBatch)
NODES: Map[NodeKey, NodeNonces] = Map("poc/nodes", (U64, STR, STR), NodeNonces)
# Start height, participant. A participant has a tally from its first batch on.
TALLIES: Map[tuple[int, str], PocTally] = Map("poc/tallies", (U64, STR), PocTally)
# Start height, place: whom verdicts name so. Who has a tally has a place, and keeps it.
PLACES: Map[tuple[int, int], str] = Map("poc/places", (U64, U64), str)
# Start height, validator.
VALIDATIONS: Map[tuple[int, str], ValidatorJudgements] = Map(
    "poc/validations", (U64, STR), ValidatorJudgements
)
OUTCOMES: Map[tuple[int, str], PocOutcome] = Map("poc/outcomes", (U64, STR), PocOutcome)
# Start heights of stages that an extension dropped: their data goes first when there is time.
DROPPED: KeySet[int] = KeySet("poc/dropped", U64)

# Bulk data beside the tree; the batch's record in the tree holds its hash.
CLAIMS: Map[BatchKey, bytes] = Map("~poc/claims", (U64, STR, STR, U64), bytes)
NONCES: Map[BatchKey, bytes] = Map("~poc/nonces", (U64, STR, STR, U64), bytes)
# Why each node has the weight that it has; consensus does not read it again.
WEIGHTS: Map[NodeKey, WeighedNode] = Map("~poc/weights", (U64, STR, STR), WeighedNode)
