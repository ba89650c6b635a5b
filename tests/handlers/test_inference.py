"""Inferences through blocks: escrow, cost, refund, expiry, who may execute, whose signature counts."""

from __future__ import annotations

from typing import Any

import pytest

from abci_app.kernel.errors import QueryError
from abci_app.modules import epochs, inference, rewards
from protocol import address
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import POC_SLOT, PRE_POC_SLOT
from protocol.gen.evergrid.inference.v1 import inference_pb2 as pb
from protocol.requests import own_inference_id, request_digest, reserved_for
from tests.chain import (
    DENOM,
    FUNDS,
    GENESIS_TIME_S,
    Chain,
    GenesisNode,
    GenesisParticipant,
    a_model,
    app_state,
    key_of,
)
from tests.stages.test_epoch import run_poc

MODEL = "model/x"
PRICE = 10 * 100  # units per token, times the unit price
HASH = "ab" * 32
EXPIRATION, WINDOW = 8, 4
ACCOUNT = address.module_account(inference.ACCOUNT)


def a_chain() -> Chain:
    """alice and bob serve the model from the genesis on; client pays."""
    owners = [GenesisParticipant(name, 0, (GenesisNode("gpu", (MODEL,), 50),)) for name in ("alice", "bob")]
    chain = Chain(app_state(owners, [a_model()], funded=["client", "agent"]))
    chain.run_to(1)
    return chain


def start(**fields: Any) -> pb.MsgStartInference:
    defaults: dict[str, Any] = {
        "creator": key_of("client").address,
        "inference_id": "i1",
        "model_id": MODEL,
        "executor": key_of("alice").address,
        "prompt_hash": HASH,
        "prompt_token_count": 10,
        "max_tokens": 32,
    }
    return pb.MsgStartInference(**(defaults | fields))


def finish(**fields: Any) -> pb.MsgFinishInference:
    defaults: dict[str, Any] = {
        "creator": key_of("alice").address,
        "inference_id": "i1",
        "model_id": MODEL,
        "response_hash": HASH,
        "prompt_token_count": 10,
        "completion_token_count": 20,
    }
    return pb.MsgFinishInference(**(defaults | fields))


def found(chain: Chain, inference_id: str = "i1") -> pb.Inference:
    request = pb.QueryInferenceRequest(inference_id=inference_id)
    return chain.query(request, pb.QueryInferenceResponse).inference


def owed(chain: Chain) -> int:
    return inference.obligations(chain.context()) + rewards.unpaid_total(chain.context())


@pytest.mark.parametrize("order", ["start first", "finish first"])
def test_an_inference_costs_its_tokens_and_the_rest_of_the_escrow_comes_back(order: str) -> None:
    chain = a_chain()
    steps = [("client", start()), ("alice", finish())]

    for name, message in steps if order == "start first" else reversed(steps):
        chain.must(name, message)

    assert found(chain).status == pb.INFERENCE_STATUS_FINISHED
    assert (found(chain).escrow, found(chain).cost) == (42 * PRICE, 30 * PRICE)
    assert chain.balance("client") == FUNDS - 30 * PRICE
    assert chain.balance(ACCOUNT) == 30 * PRICE == owed(chain)


def test_what_is_final_accrues_to_the_executor_after_the_validation_window() -> None:
    chain = a_chain()
    chain.must("client", start())
    chain.must("alice", finish())
    finished = chain.height

    chain.run_to(finished + WINDOW - 1)
    before = inference.statistics(chain.context(), 0)
    chain.block()
    after = inference.statistics(chain.context(), 0)

    assert before == []
    assert [(each.participant, each.total, each.missed, each.accrued) for each in after] == [
        (key_of("alice").address, 1, 0, 30 * PRICE)
    ]
    assert found(chain).status == pb.INFERENCE_STATUS_FINAL
    assert chain.balance(ACCOUNT) == owed(chain)


