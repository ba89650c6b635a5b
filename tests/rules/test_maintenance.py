"""Which windows may be announced and what they excuse: by example and for any numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.modules.epochs.param_checks import params_errors
from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.maintenance.rules import (
    ModelLoad,
    OpenHeights,
    Standing,
    announcement_errors,
    credit_after,
    exempts,
    open_heights,
    over_cap,
)
from protocol.gen.evergrid.epochs.v1.params_pb2 import MaintenanceParams
from protocol.gen.evergrid.maintenance.v1.maintenance_pb2 import MaintenanceWindow

PARAMS = MaintenanceParams(credit_per_good_epoch=10, credit_max=25, notice=8, max_concurrent_bps=2_500)
TOO_MUCH = (
    "of the 100 tokens of m 10 are in maintenance then; with these 20 it would be more than 2500 of 10000"
)
HEIGHT = st.integers(1, 60)


def a_window(first: int, last: int, node_id: str = "") -> MaintenanceWindow:
    return MaintenanceWindow(participant="alice", node_id=node_id, height_from=first, height_to=last)


@pytest.mark.parametrize(
    ("windows", "nodes", "exempt"),
    [
        ([a_window(10, 20)], ["a", "b"], True),
        ([a_window(10, 20)], [], True),
        ([a_window(10, 20, "a")], ["a"], True),
        ([a_window(10, 20, "a")], ["a", "b"], False),
        ([a_window(10, 20, "a"), a_window(15, 30, "b")], ["a", "b"], True),
        ([a_window(10, 20, "a")], [], False),
        ([], [], False),
    ],
)
def test_only_who_has_no_node_left_out_of_maintenance_is_exempt(
    windows: list[MaintenanceWindow], nodes: list[str], exempt: bool
) -> None:
    assert exempts(windows, nodes, 15, 15) is exempt


@given(first=HEIGHT, length=HEIGHT, start=HEIGHT, span=HEIGHT)
def test_a_window_excuses_exactly_the_ranges_that_it_meets(
    first: int, length: int, start: int, span: int
) -> None:
    window = set(range(first, first + length))
    asked = set(range(start, start + span))

    exempt = exempts([a_window(first, first + length - 1, "n")], ["n"], start, start + span - 1)

    assert exempt == bool(window & asked)


@given(
    height=st.integers(1, 500),
    notice=st.integers(0, 30),
    switch=st.one_of(st.none(), st.integers(1, 500)),
    next_poc=st.integers(1, 600),
)
def test_what_is_open_lies_behind_the_notice_and_never_within_a_poc_period(
    height: int, notice: int, switch: int | None, next_poc: int
) -> None:
    found = open_heights(height, notice, switch, next_poc)

    assert found.first > height
    assert found.first >= height + notice
    assert switch is None or found.first > switch
    assert found.last < next_poc - 1


@pytest.mark.parametrize(
    ("others", "announced", "over"), [(0, 90, False), (10, 15, False), (10, 16, True), (25, 1, True)]
)
def test_the_first_in_maintenance_is_free_and_the_others_share_the_cap(
    others: int, announced: int, over: bool
) -> None:
    assert over_cap(ModelLoad("m", 100, announced, others), PARAMS) is over


def test_all_that_speaks_against_a_window_is_said_at_once() -> None:
    standing = Standing(OpenHeights(10, 20), credit=3, own=(a_window(5, 12, "n"), a_window(5, 12, "other")))

    errors = announcement_errors(a_window(8, 15, "n"), standing, [ModelLoad("m", 100, 20, 10)], PARAMS)

    assert errors == [
        "a window may lie within 10 to 20: behind the notice, outside of PoC",
        "8 blocks are more than the credit of 3",
        "it overlaps the window 5 to 12 of n",
        TOO_MUCH,
    ]


def test_credit_grows_by_good_epochs_up_to_the_cap_and_is_never_taken_by_new_params() -> None:
    assert [credit_after(credit, PARAMS) for credit in (0, 10, 20, 25, 40)] == [10, 20, 25, 25, 40]


def test_params_of_maintenance_that_cannot_work_are_refused_together() -> None:
    params = default_params("local")
    params.maintenance.credit_per_good_epoch = params.maintenance.credit_max + 1
    params.maintenance.notice = 0
    params.maintenance.max_concurrent_bps = 10_001

    errors = params_errors(params)

    assert [error.split(" ")[0] for error in errors] == [
        "maintenance.credit_per_good_epoch",
        "maintenance.notice",
        "maintenance.max_concurrent_bps",
    ]
