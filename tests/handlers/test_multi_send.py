"""Coins from one account to many: all or none, and exactly what the sender gives."""

from __future__ import annotations

import pytest

from protocol.gen.cosmos.bank.v1beta1.bank_pb2 import Input, Output
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgMultiSend
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from tests.chain import DENOM, FUNDS, GOV, Chain, app_state, key_of


@pytest.fixture
def chain() -> Chain:
    chain = Chain(app_state(funded=("alice", "bob")))
    chain.block()
    return chain


def coins(amount: int) -> list[Coin]:
    return [Coin(denom=DENOM, amount=str(amount))]


def to_many(given: int, **outputs: int) -> MsgMultiSend:
    return MsgMultiSend(
        inputs=[Input(address=key_of("alice").address, coins=coins(given))],
        outputs=[Output(address=key_of(name).address, coins=coins(n)) for name, n in outputs.items()],
    )


def balance(chain: Chain, name: str) -> int:
    return chain.balance(name)


def test_each_one_receives_its_part(chain: Chain) -> None:
    result = chain.deliver("alice", to_many(30, bob=10, carol=20))

    assert result.code == 0, result.log
    assert [balance(chain, name) for name in ("alice", "bob", "carol")] == [FUNDS - 30, FUNDS + 10, 20]


def test_what_goes_out_must_be_what_comes_in(chain: Chain) -> None:
    result = chain.deliver("alice", to_many(31, bob=10, carol=20))

    assert (result.codespace, result.code) == ("bank", 4)
    assert f"31{DENOM} in, 30{DENOM} out: sum inputs != sum outputs" in result.log
    assert balance(chain, "bob") == FUNDS


@pytest.mark.parametrize("inputs", [0, 2])
def test_there_is_one_sender(chain: Chain, inputs: int) -> None:
    message = to_many(10, bob=10)
    del message.inputs[:]
    message.inputs.extend(Input(address=key_of("alice").address, coins=coins(5)) for _ in range(inputs))

    result = chain.deliver("alice", message)

    assert (result.codespace, result.code) == ("sdk", 7)
    assert balance(chain, "bob") == FUNDS


def test_without_an_output_nothing_goes_out(chain: Chain) -> None:
    result = chain.deliver("alice", to_many(10))

    assert (result.codespace, result.code) == ("bank", 4)
    assert balance(chain, "alice") == FUNDS


def test_more_than_there_is_reaches_nobody(chain: Chain) -> None:
    result = chain.deliver("alice", to_many(FUNDS + 10, bob=10, carol=FUNDS))

    assert (result.codespace, result.code) == ("sdk", 5)
    assert (balance(chain, "bob"), balance(chain, "carol")) == (FUNDS, 0)


def test_a_module_receives_nothing(chain: Chain) -> None:
    message = to_many(10, bob=5)
    message.outputs.append(Output(address=GOV, coins=coins(5)))

    result = chain.deliver("alice", message)

    assert (result.codespace, result.code) == ("sdk", 4)
    assert balance(chain, "bob") == FUNDS


def test_every_fault_of_coins_and_addresses_is_named(chain: Chain) -> None:
    message = to_many(10, bob=10)
    message.outputs.append(Output(address="evergrid1x", coins=[]))

    result = chain.deliver("alice", message)

    assert (result.codespace, result.code) == ("sdk", 10)
    assert "outputs[1]: invalid output address" in result.log
    assert "outputs[1]: no coins" in result.log
