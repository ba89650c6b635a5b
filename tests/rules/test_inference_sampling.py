"""Who re-executes, what verdicts come to, when an executor is INVALID: by example and for any numbers."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.modules.epochs.param_checks import params_errors
from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.inference.sampling import (
    Outcome,
    invalid_limit,
    is_unlikely,
    outcome,
    reputation_bps,
    result_of,
    sampling,
    validation_rate_bps,
    verdict_errors,
)
from protocol.gen.evergrid.epochs.v1.params_pb2 import InferenceParams
from protocol.gen.evergrid.inference.v1.inference_pb2 import (
    VALIDATION_RESULT_INVALID,
    VALIDATION_RESULT_VALID,
    Inference,
    MsgValidateInference,
)

PARAMS = InferenceParams(
    validation_rate_bps=10_000,
    validation_rate_min_bps=1_000,
    reputation_epochs=100,
    false_positive_rate_bps=500,
    invalidation_probability_millionths=1,
    measurement_window=500,
)
WEIGHT = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize(
    ("good_epochs", "weight", "voting", "chance"),
    [(0, 50, 90, "0.5556"), (100, 30, 180, "0.0167"), (50, 100, 250, "0.2200"), (7_000, 30, 180, "0.0167")],
)
def test_the_chance_to_validate_falls_with_reputation_and_rises_with_weight(
    good_epochs: int, weight: int, voting: int, chance: str
) -> None:
    rate = validation_rate_bps(reputation_bps(good_epochs, PARAMS), PARAMS)
    inference = Inference(inference_id="i", weight_voting=voting, validation_rate_bps=rate)

    draw = sampling("chain", inference, "validator", weight)

    assert round(Fraction(draw.threshold, draw.bound) * 10_000) == round(Fraction(chance) * 10_000)


def test_over_many_inferences_validators_are_drawn_as_often_as_their_weight_says() -> None:
    drawn = {"a": 0, "b": 0}
    for i in range(2_000):
        inference = Inference(
            inference_id=f"i{i}", weight_voting=100, validation_rate_bps=10_000, validation_seed=bytes(32)
        )
        for validator, weight in (("a", 30), ("b", 70)):
            drawn[validator] += sampling("chain", inference, validator, weight).sampled

    # Four standard deviations of a binomial with n = 2000.
    assert abs(drawn["a"] - 600) < 82
    assert abs(drawn["b"] - 1_400) < 82


def test_the_draw_is_another_for_each_block_inference_and_validator() -> None:
    def drawn(inference_id: str = "i", seed: bytes = b"s", validator: str = "v") -> int:
        inference = Inference(
            inference_id=inference_id, weight_voting=10**9, validation_rate_bps=1, validation_seed=seed
        )
        return sampling("chain", inference, validator, 1).drawn

    assert len({drawn(), drawn("j"), drawn(seed=b"t"), drawn(validator="w")}) == 4
    assert drawn() == drawn()


def test_without_others_in_the_subgroup_nobody_is_drawn() -> None:
    assert not sampling("chain", Inference(validation_rate_bps=10_000), "v", 5).sampled


@pytest.mark.parametrize(
    ("valid", "invalid", "voting", "expected"),
    [
        (0, 0, 90, Outcome.UNCHECKED),
        (10, 0, 90, Outcome.VALID),
        (30, 30, 90, Outcome.VALID),
        (0, 29, 90, Outcome.UNDECIDED),
        (0, 30, 90, Outcome.INVALID),
        (29, 30, 90, Outcome.INVALID),
    ],
)
def test_a_vote_needs_more_than_half_of_who_spoke_and_a_third_of_all(
    valid: int, invalid: int, voting: int, expected: Outcome
) -> None:
    assert outcome(valid, invalid, voting) is expected


@given(valid=WEIGHT, invalid=WEIGHT, more=WEIGHT, voting=WEIGHT)
def test_more_weight_for_valid_never_makes_an_inference_invalid(
    valid: int, invalid: int, more: int, voting: int
) -> None:
    if outcome(valid, invalid, voting) is not Outcome.INVALID:
        assert outcome(valid + more, invalid, voting) is not Outcome.INVALID


@pytest.mark.parametrize(
    ("measured", "invalid", "unlikely"),
    [(4, 4, False), (5, 5, True), (10, 0, False), (100, 16, False), (100, 19, True), (500, 25, False)],
)
def test_five_invalid_ones_in_a_row_are_too_many_and_five_percent_never(
    measured: int, invalid: int, unlikely: bool
) -> None:
    assert is_unlikely(measured, invalid, PARAMS) is unlikely


@settings(deadline=None)
@given(measured=st.integers(1, 60), rate=st.integers(1, 5_000), millionths=st.integers(1, 100_000))
def test_the_binomial_tail_is_exact(measured: int, rate: int, millionths: int) -> None:
    params = InferenceParams(
        false_positive_rate_bps=rate, invalidation_probability_millionths=millionths, measurement_window=500
    )
    p = Fraction(rate, 10_000)
    tail = Fraction(0)
    expected = {}
    for k in range(measured, 0, -1):
        tail += comb(measured, k) * p**k * (1 - p) ** (measured - k)
        expected[k] = tail < Fraction(millionths, 10**6)

    assert {k: is_unlikely(measured, k, params) for k in expected} == expected
    assert invalid_limit(measured, params) == min((k for k, yes in expected.items() if yes), default=0)


def test_a_value_at_the_threshold_is_valid() -> None:
    assert result_of(9_000, 9_000) == VALIDATION_RESULT_VALID
    assert result_of(8_999, 9_000) == VALIDATION_RESULT_INVALID


def test_a_verdict_that_says_nothing_is_refused_with_all_reasons() -> None:
    errors = verdict_errors(MsgValidateInference(inference_id="\n", value_bps=10_001))

    assert len(errors) == 3
    assert "result must be VALID or INVALID" in errors


def test_params_of_validation_that_cannot_work_are_refused_together() -> None:
    params = default_params("local")
    params.inference.validation_rate_min_bps = 2_000
    params.inference.reputation_epochs = 0
    params.inference.false_positive_rate_bps = 5_001
    params.inference.measurement_window = 3_000

    errors = params_errors(params)

    assert [error.split(" ")[0] for error in errors] == [
        "inference.validation_rate_min_bps",
        "inference.reputation_epochs",
        "inference.false_positive_rate_bps",
        "inference.measurement_window",
    ]
