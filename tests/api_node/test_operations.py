"""When the next stage begins, and which node may be switched off or tested, by example."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api_node.operations import (
    Pace,
    SwitchOff,
    all_may_switch_off,
    countdown,
    may_switch_off,
    trial_refusal,
)
from api_node.phases import NodeFacts, handle_phase_transitions
from api_node.view import ChainView
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.maintenance.v1.maintenance_pb2 import MaintenanceWindow
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from tests.api_node.views import ALICE, Placed, X, facts, view_at

SERVES, MINES = Placed("n1", X, poc_slot=True), Placed("n2", X)
# Local profile, second PoC: S 40, end 45, T 48, E 52, V 55; the third begins at 70.
S, END, E, V = 40, 45, 52, 55


def view(height: int) -> ChainView:
    at = view_at(height, [SERVES, MINES])
    state = epochs_pb2.EpochState(epoch_effective=1, height_next_poc=40 if height < V else 70)
    return replace(at, state=state)


def answer(chain: ChainView, node: NodeFacts, at_work: int = 0) -> SwitchOff:
    intent = handle_phase_transitions(chain, [node], frozenset()).intents[node.node_id]
    return may_switch_off(chain, node, intent, at_work)


def n1() -> NodeFacts:
    return facts("n1")[0]


def n2() -> NodeFacts:
    return facts("n2")[0]


# the countdown


@pytest.mark.parametrize(
    ("height", "stage", "following", "blocks"),
    [
        (30, "inference", "pre_poc_scheduling", 9),
        (39, "pre_poc_scheduling", "start_of_poc", 1),
        (40, "start_of_poc", "end_of_poc", 5),
        (47, "end_of_poc", "start_of_poc_validation", 1),
        (51, "start_of_poc_validation", "end_of_poc_validation", 1),
        (52, "end_of_poc_validation", "end_of_epoch", 3),
        (55, "inference", "pre_poc_scheduling", 14),
    ],
)
def test_the_countdown_names_the_stage_and_the_next_with_blocks_and_seconds(
    height: int, stage: str, following: str, blocks: int
) -> None:
    shown = countdown(view(height), 2.5)

    assert (shown.stage, shown.next_stage, shown.blocks) == (stage, following, blocks)
    assert (shown.height, shown.seconds) == (height + blocks, blocks * 2.5)


def test_a_switch_that_waits_behind_its_height_is_due_in_no_blocks() -> None:
    late = replace(view(54), height=57)

    shown = countdown(late, 1.0)

    assert (shown.stage, shown.next_stage, shown.blocks, shown.seconds) == (
        *("end_of_epoch", "end_of_epoch", 0),
        0,
    )


def test_the_pace_is_the_median_of_blocks_and_is_not_moved_by_one_late_or_doubled_view() -> None:
    pace = Pace()
    assert pace.block_s is None
    assert countdown(view(30), pace.block_s).seconds is None

    for height, time_s in ((1, 0.0), (2, 5.0), (3, 10.0), (3, 12.0), (5, 20.0), (6, 80.0), (7, 85.0)):
        pace.note(height, time_s)

    assert pace.block_s == 5.0


# switching off


def test_a_chain_is_quiet_after_fifteen_seconds_and_a_slow_one_after_five_blocks() -> None:
    fast, slow = Pace(), Pace()
    for height in (1, 2, 3):
        fast.note(height, float(height))
        slow.note(height, 10.0 * height)

    assert Pace().quiet_s(99.0) is None
    assert fast.quiet_s(3.0 + 15.0) is None
    assert fast.quiet_s(3.0 + 15.5) == 15.5
    assert slow.quiet_s(30.0 + 50.0) is None
    assert slow.quiet_s(30.0 + 51.0) == 51.0


def test_a_node_that_holds_the_slot_must_not_be_switched_off_until_the_switch() -> None:
    for height in (39, 40, 48, 54):
        found = answer(view(height), n1())

        assert (found.allowed, found.height) == (False, V)
        assert found.reason == reasons_pb2.REASON_HOLDS_POC_SLOT


def test_a_drained_node_that_holds_the_slot_must_not_be_switched_off_either() -> None:
    assert not answer(view(42), replace(n1(), drained=True)).allowed


def test_a_node_that_mines_must_stay_until_the_verdicts_are_given() -> None:
    mining, judging = answer(view(42), n2()), answer(view(49), n2())

    assert [(each.allowed, each.height) for each in (mining, judging)] == [(False, E)] * 2
    assert "mine" in mining.text
    assert "re-computes" in judging.text


def test_a_node_that_loads_what_it_serves_from_the_switch_on_must_stay() -> None:
    found = answer(view(53), n2())

    assert (found.allowed, found.reason) == (False, reasons_pb2.REASON_MODEL_LOADING)
    assert found.height == V


def test_in_the_inference_stage_a_node_may_be_switched_off_after_a_drain_and_is_back_for_the_next_poc() -> (
    None
):
    serving, drained = n1(), replace(n1(), drained=True)

    before, with_work, after = (
        answer(view(30), serving),
        answer(view(30), drained, at_work=2),
        answer(view(30), drained),
    )

    assert (before.allowed, before.height) == (False, 0)
    assert "evergrid node drain n1" in before.text
    assert not with_work.allowed
    assert "finishes" in with_work.text
    assert (after.allowed, after.height) == (True, S)


def test_a_node_in_its_announced_window_may_be_switched_off_until_the_window_ends() -> None:
    window = MaintenanceWindow(participant=ALICE, node_id="n1", height_from=29, height_to=33)

    found = answer(replace(view(30), windows=[window]), n1())

    assert (found.allowed, found.height) == (True, 34)


def test_a_disabled_node_and_one_that_the_chain_does_not_know_may_be_switched_off_at_any_time() -> None:
    disabled, unknown = replace(n1(), enabled=False), facts("n9")[0]

    assert answer(view(42), disabled).allowed
    assert answer(view(42), unknown).allowed
    assert answer(view(30), unknown).reason == reasons_pb2.REASON_UNKNOWN_NODE


def test_a_disabled_node_that_still_works_must_finish_first() -> None:
    assert not answer(view(30), replace(n1(), enabled=False), at_work=1).allowed


def test_all_may_be_switched_off_only_where_each_may_and_the_earliest_return_counts() -> None:
    yes_40, yes_33 = (
        SwitchOff(allowed=True, reason=reasons_pb2.REASON_DRAINING, text="", height=height)
        for height in (40, 33)
    )
    no_55, no_52, no_ever = (
        SwitchOff(allowed=False, reason=reasons_pb2.REASON_BUSY, text="why", height=height)
        for height in (55, 52, 0)
    )

    assert all_may_switch_off([("a", yes_40), ("b", yes_33)]).height == 33
    refused = all_may_switch_off([("a", yes_40), ("b", no_52), ("c", no_55)])
    assert (refused.allowed, refused.text, refused.height) == (False, "b: why", 55)
    assert all_may_switch_off([("a", no_ever), ("b", no_55)]).height == 0
    assert all_may_switch_off([]).allowed


# testing


def test_a_node_is_tested_only_where_no_stage_and_no_request_needs_it() -> None:
    def refusal(height: int, node: NodeFacts, at_work: int = 0) -> str:
        chain = view(height)
        intent = handle_phase_transitions(chain, [node], frozenset()).intents[node.node_id]
        return trial_refusal(chain, node, intent, at_work)

    drained, disabled = replace(n1(), drained=True), replace(n1(), enabled=False)

    assert "busy with the stage start_of_poc: it can be tested from height 55 on" in refusal(42, n2())
    assert "busy with the stage start_of_poc" in refusal(42, n1())
    assert "drain it first" in refusal(30, n1())
    assert "works on 1" in refusal(30, drained, at_work=1)
    assert "begins in 3 blocks" in refusal(37, drained)
    assert "already" in refusal(30, replace(disabled, tested=True))
    assert [refusal(30, drained), refusal(30, disabled), refusal(42, disabled), refusal(37, disabled)] == [
        ""
    ] * 4
    assert "no view" in trial_refusal(None, n1(), None, 0)
