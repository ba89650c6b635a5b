"""Throughput is measured around PoC, POC_SLOT is drawn at S-1 and written into the effective group."""

from __future__ import annotations

import pytest

from abci_app.kernel.context import Context
from abci_app.kernel.errors import QueryError
from abci_app.modules import epochs, hardware, inference, models, uptime
from abci_app.modules.epochs.state import RECORDS, STATE
from abci_app.modules.hardware import state as hardware_state
from abci_app.modules.uptime import state
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import POC_SLOT, PRE_POC_SLOT
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import ML_NODE_STATUS_DISABLED, RegisteredNode
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons
from protocol.gen.evergrid.uptime.v1 import uptime_pb2
from tests.chain import a_model
from tests.ground import a_context, events_of, state_of
from tests.poc_ground import NAMES, E, S, ask, at_height, epoch_seven


def slots_assigned(ctx: Context) -> epochs_pb2.EpochRecord:
    """Everything that uptime does at S-1."""
    record = epochs.write_record(ctx)
    uptime.set_real_pre_poc_throughput(ctx, record)
    uptime.set_expected_poc_throughput(ctx, record)
    uptime.assign_poc_slots(ctx, record)
    return record


def serving(ctx: Context, slot: int = POC_SLOT) -> list[str]:
    return sorted(
        node.node_id
        for model in ("X", "Y")
        for member in epochs.members(ctx, 7, model)
        for node in member.ml_nodes
        if node.timeslot_allocation[slot]
    )


def head(ctx: Context, model: str, epoch: int = 7) -> epochs_pb2.EpochGroup:
    group = epochs.group(ctx, epoch, model)
    assert group is not None
    return group


def draws(ctx: Context, epoch: int = 8) -> list[uptime_pb2.SlotAllocation]:
    request = uptime_pb2.QuerySlotAllocationsRequest(epoch_index=epoch)
    return list(ask(ctx, request, uptime_pb2.QuerySlotAllocationsResponse).allocations)


def reason_of(ctx: Context, node_id: str, model: str = "X") -> str:
    """A node's reason in the trace of a model's draw, as a word."""
    (allocation,) = (each for each in draws(ctx) if each.model_id == model)
    (turn,) = (each for each in allocation.turns if each.node_id == node_id)
    return reasons.Reason.Name(turn.reason).removeprefix("REASON_").lower()


def change_node(ctx: Context, owner: str, node_id: str) -> RegisteredNode:
    node = hardware.get_node(ctx, owner, node_id)
    assert node is not None
    return node


# the worked epoch


def test_the_worked_epoch_draws_y_then_x_and_writes_the_slots() -> None:
    ctx = epoch_seven()

    slots_assigned(ctx)

    y, x = draws(ctx)
    assert [(each.model_id, each.capacity, each.limit, each.expected, each.target) for each in (y, x)] == [
        ("Y", 23_400, 11_700, 5000, 6250),
        ("X", 44_000, 22_000, 9600, 12_000),
    ]
    assert [(turn.node_id, turn.drawn, turn.weight_total) for turn in (*y.turns[:1], *x.turns[:3])] == [
        ("a3", 297, 1100),
        ("b1", 838, 1360),
        ("a1", 564, 960),
        ("a2", 323, 960),
    ]
    assert (y.selected, x.selected) == (10_800, 21_600)
    assert {y.stop, x.stop} == {reasons.REASON_TARGET_MET}
    assert serving(ctx) == ["a2", "a3", "b1"]
    assert serving(ctx, PRE_POC_SLOT) == ["a1", "a2", "a3", "b1", "b2", "c1", "c2"]
    assert events_of(ctx)[-1] == ("poc_slots_allocated", {"epoch": "8", "height": "5099"})


