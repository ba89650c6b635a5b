"""The verdict: three tests, none of which one bad claim or honest noise can fail."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlnode.pow import PRESETS, Claim, Reason, log10_binomial_tail, verify

FLOAT32 = PRESETS["tiny"]
FLOAT16 = PRESETS["small"].with_dtype("float16")
HALF = replace(FLOAT16, acceptance_bps=5_000)

zs = st.integers(-(2**31), 2**31 - 1)
samples = st.lists(zs, min_size=1, max_size=200)
not_numbers = st.sampled_from([None, math.nan, math.inf, -math.inf])


def fewest_mismatches_that_are_fraud(sampled: int, mismatch_rate: int) -> int:
    params = replace(FLOAT16, mismatch_rate=mismatch_rate)
    claimed: list[Claim] = [0] * sampled
    for mismatches in range(sampled + 1):
        recomputed: list[Claim] = [None] * mismatches + [0] * (sampled - mismatches)
        if not verify(claimed, recomputed, params).honest:
            return mismatches
    raise AssertionError("not even mismatches alone are fraud")


@given(samples)
def test_equal_claims_are_honest(claims: list[int]) -> None:
    verdict = verify(claims, claims, FLOAT16)

    assert (verdict.verdict, verdict.failed, verdict.log10_p) == ("honest", (), 0)
    assert (verdict.sampled, verdict.mismatches, verdict.mean_square) == (len(claims), 0, 0)
    assert verdict.reasons == (Reason.MATCH,) * len(claims)


@given(samples, st.data())
def test_one_bad_claim_stops_nobody(claims: list[int], data: st.DataObject) -> None:
    i = data.draw(st.integers(0, len(claims) - 1))
    far = st.integers(FLOAT32.epsilon + 1, 10**400).flatmap(
        lambda d: st.sampled_from([claims[i] + d, claims[i] - d])
    )
    bad: Claim = data.draw(far | not_numbers)

    verdict = verify([*claims[:i], bad, *claims[i + 1 :]], claims, FLOAT32)

    assert (verdict.verdict, verdict.mismatches) == ("honest", 1)
    assert [j for j, reason in enumerate(verdict.reasons) if reason != Reason.MATCH] == [i]


@given(samples, st.data())
def test_what_is_not_a_number_is_a_mismatch_on_either_side(claims: list[int], data: st.DataObject) -> None:
    blanks = data.draw(st.lists(st.booleans(), min_size=len(claims), max_size=len(claims)))
    spoilt: list[Claim] = [
        data.draw(not_numbers) if blank else claim for claim, blank in zip(claims, blanks, strict=True)
    ]

    forth, back = verify(spoilt, claims, FLOAT16), verify(claims, spoilt, FLOAT16)

    assert forth.mismatches == back.mismatches == sum(blanks)
    assert [reason == Reason.CLAIM_NOT_FINITE for reason in forth.reasons] == blanks
    assert [reason == Reason.RECOMPUTED_NOT_FINITE for reason in back.reasons] == blanks


@given(st.lists(st.tuples(zs, zs), max_size=50), st.randoms(use_true_random=False))
def test_the_order_of_the_sample_does_not_matter(pairs: list[tuple[int, int]], order: object) -> None:
    shuffled = sorted(pairs)

    some = verify([a for a, _ in pairs], [b for _, b in pairs], HALF)
    others = verify([a for a, _ in shuffled], [b for _, b in shuffled], HALF)

    assert replace(some, reasons=()) == replace(others, reasons=())
    assert sorted(some.reasons) == sorted(others.reasons)


@pytest.mark.parametrize(
    ("mismatch_rate", "fewest"), [(500, [4, 5, 5, 7]), (1_000, [5, 5, 6, 8]), (5_000, [7, 8, 10, 15])]
)
def test_fraud_begins_where_chance_falls_below_the_threshold(mismatch_rate: int, fewest: list[int]) -> None:
    assert [fewest_mismatches_that_are_fraud(n, mismatch_rate) for n in (50, 100, 200, 500)] == fewest


@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 999_999))
def test_the_tail_is_the_exact_sum(trials: int, successes: int, rate_millionths: int) -> None:
    p = Fraction(rate_millionths, 10**6)

    computed = log10_binomial_tail(min(successes, trials), trials, rate_millionths / 1e6)

    exact = sum(
        math.comb(trials, k) * p**k * (1 - p) ** (trials - k)
        for k in range(min(successes, trials), trials + 1)
    )
    logarithm = math.log10(exact.numerator) - math.log10(exact.denominator)
    assert computed == pytest.approx(logarithm, rel=1e-9, abs=1e-9)


def test_the_tail_does_not_underflow() -> None:
    assert log10_binomial_tail(200, 200, 1e-3) == pytest.approx(-600)


@pytest.mark.parametrize(
    ("successes", "trials", "rate", "expected"),
    [
        (0, 0, 0.0, 0.0),
        (1, 0, 0.1, -math.inf),
        (3, 2, 0.1, -math.inf),
        (1, 9, 0.0, -math.inf),
        (9, 9, 1.0, 0.0),
    ],
)
def test_the_tail_has_a_value_at_its_edges(successes: int, trials: int, rate: float, expected: float) -> None:
    assert log10_binomial_tail(successes, trials, rate) == expected


def test_a_target_that_nobody_reaches_gets_a_verdict() -> None:
    """Its density is 0 in floating point, and so is the honest rate of the wrong side."""
    verdict = verify([5], [5], replace(HALF, z_target=40_000_000))

    assert verdict.failed == ("wrong_side",)


def test_a_difference_of_epsilon_matches_and_one_more_does_not() -> None:
    claimed = [FLOAT16.epsilon, FLOAT16.epsilon + 1, -FLOAT16.epsilon, -FLOAT16.epsilon - 1]

    verdict = verify(claimed, [0] * 4, replace(FLOAT16, mean_square_limit=10**6))

    assert verdict.reasons == (Reason.MATCH, Reason.DIFFERENCE) * 2


def test_the_mean_square_may_reach_its_limit_and_not_pass_it() -> None:
    at_limit, above = (verify([d] * 200, [0] * 200, FLOAT16) for d in (24_000, 24_001))

    assert (at_limit.verdict, at_limit.mean_square) == ("honest", 2_250)
    assert (above.verdict, above.failed) == ("fraud", ("mean_square",))


def test_recomputing_below_the_target_is_fraud_beyond_twice_the_honest_rate() -> None:
    """Noise of .016 and half accepted: a rate of .0102, and P(X >= 14 of 200) is the first below 1e-7."""
    claimed = [1_000] * 200

    few, many = (verify(claimed, [-1] * n + [1_000] * (200 - n), HALF) for n in (13, 14))

    assert (few.verdict, few.wrong_side) == ("honest", 13)
    assert (many.verdict, many.failed) == ("fraud", ("wrong_side",))


@given(samples)
def test_no_side_is_wrong_where_every_nonce_counts(claims: list[int]) -> None:
    verdict = verify(claims, claims, FLOAT16)

    assert (verdict.wrong_side, verdict.wrong_side_log10_p) == (0, 0)


def test_a_sample_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        verify([1, 2], [1], FLOAT32)
