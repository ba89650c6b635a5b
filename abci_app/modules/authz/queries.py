"""Answers about grants; those that have ended are not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import invalid_argument, not_found
from abci_app.kernel.module import answers
from abci_app.kernel.paging import page
from abci_app.modules.authz import rules, state
from protocol import address as addresses
from protocol.gen.cosmos.authz.v1beta1 import authz_pb2, query_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context


def _check_addresses(**named: str) -> None:
    if errors := addresses.problems(named):
        raise invalid_argument("; ".join(errors))


@answers(query_pb2.QueryGrantsRequest)
def grants(ctx: Context, request: query_pb2.QueryGrantsRequest) -> query_pb2.QueryGrantsResponse:
    """What a granter lets a grantee sign, by type; of one type where it is named."""
    _check_addresses(granter=request.granter, grantee=request.grantee)
    pair = (request.granter, request.grantee)
    if not request.msg_type_url:
        live = ((key, grant) for key, grant in state.GRANTS.walk(ctx, pair) if _is_live(ctx, grant))
        found, pagination = page(live, request.pagination)
        return query_pb2.QueryGrantsResponse(grants=found, pagination=pagination)
    named = None if "\0" in request.msg_type_url else state.GRANTS.get(ctx, (*pair, request.msg_type_url))
    if named is None or not _is_live(ctx, named):
        raise not_found(f"no authorization found for {request.msg_type_url[: rules.SHOWN]} type")
    return query_pb2.QueryGrantsResponse(grants=[named])


def _is_live(ctx: Context, grant: authz_pb2.Grant) -> bool:
    return not rules.is_expired(grant, ctx.block.time_ns)


@answers(query_pb2.QueryGranterGrantsRequest)
def granter_grants(
    ctx: Context, request: query_pb2.QueryGranterGrantsRequest
) -> query_pb2.QueryGranterGrantsResponse:
    """What a granter lets others sign, by grantee and type."""
    _check_addresses(granter=request.granter)
    entries = (
        (key, rules.as_entry(key[0], key[1], grant))
        for key, grant in state.GRANTS.walk(ctx, (request.granter,))
        if _is_live(ctx, grant)
    )
    found, pagination = page(entries, request.pagination)
    return query_pb2.QueryGranterGrantsResponse(grants=found, pagination=pagination)


@answers(query_pb2.QueryGranteeGrantsRequest)
def grantee_grants(
    ctx: Context, request: query_pb2.QueryGranteeGrantsRequest
) -> query_pb2.QueryGranteeGrantsResponse:
    """What others let a grantee sign, by granter and type."""
    _check_addresses(grantee=request.grantee)
    found, pagination = page(_of_grantee(ctx, request.grantee), request.pagination)
    return query_pb2.QueryGranteeGrantsResponse(grants=found, pagination=pagination)


def _of_grantee(
    ctx: Context, grantee: str
) -> Iterator[tuple[tuple[str, str, str], authz_pb2.GrantAuthorization]]:
    for key in state.BY_GRANTEE.walk(ctx, (grantee,)):
        _, granter, type_url = key
        grant = state.GRANTS.require(ctx, (granter, grantee, type_url))
        if _is_live(ctx, grant):
            yield key, rules.as_entry(granter, grantee, grant)
