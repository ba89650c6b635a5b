"""Answers about balances and supply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import invalid_argument, not_found
from abci_app.kernel.module import answers
from abci_app.kernel.paging import page
from abci_app.modules.bank import state
from abci_app.modules.bank.coins import coin, is_denom
from abci_app.modules.bank.ledger import balance, supply
from protocol import address as addresses
from protocol.gen.cosmos.bank.v1beta1 import query_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context
    from protocol.gen.cosmos.base.v1beta1 import coin_pb2


def _check_address(address: str) -> None:
    try:
        addresses.decode(address)
    except addresses.AddressError as error:
        raise invalid_argument(f"invalid address: {error}") from error


def _check_denom(denom: str) -> None:
    if not is_denom(denom):
        raise invalid_argument(f"invalid denom: {denom[:200]}")


def _coins_of(ctx: Context, address: str) -> Iterator[tuple[str, coin_pb2.Coin]]:
    _check_address(address)
    return ((denom, coin(denom, amount)) for (_, denom), amount in state.BALANCES.walk(ctx, (address,)))


@answers(query_pb2.QueryBalanceRequest)
def balance_of(ctx: Context, request: query_pb2.QueryBalanceRequest) -> query_pb2.QueryBalanceResponse:
    """One denomination of one account, zero where it has none."""
    _check_address(request.address)
    _check_denom(request.denom)
    amount = balance(ctx, request.address, request.denom)
    return query_pb2.QueryBalanceResponse(balance=coin(request.denom, amount))


@answers(query_pb2.QueryAllBalancesRequest)
def all_balances(
    ctx: Context, request: query_pb2.QueryAllBalancesRequest
) -> query_pb2.QueryAllBalancesResponse:
    """All that an account has, by denom."""
    balances, pagination = page(_coins_of(ctx, request.address), request.pagination)
    return query_pb2.QueryAllBalancesResponse(balances=balances, pagination=pagination)


@answers(query_pb2.QuerySpendableBalancesRequest)
def spendable_balances(
    ctx: Context, request: query_pb2.QuerySpendableBalancesRequest
) -> query_pb2.QuerySpendableBalancesResponse:
    """The same as all: no coins are locked in accounts."""
    balances, pagination = page(_coins_of(ctx, request.address), request.pagination)
    return query_pb2.QuerySpendableBalancesResponse(balances=balances, pagination=pagination)


@answers(query_pb2.QueryTotalSupplyRequest)
def total_supply(
    ctx: Context, request: query_pb2.QueryTotalSupplyRequest
) -> query_pb2.QueryTotalSupplyResponse:
    """What exists of every denomination."""
    coins = ((denom, coin(denom, amount)) for denom, amount in state.SUPPLY.walk(ctx))
    found, pagination = page(coins, request.pagination)
    return query_pb2.QueryTotalSupplyResponse(supply=found, pagination=pagination)


@answers(query_pb2.QuerySupplyOfRequest)
def supply_of(ctx: Context, request: query_pb2.QuerySupplyOfRequest) -> query_pb2.QuerySupplyOfResponse:
    """What exists of one denomination."""
    _check_denom(request.denom)
    return query_pb2.QuerySupplyOfResponse(amount=coin(request.denom, supply(ctx, request.denom)))


@answers(query_pb2.QueryParamsRequest)
def bank_params(ctx: Context, _request: query_pb2.QueryParamsRequest) -> query_pb2.QueryParamsResponse:
    """Which coins may be sent."""
    return query_pb2.QueryParamsResponse(params=state.PARAMS.get(ctx))


@answers(query_pb2.QueryDenomsMetadataRequest)
def denoms_metadata(
    ctx: Context, request: query_pb2.QueryDenomsMetadataRequest
) -> query_pb2.QueryDenomsMetadataResponse:
    """How all denominations are shown."""
    found, pagination = page(state.METADATA.walk(ctx), request.pagination)
    return query_pb2.QueryDenomsMetadataResponse(metadatas=found, pagination=pagination)


@answers(query_pb2.QueryDenomMetadataRequest)
def denom_metadata(
    ctx: Context, request: query_pb2.QueryDenomMetadataRequest
) -> query_pb2.QueryDenomMetadataResponse:
    """How one denomination is shown."""
    _check_denom(request.denom)
    found = state.METADATA.get(ctx, request.denom)
    if found is None:
        raise not_found(f"client metadata for denom {request.denom}")
    return query_pb2.QueryDenomMetadataResponse(metadata=found)
