"""Which preserved weights are cut: by example and for any numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.poc import weight_performed
from abci_app.modules.uptime.performance import Served, is_short, throughput_performance
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_PRESERVED, REASON_THROUGHPUT_SHORTFALL

PARAMS = default_params("testnet").uptime
COUNT = st.integers(0, 2**40)


@pytest.mark.parametrize(
    ("expected", "real", "short"),
    [(0, 0, False), (10_000, 8_000, False), (10_000, 7_999, True), (1, 0, True), (5, 9, False)],
)
def test_a_model_is_short_below_the_ratio_of_what_was_expected(expected: int, real: int, short: bool) -> None:
    assert is_short(expected, real, PARAMS) is short


@pytest.mark.parametrize(
    ("finished", "missed", "left"), [(0, 0, 100), (3, 1, 75), (0, 5, 0), (1, 2, 33), (7, 0, 100)]
)
def test_a_weight_keeps_the_part_of_the_requests_that_were_finished(
    finished: int, missed: int, left: int
) -> None:
    assert weight_performed(100, finished, missed) == left


def test_a_model_that_served_enough_cuts_nobody_whatever_was_missed() -> None:
    trace = throughput_performance("m", 100, 80, [Served("a", "n", 50, 0, 9)], PARAMS)

    assert not trace.short
    assert list(trace.nodes) == []


@given(weight=COUNT, finished=COUNT, missed=COUNT)
def test_a_cut_never_adds_and_never_takes_from_who_missed_nothing(
    weight: int, finished: int, missed: int
) -> None:
    (node,) = throughput_performance("m", 100, 1, [Served("a", "n", weight, finished, missed)], PARAMS).nodes

    assert 0 <= node.weight_after <= node.weight_before == weight
    assert (node.reason == REASON_THROUGHPUT_SHORTFALL) == bool(missed)
    if not missed:
        assert (node.weight_after, node.reason) == (weight, REASON_PRESERVED)


@given(weight=COUNT, finished=COUNT, missed=COUNT, more=st.integers(1, 100))
def test_who_misses_more_never_keeps_more(weight: int, finished: int, missed: int, more: int) -> None:
    assert weight_performed(weight, finished, missed + more) <= weight_performed(weight, finished, missed)
