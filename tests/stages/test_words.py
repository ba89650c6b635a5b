"""What the proposal's functions promise, asked of a chain that lives."""

from __future__ import annotations

from abci_app import formation, stages
from abci_app.modules import epochs, hardware, inference, poc, rewards, uptime
from abci_app.modules.epochs.formation import (
    create_sub_group,
    set_models_for_participants,
    store_ml_node_info,
)
from abci_app.modules.epochs.steps import create_new_epoch_sub_group, update_epoch_group_with_new_member
from abci_app.modules.models import state as models_state
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import ValidationWeight
from protocol.gen.evergrid.inference.v1.inference_pb2 import MsgFinishInference, MsgStartInference
from protocol.gen.evergrid.rewards.v1 import rewards_pb2
from tests.chain import Chain, key_of
from tests.fleet import X, Y, who
from tests.rules.test_epochs_formation import MODELS, a_candidate
from tests.stages.test_epoch import LENGTH, MODEL, E, S, V, batch, run_poc, two_owners


def test_a_sub_group_freezes_its_model_and_lists_every_node_that_declares_it() -> None:
    placed = set_models_for_participants(
        [a_candidate("bob", ("b1", (Y,), 5)), a_candidate("alice", ("a1", (X, Y), 10), ("a2", (Y,), 0))],
        [model.id for model in MODELS],
    )
    model = next(model for model in MODELS if model.id == Y)

    formed = create_sub_group(model, placed)

    assert [c.participant.address for c, _ in placed] == sorted((who("alice"), who("bob")))
    assert formed.group.model_snapshot == model
    assert {m.member_address: [n.node_id for n in m.ml_nodes] for m in formed.members} == {
        who("alice"): ["a1"],
        who("bob"): ["b1"],
    }
    nodes_of_alice = next(nodes for c, nodes in placed if c.participant.address == who("alice"))
    listed = store_ml_node_info(nodes_of_alice[0], model)
    assert (listed.poc_weight, listed.throughput, list(listed.timeslot_allocation)) == (0, 0, [False, False])


def test_a_new_epoch_sub_group_is_written_member_by_member() -> None:
    chain = two_owners()
    ctx = chain.context()
    placed = set_models_for_participants([a_candidate("bob", ("b1", (Y,), 5))], [Y])
    formed = create_sub_group(next(model for model in MODELS if model.id == Y), placed)
    formed.group.epoch_index = 9

    create_new_epoch_sub_group(ctx, formed)
    update_epoch_group_with_new_member(
        ctx, formed.group, ValidationWeight(member_address=who("carol"), weight=1)
    )

    assert [each.member_address for each in epochs.members(ctx, 9, Y)] == sorted((who("bob"), who("carol")))
    found = epochs.get_epoch_model(ctx, 9, Y)
    assert found is not None
    assert found.id == Y
    assert epochs.get_epoch_model(ctx, 9, "") is None
    assert epochs.get_epoch_model(ctx, 8, Y) is None


def test_the_group_is_formed_by_the_step_before_the_one_that_publishes_it() -> None:
    table = {stage.name: stage for stage in stages.TABLE}
    chain = two_owners()

    run_poc(chain, S, {"alice": 30, "bob": 20})

    record = epochs.record(chain.context(), 1)
    assert record is not None
    assert (record.height_ready, record.height_switched) == (E, V)
    assert stages.on_set_new_validators_stage in table["end_of_poc_validation"].steps
    ready = [events for events in _events(chain, E) if events == "next_epoch_ready"]
    assert ready == ["next_epoch_ready"], formation.on_next_epoch_ready.__doc__


def _events(chain: Chain, height: int) -> list[str]:
    return [e.type for report in chain.reports if report.height == height for e in report.events]


def test_batches_are_found_by_node_and_by_the_model_that_the_node_serves() -> None:
    chain = two_owners()
    chain.run_to(S)
    chain.must("alice", batch("alice", S, 30))
    ctx = chain.context()

    by_node = poc.get_poc_batches_for_node(ctx, S, key_of("alice").address, "gpu")
    by_model = poc.get_poc_batches_for_model(ctx, S, MODEL)

    assert [each.nonce_count for each in by_node] == [30]
    assert [each.participant for each in by_model] == [key_of("alice").address]
    assert poc.get_poc_batches_for_model(ctx, S, "model/other") == []


def test_throughput_is_measured_in_the_blocks_that_one_names() -> None:
    chain = two_owners(50)
    chain.run_to(2)
    start = MsgStartInference(
        creator=key_of("bob").address,
        inference_id="i1",
        model_id=MODEL,
        executor=key_of("alice").address,
        prompt_hash="ab" * 32,
        prompt_token_count=10,
        max_tokens=32,
    )
    finish = MsgFinishInference(
        creator=key_of("alice").address,
        inference_id="i1",
        model_id=MODEL,
        response_hash="ab" * 32,
        prompt_token_count=10,
        completion_token_count=7,
    )
    chain.must("bob", start)
    chain.must("alice", finish)
    ctx = chain.context()

    measured = [
        uptime.measure_model_throughput_for_blocks(ctx, MODEL, first, last)
        for first, last in ((1, 4), (4, 4), (1, 3), (5, 9))
    ]

    assert measured == [17, 17, 0, 0]
    assert inference.served_count(ctx, 0, MODEL, key_of("alice").address) == 1


def test_settle_amounts_of_the_running_epoch_are_those_that_are_paid_when_it_ends() -> None:
    chain = two_owners()
    run_poc(chain, S, {"alice": 300, "bob": 200})
    ctx = chain.context()
    foreseen = rewards.get_settle_amounts(ctx, 1, epochs.params(ctx).rewards)
    coverage = rewards.get_participant_model_coverage(ctx, 1, key_of("alice").address)
    chain.run_to(S + LENGTH)
    preserved = {
        m.member_address
        for m in epochs.members(chain.context(), 1, MODEL)
        if m.ml_nodes[0].timeslot_allocation[1]
    }

    nonces = {name: 0 if key_of(name).address in preserved else 250 for name in ("alice", "bob")}
    run_poc(chain, S + LENGTH, nonces)

    request = rewards_pb2.QuerySettleAmountsRequest(epoch_index=1)
    settled = chain.query(request, rewards_pb2.QuerySettleAmountsResponse)
    shares = {share.member.address: share for share in foreseen.shares}
    assert not coverage.covered  # every model is new in epoch 1
    for amount in settled.amounts:
        again = rewards.get_settle_amount(ctx, 1, amount.participant, shares[amount.participant])
        assert (amount.base, amount.bonus) == (again.base, again.bonus) != (0, 0)


def test_a_node_with_a_model_that_left_the_registry_is_no_validated_hardware_node() -> None:
    chain = two_owners(0, MODEL, "model/old")
    ctx = chain.context()

    before = [each.participant for each in hardware.get_validated_hardware_nodes(ctx)]
    models_state.MODELS.remove(ctx, "model/old")
    after = hardware.get_validated_hardware_nodes(ctx)

    assert before == sorted(key_of(name).address for name in ("alice", "bob"))
    assert after == []