def test_the_cost_is_at_most_the_escrow() -> None:
    chain = a_chain()
    chain.must("client", start())

    chain.must("alice", finish(completion_token_count=4_000_000))

    assert found(chain).cost == found(chain).escrow == 42 * PRICE
    assert chain.balance("client") == FUNDS - 42 * PRICE


def test_what_is_not_finished_in_time_is_refunded_and_missed() -> None:
    chain = a_chain()
    chain.must("client", start())
    started = chain.height

    chain.run_to(started + EXPIRATION)

    assert found(chain).status == pb.INFERENCE_STATUS_EXPIRED
    assert chain.balance("client") == FUNDS
    assert [(s.total, s.missed) for s in inference.statistics(chain.context(), 0)] == [(1, 1)]
    late = chain.deliver("alice", finish())
    assert (late.codespace, late.code) == ("inference", 5)
    assert chain.balance(ACCOUNT) == owed(chain) == 0


def test_a_finish_without_a_start_expires_without_anyone_missing_or_paying() -> None:
    chain = a_chain()
    chain.must("alice", finish())

    chain.run_to(chain.height + EXPIRATION)

    assert found(chain).status == pb.INFERENCE_STATUS_EXPIRED
    assert inference.statistics(chain.context(), 0) == []
    assert inference.tokens_finished(chain.context(), MODEL, 0, 100) == 0


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        (start(model_id="model/none"), 3, "model/none is no model of epoch 0"),
        (start(executor=key_of("client").address), 4, "no_slot_in_force"),
        (start(max_tokens=0, prompt_hash="?"), 2, "max_tokens is 0; prompt_hash is no SHA-256"),
    ],
)
def test_a_start_that_cannot_be_is_refused_and_holds_nothing(
    message: pb.MsgStartInference, code: int, text: str
) -> None:
    chain = a_chain()

    result = chain.deliver("client", message)

    assert (result.codespace, result.code) == ("inference", code)
    assert text in result.log
    assert chain.balance("client") == FUNDS
    assert chain.balance(ACCOUNT) == 0


def test_who_cannot_pay_the_escrow_starts_nothing() -> None:
    chain = a_chain()
    keep = 42 * PRICE - 1
    away = MsgSend(from_address=key_of("client").address, to_address=key_of("agent").address)
    away.amount.add(denom=DENOM, amount=str(FUNDS - keep))
    chain.must("client", away)

    result = chain.deliver("client", start())

    assert (result.codespace, result.code) == ("sdk", 5)
    assert chain.balance("client") == keep


def test_only_the_named_executor_finishes_and_only_once() -> None:
    chain = a_chain()
    chain.must("client", start())

    other = chain.deliver("bob", finish(creator=key_of("bob").address))
    chain.must("alice", finish())
    again = chain.deliver("alice", finish())

    assert (other.code, again.code) == (6, 5)
    assert found(chain).executed_by == key_of("alice").address


def test_during_poc_only_nodes_with_poc_slot_may_execute() -> None:
    chain = a_chain()
    chain.run_to(10)  # S: nothing is proved, so nobody is preserved
    grace = epochs.effective_record(chain.context()).params.inference.slot_grace
    chain.run_to(10 + grace)

    result = chain.deliver("client", start())

    assert "no_slot_in_force" in result.log
    assert epochs.slot_in_force(chain.context(), chain.height) == POC_SLOT
    assert epochs.slot_in_force(chain.context(), 9) == PRE_POC_SLOT


def test_nobody_else_takes_an_id_that_begins_with_the_starters_address() -> None:
    # Given an id of the client, which agent sees before it is in a block
    chain = a_chain()
    mine = own_inference_id(key_of("client").address, "chatcmpl-1")
    before = chain.balance("agent")

    # When agent is there first, with an escrow of one token for the same executor
    front_run = start(creator=key_of("agent").address, inference_id=mine, prompt_token_count=0, max_tokens=1)
    taken = chain.deliver("agent", front_run)
    chain.must("client", start(inference_id=mine))
    chain.must("alice", finish(inference_id=mine))

    # Then it is refused, and the executor gets what the client held for it
    assert (taken.codespace, taken.code) == ("inference", 2)
    assert "inference_id begins with an address other than that of its creator" in taken.log
    assert chain.balance("agent") == before
    assert (found(chain, mine).requested_by, found(chain, mine).cost) == (
        key_of("client").address,
        30 * PRICE,
    )


