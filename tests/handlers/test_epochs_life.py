"""The life of an epoch: genesis, records, formation, slots, extension, switch."""

from __future__ import annotations

import pytest

from abci_app.modules import epochs
from protocol.gen.evergrid.epochs.v1 import epochs_pb2 as pb
from protocol.gen.evergrid.epochs.v1.params_pb2 import Params
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import (
    MsgSubmitHardwareDiff,
)
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import (
    REASON_EMPTY_GROUP,
    REASON_GENESIS,
    REASON_RETAINED_POWER,
)
from tests.fleet import (
    GOV,
    X,
    Y,
    a_model,
    a_node,
    a_state,
    at,
    contents,
    deliver,
    events,
    validator_key,
    who,
)
from tests.fleet_epochs import ALL, give_poc_slot, mined, run_poc, slots, three_members, weights

# Genesis


def test_group_0_serves_at_once_with_unproved_genesis_weights() -> None:
    ctx = three_members()

    parent = epochs.group(ctx, 0)
    served = epochs.member(ctx, 0, X, who("alice"))

    assert parent is not None
    assert served is not None
    assert (parent.total_weight, parent.unit_of_compute_price, list(parent.sub_group_models)) == (
        1000,
        100,
        [X, Y],
    )
    assert [(n.node_id, n.poc_weight, n.unproved, n.weight_source) for n in served.ml_nodes] == [
        ("a1", 300, 1, REASON_GENESIS)
    ]
    assert epochs.voting_powers(ctx) == {who("alice"): 400, who("bob"): 400, who("carol"): 200}
    assert epochs.state(ctx) == pb.EpochState(height_next_poc=10)
    assert epochs.effective_record(ctx).params == epochs.params(ctx)


def test_a_participants_own_genesis_weight_needs_no_model() -> None:
    ctx = a_state(weights=[("alice", 7), ("bob", 5)])

    assert weights(ctx, 0) == {who("alice"): 7, who("bob"): 5}
    assert epochs.subgroups(ctx, 0) == []
    assert epochs.take_validator_updates(ctx) == sorted(
        [(validator_key("alice"), 5), (validator_key("bob"), 5)]
    )


def test_a_genesis_whose_weights_and_nodes_fit_nothing_is_refused_with_every_reason() -> None:
    with pytest.raises(ValueError, match="epochs: ") as refused:
        a_state([a_model(X)], [("alice", a_node("a1", "gone", "lost"), 5)])

    assert [f"no such model {m}" in str(refused.value) for m in ("gone", "lost")] == [True, True]

    state = pb.GenesisState(params=epochs.default_params("local"))
    for participant, node_id in [(who("alice"), "none"), (who("bob"), "")]:
        state.weights.add(participant=participant, node_id=node_id, weight=1)
    ctx = a_state(weights=[("alice", 1)])
    with pytest.raises(ValueError, match=f"node none of {who('alice')}: no such node; .*no such participant"):
        epochs.MODULE.init_genesis(ctx, state)


def test_a_genesis_names_all_faults_of_params_and_weights() -> None:
    params = epochs.default_params("local")
    params.epoch.poc_validation_duration = 1
    params.uptime.max_demand_ratio = 0
    state = pb.GenesisState(params=params)
    for weight in (0, 1):
        state.weights.add(participant=who("alice"), weight=weight)

    assert len(epochs.MODULE.validate_genesis(state)) == 4
    assert epochs.MODULE.validate_genesis(pb.GenesisState()) == ["params are missing"]


# Records and stages


def test_the_record_copies_the_params_of_its_moment_and_later_changes_wait() -> None:
    ctx = three_members()
    assert epochs.upcoming_record(ctx) is None

    epochs.write_record(at(ctx, 9))
    later = Params()
    later.CopyFrom(epochs.params(ctx))
    later.epoch.epoch_length = 50
    assert deliver(ctx, pb.MsgUpdateParams(authority=GOV, params=later)) is None

    record = epochs.upcoming_record(ctx)
    assert record is not None
    assert (record.index, record.height_start, record.params.epoch.epoch_length) == (1, 10, 30)
    assert epochs.state(ctx).height_next_poc == 40
    assert epochs.params(ctx).epoch.epoch_length == 50


def test_params_change_by_governance_alone_and_all_faults_are_named() -> None:
    ctx = three_members()
    before = contents(ctx)
    broken = Params()
    broken.CopyFrom(epochs.params(ctx))
    broken.epoch.first_poc_height, broken.rewards.settle_per_block = 0, 0

    refused = deliver(ctx, pb.MsgUpdateParams(authority=who("alice"), params=epochs.params(ctx)))
    error = deliver(ctx, pb.MsgUpdateParams(authority=GOV, params=broken))

    assert refused is not None
    assert (refused.codespace, refused.code) == ("sdk", 4)
    assert error is not None
    assert (error.codespace, error.code) == ("epochs", 2)
    assert "first_poc_height" in str(error)
    assert "settle_per_block" in str(error)
    assert contents(ctx) == before


def test_seeds_are_the_hashes_of_their_blocks_and_are_announced() -> None:
    ctx = three_members()
    record = epochs.write_record(at(ctx, 9))
    start, validation = at(ctx, 10), at(ctx, 18)

    epochs.open_poc(start, record)
    epochs.set_validation_seed(validation, record)
    epochs.mark_stage_done(validation, record, "start_of_poc_validation")

    assert (record.poc_seed, record.validation_seed) == (start.block.hash, validation.block.hash)
    assert list(record.stages_done) == ["start_of_poc_validation"]
    assert epochs.record(ctx, 1) == record
    assert events(start) == [("poc_started", {"epoch": "1", "height": "10"})]
    assert events(validation) == [("poc_validation_started", {"epoch": "1", "height": "18"})]


