"""What modules hold is out of everybody's reach."""

from __future__ import annotations

import pytest

from abci_app.genesis import MODULES
from protocol import address
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from tests.chain import DENOM, Chain, app_state, key_of


@pytest.mark.parametrize("name", [name for module in MODULES for name in module.accounts])
def test_nobody_sends_coins_to_an_account_of_a_module(name: str) -> None:
    chain = Chain(app_state(funded=["alice"]))
    before = chain.balance("alice")
    message = MsgSend(
        from_address=key_of("alice").address,
        to_address=address.module_account(name),
        amount=[Coin(denom=DENOM, amount="5")],
    )

    result = chain.deliver("alice", message)

    assert (result.codespace, result.code) == ("sdk", 4)
    assert chain.balance("alice") == before