def test_a_finish_in_anothers_name_space_keeps_nobody_from_its_id() -> None:
    chain = a_chain()
    mine = own_inference_id(key_of("client").address, "chatcmpl-1")

    chain.must("bob", finish(creator=key_of("bob").address, inference_id=mine))
    chain.must("client", start(inference_id=mine))

    assert found(chain, mine).executed_by == key_of("alice").address
    assert found(chain, mine).status == pb.INFERENCE_STATUS_STARTED


@pytest.mark.parametrize("inference_id", ["chatcmpl-1", "a:b", key_of("client").address, ":", "evergrid1:x"])
def test_an_id_that_begins_with_no_address_and_colon_is_the_first_comers(inference_id: str) -> None:
    chain = a_chain()

    first = chain.deliver("agent", start(creator=key_of("agent").address, inference_id=inference_id))
    second = chain.deliver("client", start(inference_id=inference_id))

    assert reserved_for(inference_id) == ""
    assert (first.code, second.code) == (0, 5)


def signed_by_client(chain: Chain, **fields: Any) -> pb.MsgStartInference:
    timestamp = (GENESIS_TIME_S + chain.height) * 10**9
    agent = key_of("agent").address
    message = start(
        creator=agent,
        requested_by=key_of("client").address,
        request_timestamp=timestamp,
        requester_signature=key_of("client").sign_digest(request_digest(HASH, timestamp, agent)),
    )
    message.MergeFrom(pb.MsgStartInference(**fields))
    return message


def test_an_agent_starts_on_the_account_of_a_requester_who_signed_and_once_only() -> None:
    chain = a_chain()
    chain.must("client", start(inference_id="shows-the-key"))
    paid = chain.balance("client")
    message = signed_by_client(chain)

    chain.must("agent", message)
    message.inference_id = "i2"
    again = chain.deliver("agent", message)

    assert chain.balance("client") == paid - 42 * PRICE
    assert chain.balance("agent") == FUNDS
    assert (again.codespace, again.code) == ("inference", 7)
    assert "accepted already" in again.log


def test_a_signed_request_is_of_use_to_its_transfer_agent_alone() -> None:
    chain = a_chain()
    chain.must("client", start(inference_id="shows-the-key"))
    message = signed_by_client(chain)
    message.creator = key_of("alice").address

    result = chain.deliver("alice", message)

    assert (result.codespace, result.code) == ("inference", 7)
    assert "does not verify" in result.log


def test_a_signed_request_stays_used_up_until_it_is_too_old_to_be_taken_anyway() -> None:
    chain = a_chain()
    chain.must("client", start(inference_id="shows-the-key"))
    message = signed_by_client(chain)
    chain.must("agent", message)
    refusals = []

    for seconds in (0, 590, 1300, 10**6):
        chain.seconds_ahead = seconds
        chain.block()
        message.inference_id = f"again-{seconds}"
        refusals.append(chain.deliver("agent", message))

    assert [each.code for each in refusals] == [7, 7, 2, 2]
    assert "accepted already" in refusals[1].log
    assert "10 minutes" in refusals[2].log


def test_two_who_sign_the_same_request_for_the_same_agent_at_the_same_time_are_both_served() -> None:
    chain = a_chain()
    for name in ("client", "bob"):
        chain.must(name, start(creator=key_of(name).address, inference_id=f"shows-the-key-of-{name}"))
    message = signed_by_client(chain)
    digest = request_digest(HASH, message.request_timestamp, key_of("agent").address)
    other = start(
        creator=key_of("agent").address,
        inference_id="i2",
        requested_by=key_of("bob").address,
        request_timestamp=message.request_timestamp,
        requester_signature=key_of("bob").sign_digest(digest),
    )

    results = chain.block(chain.sign("agent", message), chain.sign("agent", other))

    assert [each.code for each in results] == [0, 0]


