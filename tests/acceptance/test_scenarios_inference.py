"""Scenarios of requests and what they cost, through blocks; README.md beside this has the list."""

from __future__ import annotations

import pytest

from protocol.gen.evergrid.inference.v1 import inference_pb2 as pb
from protocol.gen.evergrid.inference.v1.inference_pb2 import MsgSubmitUnitOfComputePriceProposal
from protocol.requests import request_digest
from tests.acceptance.network import (
    HASH,
    PRICE,
    X,
    a_finish,
    a_network,
    a_start,
    a_verdict,
    an_epoch,
    check_account,
    drawn,
    heights,
    inference_of,
    judge,
    local_params,
    mine,
    next_poc,
    served,
    serving,
    statistics,
    together,
)
from tests.chain import FUNDS, GENESIS_TIME_S, Chain, key_of

FOUR = {name: {"gpu": (X,)} for name in ("alice", "bob", "carol", "dan")}
EXPIRATION, WINDOW = 8, 4


# accounting


@pytest.mark.parametrize("max_tokens", [100, 4096, 5000])
def test_the_escrow_is_prompt_and_most_tokens_of_the_answer_times_the_price(max_tokens: int) -> None:
    """Maximum tokens. The same formula; ours has no default of 5000 on the chain: the API node sets one."""
    chain = a_network()

    chain.must("client", a_start("i", "alice", max_tokens=max_tokens))
    without = chain.deliver("client", a_start("none", "alice", max_tokens=0))

    assert inference_of(chain, "i").escrow == (10 + max_tokens) * PRICE
    assert chain.balance("client") == FUNDS - (10 + max_tokens) * PRICE
    assert "max_tokens is 0" in without.log


def test_what_an_executor_is_owed_rises_by_the_cost_and_comes_with_the_epochs_end() -> None:
    """Immediate pre-settle, then post settle. Ours: owed when final, paid at the switch without a claim."""
    chain = a_network()
    an_epoch(chain)
    served(chain, "alice", "i")
    at_once = statistics(chain, "alice").accrued
    chain.run_to(chain.height + WINDOW)
    owed = statistics(chain, "alice").accrued
    before = chain.balance("alice")
    an_epoch(chain)

    assert (at_once, owed) == (0, 30 * PRICE)
    base = 323_000 * 10**9 // 3
    assert chain.balance("alice") - before == base + base // 10 + 30 * PRICE
    check_account(chain)


@pytest.mark.parametrize(
    ("prompt", "completion", "charged"), [(20, 5, 25), (40, 2, 42), (4_000, 1, 42), (0, 20, 20)]
)
def test_the_prompt_is_charged_as_it_really_was_within_the_escrow(
    prompt: int, completion: int, charged: int
) -> None:
    """A prompt larger than the estimate. Ours: never more than the escrow of the 10 + 32 tokens."""
    chain = a_network()
    chain.must("client", a_start("i", "alice"))

    chain.must("alice", a_finish("i", "alice", prompt_token_count=prompt, completion_token_count=completion))

    assert inference_of(chain, "i").cost == charged * PRICE
    assert chain.balance("client") == FUNDS - charged * PRICE


def test_a_failed_inference_is_refunded_counted_as_missed_and_leaves_nothing_waiting() -> None:
    """A failed inference, also of a consumer that runs no node. Ours keeps who was to execute it."""
    chain = a_network()
    chain.must("client", a_start("i", "alice"))
    waits = chain.balance("client")

    chain.run_to(chain.height + EXPIRATION)

    found = inference_of(chain, "i")
    assert waits == FUNDS - 42 * PRICE
    assert (found.status, found.cost) == (pb.INFERENCE_STATUS_EXPIRED, 0)
    assert chain.balance("client") == FUNDS
    assert (statistics(chain, "alice").total, statistics(chain, "alice").missed) == (1, 1)
    check_account(chain)


def test_an_interrupted_stream_pays_for_its_large_prompt_however_often_it_happens() -> None:
    """Streams that are interrupted, once and many times: the executor gets more than 10,000 tokens each.

    Ours: whoever leaves pays for what was computed; the API node finishes with the tokens that there were.
    """
    chain = a_network()
    ids = [f"cut-{i}" for i in range(10)]
    large = {"prompt_token_count": 12_000}

    together(chain, *(("client", a_start(i, "alice", **large)) for i in ids))
    together(chain, *(("alice", a_finish(i, "alice", completion_token_count=1, **large)) for i in ids))
    chain.run_to(chain.height + WINDOW)

    assert statistics(chain, "alice").accrued == 10 * 12_001 * PRICE
    assert chain.balance("client") == FUNDS - 10 * 12_001 * PRICE


# whose request it is


def signed_request(chain: Chain, agent: str, prompt_hash: str = HASH) -> pb.MsgStartInference:
    """A request of `client` that names this agent."""
    timestamp = (GENESIS_TIME_S + chain.height) * 10**9
    signed = request_digest(prompt_hash, timestamp, key_of(agent).address)
    return a_start(
        "i",
        "alice",
        creator=key_of(agent).address,
        requested_by=key_of("client").address,
        request_timestamp=timestamp,
        requester_signature=key_of("client").sign_digest(signed),
    )


def test_a_request_counts_through_the_agent_that_it_names_and_through_no_other() -> None:
    """A valid request, and one with the wrong transfer agent. The executor is bound by the start as well."""
    chain = a_network()
    chain.must("client", a_start("shows-the-key", "alice"))
    paid = chain.balance("client")
    message = signed_request(chain, "bob")
    stolen = pb.MsgStartInference()
    stolen.CopyFrom(message)
    stolen.creator = key_of("carol").address

    refused = chain.deliver("carol", stolen)
    chain.must("bob", message)
    other = chain.deliver("bob", a_finish("i", "bob"))

    assert (refused.codespace, refused.code) == ("inference", 7)
    assert "does not verify" in refused.log
    assert chain.balance("client") == paid - 42 * PRICE
    found = inference_of(chain, "i")
    assert (found.requested_by, found.transferred_by) == (key_of("client").address, key_of("bob").address)
    assert (other.codespace, other.code) == ("inference", 6)


