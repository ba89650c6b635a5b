"""What nodes should do follows from the chain's view alone; no event has to be seen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_node.intents import Intent, NodeStatus
from api_node.phases import (
    Done,
    NodeFacts,
    StageAction,
    handle_phase_transitions,
    intent_to_prepare,
    retained,
    validating_nodes,
)
from api_node.view import ChainView
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.models.v1 import models_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from tests.api_node.views import ALICE, S_FIRST, Placed, X, Y, facts, seed_of, view_at

NOTHING_DONE: Done = frozenset()
SERVES, MINES = Placed("n1", X, poc_slot=True), Placed("n2", X)
BOTH = (SERVES, MINES)
# Local profile: S 40, end 45, T 48, E 52, V 55.
S = S_FIRST + 30


def intents(view: ChainView, *nodes: NodeFacts) -> dict[str, Intent]:
    return dict(handle_phase_transitions(view, nodes or facts("n1", "n2"), NOTHING_DONE).intents)


def actions(view: ChainView) -> list[StageAction]:
    return [action for _, action in handle_phase_transitions(view, facts("n1", "n2"), NOTHING_DONE).actions]


# intents


def test_between_pocs_every_node_serves_its_epoch_model_with_merged_arguments() -> None:
    found = intents(view_at(S - 2, BOTH))

    assert {each.status for each in found.values()} == {NodeStatus.INFERENCE}
    assert found["n1"].model_id == X
    assert found["n1"].args == ("--max-model-len", "64", "--max-num-seqs", "4")
    assert found["n1"].admits
    assert found["n2"].admits


def test_one_block_before_the_poc_only_nodes_with_the_slot_take_new_requests() -> None:
    found = intents(view_at(S - 1, BOTH))

    assert {each.status for each in found.values()} == {NodeStatus.INFERENCE}
    assert found["n1"].admits
    assert not found["n2"].admits
    assert found["n2"].reason == reasons_pb2.REASON_DRAINING


@pytest.mark.parametrize("height", range(S, S + 5))
def test_in_the_generation_window_nodes_without_the_slot_mine_and_the_others_serve(height: int) -> None:
    found = intents(view_at(height, BOTH))

    assert found["n1"].status == NodeStatus.INFERENCE
    assert found["n1"].reason == reasons_pb2.REASON_PRESERVED
    assert found["n2"].status == NodeStatus.POC_GENERATE
    assert found["n2"].puzzle is not None
    assert (found["n2"].puzzle.height_start, found["n2"].puzzle.poc_seed) == (S, seed_of(S).hex())


@pytest.mark.parametrize("height", range(S + 5, S + 12))
def test_behind_the_generation_window_miners_rest_and_stay_ready_to_validate(height: int) -> None:
    found = intents(view_at(height, BOTH))

    assert found["n2"].status == NodeStatus.POC_VALIDATE
    assert found["n1"].status == NodeStatus.INFERENCE
    assert found["n1"].puzzle is None


@pytest.mark.parametrize("height", range(S + 12, S + 15))
def test_from_the_publication_on_miners_load_the_next_epochs_model(height: int) -> None:
    moved = (Placed("n1", X), Placed("n2", Y))
    view = replace(view_at(height, BOTH), next_group=view_at(S + 15, moved).effective)

    found = intents(view)

    assert (found["n1"].status, found["n1"].model_id) == (NodeStatus.INFERENCE, X)
    assert (found["n2"].status, found["n2"].model_id) == (NodeStatus.INFERENCE, Y)
    # What is sent in the last block before the switch lands where PRE_POC_SLOT is in force.
    assert found["n2"].admits == (height == S + 14)


def returning(view: ChainView, *, on: bool = True) -> ChainView:
    """The same view of a chain whose governance lets nodes with the memory serve during validation."""
    assert view.upcoming is not None
    uptime = view.upcoming.params.uptime
    uptime.serve_during_validation, uptime.poc_v_ram = on, 4096
    models = {name: models_pb2.Model(id=name, v_ram=1024) for name in (X, Y)}
    return replace(view, effective=replace(view.effective, models=models))


@pytest.mark.parametrize("height", range(S, S + 15))
def test_a_miner_with_the_memory_serves_again_once_nonces_are_generated_and_validates_beside(
    height: int,
) -> None:
    moved = (Placed("n1", X), Placed("n2", Y))
    view = returning(view_at(height, (SERVES, Placed("n2", X, memory_mib=5120))))
    if view.next_group is not None:
        view = replace(view, next_group=view_at(S + 15, moved).effective)

    found = intents(view)["n2"]

    if height < S + 5:
        assert found.status == NodeStatus.POC_GENERATE
    else:
        # Its present model until the switch, whatever the next epoch gives it.
        assert (found.status, found.model_id, found.admits) == (NodeStatus.INFERENCE, X, True)
        assert found.reason == reasons_pb2.REASON_SERVES_VALIDATION
        assert (found.puzzle is not None) == (height < S + 12)
        assert validating_nodes(intents(view), ["n1", "n2"]) == (["n2"] if height < S + 12 else [])


@pytest.mark.parametrize(("memory_mib", "on"), [(5119, True), (5120, False)])
def test_without_the_memory_or_the_switch_a_miner_only_validates(memory_mib: int, on: bool) -> None:
    view = returning(view_at(S + 6, (SERVES, Placed("n2", X, memory_mib=memory_mib))), on=on)

    assert intents(view)["n2"].status == NodeStatus.POC_VALIDATE


def test_an_extended_epoch_sends_all_nodes_back_to_their_model() -> None:
    view = replace(view_at(S + 12, BOTH), upcoming=None, next_group=None)

    found = intents(view)

    assert {each.status for each in found.values()} == {NodeStatus.INFERENCE}
    assert all(each.admits for each in found.values())


def test_configured_models_are_loaded_only_while_there_is_no_epoch_data() -> None:
    without = intents(view_at(5), *facts("n1"))
    others_only = intents(view_at(5, (Placed("n2", X),)), *facts("n1"))

    assert (without["n1"].model_id, without["n1"].admits) == (X, False)
    assert without["n1"].reason == reasons_pb2.REASON_NO_EPOCH_DATA
    assert others_only["n1"].status == NodeStatus.STOPPED
    assert others_only["n1"].reason == reasons_pb2.REASON_NOT_SERVING


def test_in_the_first_poc_all_registered_nodes_mine() -> None:
    found = intents(view_at(S_FIRST))

    assert {each.status for each in found.values()} == {NodeStatus.POC_GENERATE}


def test_a_disabled_node_is_stopped_whatever_the_stage() -> None:
    node = NodeFacts("n1", ((X, ()),), enabled=False)

    for height in (S - 2, S - 1, S, S + 6, S + 13, S + 20):
        assert intents(view_at(height, BOTH), node)["n1"].status == NodeStatus.STOPPED


def _participant(validator_key: bytes = b"v" * 32, public_key: bytes = b"k" * 33) -> hardware_pb2.Participant:
    return hardware_pb2.Participant(address=ALICE, validator_key=validator_key, public_key=public_key)


def _too_new() -> dict[str, hardware_pb2.RegisteredNode]:
    return {"n2": hardware_pb2.RegisteredNode(height_registered=S + 1)}


def _disabled() -> dict[str, hardware_pb2.RegisteredNode]:
    node = hardware_pb2.MLNode(status=hardware_pb2.ML_NODE_STATUS_DISABLED)
    return {"n2": hardware_pb2.RegisteredNode(node=node, height_registered=1)}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"participant": None}, reasons_pb2.REASON_UNKNOWN_PARTICIPANT),
        ({"participant": _participant(validator_key=b"")}, reasons_pb2.REASON_NO_CONSENSUS_KEY),
        ({"participant": _participant(public_key=b"")}, reasons_pb2.REASON_NO_PUBLIC_KEY),
        ({"registered": {}}, reasons_pb2.REASON_UNKNOWN_NODE),
        ({"registered": _too_new()}, reasons_pb2.REASON_NODE_TOO_NEW),
        ({"registered": _disabled()}, reasons_pb2.REASON_NODE_DISABLED),
    ],
)
def test_a_node_whose_nonces_the_chain_would_refuse_does_not_mine_and_says_why(
    change: dict[str, object], reason: int
) -> None:
    view = replace(view_at(S + 1, BOTH), **change)  # type: ignore[arg-type]

    found = intents(view, *facts("n2"))["n2"]

    assert found.status == NodeStatus.POC_VALIDATE
    assert found.reason == reason


def test_where_every_node_serves_through_the_poc_they_recompute_beside_it() -> None:
    view = view_at(S + 8, (SERVES,))

    found = intents(view, *facts("n1"))["n1"]

    assert found.status == NodeStatus.INFERENCE
    assert found.puzzle is not None
    assert intents(view_at(S + 12, (SERVES,)), *facts("n1"))["n1"].puzzle is None


def test_samples_go_to_idle_nodes_before_serving_ones() -> None:
    found = intents(view_at(S + 8, BOTH))
    alone = intents(view_at(S + 8, (SERVES,)), *facts("n1"))

    assert validating_nodes(found, {"n1", "n2"}) == ["n2"]
    assert validating_nodes(found, {"n1"}) == []
    assert validating_nodes(alone, {"n1"}) == ["n1"]


# actions


def test_actions_are_due_in_their_windows() -> None:
    due = {height: actions(view_at(height, BOTH)) for height in range(S - 2, S + 16)}

    start, validate = StageAction.START_POC, StageAction.VALIDATE_RECEIVED_BATCHES
    assert due[S - 2] == due[S - 1] == []
    assert all(due[height] == [start] for height in range(S, S + 8))
    assert due[S + 8] == due[S + 9] == [start, validate]
    assert due[S + 10] == due[S + 11] == [start, validate, StageAction.SUBMIT_VERDICTS]
    assert due[S + 12] == due[S + 14] == [StageAction.LOAD_MODELS_FOR_NEXT_EPOCH]
    assert due[S + 15] == []


def test_what_is_done_is_not_due_again() -> None:
    done = frozenset({(S, StageAction.START_POC), (S, StageAction.VALIDATE_RECEIVED_BATCHES)})

    plan = handle_phase_transitions(view_at(S + 10, BOTH), facts("n1"), done)

    assert plan.actions == ((S, StageAction.SUBMIT_VERDICTS),)


def test_flags_of_the_two_latest_pocs_are_kept() -> None:
    done = frozenset((start, StageAction.START_POC) for start in (10, 40, 70, 100))

    assert {start for start, _ in retained(done, view_at(5))} == {70, 100}


# properties


def follow(heights: list[int]) -> tuple[list[tuple[int, StageAction]], dict[str, Intent], Done]:
    """The orchestrator's loop without its effects: late events are ignored, due actions are done at once."""
    done, performed, last, found = NOTHING_DONE, [], 0, {}
    for height in heights:
        if height <= last:
            continue
        last, view = height, view_at(height, BOTH)
        plan = handle_phase_transitions(view, facts("n1", "n2"), done)
        found = dict(plan.intents)
        for flag in plan.actions:
            performed.append(flag)
            done = retained(done | {flag}, view)
    return performed, found, done


