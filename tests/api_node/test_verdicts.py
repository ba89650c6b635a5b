"""The three tests of a sample, and how answers of several nodes become one verdict on a participant."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.modules.epochs.profiles import default_params
from api_node.orchestrator import poc_params_json
from api_node.verdicts import Sample, fold, judge, log10_binomial_tail
from protocol.gen.evergrid.poc.v1 import poc_pb2

# float32 at the local profile: noise 10, epsilon 1000.
PARAMS = default_params("local").poc


def samples(count: int, *, wrong: int = 0, off: float = 0) -> list[Sample]:
    good = [Sample(1000 + i, 1000 + i + off) for i in range(count - wrong)]
    return good + [Sample(1000 + i, 500_000) for i in range(wrong)]


def test_claims_within_the_noise_are_honest() -> None:
    verdict = judge("p", samples(200, off=8), PARAMS)

    assert (verdict.verdict, verdict.sampled, verdict.mismatches) == (poc_pb2.VERDICT_HONEST, 200, 0)


def test_one_bad_claim_stops_nobody_and_many_are_fraud() -> None:
    one, many = judge("p", samples(200, wrong=1), PARAMS), judge("p", samples(200, wrong=20), PARAMS)

    assert (one.verdict, one.mismatches) == (poc_pb2.VERDICT_HONEST, 1)
    assert (many.verdict, many.mismatches) == (poc_pb2.VERDICT_FRAUD, 20)


def test_small_errors_everywhere_are_fraud_although_each_is_within_epsilon() -> None:
    verdict = judge("p", samples(200, off=100), PARAMS)

    assert (verdict.verdict, verdict.mismatches) == (poc_pb2.VERDICT_FRAUD, 0)


@pytest.mark.parametrize("found", [None, math.nan, math.inf])
def test_what_cannot_be_computed_is_a_mismatch(found: float | None) -> None:
    verdict = judge("p", [Sample(0, found)] * 20, PARAMS)

    assert (verdict.verdict, verdict.mismatches) == (poc_pb2.VERDICT_FRAUD, 20)


def test_who_could_not_be_checked_in_full_gets_an_abstention_never_fraud() -> None:
    drawn = {"full": [("n", 1, 5), ("n", 2, 6)], "part": [("n", 1, 5), ("n", 2, 6)], "none": []}
    found = {("full", "n", 1): 5.0, ("full", "n", 2): 6.0, ("part", "n", 1): 900_000.0}

    verdicts = {each.participant: each.verdict for each in fold(drawn, found, PARAMS)}

    assert verdicts == {
        "full": poc_pb2.VERDICT_HONEST,
        "part": poc_pb2.VERDICT_ABSTAIN,
        "none": poc_pb2.VERDICT_ABSTAIN,
    }


@given(st.integers(1, 60), st.integers(0, 60), st.floats(1e-4, 0.5))
def test_the_tail_is_that_of_the_binomial_law(trials: int, successes: int, rate: float) -> None:
    exact = sum(
        math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(successes, trials + 1)
    )

    if successes <= trials and exact > 1e-250:
        assert log10_binomial_tail(successes, trials, rate) == pytest.approx(math.log10(exact), abs=1e-6)


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=50), st.integers(-20, 20))
def test_the_same_answers_as_the_workers_own_verification(claims: list[int], off: int) -> None:
    pow_module = pytest.importorskip("mlnode.pow")
    theirs = pow_module.PocParams.from_json(poc_params_json(PARAMS))
    recomputed = [claim + off * (1 + i % 3) for i, claim in enumerate(claims)]

    ours = judge("p", [Sample(*pair) for pair in zip(claims, recomputed, strict=True)], PARAMS)

    expected = pow_module.verify(claims, recomputed, theirs)
    assert (ours.verdict == poc_pb2.VERDICT_FRAUD) == (expected.verdict == "fraud")
    assert ours.mismatches == expected.mismatches
