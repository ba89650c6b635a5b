"""Coins move, and none comes from nowhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.kernel.context import Context
from abci_app.kernel.errors import InsufficientFunds, QueryError, TxError
from abci_app.kernel.module import MESSAGES, QUERIES
from abci_app.modules import auth, bank
from abci_app.modules.bank import state
from abci_app.modules.bank.coins import AMOUNT_BOUND, is_denom
from protocol import address as addresses
from protocol.gen.cosmos.bank.v1beta1 import bank_pb2, genesis_pb2, query_pb2
from protocol.gen.cosmos.bank.v1beta1 import tx_pb2 as bank_tx
from protocol.gen.cosmos.base.query.v1beta1 import pagination_pb2
from protocol.gen.cosmos.base.v1beta1 import coin_pb2
from tests.ground import (
    ALICE,
    BOB,
    CAROL,
    DENOM,
    a_context,
    a_ground,
    a_key,
    a_send,
    coins,
    events_of,
    state_of,
)

POOL = addresses.module_account("community_pool")
SEND = MESSAGES["/cosmos.bank.v1beta1.MsgSend"].handler


def funds(ctx: Context, *keys: Any) -> list[int]:
    return [bank.balance(ctx, key.address, DENOM) for key in keys]


def refused(ctx: Context, msg: bank_tx.MsgSend) -> tuple[str, int, str]:
    before = state_of(ctx)
    with pytest.raises(TxError) as caught:
        SEND(ctx, msg)
    assert state_of(ctx) == before
    assert ctx.events == []
    return caught.value.codespace, caught.value.code, str(caught.value)


def ask(ctx: Context, request: Any) -> Any:
    (query,) = [route for route in QUERIES.values() if route.route.request is type(request)]
    return query.answer(ctx, request)


# sending


def test_sent_coins_arrive_and_the_sending_is_told() -> None:
    ctx = a_ground()

    SEND(ctx, a_send(ALICE, BOB, 5))

    assert funds(ctx, ALICE, BOB) == [995, 5]
    assert events_of(ctx) == [
        ("coin_spent", {"spender": ALICE.address, "amount": "5nevg"}),
        ("coin_received", {"receiver": BOB.address, "amount": "5nevg"}),
        ("transfer", {"recipient": BOB.address, "sender": ALICE.address, "amount": "5nevg"}),
        ("message", {"sender": ALICE.address}),
    ]


def test_several_coins_are_sent_together() -> None:
    ctx = a_ground()
    bank.mint(ctx, "community_pool", coins(7, "apple"))
    bank.send_coins(ctx, POOL, ALICE.address, coins(7, "apple"))
    ctx.events.clear()

    SEND(
        ctx,
        bank_tx.MsgSend(
            from_address=ALICE.address, to_address=BOB.address, amount=coins(3, "apple") + coins(4)
        ),
    )

    assert bank.balance(ctx, BOB.address, "apple") == 3
    assert ctx.events[0].attributes[1] == ("amount", "3apple,4nevg")


def test_a_recipient_without_an_account_gets_the_next_one() -> None:
    ctx = a_ground()
    newcomer = a_key("newcomer")

    SEND(ctx, a_send(ALICE, newcomer, 1))

    account = auth.account(ctx, newcomer.address)
    assert account is not None
    assert account.account_number == 5


def test_sending_to_oneself_changes_nothing() -> None:
    ctx = a_ground()

    SEND(ctx, a_send(ALICE, ALICE, 1000))

    assert funds(ctx, ALICE) == [1000]


def test_an_emptied_balance_is_not_kept() -> None:
    ctx = a_ground()

    SEND(ctx, a_send(ALICE, BOB, 1000))

    assert [key for key, _ in state.BALANCES.walk(ctx)] == [(BOB.address, DENOM)]


def test_more_than_there_is_is_not_sent() -> None:
    assert refused(a_ground(), a_send(ALICE, BOB, 1001)) == (
        "sdk",
        5,
        "spendable balance 1000nevg is smaller than 1001nevg: insufficient funds",
    )


def test_of_several_coins_one_too_few_keeps_all() -> None:
    msg = bank_tx.MsgSend(
        from_address=ALICE.address, to_address=BOB.address, amount=coins(1, "nevg") + coins(1, "pear")
    )

    assert refused(a_ground(), msg)[1] == 5


def test_modules_receive_nothing_from_users() -> None:
    msg = bank_tx.MsgSend(from_address=ALICE.address, to_address=POOL, amount=coins(1))

    assert refused(a_ground(), msg) == ("sdk", 4, f"{POOL} is not allowed to receive funds: unauthorized")


def test_both_wrong_addresses_and_the_coins_are_named_at_once() -> None:
    msg = bank_tx.MsgSend(from_address="a", to_address="", amount=coins(0))

    codespace, code, text = refused(a_ground(), msg)

    assert (codespace, code) == ("sdk", 7)
    assert text == (
        "invalid from address: decoding bech32 failed: invalid character or separator; "
        "invalid to address: empty address string is not allowed; amount of nevg is not positive"
        ": invalid address"
    )


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        ([], "no coins"),
        (coins(0), "amount of nevg is not positive"),
        (coins(1) + coins(1), "duplicate denom: nevg"),
        (coins(1, "pear") + coins(1, "apple"), "unsorted denom: apple"),
        (coins(1, "x"), "invalid denom: 'x'"),
        ([coin_pb2.Coin(denom="nevg", amount="-1")], "invalid amount of nevg: '-1'"),
        ([coin_pb2.Coin(denom="nevg", amount="1_0")], "invalid amount of nevg: '1_0'"),
        ([coin_pb2.Coin(denom="nevg", amount="٣")], "invalid amount of nevg: '٣'"),
        ([coin_pb2.Coin(denom="nevg", amount="01")], "invalid amount of nevg: '01'"),
        ([coin_pb2.Coin(denom="nevg", amount=str(2**256))], f"invalid amount of nevg: '{2**256}'"),
    ],
)
def test_coins_that_are_none_are_refused(amount: list[coin_pb2.Coin], reason: str) -> None:
    msg = bank_tx.MsgSend(from_address=ALICE.address, to_address=BOB.address, amount=amount)

    assert refused(a_ground(), msg) == ("sdk", 10, f"{reason}: invalid coins")


@pytest.mark.parametrize(
    "params",
    [
        bank_pb2.Params(default_send_enabled=False),
        bank_pb2.Params(
            default_send_enabled=True, send_enabled=[bank_pb2.SendEnabled(denom=DENOM, enabled=False)]
        ),
    ],
)
def test_disabled_coins_stay(params: bank_pb2.Params) -> None:
    ctx = a_ground()
    state.PARAMS.set(ctx, params)

    assert refused(ctx, a_send()) == (
        "bank",
        5,
        "nevg transfers are currently disabled: send transactions are disabled",
    )


# supply

MOVES = st.lists(
    st.tuples(
        st.sampled_from(["send", "mint", "burn"]),
        st.sampled_from([ALICE, BOB, CAROL]),
        st.sampled_from([ALICE, BOB, CAROL]),
        st.sampled_from(["nevg", "apple"]),
        st.integers(0, 1500),
    ),
    max_size=12,
)


@given(MOVES)
def test_balances_always_sum_up_to_the_supply(moves: list[tuple[str, Any, Any, str, int]]) -> None:
    ctx = a_ground()
    supply = {"nevg": 1000, "apple": 0}

    for move, sender, recipient, denom, amount in moves:
        change = 0
        try:
            if move == "send":
                bank.send_coins(ctx, sender.address, recipient.address, {denom: amount})
            elif move == "mint":
                bank.mint(ctx, "community_pool", coins(amount, denom))
                bank.send_coins(ctx, POOL, recipient.address, coins(amount, denom))
                change = amount
            else:
                bank.send_coins(ctx, sender.address, POOL, coins(amount, denom))
                bank.burn(ctx, "community_pool", coins(amount, denom))
                change = -amount
        except InsufficientFunds:
            change = 0
        supply[denom] += change

    sums = {"nevg": 0, "apple": 0}
    for (_, denom), amount in state.BALANCES.walk(ctx):
        assert amount > 0
        sums[denom] += amount
    assert sums == supply
    assert {denom: bank.supply(ctx, denom) for denom in supply} == supply


@given(MOVES)
def test_a_refused_move_changes_nothing(moves: list[tuple[str, Any, Any, str, int]]) -> None:
    ctx = a_ground()

    for _, sender, recipient, denom, amount in moves:
        before, events = state_of(ctx), len(ctx.events)
        try:
            bank.send_coins(ctx, sender.address, recipient.address, {denom: amount})
        except InsufficientFunds:
            assert (state_of(ctx), len(ctx.events)) == (before, events)


def test_minting_beyond_256_bits_is_our_own_bug() -> None:
    ctx = a_ground()

    with pytest.raises(AssertionError, match="passes 2\\^256"):
        bank.mint(ctx, "community_pool", {DENOM: AMOUNT_BOUND - 1000})


def test_what_a_module_does_not_have_it_cannot_burn() -> None:
    ctx = a_ground()
    before = state_of(ctx)

    with pytest.raises(InsufficientFunds):
        bank.burn(ctx, "community_pool", coins(1))

    assert state_of(ctx) == before


# coins, as text


@given(st.integers(0, AMOUNT_BOUND - 1))
def test_an_amount_reads_back_from_its_text(amount: int) -> None:
    assert bank.parse_amount(str(amount)) == amount


@given(st.text(max_size=6))
def test_any_other_text_is_no_amount(text: str) -> None:
    canonical = text == "0" or (text.isascii() and text.isdigit() and text[0] != "0")

    assert (bank.parse_amount(text) is not None) == canonical


@pytest.mark.parametrize("denom", ["nevg", "ibc/27394FB092D2ECCD", "factory/addr:x.y_z-1", "a" * 128])
def test_denominations_of_cosmos_are_accepted(denom: str) -> None:
    assert is_denom(denom)


@pytest.mark.parametrize("denom", ["", "ab", "1abc", "a" * 129, "ab c", "ñevg", "nevg\n", "nevg\0"])
def test_other_names_are_no_denomination(denom: str) -> None:
    assert not is_denom(denom)


# queries


def test_balances_are_answered_alone_and_together() -> None:
    ctx = a_ground()
    bank.mint(ctx, "community_pool", {"apple": 3, "nevg": 4})

    one = ask(ctx, query_pb2.QueryBalanceRequest(address=POOL, denom="apple"))
    none = ask(ctx, query_pb2.QueryBalanceRequest(address=BOB.address, denom="nevg"))
    every = ask(ctx, query_pb2.QueryAllBalancesRequest(address=POOL))
    spendable = ask(ctx, query_pb2.QuerySpendableBalancesRequest(address=POOL))

    assert one.balance == coin_pb2.Coin(denom="apple", amount="3")
    assert none.balance == coin_pb2.Coin(denom="nevg", amount="0")
    assert list(every.balances) == coins(3, "apple") + coins(4)
    assert list(spendable.balances) == list(every.balances)
    assert every.pagination.total == 2


def test_balances_are_answered_page_by_page() -> None:
    ctx = a_ground()
    bank.mint(ctx, "community_pool", {"apple": 3, "nevg": 4})
    first = pagination_pb2.PageRequest(limit=1)

    one = ask(ctx, query_pb2.QueryAllBalancesRequest(address=POOL, pagination=first))
    rest = pagination_pb2.PageRequest(limit=5, key=one.pagination.next_key)
    other = ask(ctx, query_pb2.QueryAllBalancesRequest(address=POOL, pagination=rest))

    assert [list(one.balances), list(other.balances)] == [coins(3, "apple"), coins(4)]


def test_supply_is_answered_of_one_and_of_all() -> None:
    ctx = a_ground()

    assert ask(ctx, query_pb2.QuerySupplyOfRequest(denom=DENOM)).amount == coins(1000)[0]
    assert list(ask(ctx, query_pb2.QueryTotalSupplyRequest()).supply) == coins(1000)


def test_metadata_is_answered_where_there_is_any() -> None:
    ctx = a_ground()
    metadata = bank_pb2.Metadata(base=DENOM, display="evg", symbol="EVG")
    state.METADATA.set(ctx, DENOM, metadata)

    assert ask(ctx, query_pb2.QueryDenomMetadataRequest(denom=DENOM)).metadata == metadata
    assert list(ask(ctx, query_pb2.QueryDenomsMetadataRequest()).metadatas) == [metadata]
    with pytest.raises(QueryError, match="client metadata for denom apple"):
        ask(ctx, query_pb2.QueryDenomMetadataRequest(denom="apple"))


@pytest.mark.parametrize(
    "request_",
    [
        query_pb2.QueryBalanceRequest(address="x", denom=DENOM),
        query_pb2.QueryBalanceRequest(address=ALICE.address, denom="\0"),
        query_pb2.QueryAllBalancesRequest(address="\0"),
        query_pb2.QuerySupplyOfRequest(denom=""),
    ],
)
def test_questions_that_cannot_be_are_invalid_arguments(request_: Any) -> None:
    with pytest.raises(QueryError) as caught:
        ask(a_ground(), request_)

    assert caught.value.status == "InvalidArgument"


# genesis


@given(
    st.dictionaries(
        st.sampled_from([ALICE.address, BOB.address, CAROL.address, POOL]),
        st.dictionaries(st.sampled_from(["apple", "nevg", "pear"]), st.integers(1, 10**30), min_size=1),
    )
)
def test_an_exported_genesis_builds_the_same_state(balances: dict[str, dict[str, int]]) -> None:
    ctx = a_ground({})
    genesis = genesis_pb2.GenesisState(
        balances=[
            genesis_pb2.Balance(address=address, coins=bank.coins_of(amounts))
            for address, amounts in sorted(balances.items())
        ],
        denom_metadata=[bank_pb2.Metadata(base=DENOM)],
    )
    bank.MODULE.init_genesis(ctx, genesis)
    exported = bank.MODULE.export_genesis(ctx)
    accounts = auth.MODULE.export_genesis(ctx)

    again = a_context()
    assert bank.MODULE.validate_genesis(exported) == []
    auth.MODULE.init_genesis(again, accounts)
    bank.MODULE.init_genesis(again, exported)

    assert bank.MODULE.export_genesis(again) == exported
    assert state_of(again) == state_of(ctx)


def test_everything_wrong_with_a_genesis_is_named_at_once() -> None:
    genesis = genesis_pb2.GenesisState(
        balances=[
            genesis_pb2.Balance(address="nobody", coins=coins(0)),
            genesis_pb2.Balance(address=ALICE.address, coins=coins(1)),
            genesis_pb2.Balance(address=ALICE.address, coins=coins(1)),
        ],
        denom_metadata=[bank_pb2.Metadata(base="!")],
    )

    errors = bank.MODULE.validate_genesis(genesis)

    assert errors[0].startswith("balances[0]: invalid account address")
    assert errors[1:] == [
        "balances[0]: amount of nevg is not positive",
        f"balances[2]: {ALICE.address} stands twice",
        "denom_metadata[0]: invalid base denom: '!'",
    ]


def test_a_supply_that_is_not_the_sum_is_named() -> None:
    genesis = genesis_pb2.GenesisState(
        balances=[genesis_pb2.Balance(address=ALICE.address, coins=coins(1))], supply=coins(2)
    )

    assert bank.MODULE.validate_genesis(genesis) == ["supply: it is not the sum of the balances"]