# In each window of an action at least one height is seen: then nothing may depend on which.
WINDOWS = [(0, 7), (8, 9), (10, 11), (12, 14)]


@st.composite
def disturbed_events(draw: st.DrawFn) -> list[int]:
    """Heights of two PoCs: most dropped, many doubled, late ones mixed in; ends at a common height."""
    seen: list[int] = []
    for start in (S_FIRST, S):
        for first, last in WINDOWS:
            window = st.integers(start + first, start + last)
            seen += sorted(draw(st.lists(window, min_size=1, max_size=4)))
    events: list[int] = []
    for height in seen:
        events += [height] * draw(st.integers(1, 3))
        if draw(st.booleans()):
            events.append(draw(st.integers(1, height)))
    return [*events, S + 20]


@given(disturbed_events())
def test_dropped_doubled_and_late_events_end_in_the_same_actions_and_intents(events: list[int]) -> None:
    every_block = follow(list(range(1, S + 21)))

    disturbed = follow(events)

    assert disturbed == every_block
    assert len(disturbed[0]) == len(set(disturbed[0])) == 2 * len(StageAction)


@given(st.integers(1, S + 60), st.lists(st.integers(1, S + 60)))
def test_intents_depend_on_the_last_view_alone(height: int, before: list[int]) -> None:
    _, direct, _ = follow([height])

    _, after_others, _ = follow([*sorted(each for each in before if each < height), height])

    assert after_others == direct


