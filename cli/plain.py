"""Reasons in plain words, as `diff epochs` tells them."""

from __future__ import annotations

from abci_app.kernel.trace import word
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as pb

DRAW = {
    pb.REASON_SELECTED: "serves through the PoC",
    pb.REASON_OVER_LIMIT: "mines, since with it more than the limit of the model would serve",
    pb.REASON_VOTING_GUARD: "mines, since too much voting power would have no node left to mine",
    pb.REASON_NOT_DRAWN: "mines, since enough was selected before its turn came",
    pb.REASON_PARTICIPANT_INVALID: "may not serve, since its participant is INVALID",
    pb.REASON_NOT_SERVING: "may not serve, since it does not serve the model",
    pb.REASON_ZERO_THROUGHPUT: "may not serve, since it has no throughput",
    pb.REASON_PENDING_MODEL_CHANGE: "may not serve, since its next model is another or none",
    pb.REASON_NODE_DISABLED: "may not serve, since its participant disabled it",
    pb.REASON_MAINTENANCE: "may not serve, since maintenance is announced for the PoC period",
    pb.REASON_UNPROVED: "mines, since it was preserved as often in a row as is allowed",
    pb.REASON_MIN_SERVED: "mines, since its participant served too few requests of the model",
    pb.REASON_AVAILABILITY: "mines, since its participant missed too many requests",
}

WEIGHT = {
    pb.REASON_MINED: "proved by mining",
    pb.REASON_PRESERVED: "kept, since it served through the PoC",
    pb.REASON_GENESIS: "given by the genesis",
    pb.REASON_THROUGHPUT_SHORTFALL: "cut, as its model served too little and requests were missed",
}


def draw(reason: pb.Reason) -> str:
    """What the draw before a PoC made of a node, with the reason's own name behind it."""
    return f"{DRAW[reason]} ({word(reason)})" if reason in DRAW else word(reason)


def weight(reason: pb.Reason) -> str:
    """Where a weight comes from, with the reason's own name."""
    return f"{word(reason)}: {WEIGHT[reason]}" if reason in WEIGHT else word(reason)
