"""Unordered transactions: each counts once, in any order, for ten minutes at most, and is forgotten then."""

from __future__ import annotations

import pytest

from abci_app.modules import auth
from abci_app.modules.auth.unordered import AHEAD_MAX_NS
from client.tx import Fee, Signer, build
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import DENOM, FUNDS, Chain, app_state, key_of

SECOND_NS = 10**9


@pytest.fixture
def chain() -> Chain:
    chain = Chain(app_state(funded=("alice", "bob")))
    chain.block()
    return chain


def ahead(chain: Chain, seconds: int, nanos: int = 0) -> int:
    """A time after that of the next block."""
    return chain.context().block.time_ns + (seconds + 1) * SECOND_NS + nanos


def unordered(chain: Chain, until_ns: int, amount: int = 1) -> bytes:
    message = MsgSend(
        from_address=key_of("alice").address,
        to_address=key_of("bob").address,
        amount=[Coin(denom=DENOM, amount=str(amount))],
    )
    signer = Signer(key_of("alice"), chain.account_number("alice"), 7)
    return build([message], [signer], chain.chain_id, Fee(10**6), unordered_until_ns=until_ns)


def test_two_at_one_time_are_not_both_run_and_the_order_of_others_is_free(chain: Chain) -> None:
    late, early = ahead(chain, 60), ahead(chain, 30)

    results = chain.block(*(unordered(chain, until, i + 1) for i, until in enumerate((late, early, late))))

    assert [result.code for result in results] == [0, 0, 18]
    alice = key_of("alice").address
    assert results[2].log == f"already used timeout {late} for address {alice}: invalid request"
    assert chain.balance("bob") == FUNDS + 3


def test_a_nanosecond_tells_two_apart_and_the_sequence_stays(chain: Chain) -> None:
    times = [ahead(chain, 60, nanos) for nanos in range(3)]

    results = chain.block(*(unordered(chain, until) for until in times))

    assert [result.code for result in results] == [0, 0, 0]
    assert chain.sequence("alice") == 0


def test_one_that_ran_does_not_run_again_in_a_later_block(chain: Chain) -> None:
    raw = unordered(chain, ahead(chain, 60))

    first, again = chain.block(raw)[0], chain.block(raw)[0]

    assert (first.code, again.code) == (0, 18)


def test_its_time_is_used_up_also_where_its_messages_fail(chain: Chain) -> None:
    raw = unordered(chain, ahead(chain, 60), 2 * FUNDS)

    first, again = chain.block(raw)[0], chain.block(raw)[0]

    assert (first.code, again.code) == (5, 18)
    assert "already used timeout" in again.log


def test_a_time_more_than_ten_minutes_ahead_is_refused(chain: Chain) -> None:
    limit = chain.context().block.time_ns + SECOND_NS + AHEAD_MAX_NS

    results = chain.block(unordered(chain, limit + 1), unordered(chain, limit))

    assert [result.code for result in results] == [18, 0]
    assert "unordered tx ttl exceeds 600 s" in results[0].log


def test_a_time_that_is_past_is_refused(chain: Chain) -> None:
    raw = unordered(chain, chain.context().block.time_ns)

    assert chain.block(raw)[0].code == 42


def test_used_times_are_forgotten_once_they_are_past_and_still_refused(chain: Chain) -> None:
    raw = unordered(chain, ahead(chain, 3))
    chain.block(raw)
    genesis = auth.MODULE.export_genesis(chain.context())

    chain.run_to(chain.height + 5)

    assert len(genesis.unordered) == 1  # type: ignore[attr-defined]
    assert not auth.MODULE.export_genesis(chain.context()).unordered  # type: ignore[attr-defined]
    assert chain.block(raw)[0].code == 42


def test_a_genesis_carries_used_times_so_that_nothing_runs_twice(chain: Chain) -> None:
    chain.block(unordered(chain, ahead(chain, 60)), unordered(chain, ahead(chain, 70)))
    exported = auth.MODULE.export_genesis(chain.context())

    assert auth.MODULE.validate_genesis(exported) == []
    exported.unordered.append(exported.unordered[0])  # type: ignore[attr-defined]
    assert auth.MODULE.validate_genesis(exported) == ["unordered[2]: it is not behind the one before it"]


def test_the_mempool_refuses_a_second_one_of_one_time(chain: Chain) -> None:
    until = ahead(chain, 60)

    raws = [unordered(chain, until, amount) for amount in (1, 2)]
    codes = [abci.ResponseCheckTx.FromString(chain.app.check_tx(raw, recheck=False)).code for raw in raws]

    assert codes == [0, 18]


def test_a_simulation_costs_what_the_transaction_costs(chain: Chain) -> None:
    raw = unordered(chain, ahead(chain, 60))

    simulated = chain.app.simulate(raw)

    assert simulated.code == 0, simulated.log
    assert chain.block(raw)[0].gas_used <= simulated.gas_used