def test_the_switch_makes_the_formed_group_effective_and_announces_it() -> None:
    ctx = three_members()

    switched = run_poc(ctx, ALL)

    assert epochs.state(ctx) == pb.EpochState(epoch_effective=1, height_effective=25, height_next_poc=40)
    assert weights(ctx, 1) == {who("alice"): 400, who("bob"): 410, who("carol"): 190}
    assert weights(ctx, 1, X) == {who("alice"): 310, who("bob"): 410, who("carol"): 190}
    assert weights(ctx, 1, Y) == {who("alice"): 90}
    assert (epochs.effective_record(ctx).height_ready, epochs.effective_record(ctx).height_switched) == (
        22,
        25,
    )
    assert epochs.upcoming_record(ctx) is None
    assert events(switched) == [("epoch_started", {"epoch": "1", "height": "25"})]


def test_formation_reads_the_registry_at_its_own_block() -> None:
    ctx = three_members()
    change = MsgSubmitHardwareDiff(
        creator=who("alice"), new_or_modified=[a_node("a1", Y, host="moved")], removed=["a2"]
    )
    assert deliver(ctx, change) is None

    run_poc(ctx, ALL)

    member = epochs.member(ctx, 1, Y, who("alice"))
    assert member is not None
    assert [(n.node_id, n.poc_weight, n.host) for n in member.ml_nodes] == [("a1", 310, "moved")]
    assert weights(ctx, 1)[who("alice")] == 310


def test_the_former_price_stays_until_the_new_group_gets_its_own() -> None:
    ctx = three_members()
    parent = epochs.group(ctx, 0)
    assert parent is not None
    parent.unit_of_compute_price = 777
    epochs.set_group(ctx, parent)

    run_poc(ctx, ALL)

    formed = epochs.group(ctx, 1)
    assert formed is not None
    assert formed.unit_of_compute_price == 777


# Slots


def test_poc_slot_is_in_force_from_s_until_v() -> None:
    ctx = three_members()
    run_poc(ctx, ALL)

    in_force = [height for height in range(1, 41) if epochs.slot_in_force(ctx, height) == pb.POC_SLOT]
    assert in_force == list(range(10, 25))

    epochs.write_record(at(ctx, 39))
    in_force = [height for height in range(1, 71) if epochs.slot_in_force(ctx, height) == pb.POC_SLOT]
    assert in_force == [*range(10, 25), *range(40, 55)]
    assert epochs.slots_in_force(ctx, 53, 56) == [pb.PRE_POC_SLOT, pb.POC_SLOT]


def test_an_extended_epoch_has_poc_slot_until_e_alone() -> None:
    ctx = three_members()
    run_poc(ctx, [])

    in_force = [height for height in range(1, 40) if epochs.slot_in_force(ctx, height) == pb.POC_SLOT]

    assert in_force == list(range(10, 23))


# Extension


def test_an_extension_drops_what_was_formed_and_keeps_epoch_weights_and_counters() -> None:
    ctx = three_members()
    give_poc_slot(ctx, 0, X, "alice")
    before = weights(ctx, 0), epochs.voting_powers(ctx)

    extended = run_poc(ctx, [mined("alice", a1=310), mined("carol", c1=190)])

    dropped = epochs.dropped_record(ctx)
    assert dropped is not None
    assert (dropped.index, dropped.extended, dropped.extension_reason) == (1, True, REASON_RETAINED_POWER)
    assert epochs.upcoming_record(ctx) is None
    assert epochs.group(ctx, 1) is None
    assert list(epochs.members(ctx, 1)) == []
    assert (weights(ctx, 0), epochs.voting_powers(ctx)) == before
    assert slots(ctx, 0, X, "alice") == [True, False]
    assert epochs.state(ctx) == pb.EpochState(height_next_poc=40, extensions=1)
    assert epochs.take_validator_updates(extended) == []
    assert events(extended) == [
        (
            "epoch_extended",
            {
                "reason": "retained_power",
                "epoch": "0",
                "height": "22",
                "extensions": "1",
                "height_next_poc": "40",
            },
        )
    ]


def test_after_two_extensions_a_group_of_the_few_is_accepted_but_never_an_empty_one() -> None:
    ctx = three_members()
    few = [mined("carol", c1=190)]

    for _ in range(2):
        run_poc(ctx, few)
    run_poc(ctx, [])
    assert epochs.state(ctx) == pb.EpochState(height_next_poc=100, extensions=3)
    dropped = epochs.dropped_record(ctx)
    assert dropped is not None
    assert dropped.extension_reason == REASON_EMPTY_GROUP

    run_poc(ctx, few)
    assert epochs.state(ctx) == pb.EpochState(epoch_effective=1, height_effective=115, height_next_poc=130)
    assert weights(ctx, 1) == {who("carol"): 190}


def test_the_record_after_an_extension_is_written_anew_with_the_params_of_then() -> None:
    ctx = three_members()
    run_poc(ctx, [])
    later = Params()
    later.CopyFrom(epochs.params(ctx))
    later.epoch.epoch_length = 33
    deliver(ctx, pb.MsgUpdateParams(authority=GOV, params=later))

    record = epochs.write_record(at(ctx, 39))

    assert (record.index, record.height_start, record.params.epoch.epoch_length) == (1, 40, 33)
    assert list(record.stages_done) == []
    assert epochs.state(ctx).height_next_poc == 73