def test_the_same_transaction_twice_counts_once() -> None:
    """A raw transaction, and the same one again in the same block and in a later one."""
    chain = a_network()
    raw = chain.sign("client", a_start("i", "alice"))

    first, second = chain.block(raw, raw)
    third = chain.block(raw)[0]

    assert first.code == 0
    assert [(r.codespace, r.code) for r in (second, third)] == [("sdk", 32)] * 2
    assert chain.balance("client") == FUNDS - 42 * PRICE


@pytest.mark.parametrize("who", ["client", "alice"])
def test_a_start_and_a_finish_with_a_changed_signature_do_nothing(who: str) -> None:
    """Bad signatures of agent and executor. Ours: each signs its own transaction, so that is what fails."""
    chain = a_network()
    if who == "alice":
        chain.must("client", a_start("i", "alice"))
    message = a_start("i", "alice") if who == "client" else a_finish("i", "alice")
    raw = bytearray(chain.sign(who, message))
    raw[-1] ^= 1

    result = chain.block(bytes(raw))[0]

    assert (result.codespace, result.code) == ("sdk", 4)
    if who == "alice":
        assert inference_of(chain, "i").status == pb.INFERENCE_STATUS_STARTED
    else:
        assert chain.balance("client") == FUNDS


# validation


def sampled_always() -> Chain:
    """Four members of equal weight; each of the others validates one in three of an executor's."""
    params = local_params(validation_rate_bps=10_000, validation_rate_min_bps=10_000)
    params.epoch.first_poc_height = params.epoch.epoch_length = 60
    return a_network(FOUR, params=params)


def test_fifty_valid_inferences_in_parallel_all_become_final() -> None:
    """Valid in parallel: none is lost. Ours: who is drawn says so, and all are FINAL behind the window."""
    chain = sampled_always()
    ids = [f"p{i}" for i in range(50)]
    served(chain, "alice", *ids)
    between = {inference_of(chain, each).status for each in ids}

    due = [(name, each) for each in ids for name in drawn(chain, each)]
    together(chain, *((name, a_verdict(name, each)) for name, each in due))
    chain.run_to(chain.height + WINDOW)

    assert between == {pb.INFERENCE_STATUS_FINISHED}
    assert {inference_of(chain, each).status for each in ids} == {pb.INFERENCE_STATUS_FINAL}
    found = statistics(chain, "alice")
    assert (found.total, found.validated) == (50, len({each for _, each in due}))
    assert found.validated > 25  # 1 - (2/3)^3 of them on average
    check_account(chain)


def test_traffic_does_not_lower_how_much_is_validated() -> None:
    """The traffic basis. Ours: the rate depends on the executor's reputation alone, at 50 requests as at one,
    so nobody lowers it by traffic of its own.
    """
    chain = a_network(FOUR)
    served(chain, "alice", "first")
    served(chain, "alice", *(f"t{i}" for i in range(50)))
    served(chain, "alice", "last")

    rates = [inference_of(chain, each).validation_rate_bps for each in ("first", "last")]

    assert rates == [1_000, 1_000]


# price


def proposed(chain: Chain, price: int) -> None:
    """A unit price that every participant proposes."""
    message = MsgSubmitUnitOfComputePriceProposal(price=price)
    for name in ("alice", "bob", "carol"):
        message.creator = key_of(name).address
        chain.must(name, message)


def shown(chain: Chain) -> int:
    """What a token of the model costs by the public price list."""
    (model,) = chain.query(pb.QueryPricingRequest(), pb.QueryPricingResponse).models
    return model.price_per_token


def test_neither_load_nor_idleness_moves_the_price_but_proposals_do_at_the_next_formation() -> None:
    """The full cycle of a price. Ours is one price system: members propose a unit price, its weighted median
    is frozen for the next epoch; no load raises it within one, and it never sinks to a floor by itself.
    """
    chain = a_network()
    an_epoch(chain)
    prices = [shown(chain)]

    served(chain, "alice", *(f"busy-{i}" for i in range(20)))
    prices.append(shown(chain))
    chain.run_to(next_poc(chain) - 2)
    prices.append(shown(chain))
    proposed(chain, 130)
    prices.append(shown(chain))
    an_epoch(chain)
    prices.append(shown(chain))
    served(chain, "alice", "dearer")

    assert prices == [PRICE, PRICE, PRICE, PRICE, 1300]
    assert inference_of(chain, "dearer").cost == 30 * 1300


@pytest.mark.parametrize("first", ["start", "finish"])
def test_the_first_of_the_two_messages_alone_locks_the_price(first: str) -> None:
    """Start only or finish only locks the price, also over a switch that changes it."""
    chain = a_network()
    an_epoch(chain)
    proposed(chain, 130)
    mine(chain)
    ((keeps, _),) = serving(chain)
    messages = [("client", a_start("i", keeps)), (keeps, a_finish("i", keeps))]
    if first == "finish":
        messages.reverse()
    end = heights(chain).switch
    judge(chain, until=end - 2)

    chain.must(*messages[0])
    locked = inference_of(chain, "i").price_per_token
    chain.run_to(end)
    chain.must(*messages[1])

    assert (locked, shown(chain)) == (PRICE, 1300)
    assert inference_of(chain, "i").cost == 30 * PRICE
