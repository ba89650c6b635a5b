"""Allowances come, are replaced, taken back, asked for, and leave when they have ended."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from abci_app.genesis import export_genesis
from abci_app.kernel.errors import Unauthorized
from abci_app.kernel.module import MESSAGES
from abci_app.modules import feegrant
from abci_app.modules.feegrant import rules, state
from client.tx import pack
from protocol.gen.cosmos.authz.v1beta1 import authz_pb2
from protocol.gen.cosmos.feegrant.v1beta1 import feegrant_pb2, genesis_pb2, query_pb2, tx_pb2
from protocol.gen.google.protobuf.any_pb2 import Any as PackedAny
from tests.allowances import (
    ALICE,
    BOB,
    SEND,
    WARM,
    a_chain,
    basic,
    coins,
    events_of,
    grant,
    indexes,
    left_in_all,
    left_of_period,
    only_for,
    paid_by_alice,
    periodic,
    revoke,
    send,
    shown,
)
from tests.chain import GOV, Chain, key_of


@pytest.fixture
def chain() -> Chain:
    return a_chain()


def nested(levels: int) -> Message:
    found: Message = basic(5)
    for _ in range(levels):
        found = only_for(found, SEND)
    return found


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        (grant(basic(), grantee=ALICE), ("sdk", 7), "cannot self-grant fee authorization"),
        (grant(basic(), grantee="evergrid1x"), ("sdk", 7), "invalid grantee address"),
        (grant(basic(seconds=-1)), ("sdk", 18), "expiration is before current block time"),
        (grant(feegrant_pb2.BasicAllowance(spend_limit=coins(0))), ("sdk", 10), "is not positive"),
        (grant(feegrant_pb2.BasicAllowance(spend_limit=coins(5, "!"))), ("sdk", 10), "invalid denom"),
        (grant(feegrant_pb2.BasicAllowance(spend_limit=coins(5) * 2)), ("sdk", 10), "duplicate denom"),
        (grant(feegrant_pb2.BasicAllowance(expiration={"seconds": -1})), ("feegrant", 4), "out of range"),
        (grant(feegrant_pb2.BasicAllowance(expiration={"seconds": 2**34 + 2**31})), ("feegrant", 4), "range"),
        (grant(periodic(1, 0)), ("feegrant", 4), "period is 0 s, not above 0"),
        (grant(periodic(1, -3)), ("feegrant", 4), "period is -3 s"),
        (grant(periodic(1, 3_155_760_001)), ("feegrant", 4), "at most 3155760000 s"),
        (grant(feegrant_pb2.PeriodicAllowance(period={"seconds": 1})), ("sdk", 10), "must be positive"),
        (grant(only_for(basic())), ("feegrant", 6), "allowed messages are empty"),
        (grant(feegrant_pb2.AllowedMsgAllowance()), ("feegrant", 5), "does not hold an allowance"),
        (grant(nested(2)), ("feegrant", 5), "no allowance"),
        (grant(nested(10)), ("feegrant", 5), "no allowance"),
        (grant(nested(16)), ("sdk", 2), "nested deeper"),
        (grant(nested(400)), ("sdk", 2), "nested deeper"),
        (grant(authz_pb2.GenericAuthorization(msg=SEND)), ("feegrant", 5), "GenericAuthorization is none"),
        (grant(send()), ("feegrant", 5), "MsgSend is none"),
        (tx_pb2.MsgGrantAllowance(granter=ALICE, grantee=WARM), ("feegrant", 5), "should not be empty"),
        (grant(only_for(basic(), "/x" * 4100)), ("sdk", 18), "bytes of at most 8192"),
        (revoke(), ("sdk", 38), "fee-grant not found"),
        (revoke(grantee=ALICE), ("sdk", 7), "self"),
    ],
)
def test_what_cannot_be_granted_or_revoked_is_refused(
    chain: Chain, message: Message, code: tuple[str, int], text: str
) -> None:
    result = chain.deliver("alice", message)

    assert (result.codespace, result.code) == code, result.log
    assert text in result.log
    assert indexes(chain.context()) == ([], [], [])


def test_a_period_of_coins_that_the_whole_lacks_is_refused(chain: Chain) -> None:
    strange = periodic(1, 10, limit=5)
    strange.period_spend_limit[0].denom = "other"

    result = chain.deliver("alice", grant(strange))

    assert (result.codespace, result.code) == ("sdk", 10)
    assert "period_spend_limit has what spend_limit lacks: other" in result.log


def test_all_that_is_wrong_is_named_at_once(chain: Chain) -> None:
    wrong = periodic(1, 0, limit=5)
    wrong.basic.spend_limit[0].amount = "0"
    wrong.period_spend_limit[0].denom = "!"

    log = chain.deliver("alice", grant(only_for(wrong))).log

    assert [
        each in log for each in ("must name messages", "not positive", "invalid denom", "period is 0 s")
    ] == [True] * 4


@pytest.mark.parametrize("value", [b"\x0a\x04\x0a\x02\xff\xff", b"\x12\x01\xff"])
def test_bytes_that_are_no_text_are_no_allowance_and_no_bug_of_ours(chain: Chain, value: bytes) -> None:
    kind = rules.BASIC if value[0] == 0x0A else rules.FILTER
    message = tx_pb2.MsgGrantAllowance(
        granter=ALICE, grantee=WARM, allowance=PackedAny(type_url=kind, value=value)
    )

    result = chain.deliver("alice", message)

    assert (result.codespace, result.code) == ("feegrant", 5)
    assert chain.bugs == []


def test_a_second_allowance_is_refused_until_the_first_is_revoked_or_has_ended(chain: Chain) -> None:
    chain.must("alice", grant(basic(5, seconds=4)))
    again = chain.deliver("alice", grant(basic(7)))
    chain.must("alice", revoke())
    chain.must("alice", grant(basic(7, seconds=5)))
    chain.run_to(5)
    chain.must("alice", grant(basic(9)))

    assert (again.codespace, again.code) == ("sdk", 18)
    assert "fee allowance already exists" in again.log
    assert left_in_all(chain) == 9


def test_an_ended_allowance_is_replaced_where_nothing_pruned_it_yet(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abci_app.block_ends.PRUNE_BUDGET", 0)
    chain.must("alice", grant(basic(5, seconds=2)))
    chain.run_to(3)
    kept, seen = list(state.ALLOWANCES.keys(chain.context())), shown(chain)

    chain.must("alice", grant(basic(9)))

    assert (kept, seen) == ([(WARM, ALICE)], None)
    assert indexes(chain.context()) == ([(WARM, ALICE)], [(WARM, ALICE)], [])


def test_a_revoked_allowance_pays_no_more(chain: Chain) -> None:
    chain.must("alice", grant(basic(100, seconds=99)))
    told = events_of(chain.must("alice", revoke()))

    assert ("revoke_feegrant", {"granter": ALICE, "grantee": WARM, "msg_index": "0"}) in told
    assert paid_by_alice(chain, 1).code == 38
    assert indexes(chain.context()) == ([], [], [])


def test_the_allowance_of_a_modules_account_is_refused(chain: Chain) -> None:
    handler = MESSAGES["/cosmos.feegrant.v1beta1.MsgGrantAllowance"].handler

    with pytest.raises(Unauthorized, match="is a module's account"):
        handler(chain.context(), grant(basic(), granter=GOV))


# Ends


def test_allowances_that_ended_leave_with_the_block_and_not_before(chain: Chain) -> None:
    names = [f"key {i}" for i in range(5)]
    for i, name in enumerate(names):
        chain.must("alice", grant(basic(seconds=8 + i % 2), grantee=key_of(name).address))

    counts = []
    for _ in range(5):
        chain.block()
        counts.append(len(list(state.ALLOWANCES.keys(chain.context()))))

    assert counts == [5, 5, 2, 0, 0]
    assert indexes(chain.context()) == ([], [], [])
    assert [dict(report.pruned)["feegrant"] for report in chain.reports[-3:]] == [3, 2, 0]


def test_a_block_prunes_within_its_budget_and_a_message_the_rest(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(90):
        chain.block(chain.sign("alice", grant(basic(seconds=91), grantee=key_of(f"key {i}").address)))
    monkeypatch.setattr("abci_app.block_ends.PRUNE_BUDGET", 2)
    chain.run_to(91)
    after_block = len(list(state.ALLOWANCES.keys(chain.context())))

    told = events_of(chain.must("bob", tx_pb2.MsgPruneAllowances(pruner=BOB)))

    assert after_block == 88
    assert len(list(state.ALLOWANCES.keys(chain.context()))) == 88 - 75 - 2
    assert ("prune_feegrant", {"pruner": BOB, "msg_index": "0"}) in told


# Queries and genesis


def test_clearing_away_needs_the_gas_that_it_takes(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abci_app.block_ends.PRUNE_BUDGET", 0)
    for i in range(20):
        chain.block(chain.sign("alice", grant(basic(seconds=21), grantee=key_of(f"key {i}").address)))
    chain.run_to(21)

    result = chain.deliver("bob", tx_pb2.MsgPruneAllowances(pruner=BOB), gas=60_000)

    assert (result.codespace, result.code) == ("sdk", 11)
    assert len(list(state.ALLOWANCES.keys(chain.context()))) == 20


def test_the_queries_agree_and_page(chain: Chain) -> None:
    others = sorted(key_of(f"key {i}").address for i in range(3))
    for each in others:
        chain.must("alice", grant(basic(5), grantee=each))
    chain.must("bob", grant(basic(6), granter=BOB, grantee=others[0]))

    one = chain.query(
        query_pb2.QueryAllowanceRequest(granter=BOB, grantee=others[0]), query_pb2.QueryAllowanceResponse
    ).allowance
    for_one = chain.query(
        query_pb2.QueryAllowancesRequest(grantee=others[0]), query_pb2.QueryAllowancesResponse
    ).allowances
    request = query_pb2.QueryAllowancesByGranterRequest(granter=ALICE)
    request.pagination.limit = 2
    first = chain.query(request, query_pb2.QueryAllowancesByGranterResponse)
    request.pagination.key = first.pagination.next_key
    second = chain.query(request, query_pb2.QueryAllowancesByGranterResponse)

    assert [each.granter for each in for_one] == sorted([ALICE, BOB])
    assert one in for_one
    assert [each.grantee for each in (*first.allowances, *second.allowances)] == others


def test_the_exported_allowances_build_the_same_state_again(chain: Chain) -> None:
    chain.must("alice", grant(periodic(100, 10, limit=250)), grant(only_for(basic(9), SEND), grantee=BOB))
    chain.must("bob", grant(basic(seconds=100), granter=BOB))
    paid_by_alice(chain, 30)
    exported = export_genesis(chain.context())

    again = Chain(exported, initial_height=chain.height + 1)

    assert export_genesis(again.context())["feegrant"] == exported["feegrant"]
    assert len(exported["feegrant"]["allowances"]) == 3
    assert indexes(again.context()) == indexes(chain.context())
    again.run_to(chain.height + 1)
    assert (left_of_period(again), left_in_all(again)) == (70, 220)


def test_a_genesis_names_all_that_is_wrong_with_its_allowances() -> None:
    wrong = genesis_pb2.GenesisState(
        allowances=[
            feegrant_pb2.Grant(granter=ALICE, grantee=ALICE, allowance=pack(periodic(1, 0))),
            feegrant_pb2.Grant(granter="x", grantee=WARM, allowance=pack(basic(5))),
            feegrant_pb2.Grant(granter=ALICE, grantee=WARM, allowance=pack(basic(5))),
            feegrant_pb2.Grant(granter=ALICE, grantee=WARM),
        ]
    )

    errors = feegrant.MODULE.validate_genesis(wrong)

    assert [text.partition(":")[0] for text in errors] == [
        *["allowances[0]"] * 2,
        "allowances[1]",
        *["allowances[3]"] * 2,
    ]
    assert "it stands twice" in errors[-1]
