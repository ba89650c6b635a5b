"""What hostile transactions, genesis files and proposals may try, through blocks: the chain goes on."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from abci_app.app import STORES
from abci_app.genesis import GenesisError, load_genesis
from abci_app.kernel.context import Block, Context
from abci_app.kernel.errors import QueryError
from abci_app.kernel.store import MemoryStore, Overlay
from abci_app.modules import epochs, hardware, inference
from abci_app.modules.epochs.profiles import default_params
from protocol.address import module_account
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.gov.v1 import gov_pb2, query_pb2
from protocol.gen.cosmos.gov.v1 import tx_pb2 as gov_tx
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.rewards.v1 import rewards_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import (
    DENOM,
    GOV,
    Chain,
    GenesisNode,
    GenesisParticipant,
    a_model,
    app_state,
    key_of,
    validator_key_of,
)
from tests.stages.test_epoch import LENGTH, MODEL, S, T, V, batch, honest, run_poc, two_owners
from tests.stages.test_governance import passed, proposal_of, propose, register, vote

if TYPE_CHECKING:
    from google.protobuf.message import Message


OWNERS = ("alice", "bob", "dora")


def a_chain() -> Chain:
    """Two participants with a node each, and a client."""
    owners = [
        GenesisParticipant(name, nodes=(GenesisNode("n1", ("model/x",), 50),)) for name in ("ann", "ben")
    ]
    chain = Chain(app_state(owners, [a_model()], funded=["eve"]))
    chain.block()
    return chain


def a_send(sender: str, recipient: str, amount: int = 5) -> Message:
    to = recipient if recipient.startswith("evergrid1") else key_of(recipient).address
    return MsgSend(
        from_address=key_of(sender).address, to_address=to, amount=[Coin(denom=DENOM, amount=str(amount))]
    )


def test_a_gas_limit_beyond_63_bits_is_refused_in_check_tx_and_in_a_block() -> None:
    chain = a_chain()
    tx = chain.sign("eve", a_send("eve", "ann"), gas=2**64 - 1)

    checked = abci.ResponseCheckTx.FromString(chain.app.check_tx(tx, recheck=False))
    result = chain.block(tx)[0]

    assert (checked.code, result.code) == (18, 18)
    assert checked.gas_wanted == result.gas_wanted == 2**63 - 1


def test_a_log_stays_in_proportion_to_its_transaction() -> None:
    chain = a_chain()
    diff = hardware_pb2.MsgSubmitHardwareDiff(creator=key_of("ann").address)
    for _ in range(900):
        diff.new_or_modified.add()
    tx = chain.sign("ann", diff)

    result = chain.block(tx)[0]

    assert result.code == 3
    assert len(result.log) <= 1000 + 4 * len(tx)
    assert result.log.endswith("...")


def test_a_diff_of_countless_nodes_is_refused_without_looking_at_each() -> None:
    chain = a_chain()
    diff = hardware_pb2.MsgSubmitHardwareDiff(creator=key_of("ann").address, removed=[""] * 5000)
    for _ in range(5000):
        diff.new_or_modified.add()

    result = chain.deliver("ann", diff)

    assert result.code == 3
    assert result.log == (
        "failed to execute message; message index: 0: a diff of 5000 changed and 5000 removed nodes, "
        "a participant has at most 1000: invalid hardware diff"
    )


def mine(chain: Chain, start: int) -> None:
    """A PoC of alice and bob in which everyone mines that does not serve, up to the switch."""
    chain.run_to(start)
    epoch = epochs.state(chain.context()).epoch_effective
    serving = {
        member.member_address
        for group in epochs.subgroups(chain.context(), epoch)
        for member in epochs.members(chain.context(), epoch, group.model_id)
        if any(node.timeslot_allocation[epochs_pb2.POC_SLOT] for node in member.ml_nodes)
    }
    run_poc(chain, start, {name: 0 if key_of(name).address in serving else 25 for name in ("alice", "bob")})


def test_a_supply_cap_below_what_was_minted_ends_emission_and_not_the_chain() -> None:
    chain = two_owners()
    for start in (S, S + LENGTH):
        mine(chain, start)
    minted = chain.query(rewards_pb2.QueryEmissionRequest(), rewards_pb2.QueryEmissionResponse)
    params = epochs.params(chain.context())
    params.rewards.reward_supply_cap = 1

    proposal = passed(chain, epochs_pb2.MsgUpdateParams(authority=GOV, params=params))
    for start in (S + 2 * LENGTH, S + 3 * LENGTH):
        mine(chain, start)

    assert proposal.failed_reason == ""
    assert epochs.state(chain.context()).epoch_effective == 4
    after = chain.query(rewards_pb2.QueryEmissionRequest(), rewards_pb2.QueryEmissionResponse)
    # Epoch 2 still had its reward by the cap that it froze; epoch 3 had none.
    assert (
        after.emission.minted_total == minted.emission.minted_total + minted.emission.reward_next * 11 // 10
    )


def test_a_passed_proposal_may_cancel_another_that_is_due_in_the_same_block() -> None:
    owners = [GenesisParticipant(name, 10) for name in ("alice", "bob")]
    state = app_state(owners, [a_model()])
    state["gov"]["params"]["min_deposit_ratio"] = "0.0"
    chain = Chain(state)
    of_gov = proposal_of(register("model/new"), deposit=1)
    of_gov.proposer = GOV
    del of_gov.initial_deposit[:]
    passed(chain, of_gov)
    cancelled = 2
    cancel = gov_tx.MsgCancelProposal(proposal_id=cancelled, proposer=GOV)
    cancelling = propose(chain, cancel)
    deposit = gov_tx.MsgDeposit(proposal_id=cancelled, depositor=key_of("bob").address)
    deposit.amount.add(denom=DENOM, amount=str(10**7))
    chain.must("bob", deposit)
    vote(chain, cancelling, "alice", "bob")

    chain.seconds_ahead = 60  # blocks were slow, so that both votes end in one of them
    chain.block()

    request = query_pb2.QueryProposalRequest(proposal_id=cancelling)
    status = chain.query(request, query_pb2.QueryProposalResponse).proposal.status
    assert status == gov_pb2.PROPOSAL_STATUS_PASSED
    with pytest.raises(QueryError):
        chain.query(query_pb2.QueryProposalRequest(proposal_id=cancelled), query_pb2.QueryProposalResponse)


def test_a_genesis_whose_amounts_could_pass_64_bits_is_refused() -> None:
    state = app_state([GenesisParticipant("alice", 10)], [a_model()])
    state["bank"]["balances"][0]["coins"][0]["amount"] = str(2**62 + 1)

    with pytest.raises(ValueError, match=f"the genesis gives {2**62 + 1}nevg, more than {2**62}"):
        Chain(state)


def test_params_that_could_carry_amounts_past_64_bits_are_refused_together() -> None:
    params = default_params("local")
    params.rewards.initial_epoch_reward = params.rewards.reward_supply_cap = 2**62 + 1
    params.inference.unit_price = 0

    assert epochs.params_errors(params) == [
        f"rewards.initial_epoch_reward must be at most {2**62} nevg",
        f"rewards.reward_supply_cap must be at most {2**62} nevg",
        f"inference.unit_price must be 1 to {2**32 - 1} nevg",
    ]


def test_a_price_beyond_any_supply_is_told_and_no_start_can_pay_it() -> None:
    state = app_state(
        [GenesisParticipant("alice", nodes=(GenesisNode("n1", ("model/x",), 50),))],
        [a_model(units_of_compute_per_token=10**12)],
        funded=["eve"],
    )
    state["epochs"]["params"]["inference"]["unit_price"] = str(2**32 - 1)
    chain = Chain(state)
    chain.block()

    start = a_start("eve", executor=key_of("alice").address)
    result = chain.deliver("eve", start)

    pricing = chain.query(inference_pb2.QueryPricingRequest(), inference_pb2.QueryPricingResponse)
    assert pricing.models[0].price_per_token == 2**63
    assert (result.codespace, result.code) == ("inference", 2)
    assert "beyond any supply" in result.log


def test_genesis_weights_whose_sum_passes_64_bits_are_refused() -> None:
    owners = [GenesisParticipant(f"p{number}", 10**15) for number in range(1200)]
    state = app_state(owners)

    with pytest.raises(GenesisError, match="weights: their sum is above 1152921504606846976"):
        load_genesis(Context(Block("c", 0), Overlay(MemoryStore(STORES))), state)


def a_start(requester: str, inference_id: str = "i1", **fields: Any) -> inference_pb2.MsgStartInference:
    given: dict[str, Any] = {
        "creator": key_of(requester).address,
        "inference_id": inference_id,
        "model_id": "model/x",
        "executor": key_of("ann").address,
        "prompt_hash": "ab" * 32,
        "prompt_token_count": 10,
        "max_tokens": 20,
    }
    return inference_pb2.MsgStartInference(**(given | fields))


def a_finish(
    executor: str, inference_id: str = "i1", completion: int = 20
) -> inference_pb2.MsgFinishInference:
    return inference_pb2.MsgFinishInference(
        creator=key_of(executor).address,
        inference_id=inference_id,
        model_id="model/x",
        response_hash="ab" * 32,
        prompt_token_count=10,
        completion_token_count=completion,
    )


def test_a_requester_whose_name_holds_a_zero_byte_is_refused_as_the_senders_mistake() -> None:
    chain = a_chain()
    time_ns = chain.app.last_block.time_ns

    message = a_start("eve", requested_by="a\0b", request_timestamp=time_ns, requester_signature=b"x")
    result = chain.deliver("eve", message)

    assert (result.codespace, result.code) == ("inference", 2)
    assert "requested_by is no address" in result.log


def test_tokens_beyond_the_escrow_count_as_little_for_throughput_as_for_pay() -> None:
    chain = a_chain()
    chain.must("eve", a_start("eve"))

    chain.must("ann", a_finish("ann", completion=2**32 - 1))

    assert inference.tokens_finished(chain.context(), "model/x", 0, chain.height) == 30


def test_a_finish_by_another_executor_does_not_occupy_the_id_of_a_start() -> None:
    chain = a_chain()
    chain.must("ben", a_finish("ben"))

    chain.must("eve", a_start("eve"))
    chain.must("ann", a_finish("ann"))

    request = inference_pb2.QueryInferenceRequest(inference_id="i1")
    found = chain.query(request, inference_pb2.QueryInferenceResponse).inference
    assert found.executed_by == key_of("ann").address
    assert found.status == inference_pb2.INFERENCE_STATUS_FINISHED
    chain.run_to(S - 1)
    assert inference.obligations(chain.context()) == chain.balance(module_account(inference.ACCOUNT))


def test_an_inference_can_be_finished_when_the_record_of_its_epoch_is_forgotten() -> None:
    owners = [
        GenesisParticipant(name, nodes=(GenesisNode("gpu", (MODEL,), 50),)) for name in ("alice", "bob")
    ]
    long = default_params("local")
    long.epoch.epoch_length, long.inference.expiration = 300, 200
    chain = Chain(app_state(owners, [a_model()], long, funded=["eve"], voting_period_s=3))
    short = default_params("local")
    short.epoch.epoch_length, short.epoch.retention_epochs = 22, 2
    chain.block()
    chain.must("eve", a_start("eve", executor=key_of("alice").address))
    passed(chain, epochs_pb2.MsgUpdateParams(authority=GOV, params=short))
    for epoch in range(3):
        mine(chain, S + 22 * epoch)
    chain.block()

    assert epochs.record(chain.context(), 0) is None
    chain.must("alice", a_finish("alice"))
    assert inference.obligations(chain.context()) == 3000 * 10


def test_validators_that_all_fell_keep_their_votes_until_newcomers_take_over() -> None:
    owners = [
        GenesisParticipant(name, 10 * (name != "dora"), (GenesisNode("gpu", (MODEL,)),)) for name in OWNERS
    ]
    chain = Chain(app_state(owners, [a_model()]))
    chain.block()
    for name in ("alice", "bob"):
        chain.block(misbehaving=[validator_key_of(name)])
    assert list(epochs.voting_powers(chain.context())) == [key_of("bob").address]

    for epoch in range(3):
        start = S + LENGTH * epoch
        chain.run_to(start)
        chain.must("dora", batch("dora", start, 20))
        chain.run_to(start + T - S)
        chain.must("bob", honest("bob", start, "dora"))
        chain.run_to(start + V - S)

    assert epochs.state(chain.context()).epoch_effective == 1
    assert list(epochs.voting_powers(chain.context())) == [key_of("dora").address]


def test_countless_verdicts_coins_or_options_are_refused_without_looking_at_each() -> None:
    chain = a_chain()
    chain.run_to(T)
    verdicts = poc_pb2.MsgSubmitPocValidations(
        creator=key_of("ann").address, poc_stage_start_height=S, verdicts=[poc_pb2.PocVerdict()] * 20_000
    )
    coins = MsgSend(from_address=key_of("eve").address, to_address=key_of("ann").address)
    options = gov_tx.MsgVoteWeighted(proposal_id=1, voter=key_of("ben").address)
    for _ in range(20_000):
        coins.amount.add()
        options.options.add()

    txs = [chain.sign(*each) for each in (("ann", verdicts), ("eve", coins), ("ben", options))]
    results = chain.block(*txs)

    assert [(r.codespace, r.code) for r in results] == [("poc", 3), ("sdk", 10), ("gov", 7)]
    assert "20000 verdicts in one message, at most 10000 are taken" in results[0].log
    assert results[0].gas_used < 10**6
    assert all(len(result.log) < 3000 for result in results)


def test_an_inference_of_an_impossible_id_is_not_found() -> None:
    chain = a_chain()

    with pytest.raises(QueryError, match="not found"):
        chain.query(
            inference_pb2.QueryInferenceRequest(inference_id="a\0b"), inference_pb2.QueryInferenceResponse
        )


def test_many_given_up_keys_cost_a_block_nothing_until_they_are_forgotten_in_order() -> None:
    state = app_state([GenesisParticipant("ann", 10)])
    holder = key_of("ann").address
    state["hardware"]["params"] = {"max_nodes_per_participant": 10, "evidence_age": "20"}
    state["hardware"]["retired_keys"] = [
        {
            "validator_key": b64encode(n.to_bytes(32, "big")).decode(),
            "participant": holder,
            "height_retired": str(n % 7),
        }
        for n in range(700)
    ]
    chain = Chain(state)
    chain.block()
    ctx = chain.context()

    hardware.prune(ctx, 100, lambda _retired: False)
    used = ctx.gas.used
    chain.run_to(23)

    kept = hardware.MODULE.export_genesis(chain.context()).retired_keys  # type: ignore[attr-defined]
    assert used < 5000
    assert {each.height_retired for each in kept} == {3, 4, 5, 6}


def test_events_of_no_transaction_tell_which_end_of_the_block_they_come_from() -> None:
    chain = a_chain()
    chain.run_to(S - 2)

    chain.block(misbehaving=[validator_key_of("ann")])

    modes = [(e.type, [(a.key, a.value) for a in e.attributes][-1]) for e in chain.last.events]
    assert modes == [
        ("participant_invalidated", ("mode", "BeginBlock")),
        ("poc_slots_allocated", ("mode", "EndBlock")),
    ]