def test_throughput_is_measured_at_the_heights_of_the_protocol() -> None:
    ctx = epoch_seven()

    slots_assigned(ctx)

    blocks = 5099 - 4458
    assert head(ctx, "X").real_throughput_vector[PRE_POC_SLOT] == 109_600 * 24 // blocks
    assert head(ctx, "Y").real_throughput_vector[PRE_POC_SLOT] == 65_000 * 24 // blocks
    assert head(ctx, "X").expected_throughput_vector[POC_SLOT] == 9600


def test_the_window_before_poc_begins_dur_blocks_before_it() -> None:
    ctx = epoch_seven()
    more = inference_pb2.BlockTokens(model_id="Y", height=S - 25, tokens=777)
    inference.MODULE.init_genesis(ctx, inference_pb2.GenesisState(tokens=[more]))

    slots_assigned(ctx)

    assert head(ctx, "Y").expected_throughput_vector[POC_SLOT] == 5000


def test_a_burst_of_traffic_before_poc_moves_the_draw_three_times_the_usual_demand_at_most() -> None:
    ctx = epoch_seven()
    burst = inference_pb2.BlockTokens(model_id="X", height=S - 2, tokens=10**6)
    inference.MODULE.init_genesis(ctx, inference_pb2.GenesisState(tokens=[burst]))

    slots_assigned(ctx)

    usual = (109_600 + 10**6) * 24 // (5099 - 4458)
    assert head(ctx, "X").expected_throughput_vector[POC_SLOT] == 3 * usual


def test_real_throughput_of_poc_is_that_of_its_window_alone() -> None:
    ctx = epoch_seven()
    record = slots_assigned(ctx)
    tokens = [
        inference_pb2.BlockTokens(model_id="X", height=height, tokens=count)
        for height, count in ((S, 1), (S + 23, 20), (S + 24, 300))
    ]
    inference.MODULE.init_genesis(ctx, inference_pb2.GenesisState(tokens=tokens))

    uptime.set_real_poc_throughput(at_height(ctx, E), record)

    assert head(ctx, "X").real_throughput_vector[POC_SLOT] == 21


# formation


