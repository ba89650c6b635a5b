"""Prices, costs and availability."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from abci_app.modules.inference.rules import (
    availability,
    cost_of,
    finish_errors,
    start_errors,
    weighted_median,
)
from protocol.gen.evergrid.inference.v1.inference_pb2 import MsgFinishInference, MsgStartInference

HASH = "ab" * 32


def measured(total: int, *missed: int, invalid: bool = False) -> int:
    return availability(
        total=total, missed_by_creator=missed, invalid=invalid, inferences_min=10, tolerance_bps=1000
    ).bps


def test_availability_of_the_worked_epoch() -> None:
    assert measured(400, 8) == 10000
    assert measured(200, 30, 20) == 7500
    assert measured(120) == 10000


def test_fewer_than_ten_inferences_are_not_measured() -> None:
    assert measured(9, 2, 2, 2) == 10000


def test_more_than_half_missed_is_no_availability() -> None:
    assert measured(100, 25, 25, 1) == 0


def test_one_creator_alone_can_cost_at_most_a_quarter() -> None:
    assert measured(100, 100) == 7500


def test_an_invalid_participant_is_not_available() -> None:
    assert measured(0, invalid=True) == 0


def test_the_cost_is_never_more_than_the_escrow() -> None:
    assert cost_of(100, 5, 10) == 50
    assert cost_of(100, 50, 10) == 100


def test_the_median_price_is_that_of_the_weight_not_of_the_heads() -> None:
    assert weighted_median([(10, 1), (20, 1), (30, 100)]) == 30
    assert weighted_median([(10, 50), (30, 50)]) == 10
    assert weighted_median([(10, 0)]) is None


def test_everything_wrong_with_a_start_is_named_at_once() -> None:
    errors = start_errors(MsgStartInference(inference_id="a b", prompt_hash="xy"), 0)

    assert errors == [
        "inference_id must be 1 to 128 printable ASCII characters",
        "model_id is empty",
        "max_tokens is 0",
        "prompt_hash is no SHA-256 in lower-case hex",
    ]


def test_a_sound_start_and_finish_have_no_errors() -> None:
    start = MsgStartInference(creator="a", inference_id="i-1", model_id="m", prompt_hash=HASH, max_tokens=32)
    finish = MsgFinishInference(creator="b", inference_id="i-1", model_id="m", response_hash=HASH)

    assert start_errors(start, 0) == []
    assert finish_errors(finish) == []


@given(
    st.integers(0, 500),
    st.lists(st.integers(0, 200), max_size=6),
    st.integers(0, 5),
)
def test_availability_stays_within_bounds_and_falls_with_misses(
    total: int, missed: list[int], more: int
) -> None:
    before = measured(total, *missed)
    after = measured(total, *missed, more)

    assert 0 <= after <= before <= 10000
