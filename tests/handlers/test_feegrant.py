"""Fees that one account pays for another: as far as it lets it, for as long, for what it names."""

from __future__ import annotations

import pytest

from client.tx import Fee, Signer, build
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.cosmos.feegrant.v1beta1 import feegrant_pb2, tx_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.allowances import (
    ALICE,
    BOB,
    EXEC,
    SEND,
    WARM,
    a_chain,
    basic,
    coins,
    events_of,
    grant,
    idle,
    idle_type,
    indexes,
    left_in_all,
    left_of_period,
    only_for,
    paid_by_alice,
    periodic,
    send,
    shown,
)
from tests.chain import DENOM, FUNDS, GENESIS_TIME_S, Chain, GenesisParticipant, a_model, app_state, key_of


@pytest.fixture
def chain() -> Chain:
    return a_chain()


def test_a_key_without_coins_sends_at_the_cost_of_who_lets_it(chain: Chain) -> None:
    chain.must("alice", grant(basic(1000)))
    before = chain.balance("alice")

    result = paid_by_alice(chain, 400)

    assert result.code == 0, result.log
    assert (before - chain.balance("alice"), chain.balance("warm"), left_in_all(chain)) == (400, 0, 600)
    parties = {"granter": ALICE, "grantee": WARM}
    told = events_of(result)
    assert told[0] == ("use_feegrant", parties)
    assert told[1] == ("update_feegrant", parties)
    assert ("tx", {"fee": "400nevg", "fee_payer": ALICE}) in told


def test_the_last_coin_of_an_allowance_ends_it(chain: Chain) -> None:
    chain.must("alice", grant(basic(1000)))

    told = events_of(paid_by_alice(chain, 1000))

    parties = {"granter": ALICE, "grantee": WARM}
    assert told[:2] == [("revoke_feegrant", parties), ("use_feegrant", parties)]
    assert shown(chain) is None
    assert indexes(chain.context()) == ([], [], [])


@pytest.mark.parametrize(
    ("given", "fee", "code", "text"),
    [
        (None, 1, ("sdk", 38), "fee-grant not found"),
        (None, 0, ("sdk", 38), "fee-grant not found"),
        (grant(basic(), grantee=BOB), 1, ("sdk", 38), "fee-grant not found"),
        (grant(basic()), FUNDS + 1, ("sdk", 5), "insufficient funds"),
        (grant(basic(100)), 101, ("feegrant", 2), "basic allowance: fee limit exceeded"),
        (grant(basic(100)), 99, ("", 0), ""),
        (grant(basic(100)), 0, ("", 0), ""),
        (grant(basic(seconds=2)), 1, ("sdk", 38), "fee-grant not found"),
        (grant(basic(seconds=3)), 1, ("", 0), ""),
        (grant(periodic(100, 60)), 101, ("feegrant", 2), "period limit: fee limit exceeded"),
        (grant(periodic(100, 60, now=50)), 51, ("feegrant", 2), "period limit: fee limit exceeded"),
        (grant(periodic(100, 60, limit=80)), 81, ("feegrant", 2), "absolute limit: fee limit exceeded"),
        (grant(only_for(basic(), SEND)), 1, ("feegrant", 7), "does not exist in allowed messages"),
        (grant(only_for(basic(), SEND, "/cosmos.authz.v1beta1.MsgGrant")), 1, ("", 0), ""),
    ],
)
def test_an_allowance_pays_within_its_bounds_until_it_ends(
    chain: Chain, given: tx_pb2.MsgGrantAllowance | None, fee: int, code: tuple[str, int], text: str
) -> None:
    chain.must("alice", given if given is not None else send(sender=ALICE))
    if given is None or given.grantee != WARM:
        chain.must("bob", MsgSend(from_address=BOB, to_address=WARM, amount=coins(5)))
    chain.run_to(2)  # the block that follows has the time of genesis and three seconds
    before = chain.balance("alice")

    result = paid_by_alice(chain, fee)

    assert (result.codespace, result.code) == code
    assert text in result.log
    assert before - chain.balance("alice") == (0 if code[1] else fee)
    if code[0] == "feegrant":
        assert result.log.startswith(f"{ALICE} does not allow to pay fees for {WARM}: ")


