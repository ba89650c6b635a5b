"""Answers about accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import invalid_argument, not_found
from abci_app.kernel.module import answers
from abci_app.kernel.paging import page
from abci_app.modules.auth import state
from abci_app.modules.auth.accounts import params
from abci_app.modules.auth.genesis import packed_account
from protocol import address as addresses
from protocol.gen.cosmos.auth.v1beta1 import query_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context
    from protocol.gen.cosmos.auth.v1beta1 import auth_pb2


def _require(ctx: Context, address: str) -> auth_pb2.BaseAccount:
    """The account; wallets match the text of its absence."""
    try:
        addresses.decode(address)
    except addresses.AddressError as error:
        raise invalid_argument(str(error)) from error
    account = state.ACCOUNTS.get(ctx, address)
    if account is None:
        raise not_found(f"account {address} not found")
    return account


@answers(query_pb2.QueryAccountRequest)
def account(ctx: Context, request: query_pb2.QueryAccountRequest) -> query_pb2.QueryAccountResponse:
    """One account as what it is."""
    found = _require(ctx, request.address)
    return query_pb2.QueryAccountResponse(account=packed_account(ctx, found))


@answers(query_pb2.QueryAccountInfoRequest)
def account_info(
    ctx: Context, request: query_pb2.QueryAccountInfoRequest
) -> query_pb2.QueryAccountInfoResponse:
    """What all kinds of accounts have in common."""
    return query_pb2.QueryAccountInfoResponse(info=_require(ctx, request.address))


@answers(query_pb2.QueryAccountsRequest)
def accounts(ctx: Context, request: query_pb2.QueryAccountsRequest) -> query_pb2.QueryAccountsResponse:
    """All accounts by address."""
    found, pagination = page(state.ACCOUNTS.walk(ctx), request.pagination)
    packed = [packed_account(ctx, each) for each in found]
    return query_pb2.QueryAccountsResponse(accounts=packed, pagination=pagination)


@answers(query_pb2.QueryModuleAccountsRequest)
def module_accounts(
    ctx: Context, _request: query_pb2.QueryModuleAccountsRequest
) -> query_pb2.QueryModuleAccountsResponse:
    """The accounts of modules by name."""
    modules = sorted((module.name, address) for address, module in state.MODULE_ACCOUNTS.walk(ctx))
    packed = [packed_account(ctx, state.ACCOUNTS.require(ctx, address)) for _, address in modules]
    return query_pb2.QueryModuleAccountsResponse(accounts=packed)


@answers(query_pb2.QueryParamsRequest)
def auth_params(ctx: Context, _request: query_pb2.QueryParamsRequest) -> query_pb2.QueryParamsResponse:
    """The limits on what accounts sign."""
    return query_pb2.QueryParamsResponse(params=params(ctx))
