"""How like an answer is to what a model would have answered: one number that a threshold judges. Pure.

The measure is e^-x, with x the surprise in nats per token beyond what an honest executor's machine and luck
explain. Nothing is asked of the executor but the tokens, so there is nothing else that it could make up:

- what the request's sampling forbids (at temperature 0 all but the likeliest token) counts by its gap, less
  `SLACK_NATS`, since two machines do not compute the same logits;
- what it allows counts by the sum of surprise - entropy, which is 0 on average for tokens that were drawn
  from the model's own distribution, less `DEVIATIONS` standard deviations of that sum (and the slack).

An answer that breaks off, that is not the text of its tokens, or that was charged for more tokens than it
has, has the value 0. Where the last token ends the answer it is also judged alone: to stop early is the
cheapest fraud. The threshold is the `validation_threshold` that the inference's epoch froze with its model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BPS = 10_000
# With it answers in bfloat16, judged in float32, have the whole value: decision 0007.
SLACK_NATS = 0.25
# One honest answer in 30,000 is beyond it by chance alone.
DEVIATIONS = 4.0
# How unlikely an end may be that an honest sampler draws: e^-14, one in a million.
END_SURPRISE_NATS = 14.0


class ScoreError(ValueError):
    """What the MLNode answered is no score."""


@dataclass(frozen=True, slots=True)
class TokenScore:
    """One token by the re-computing model, in nats."""

    gap: float
    surprise: float
    entropy: float
    variance: float


@dataclass(frozen=True, slots=True)
class Score:
    """An answer by the re-computing model."""

    prompt_tokens: int
    text_matches: bool
    finish_reason: str
    ended_by_token: bool
    tokens: Sequence[TokenScore]


@dataclass(frozen=True, slots=True)
class Similarity:
    """The value in basis points, and the word for what decided it."""

    value_bps: int
    why: str


def read_score(body: Mapping[str, Any]) -> Score:
    """The score out of an MLNode's answer; raises ScoreError where it is none, or not of finite numbers."""
    names = ("gap", "surprise", "entropy", "variance")
    try:
        tokens = [TokenScore(*(float(each[name]) for name in names)) for each in body["tokens"]]
        score = Score(
            prompt_tokens=int(body["prompt_tokens"]),
            text_matches=bool(body["text_matches"]),
            finish_reason=str(body["finish_reason"]),
            ended_by_token=bool(body["ended_by_token"]),
            tokens=tokens,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ScoreError(f"the MLNode's score cannot be read: {type(error).__name__}: {error}") from error
    if not tokens:
        raise ScoreError("the MLNode scored no token")
    numbers = (number for each in tokens for number in (each.gap, each.surprise, each.entropy, each.variance))
    if not all(math.isfinite(number) for number in numbers):
        raise ScoreError("the MLNode's score holds numbers that are not finite")
    return score


def similarity(score: Score, prompt_tokens: int, completion_tokens: int) -> Similarity:
    """The value of an answer for which so many tokens of prompt and completion were charged."""
    if not score.text_matches:
        return Similarity(0, "text_mismatch")
    if prompt_tokens > score.prompt_tokens or completion_tokens > len(score.tokens):
        return Similarity(0, "tokens_overcharged")
    if score.finish_reason == "cut":
        return Similarity(0, "cut_off")
    whole, end = excess_nats(score.tokens), _end_excess_nats(score)
    why = "tokens" if whole >= end else "end"
    return Similarity(int(BPS * math.exp(-max(whole, end))), why)


def excess_nats(tokens: Sequence[TokenScore]) -> float:
    """Surprise per token beyond what is explained."""
    forbidden = sum(max(0.0, each.gap - SLACK_NATS) for each in tokens)
    drawn = sum(each.surprise - each.entropy for each in tokens)
    deviation = math.sqrt(sum(each.variance for each in tokens))
    slack = SLACK_NATS * math.sqrt(len(tokens)) if deviation else 0.0
    return (forbidden + max(0.0, drawn - DEVIATIONS * deviation - slack)) / len(tokens)


def _end_excess_nats(score: Score) -> float:
    """What speaks against the token that ends the answer, alone."""
    if not score.ended_by_token:
        return 0.0
    last = score.tokens[-1]
    return max(0.0, last.gap - SLACK_NATS) + max(0.0, last.surprise - END_SURPRISE_NATS)
