"""Answers about upgrades."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import invalid_argument
from abci_app.kernel.module import answers
from abci_app.modules.upgrade import state
from abci_app.modules.upgrade.rules import name_errors
from protocol.address import module_account
from protocol.gen.cosmos.upgrade.v1beta1 import query_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


@answers(query_pb2.QueryCurrentPlanRequest)
def current_plan(
    ctx: Context, _request: query_pb2.QueryCurrentPlanRequest
) -> query_pb2.QueryCurrentPlanResponse:
    """The plan that waits for its height; empty where there is none."""
    return query_pb2.QueryCurrentPlanResponse(plan=state.PLAN.get(ctx))


@answers(query_pb2.QueryAppliedPlanRequest)
def applied_plan(
    ctx: Context, request: query_pb2.QueryAppliedPlanRequest
) -> query_pb2.QueryAppliedPlanResponse:
    """The height at which an upgrade was applied, 0 where it never was."""
    if errors := name_errors(request.name):
        raise invalid_argument("; ".join(errors))
    return query_pb2.QueryAppliedPlanResponse(height=state.APPLIED.get(ctx, request.name) or 0)


@answers(query_pb2.QueryAuthorityRequest)
def authority(_ctx: Context, _request: query_pb2.QueryAuthorityRequest) -> query_pb2.QueryAuthorityResponse:
    """Who may plan upgrades."""
    return query_pb2.QueryAuthorityResponse(address=module_account("gov"))