def test_an_ended_allowance_pays_nothing_where_nothing_pruned_it_yet(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abci_app.block_ends.PRUNE_BUDGET", 0)
    chain.must("alice", grant(only_for(basic(seconds=2), idle_type())))
    chain.run_to(2)

    result = paid_by_alice(chain, 1)

    assert (result.codespace, result.code) == ("feegrant", 3)
    assert "fee allowance expired" in result.log


def test_a_granter_that_is_the_payer_needs_no_allowance(chain: Chain) -> None:
    before = chain.balance("alice")

    result = chain.deliver("alice", send(sender=ALICE), fee=10, granter=ALICE)

    assert result.code == 0
    assert before - chain.balance("alice") == 11


def test_the_fees_payer_is_the_grantee(chain: Chain) -> None:
    chain.must("alice", grant(basic(100)))
    raw = chain.sign("bob", send(sender=BOB), fee=10, granter=ALICE)

    assert chain.block(raw)[0].code == 38  # bob pays, and alice pays for the warm key alone


def test_a_failed_message_keeps_the_fee_and_a_failed_ante_uses_nothing(chain: Chain) -> None:
    chain.must("alice", grant(basic(100)))

    failed = paid_by_alice(chain, 10, send(10**18))
    after_message = left_in_all(chain)
    key = key_of("warm")
    offered = Fee(10**8, "10", DENOM, ALICE)
    forged = build([idle()], [Signer(key, chain.account_number("warm"), 9)], chain.chain_id, offered)
    (refused,) = chain.block(forged)

    assert (failed.code, after_message) == (5, 90)
    assert (refused.code, left_in_all(chain)) == (32, 90)


def test_the_mempool_counts_what_waits_for_a_block(chain: Chain) -> None:
    chain.must("alice", grant(basic(100)))

    checked = [
        abci.ResponseCheckTx.FromString(chain.app.check_tx(raw, recheck=False))
        for raw in [chain.sign("warm", idle(), fee=60, granter=ALICE) for _ in range(2)]
    ]

    assert [(each.codespace, each.code) for each in checked] == [("", 0), ("feegrant", 2)]


def test_one_block_spends_no_more_than_the_allowance(chain: Chain) -> None:
    chain.must("alice", grant(basic(100)))
    before = chain.balance("alice")

    results = chain.block(*[chain.sign("warm", idle(), fee=40, granter=ALICE) for _ in range(2)])
    chain._sequences["warm"] = 2
    results += chain.block(chain.sign("warm", idle(), fee=40, granter=ALICE))

    assert [each.code for each in results] == [0, 0, 2]
    assert before - chain.balance("alice") == 80


def test_protocol_messages_stay_free_where_gas_costs() -> None:
    priced = app_state([GenesisParticipant("alice", 10)], [a_model()], funded=["bob"])
    priced["auth"]["fees"]["minimum_gas_price_micro"] = "1000"
    chain = Chain(priced)
    node = hardware_pb2.MLNode(node_id="a", models=["model/x"], host="127.0.0.1", port=8080)
    free = hardware_pb2.MsgSubmitHardwareDiff(creator=ALICE, new_or_modified=[node])
    raw = chain.sign("alice", free, gas=10**7)

    checked = abci.ResponseCheckTx.FromString(chain.app.check_tx(raw, recheck=False))
    low = abci.ResponseCheckTx.FromString(
        chain.app.check_tx(chain.sign("bob", send(sender=BOB), fee=9, granter=ALICE), recheck=False)
    )

    assert checked.code == 0
    assert (low.codespace, low.code) == ("sdk", 13)  # a granter does not make a fee smaller


def test_a_simulation_counts_what_the_allowance_costs(chain: Chain) -> None:
    chain.must("alice", grant(only_for(periodic(10**6, 60, limit=10**9), SEND, EXEC, idle_type())))
    number = chain.account_number("warm")
    simulated = build([idle()], [Signer(key_of("warm"), number, 0)], chain.chain_id, Fee(0, granter=ALICE))

    foreseen = chain.app.simulate(simulated)
    used = paid_by_alice(chain, 10**5, gas=int(foreseen.gas_used * 1.4))

    assert (foreseen.code, used.code) == (0, 0), (foreseen.log, used.log)
    assert foreseen.gas_used >= used.gas_used / 1.4


# Periods


def test_a_period_gives_its_amount_anew_once_it_is_over(chain: Chain) -> None:
    chain.must("alice", grant(periodic(100, 10, limit=250)))  # at the genesis and one second

    codes = [paid_by_alice(chain, 100).code, paid_by_alice(chain, 1).code]
    chain.run_to(10)
    codes.append(paid_by_alice(chain, 100).code)  # eleven seconds: the period is over
    chain.run_to(20)
    codes.append(paid_by_alice(chain, 51).code)  # no more than 50 are left in all
    codes.append(paid_by_alice(chain, 50).code)

    assert codes == [0, 2, 0, 2, 0]
    assert shown(chain) is None


@pytest.mark.parametrize(("idle_s", "next_s"), [(0, 21), (5, 21), (9, 21), (10, 21), (11, 32), (25, 46)])
def test_the_next_period_keeps_the_rhythm_unless_one_was_passed_over(
    chain: Chain, idle_s: int, next_s: int
) -> None:
    chain.must("alice", grant(periodic(100, 10)))
    chain.run_to(10 + idle_s)

    paid_by_alice(chain, 30)

    found = shown(chain)
    assert found is not None
    assert isinstance(found.limits, feegrant_pb2.PeriodicAllowance)
    assert found.limits.period_reset.seconds - GENESIS_TIME_S == next_s
    assert left_of_period(chain) == 70


def test_the_first_period_begins_with_the_grant_whatever_the_message_says(chain: Chain) -> None:
    asked = periodic(100, 10)
    asked.period_reset.seconds = 5
    chain.must("alice", grant(only_for(asked, SEND)))

    found = shown(chain)

    assert found is not None
    assert isinstance(found.limits, feegrant_pb2.PeriodicAllowance)
    assert found.limits.period_reset.seconds == GENESIS_TIME_S + 1 + 10
