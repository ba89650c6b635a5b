"""A block holds transactions up to its gas, whoever proposes it: Prepare, Process and FinalizeBlock agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.ante import FREE_GAS_MAX
from abci_app.modules.epochs.profiles import default_params
from abci_app.node.genesis import profile_values
from api_node.gas import gas_limit
from api_node.outbox import Entry, Status
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import Chain, app_state, key_of
from tests.kernel.test_failures import send

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

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


def test_the_mempool_refuses_what_no_block_has_room_for_and_takes_the_sender_s_next_one() -> None:
    chain = a_chain()
    # Each is the first one of its sender.
    (large,), (fitting,) = transactions(a_chain(), (GAS_MAX + 1,)), transactions(a_chain(), (GAS_MAX,))

    refused = abci.ResponseCheckTx.FromString(chain.app.check_tx(large, recheck=False))
    taken = abci.ResponseCheckTx.FromString(chain.app.check_tx(fitting, recheck=False))

    # CometBFT would drop it behind our yes, and leave its sequence used up.
    assert (refused.codespace, refused.code) == ("sdk", 41)
    assert refused.log == f"tx gas limit {GAS_MAX + 1} exceeds block max gas {GAS_MAX}: invalid gas limit"
    assert taken.code == 0


def test_without_a_limit_of_the_block_every_transaction_runs() -> None:
    chain = a_chain(-1)

    results = chain.block(*transactions(chain, (10**8, 10**9, 10**10)))

    assert [each.code for each in results] == [0, 0, 0]


def test_a_transaction_takes_of_a_block_at_least_what_refusing_it_costs() -> None:
    chain = a_chain()
    txs = transactions(chain, [1] * 51)

    fits, too_many = (
        chain.app.process_proposal(abci.RequestProcessProposal(txs=each)).status for each in (txs[:50], txs)
    )
    results = chain.block(*txs)

    assert (fits, too_many) == (ACCEPT, abci.ResponseProcessProposal.REJECT)
    assert [each.log.startswith("no block gas left") for each in results] == [False] * 50 + [True]


@pytest.mark.parametrize("profile", ["local", "testnet", "mainnet"])
def test_a_block_is_bounded_in_every_profile_and_one_free_transaction_takes_a_fifth_of_it(
    profile: str,
) -> None:
    block = profile_values(profile)["consensus_params"]["block"]

    assert int(block["max_gas"]) == 200_000_000 == 5 * FREE_GAS_MAX


def test_the_proof_of_compute_of_a_thousand_participants_fits_the_windows_of_the_testnet() -> None:
    epoch, participants = default_params("testnet").epoch, 1_000
    block = int(profile_values("testnet")["consensus_params"]["block"]["max_gas"])
    # Ten nodes of 1,600 nonces each; 226 verdicts by 256 drawn slots (docs/performance.md).
    batch = poc_pb2.MsgSubmitPocBatch(creator=key_of("alice").address, claims=bytes(4 * 1_600))
    places = poc_pb2.PocVerdictGroup(verdict=poc_pb2.VERDICT_HONEST, sampled=200, places=range(226))
    verdicts = poc_pb2.MsgSubmitPocValidations(creator=batch.creator, groups=[places])

    asked_batches, asked_verdicts = asked(*[batch] * 10), asked(verdicts)

    assert (
        -(-participants // (block // asked_batches)) <= epoch.poc_stage_duration + epoch.poc_exchange_duration
    )
    assert -(-participants // (block // asked_verdicts)) <= epoch.poc_validation_duration


def asked(*messages: Message) -> int:
    """The gas that an API node asks for one transaction of these messages."""
    state: dict[str, Any] = {"height_deadline": 0, "status": Status.PENDING, "tx_hash": "", "alone": False}
    state |= {"gas_factor": 1, "attempts": 0, "code": 0, "log": "", "height": 0}
    entries = [
        Entry(id=n, key=str(n), type=each.DESCRIPTOR.full_name, body=each.SerializeToString(), **state)
        for n, each in enumerate(messages)
    ]
    return gas_limit(entries)


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
