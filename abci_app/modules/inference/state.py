"""State of inference: requests and their deadlines, counters per epoch, prices."""

from __future__ import annotations

from abci_app.kernel.collections import BYTES, STR, U64, Item, KeySet, Map
from protocol.gen.evergrid.inference.v1.inference_pb2 import (
    Inference,
    InferenceStatistics,
    InferenceValidation,
    PocRequests,
    Standing,
    StandingsDue,
)

INFERENCES: Map[str, Inference] = Map("inference/inferences", STR, Inference)

# Deadlines: the height at which something is due, and the inference.
EXPIRING: KeySet[tuple[int, str]] = KeySet("inference/expiring", (U64, STR))
FINALIZING: KeySet[tuple[int, str]] = KeySet("inference/finalizing", (U64, STR))

# Signed requests that were accepted, by their time: the time of a request bounds how long it must be
# remembered.
REQUESTS_USED: KeySet[tuple[int, bytes]] = KeySet("inference/requests_used", (U64, BYTES))

# By epoch (the one effective when it happened), then participant.
STATISTICS: Map[tuple[int, str], InferenceStatistics] = Map(
    "inference/statistics", (U64, STR), InferenceStatistics
)
MISSED_BY: Map[tuple[int, str, str], int] = Map("inference/missed_by", (U64, STR, STR), int)
SERVED: Map[tuple[int, str, str], int] = Map("inference/served", (U64, STR, STR), int)

# Requests while a PoC ran, by its start height, model, participant: an extended epoch has several PoCs.
POC_REQUESTS: Map[tuple[int, str, str], PocRequests] = Map(
    "inference/poc_requests", (U64, STR, STR), PocRequests
)

# Tokens by model and block.
TOKENS: Map[tuple[str, int], int] = Map("inference/tokens", (STR, U64), int)

# Verdicts by inference, then validator; they go with the inference.
VALIDATIONS: Map[tuple[str, str], InferenceValidation] = Map(
    "inference/validations", (STR, STR), InferenceValidation
)
# By participant, whatever the epoch: joining again resets nothing.
STANDINGS: Map[str, Standing] = Map("inference/standings", STR, Standing)
STANDINGS_DUE: Item[StandingsDue] = Item("inference/standings_due", StandingsDue)

# nevg per unit of compute, by participant.
PRICE_PROPOSALS: Map[str, int] = Map("inference/price_proposals", STR, int)

# What may be forgotten: by the epoch in which it was closed; by the height of its tokens.
CLOSED: KeySet[tuple[int, str]] = KeySet("inference/closed", (U64, STR))
TOKENS_BY_HEIGHT: KeySet[tuple[int, str]] = KeySet("inference/tokens_by_height", (U64, STR))
