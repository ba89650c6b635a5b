"""No input makes a block raise: bytes, changed transactions, odd headers, votes, evidence and times."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.app import STORES
from abci_app.kernel.store import MemoryStore
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import GENESIS_TIME_S, Chain, key_of, validator_key_of
from tests.simulation import wild
from tests.simulation.driver import NAMES

# The last second of which the nanoseconds fit into 63 bits, in the year 2262.
LAST_S = (2**63 - 1) // 10**9 - 1

KEYS = [validator_key_of(name) for name in NAMES]
evidence = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.one_of(st.binary(max_size=70), st.sampled_from(KEYS)),
        st.integers(-(2**63), 2**63 - 1),
    ),
    max_size=4,
)
votes = st.lists(
    st.tuples(st.integers(0, 3), st.binary(max_size=40), st.integers(-(2**63), 2**63 - 1)), max_size=4
)


@pytest.fixture(scope="module")
def life() -> wild.WildLife:
    """A chain in the middle of its life, whose next block is made again and again without Commit."""
    return wild.live("busy", 3, 75)


def finalized(chain: Chain, request: abci.RequestFinalizeBlock) -> abci.ResponseFinalizeBlock:
    """The block's response; nothing of it stays."""
    found = abci.ResponseFinalizeBlock.FromString(chain.app.finalize_block(request))
    assert len(found.tx_results) == len(request.txs)
    assert chain.bugs == []
    return found


@settings(max_examples=150)
@given(txs=st.lists(st.binary(max_size=300), max_size=5))
def test_no_bytes_make_a_block_raise(life: wild.WildLife, txs: list[bytes]) -> None:
    found = finalized(life.chain, life.chain.request(txs))

    assert all(result.code for result in found.tx_results)


@settings(max_examples=300)
@given(
    at=st.integers(0, 49),
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4),
    cut=st.one_of(st.none(), st.integers(0, 2000)),
)
def test_no_changed_transaction_makes_a_block_raise(
    life: wild.WildLife, at: int, changes: list[tuple[int, int]], cut: int | None
) -> None:
    raw = bytearray(life.sent[at % len(life.sent)])
    for place, value in changes:
        if raw:
            raw[place % len(raw)] = value
    unsigned = tx_pb2.TxRaw(body_bytes=bytes(raw))

    found = finalized(life.chain, life.chain.request([bytes(raw[:cut]), unsigned.SerializeToString()]))

    assert found.tx_results[1].code


@settings(max_examples=150)
@given(
    block_hash=st.binary(max_size=64),
    proposer=st.binary(max_size=40),
    time_s=st.integers(GENESIS_TIME_S, LAST_S),
    nanos=st.integers(0, 10**9 - 1),
    accused=evidence,
    voted=votes,
)
def test_no_header_votes_or_evidence_make_a_block_raise(
    life: wild.WildLife,
    *,
    block_hash: bytes,
    proposer: bytes,
    time_s: int,
    nanos: int,
    accused: list[tuple[int, bytes, int]],
    voted: list[tuple[int, bytes, int]],
) -> None:
    request = life.chain.request()
    request.hash, request.proposer_address = block_hash, proposer
    request.time.seconds, request.time.nanos = time_s, nanos
    for kind, address, height in accused:
        found = request.misbehavior.add(type=kind, height=height, total_voting_power=height)
        found.validator.address, found.validator.power = address, height
    for flag, address, power in voted:
        vote = request.decided_last_commit.votes.add(block_id_flag=flag)
        vote.validator.address, vote.validator.power = address, power

    finalized(life.chain, request)


@pytest.mark.parametrize("initial_height", [1, 2, 10**6, 2**40])
@pytest.mark.parametrize("block_hash", [b"", b"\0", b"\xff" * 64])
def test_epochs_turn_from_any_first_height_and_with_any_hash(initial_height: int, block_hash: bytes) -> None:
    chain = Chain(wild.genesis("busy"), MemoryStore(STORES), initial_height=initial_height)

    for passed in range(70):
        request = chain.request()
        request.hash, request.time.seconds = block_hash, GENESIS_TIME_S + passed
        finalized(chain, request)
        chain.app.commit()
        chain.height += 1

    assert chain.app.last_block.height == initial_height + 69


def test_a_transaction_of_the_largest_numbers_is_a_result() -> None:
    chain = wild.new_chain("busy")
    message = MsgSend(from_address=key_of("eve").address, to_address=key_of("fay").address)
    message.amount.add(denom="nevg", amount="9" * 78)

    results = chain.block(chain.sign("eve", message, gas=2**63 - 1))

    assert results[0].code