@given(st.integers(1, S + 60))
def test_no_node_mines_while_it_holds_the_slot_and_none_admits_while_it_mines(height: int) -> None:
    found = intents(view_at(height, BOTH))

    assert found["n1"].status == NodeStatus.INFERENCE
    for intent in found.values():
        assert not (intent.admits and intent.status != NodeStatus.INFERENCE)


def test_only_a_node_that_serves_until_the_switch_prepares_another_model_of_the_next_epoch() -> None:
    (node,) = facts("n1")

    def prepared(placed: Placed, following: Placed, height: int = 23) -> str | None:
        intent = intent_to_prepare(view_at(height, (placed,), following=(following,)), node)
        return intent.model_id if intent else None

    serving = Placed("n1", X, poc_slot=True)
    assert prepared(serving, Placed("n1", Y)) == Y
    assert prepared(serving, Placed("n1", X)) is None
    assert prepared(serving, Placed("n2", Y)) is None
    assert prepared(Placed("n1", X), Placed("n1", Y)) is None
    assert prepared(serving, Placed("n1", Y), height=20) is None
    disabled = replace(node, enabled=False)
    assert intent_to_prepare(view_at(23, (serving,), following=(Placed("n1", Y),)), disabled) is None


def test_a_drained_node_takes_no_requests_and_mines_all_the_same() -> None:
    serving, mining = view_at(30, [Placed("n1", X)]), view_at(42, [Placed("n1", X)])
    node = replace(facts("n1")[0], drained=True)

    at_rest = handle_phase_transitions(serving, [node], frozenset()).intents["n1"]
    in_poc = handle_phase_transitions(mining, [node], frozenset()).intents["n1"]

    assert (at_rest.status, at_rest.admits) == (NodeStatus.INFERENCE, False)
    assert at_rest.reason == reasons_pb2.REASON_DRAINING
    assert in_poc.status == NodeStatus.POC_GENERATE


def test_a_node_under_test_is_left_alone_until_a_proof_of_compute_wants_it() -> None:
    placed = [Placed("n1", X), Placed("n2", X)]
    tested = [replace(each, tested=True) for each in facts("n1", "n2")]
    disabled = [replace(each, enabled=False) for each in tested]

    before, within = (
        handle_phase_transitions(view_at(height, placed), tested, frozenset()).intents["n1"]
        for height in (37, 42)
    )
    switched_off = handle_phase_transitions(view_at(42, placed), disabled, frozenset()).intents["n1"]

    assert (before.status, before.reason) == (NodeStatus.MAINTENANCE, reasons_pb2.REASON_UNDER_TEST)
    assert within.status == NodeStatus.POC_GENERATE
    assert switched_off.reason == reasons_pb2.REASON_UNDER_TEST