def test_a_new_group_expects_what_was_real_as_far_as_it_can_carry_it() -> None:
    ctx = epoch_seven()
    record = slots_assigned(ctx)
    real = head(ctx, "X")
    real.real_throughput_vector[:] = [10**9, 4000]
    epochs.set_group(ctx, real)
    form_upcoming(ctx, record, "Z")

    uptime.set_expected_throughput(ctx, record)

    new_x, new_z = head(ctx, "X", 8), head(ctx, "Z", 8)
    assert list(new_x.expected_throughput_vector) == [new_x.total_throughput, 4000]
    # Z had no subgroup before: capacity and limit.
    assert list(new_z.expected_throughput_vector) == [new_z.total_throughput, new_z.total_throughput // 2]


def form_upcoming(ctx: Context, record: epochs_pb2.EpochRecord, new_model: str) -> None:
    models.MODULE.init_genesis(ctx, models_genesis(new_model))
    moved = change_node(ctx, "carol", "c2")
    del moved.node.models[:]
    moved.node.models.append(new_model)
    hardware_state.NODES.set(ctx, ("carol", "c2"), moved)
    active = [
        epochs_pb2.ActiveParticipant(
            address=name,
            ml_nodes=[
                epochs_pb2.NodeWeight(node_id=each.node.node_id, poc_weight=101)
                for each in hardware.nodes_of(ctx, name)
            ],
        )
        for name in NAMES
    ]
    epochs.form_upcoming_group(at_height(ctx, E), record, active)


def models_genesis(model_id: str) -> object:
    genesis = models.MODULE.export_genesis(a_context())
    genesis.models.append(a_model(model_id))  # type: ignore[attr-defined]
    return genesis


def remembered(ctx: Context) -> dict[tuple[str, str], int]:
    """By participant and node, the epoch for whose PoC it was preserved last."""
    return {
        (address, node.node_id): node.epoch_index
        for address, nodes in state.LAST_PRESERVED.walk(ctx)
        for node in nodes.nodes
    }


def test_who_was_preserved_is_remembered_and_comes_last_in_the_next_draw() -> None:
    ctx = epoch_seven()
    record = slots_assigned(ctx)

    uptime.remember_preserved(ctx, record)

    assert remembered(ctx) == {("alice", "a2"): 8, ("alice", "a3"): 8, ("bob", "b1"): 8}
    uptime.assign_poc_slots(ctx, record)
    (x,) = (each for each in draws(ctx) if each.model_id == "X")
    alices = [turn.node_id for turn in x.turns if turn.participant == "alice"]
    assert alices == ["a1", "a2"]


def test_what_lies_past_the_retention_is_forgotten() -> None:
    ctx = epoch_seven()
    record = slots_assigned(ctx)
    retention = record.params.epoch.retention_epochs
    record.index = retention + 5
    former = [uptime_pb2.PreservedNode(node_id=f"c{at - 3}", epoch_index=at) for at in (4, 5)]
    state.LAST_PRESERVED.set(ctx, "carol", uptime_pb2.PreservedNodes(nodes=former))

    uptime.remember_preserved(ctx, record)

    assert ("carol", "c1") not in remembered(ctx)
    assert remembered(ctx)["carol", "c2"] == 5


# eligibility, as the state tells it


def test_a_disabled_node_is_not_drawn() -> None:
    ctx = epoch_seven()
    node = change_node(ctx, "alice", "a1")
    node.node.status = ML_NODE_STATUS_DISABLED
    hardware_state.NODES.set(ctx, ("alice", "a1"), node)

    slots_assigned(ctx)

    assert reason_of(ctx, "a1") == "node_disabled"


def test_a_node_that_was_removed_or_prefers_another_model_now_is_not_drawn() -> None:
    ctx = epoch_seven()
    hardware_state.NODES.remove(ctx, ("alice", "a2"))
    node = change_node(ctx, "alice", "a1")
    node.node.models.insert(0, "Y")
    hardware_state.NODES.set(ctx, ("alice", "a1"), node)

    slots_assigned(ctx)

    assert reason_of(ctx, "a1") == reason_of(ctx, "a2") == "pending_model_change"


def test_a_node_whose_weight_was_not_mined_last_time_is_not_drawn() -> None:
    ctx = epoch_seven()
    member = epochs.member(ctx, 7, "X", "bob")
    assert member is not None
    member.ml_nodes[0].unproved = 1
    epochs.set_member(ctx, 7, "X", member)

    slots_assigned(ctx)

    assert reason_of(ctx, "b1") == "unproved"


def test_an_invalid_participants_nodes_are_not_drawn() -> None:
    ctx = epoch_seven()
    epochs.invalidate(ctx, "bob", reasons.REASON_MISBEHAVIOUR)

    slots_assigned(ctx)

    assert reason_of(ctx, "b1") == reason_of(ctx, "b2", "Y") == "participant_invalid"


def test_who_served_none_of_a_model_that_others_served_is_not_drawn() -> None:
    ctx = epoch_seven()
    idle = inference_pb2.ServedCount(epoch_index=7, model_id="X", participant="bob", finished=0)
    inference.MODULE.init_genesis(ctx, inference_pb2.GenesisState(served=[idle]))

    slots_assigned(ctx)

    assert reason_of(ctx, "b1") == "min_served"
    assert reason_of(ctx, "b2", "Y") != "min_served"


def test_where_nobody_served_a_model_its_nodes_are_drawn_nevertheless() -> None:
    ctx = epoch_seven()
    idle = [
        inference_pb2.ServedCount(epoch_index=7, model_id="X", participant=name, finished=0) for name in NAMES
    ]
    inference.MODULE.init_genesis(ctx, inference_pb2.GenesisState(served=idle))

    slots_assigned(ctx)

    assert serving(ctx) == ["a2", "a3", "b1"]


def test_who_was_not_always_available_is_not_drawn() -> None:
    ctx = epoch_seven()
    missed = inference_pb2.GenesisState(
        statistics=[
            inference_pb2.InferenceStatistics(epoch_index=7, participant="bob", total=100, missed=24)
        ],
        missed=[
            inference_pb2.MissedByCreator(epoch_index=7, participant="bob", creator=creator, missed=12)
            for creator in ("dave", "erin")
        ],
    )
    inference.MODULE.init_genesis(ctx, missed)
    assert inference.availability_bps(ctx, 7, "bob") < 10_000

    slots_assigned(ctx)

    assert reason_of(ctx, "b1") == "availability"


# without models, genesis, pruning, queries


def test_a_group_without_models_draws_nothing_and_still_tells_that_slots_are_allocated() -> None:
    ctx = epoch_seven()
    parent = epochs.group(ctx, 7)
    assert parent is not None
    del parent.sub_group_models[:]
    epochs.set_group(ctx, parent)

    slots_assigned(ctx)

    assert draws(ctx) == []
    assert events_of(ctx) == [("poc_slots_allocated", {"epoch": "8", "height": "5099"})]


def uptime_state(ctx: Context) -> dict[bytes, bytes]:
    return {key: value for key, value in state_of(ctx).items() if key.startswith((b"uptime/", b"~uptime/"))}


def test_an_exported_state_is_imported_as_it_was() -> None:
    ctx = epoch_seven()
    uptime.remember_preserved(ctx, slots_assigned(ctx))
    exported = uptime.MODULE.export_genesis(ctx)

    fresh = a_context()
    uptime.MODULE.init_genesis(fresh, exported)

    assert uptime_state(fresh) == uptime_state(ctx) != {}
    assert uptime.MODULE.export_genesis(fresh) == exported


def test_traces_are_pruned_after_their_retention_within_the_budget() -> None:
    ctx = epoch_seven()
    record = slots_assigned(ctx)
    retention = record.params.epoch.retention_epochs
    assert uptime.prune(ctx, 100) == 0

    now = epochs.state(ctx)
    now.epoch_effective = 8 + retention
    STATE.set(ctx, now)
    RECORDS.set(ctx, now.epoch_effective, record)
    assert uptime.prune(ctx, 100) == 0
    now.epoch_effective += 1
    STATE.set(ctx, now)

    assert [uptime.prune(ctx, 1) for _ in range(3)] == [1, 1, 0]
    assert draws(ctx) == []


def test_throughput_of_any_range_of_blocks_can_be_asked_for() -> None:
    ctx = epoch_seven()

    request = uptime_pb2.QueryModelThroughputRequest(model_id="X", height_from=4600, height_to=S - 1)
    assert ask(ctx, request, uptime_pb2.QueryModelThroughputResponse).tokens == 109_600
    request.height_from = 4601
    assert ask(ctx, request, uptime_pb2.QueryModelThroughputResponse).tokens == 9600


@pytest.mark.parametrize(
    ("model_id", "first", "last"), [("", 1, 2), ("X\0", 1, 2), ("X", 3, 2), ("X", -1, 2)]
)
def test_a_range_that_is_none_is_refused(model_id: str, first: int, last: int) -> None:
    request = uptime_pb2.QueryModelThroughputRequest(model_id=model_id, height_from=first, height_to=last)

    with pytest.raises(QueryError):
        ask(epoch_seven(), request, uptime_pb2.QueryModelThroughputResponse)


def test_setting_real_throughput_of_one_slot_leaves_the_other() -> None:
    ctx = epoch_seven()

    uptime.set_real_throughput(ctx, head(ctx, "X"), PRE_POC_SLOT, 7)
    uptime.set_real_throughput(ctx, head(ctx, "X"), POC_SLOT, 9)

    assert list(head(ctx, "X").real_throughput_vector) == [7, 9]
