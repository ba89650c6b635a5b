"""Queries of guardians."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import not_found
from abci_app.kernel.module import answers
from abci_app.modules.guardians import state
from protocol.gen.evergrid.guardians.v1 import guardians_pb2 as pb

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


@answers(pb.QueryGuardiansRequest)
def query_guardians(ctx: Context, request: pb.QueryGuardiansRequest) -> pb.QueryGuardiansResponse:  # noqa: ARG001 - asks nothing
    """Who the guardians are, whether they have ended, and the last decision."""
    last = next((decision for _, decision in state.DECISIONS.walk(ctx, reverse=True)), None)
    return pb.QueryGuardiansResponse(guardians=state.NAMED.walk(ctx), ended=state.ENDED.get(ctx), last=last)


@answers(pb.QueryDecisionRequest)
def query_decision(ctx: Context, request: pb.QueryDecisionRequest) -> pb.QueryDecisionResponse:
    """The last decision of an epoch."""
    decision = state.DECISIONS.get(ctx, request.epoch_index)
    if decision is None:
        raise not_found(
            f"nothing of guardians was decided in epoch {request.epoch_index}, or it is not retained"
        )
    return pb.QueryDecisionResponse(decision=decision)
