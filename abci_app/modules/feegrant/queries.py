"""Answers about allowances; those that have ended are not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import invalid_argument, not_found
from abci_app.kernel.module import answers
from abci_app.kernel.paging import page
from abci_app.modules.feegrant import rules, state
from abci_app.modules.feegrant.allowances import live, opened
from protocol import address as addresses
from protocol.gen.cosmos.feegrant.v1beta1 import query_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


def _check_addresses(**named: str) -> None:
    if errors := addresses.problems(named):
        raise invalid_argument("; ".join(errors))


@answers(query_pb2.QueryAllowanceRequest)
def allowance(ctx: Context, request: query_pb2.QueryAllowanceRequest) -> query_pb2.QueryAllowanceResponse:
    """What a granter pays for a grantee."""
    _check_addresses(granter=request.granter, grantee=request.grantee)
    found = live(ctx, request.granter, request.grantee)
    if found is None:
        raise not_found("fee-grant not found: not found")
    return query_pb2.QueryAllowanceResponse(allowance=found)


@answers(query_pb2.QueryAllowancesRequest)
def allowances(ctx: Context, request: query_pb2.QueryAllowancesRequest) -> query_pb2.QueryAllowancesResponse:
    """What others pay for a grantee, by granter."""
    _check_addresses(grantee=request.grantee)
    entries = (
        (key, grant)
        for key, grant in state.ALLOWANCES.walk(ctx, (request.grantee,))
        if not rules.is_expired(opened(grant), ctx.block.time_ns)
    )
    found, pagination = page(entries, request.pagination)
    return query_pb2.QueryAllowancesResponse(allowances=found, pagination=pagination)


@answers(query_pb2.QueryAllowancesByGranterRequest)
def allowances_by_granter(
    ctx: Context, request: query_pb2.QueryAllowancesByGranterRequest
) -> query_pb2.QueryAllowancesByGranterResponse:
    """What a granter pays for others, by grantee."""
    _check_addresses(granter=request.granter)
    entries = (
        (key, grant)
        for key in state.BY_GRANTER.walk(ctx, (request.granter,))
        if (grant := live(ctx, *key)) is not None
    )
    found, pagination = page(entries, request.pagination)
    return query_pb2.QueryAllowancesByGranterResponse(allowances=found, pagination=pagination)
