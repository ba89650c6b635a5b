"""inference: requests, tokens and prices (protocol, section 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.module import Module
from abci_app.modules import epochs
from abci_app.modules.inference import genesis, handlers, queries, state, validation_queries
from abci_app.modules.inference.keeper import (
    ACCOUNT,
    AVAILABLE,
    Availability,
    availabilities,
    availability,
    availability_if,
    collect,
    frozen_params,
    pay,
)
from abci_app.modules.inference.steps import close_due, freeze_price, prune
from abci_app.modules.inference.validation import count_good_epochs
from protocol.gen.evergrid.inference.v1.inference_pb2 import (
    INFERENCE_STATUS_FINISHED,
    INFERENCE_STATUS_STARTED,
    GenesisState,
    InferenceStatistics,
)

if TYPE_CHECKING:
    from abci_app.kernel.context import Context

__all__ = [
    "ACCOUNT",
    "AVAILABLE",
    "MODULE",
    "Availability",
    "availabilities",
    "availability",
    "availability_bps",
    "availability_if",
    "close_due",
    "collect",
    "count_good_epochs",
    "freeze_price",
    "frozen_params",
    "handlers",
    "missed_by",
    "obligations",
    "pay",
    "poc_requests",
    "prune",
    "queries",
    "served_count",
    "served_counts",
    "statistics",
    "tokens_finished",
    "validation_queries",
]

MODULE = Module(
    name="inference",
    genesis=GenesisState,
    init_genesis=genesis.init_genesis,
    export_genesis=genesis.export_genesis,
    accounts=(ACCOUNT,),
)


def tokens_finished(ctx: Context, model_id: str, height_from: int, height_to: int) -> int:
    """Input and output tokens of a model's inferences finished in these blocks, both ends included."""
    total = 0
    start = (model_id, max(0, height_from))
    for (_, height), tokens in state.TOKENS.walk(ctx, (model_id,), start=start):
        if height > height_to:
            break
        total += tokens
    return total


def served_count(ctx: Context, epoch: int, model_id: str, participant: str) -> int:
    """Inferences of a model that a participant finished while an epoch was effective."""
    return state.SERVED.get(ctx, (epoch, model_id, participant)) or 0


def poc_requests(ctx: Context, height_start: int, model_id: str, participant: str) -> tuple[int, int]:
    """Requests of a participant on a model finished and missed in [S, E] of the PoC that began there."""
    counted = state.POC_REQUESTS.get(ctx, (height_start, model_id, participant))
    return (counted.finished, counted.missed) if counted is not None else (0, 0)


def statistics(ctx: Context, epoch: int) -> list[InferenceStatistics]:
    """What became final in an epoch, by participant."""
    return list(state.STATISTICS.values(ctx, (epoch,)))


def availability_bps(ctx: Context, epoch: int, participant: str) -> int:
    """How available a participant was in an epoch so far, in basis points."""
    return availability(ctx, epoch, participant).bps


def missed_by(ctx: Context, epoch: int, participant: str) -> dict[str, int]:
    """By creator, how many inferences a participant missed in an epoch."""
    return {key[2]: count for key, count in state.MISSED_BY.walk(ctx, (epoch, participant))}


def served_counts(ctx: Context, epoch: int, model_id: str) -> dict[str, int]:
    """`served_count` of everyone who has any, by participant."""
    return {who: count for (_, _, who), count in state.SERVED.walk(ctx, (epoch, model_id))}


def obligations(ctx: Context) -> int:
    """nevg that the module owes: open escrows, finished but not final, and accrued of the effective epoch."""
    owed = sum(each.accrued for each in statistics(ctx, epochs.state(ctx).epoch_effective))
    for each in state.INFERENCES.values(ctx):
        if each.status == INFERENCE_STATUS_STARTED:
            owed += each.escrow
        elif each.status == INFERENCE_STATUS_FINISHED:
            owed += each.cost
    return owed