def test_what_a_requesters_signature_does_not_cover_is_the_transfer_agents_to_choose() -> None:
    # Given one signature
    chain = a_chain()
    elsewhere = Chain(chain.state, chain_id="another-chain-1")
    elsewhere.block()
    for each in (chain, elsewhere):
        each.must("client", start(inference_id="shows-the-key"))
    message = signed_by_client(chain)

    # When the agent asks for more tokens and another executor than the client may have had in mind
    message.max_tokens, message.executor = 10 * message.max_tokens, key_of("bob").address
    larger = chain.deliver("agent", message)
    # and sends it to another chain as well
    twice = elsewhere.deliver("agent", message)

    # Then each takes it: the client trusts its agent for these, as the protocol says
    assert (larger.code, twice.code) == (0, 0)
    assert found(chain).escrow == (10 + 320) * PRICE


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"prompt_hash": "cd" * 32}, "does not verify"),
        ({"requester_signature": b"\x01" * 64}, "does not verify"),
        ({"request_timestamp": 1}, "10 minutes"),
    ],
)
def test_a_request_that_its_requester_did_not_sign_so_is_refused(change: dict[str, Any], text: str) -> None:
    chain = a_chain()
    chain.must("client", start(inference_id="shows-the-key"))
    paid = chain.balance("client")

    result = chain.deliver("agent", signed_by_client(chain, **change))

    assert text in result.log
    assert chain.balance("client") == paid


def test_the_price_shown_is_the_price_charged_and_proposals_count_from_the_next_formation() -> None:
    chain = a_chain()
    chain.must("alice", pb.MsgSubmitUnitOfComputePriceProposal(creator=key_of("alice").address, price=7))

    shown = chain.query(pb.QueryPricingRequest(), pb.QueryPricingResponse)
    coming = chain.query(pb.QueryGovernancePricingRequest(), pb.QueryPricingResponse)
    chain.must("client", start())

    assert [(m.id, m.price_per_token) for m in shown.models] == [(MODEL, PRICE)]
    assert coming.unit_of_compute_price == 7
    assert found(chain).price_per_token == PRICE


def test_executors_are_those_whose_slot_is_in_force_with_their_throughput() -> None:
    chain = a_chain()

    now = chain.query(pb.QueryExecutorsRequest(model_id=MODEL), pb.QueryExecutorsResponse)
    chain.run_to(9)  # the next block is S
    then = chain.query(pb.QueryExecutorsRequest(model_id=MODEL), pb.QueryExecutorsResponse)

    assert {e.participant for e in now.executors} == {key_of(n).address for n in ("alice", "bob")}
    assert now.total_throughput == 2 * 50 * 40
    assert list(then.executors) == []


def test_closed_inferences_and_counters_are_forgotten_after_the_retention() -> None:
    chain = a_chain()
    chain.must("client", start())
    chain.must("alice", finish())
    retained = epochs.effective_record(chain.context()).params.epoch.retention_epochs

    for epoch in range(1, retained + 2):
        first = 10 + 30 * (epoch - 1)
        chain.run_to(first)
        serving = {
            m.member_address
            for m in epochs.members(chain.context(), epoch - 1, MODEL)
            if m.ml_nodes[0].timeslot_allocation[POC_SLOT]
        }
        mines = {name: 0 if key_of(name).address in serving else 20 for name in ("alice", "bob")}
        assert found(chain).status == pb.INFERENCE_STATUS_FINAL
        run_poc(chain, first, mines)
    chain.block()

    ctx = chain.context()
    assert epochs.state(ctx).epoch_effective == retained + 1
    with pytest.raises(QueryError, match="i1 not found"):
        found(chain)
    assert inference.statistics(ctx, 0) == []
    assert inference.served_count(ctx, 0, MODEL, key_of("alice").address) == 0
