"""A block holds transactions up to its gas, whoever proposes it: Prepare, Process and FinalizeBlock agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import Chain, app_state
from tests.kernel.test_failures import send

if TYPE_CHECKING:
    from collections.abc import Sequence

GAS_MAX = 1_000_000
ACCEPT = abci.ResponseProcessProposal.ACCEPT


def a_chain(max_gas: int = GAS_MAX) -> Chain:
    chain = Chain(app_state(funded=["alice", "bob"]), max_gas=max_gas)
    chain.block()
    return chain


def transactions(chain: Chain, limits: Sequence[int]) -> list[bytes]:
    """Payments of alice with these gas limits, in the order of their sequences."""
    return [chain.sign("alice", send(1), gas=limit) for limit in limits]


def test_a_block_that_skipped_every_check_still_runs_no_more_than_its_gas() -> None:
    chain = a_chain()
    paid = chain.balance("bob")
    txs = transactions(chain, (400_000, 600_000, 1, 2**64 - 1))

    refused = chain.app.process_proposal(abci.RequestProcessProposal(txs=txs)).status
    results = chain.block(*txs)

    assert refused != ACCEPT
    assert [(each.codespace, each.code) for each in results] == [("", 0), ("", 0), ("sdk", 11), ("sdk", 11)]
    assert results[2].log == "no block gas left to run tx: out of gas"
    assert chain.balance("bob") == paid + 2
    assert chain.sequence("alice") == 2


def test_without_a_limit_of_the_block_every_transaction_runs() -> None:
    chain = a_chain(-1)

    results = chain.block(*transactions(chain, (10**8, 10**9, 10**10)))

    assert [each.code for each in results] == [0, 0, 0]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(200_000, 900_000), max_size=5))
def test_what_an_honest_proposer_prepares_is_accepted_and_loses_nothing_to_the_blocks_gas(
    limits: list[int],
) -> None:
    chain = a_chain()
    request = abci.RequestPrepareProposal(
        txs=transactions(chain, limits), max_tx_bytes=10**6, height=chain.height + 1
    )

    prepared = chain.app.prepare_proposal(request)
    accepted = chain.app.process_proposal(abci.RequestProcessProposal(txs=prepared.txs)).status
    results = chain.block(*prepared.txs)

    assert accepted == ACCEPT
    assert all(each.code == 0 for each in results)
