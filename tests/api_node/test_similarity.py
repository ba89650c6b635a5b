"""The measure by which a re-executed answer is judged."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from api_node.similarity import SLACK_NATS, Score, ScoreError, TokenScore, read_score, similarity

GREEDY = TokenScore(gap=0.0, surprise=0.0, entropy=0.0, variance=0.0)


def a_score(*tokens: TokenScore, ended_by_token: bool = False, finish_reason: str = "length") -> Score:
    return Score(
        5, text_matches=True, finish_reason=finish_reason, ended_by_token=ended_by_token, tokens=tokens
    )


def drawn(rng: random.Random, own: list[float], other: list[float], count: int) -> list[TokenScore]:
    """Tokens drawn from `other`, judged by `own`."""
    entropy = -sum(p * math.log(p) for p in own)
    variance = sum(p * math.log(p) ** 2 for p in own) - entropy**2
    chosen = rng.choices(own, other, k=count)
    return [TokenScore(0.0, -math.log(p), entropy, variance) for p in chosen]


def test_a_greedy_answer_with_gaps_of_rounding_has_the_whole_value_and_another_text_hardly_any() -> None:
    rounding = replace(GREEDY, gap=SLACK_NATS)
    other = replace(GREEDY, gap=4.0)

    honest = similarity(a_score(*[GREEDY, rounding] * 20), 5, 40)
    faked = similarity(a_score(*[GREEDY, other] * 20), 5, 40)

    assert (honest.value_bps, honest.why) == (10_000, "tokens")
    assert faked.value_bps < 2_000


def test_one_wrong_token_in_ten_is_below_the_usual_threshold() -> None:
    tokens = [GREEDY] * 36 + [replace(GREEDY, gap=2.0)] * 4

    assert similarity(a_score(*tokens), 5, 40).value_bps < 9_000


def test_an_honest_sampler_is_judged_valid_but_for_one_in_a_thousand_at_most() -> None:
    rng = random.Random(1)
    own = [0.5, 0.25, 0.125, 0.0625, 0.05, 0.0125]

    values = [similarity(a_score(*drawn(rng, own, own, 30)), 5, 30).value_bps for _ in range(2_000)]

    assert sum(value < 9_000 for value in values) <= 2


def test_a_sampler_of_another_distribution_is_judged_invalid() -> None:
    rng = random.Random(2)
    own, other = [0.9, 0.05, 0.03, 0.02], [0.25, 0.25, 0.25, 0.25]

    values = [similarity(a_score(*drawn(rng, own, other, 30)), 5, 30).value_bps for _ in range(200)]

    assert max(values) < 9_000


@pytest.mark.parametrize(
    ("changes", "charged", "why"),
    [
        ({"text_matches": False}, (5, 2), "text_mismatch"),
        ({}, (6, 2), "tokens_overcharged"),
        ({}, (5, 3), "tokens_overcharged"),
        ({"finish_reason": "cut"}, (5, 2), "cut_off"),
    ],
)
def test_what_no_logits_can_excuse_has_no_value(
    changes: dict[str, object], charged: tuple[int, int], why: str
) -> None:
    score = replace(a_score(GREEDY, GREEDY), **changes)  # type: ignore[arg-type]

    found = similarity(score, *charged)

    assert (found.value_bps, found.why) == (0, why)


def test_an_answer_that_stops_where_the_model_would_not_is_invalid_however_long_it_is() -> None:
    tokens = [*[GREEDY] * 500, replace(GREEDY, gap=6.0)]

    early = similarity(a_score(*tokens, ended_by_token=True, finish_reason="stop"), 5, 501)

    assert early.value_bps < 100
    assert early.why == "end"


@pytest.mark.parametrize("number", [math.nan, math.inf, "many", None])
def test_a_score_of_what_is_no_number_is_refused_instead_of_judged(number: object) -> None:
    token = {"gap": 0.0, "surprise": number, "entropy": 1.0, "variance": 1.0}
    body = {"tokens": [token], "prompt_tokens": 5, "text_matches": True}
    body |= {"finish_reason": "stop", "ended_by_token": True}

    with pytest.raises(ScoreError):
        read_score(body)
