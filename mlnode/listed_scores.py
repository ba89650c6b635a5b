"""How a model judges given tokens, where only its likeliest tokens at each place are told, with logprobs.

The numbers are those of `mlnode/scoring.py`. What is not listed is taken as equally likely: nothing is less
certain. Where more than TAIL_MAX of what could be drawn lies there on average, there is no judgement.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TAIL_MAX = 0.02


class UnlistedError(Exception):
    """The tokens that are listed say too little."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The tokens at one place, the likeliest first, and the logprob of the one that stands there."""

    token: int
    logprob: float
    best: tuple[tuple[int, float], ...]


def read_listed(entry: Any, token: int, count: int) -> Listed:
    """One place of vLLM's `prompt_logprobs`: {token id: {logprob, rank}}; ValueError where it is none.

    The token that stands there is listed even if it is not among the `count` likeliest.
    """
    try:
        logprobs = {int(key): float(value["logprob"]) for key, value in entry.items()}
        own = logprobs[token]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the engine's prompt_logprobs cannot be read: {type(error).__name__}") from error
    if not all(math.isfinite(value) for value in logprobs.values()):
        raise ValueError("the engine's prompt_logprobs are not all finite")
    best = sorted(logprobs.items(), key=lambda each: -each[1])[:count]
    return Listed(token, own, tuple(best))


def judge_listed(
    listed: Listed, temperature: float, top_p: float, vocab_size: int, top: int
) -> tuple[dict[str, Any], float]:
    """The token's score as the endpoint answers it, and how much of what could be drawn is not listed."""
    told = {
        "token": listed.token,
        "logprob": listed.logprob,
        "top": [list(each) for each in listed.best[:top]],
    }
    if temperature == 0:
        gap = listed.best[0][1] - listed.logprob
        return told | {"gap": max(0.0, gap), "surprise": 0.0, "entropy": 0.0, "variance": 0.0}, 0.0
    numbers, tail = _by_distribution(listed, temperature, top_p, vocab_size)
    return told | numbers, tail


def _by_distribution(
    listed: Listed, temperature: float, top_p: float, vocab_size: int
) -> tuple[dict[str, float], float]:
    scaled = [logprob / temperature for _, logprob in listed.best]
    others, tail_each = vocab_size - len(listed.best), -math.inf
    unlisted = 1 - math.fsum(math.exp(logprob) for _, logprob in listed.best)
    if others > 0 and unlisted > 0:
        # None of them is likelier than the least that is listed.
        tail_each = min(math.log(unlisted / others), listed.best[-1][1]) / temperature
    greatest = scaled[0]
    tail = others * math.exp(tail_each - greatest)
    norm = greatest + math.log(math.fsum(math.exp(value - greatest) for value in scaled) + tail)
    tail *= math.exp(greatest - norm)
    allowed, before = _nucleus([value - norm for value in scaled], top_p)
    drawn = listed.logprob / temperature - norm
    if top_p < 1 and before >= top_p:
        return _moments([(1, value) for value in allowed], allowed[-1], drawn), 0.0
    # As much of the tail as top_p lets draw, of which no token is known to be the least.
    share = tail if top_p >= 1 else min(tail, top_p - before)
    parts: list[tuple[float, float]] = [(1, value) for value in allowed]
    if share > 0:
        parts.append((others * share / tail, tail_each - norm))
    return _moments(parts, -math.inf, drawn), share


def _nucleus(logq: Sequence[float], top_p: float) -> tuple[list[float], float]:
    """The listed tokens from which top_p lets draw, and how likely they are together."""
    before = 0.0
    allowed: list[float] = []
    for value in logq:
        if top_p < 1 and before >= top_p:
            break
        allowed.append(value)
        before += math.exp(value)
    return allowed, before


def _moments(parts: Sequence[tuple[float, float]], least: float, drawn: float) -> dict[str, float]:
    """The four numbers, `parts` being how many tokens have which logprob before those allowed are normed."""
    mass = math.log(math.fsum(count * math.exp(value) for count, value in parts))
    inside = [(count * math.exp(value - mass), mass - value) for count, value in parts]
    entropy = math.fsum(weight * surprise for weight, surprise in inside)
    square = math.fsum(weight * surprise * surprise for weight, surprise in inside)
    return {
        "gap": max(0.0, least - drawn) if math.isfinite(least) else 0.0,
        "surprise": mass - max(drawn, least),
        "entropy": entropy,
        "variance": max(0.0, square - entropy * entropy),
    }


def judge_all(
    places: Sequence[Any], tokens: Sequence[int], sampling: Mapping[str, Any], vocab_size: int, count: int
) -> list[dict[str, Any]]:
    """The scores of all tokens, each with its place of `prompt_logprobs`.

    ValueError where these are not what they should be, UnlistedError where they say too little.
    """
    if len(places) != len(tokens):
        raise ValueError(f"the engine tells of {len(places)} tokens instead of {len(tokens)}")
    temperature, top_p, top = sampling["temperature"], sampling["top_p"], sampling["top"]
    scores = [
        judge_listed(read_listed(place, token, count), temperature, top_p, vocab_size, top)
        for place, token in zip(places, tokens, strict=True)
    ]
    tail = math.fsum(share for _, share in scores) / len(scores)
    if tail > TAIL_MAX:
        raise UnlistedError(
            f"{tail:.1%} of what the request may draw is not among the {count} likeliest tokens, which are"
            " all that the engine tells"
        )
    return [score for score, _ in scores]
