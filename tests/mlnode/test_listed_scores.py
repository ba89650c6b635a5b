"""Judging by listed tokens agrees with judging by the whole distribution, or refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mlnode.listed_scores import Listed, UnlistedError, judge_all, judge_listed, read_listed
from mlnode.sampling import Sampling
from mlnode.scoring import judge

VOCAB, COUNT = 2000, 128
NAMES = ("gap", "surprise", "entropy", "variance")


def place_of(logits: torch.Tensor, token: int, count: int = COUNT) -> dict[str, Any]:
    """A place of prompt_logprobs as vLLM tells it."""
    logprobs = logits.log_softmax(-1)
    shown = {*logprobs.topk(count).indices.tolist(), token}
    return {str(each): {"logprob": float(logprobs[each]), "rank": 1} for each in shown}


@pytest.mark.parametrize("temperature", [0, 0.5, 1.0, 1.3])
@pytest.mark.parametrize("top_p", [0.6, 0.95, 1.0])
def test_numbers_are_those_of_the_whole_distribution(temperature: float, top_p: float) -> None:
    torch.manual_seed(1)
    # Peaked as those of language models are: nearly all of the mass lies on few tokens.
    logits = -2.5 * torch.arange(VOCAB).float().add(1).log() + torch.randn(VOCAB) / 2
    order = logits.argsort(descending=True).tolist()
    tokens = [order[0], order[1], order[7], order[60], order[500]]
    rows = logits.expand(len(tokens), VOCAB)
    whole = judge(rows, tokens, Sampling(1, temperature, top_p, (), None), 3)
    facts = {"temperature": temperature, "top_p": top_p, "top": 3}

    listed = judge_all([place_of(logits, token) for token in tokens], tokens, facts, VOCAB, COUNT)

    for mine, theirs in zip(listed, whole, strict=True):
        expected = theirs.as_json()
        # Where exactly top_p ends moves between the two, which are added up.
        assert mine["gap"] + mine["surprise"] == pytest.approx(
            expected["gap"] + expected["surprise"], abs=0.06
        )
        assert mine["entropy"] == pytest.approx(expected["entropy"], abs=0.06)
        assert mine["variance"] == pytest.approx(expected["variance"], rel=0.15, abs=0.06)
        # What is guessed makes honest answers no less likely to pass.
        assert mine["variance"] > expected["variance"] - 0.06
        assert mine["logprob"] == pytest.approx(expected["logprob"], abs=1e-5)
        assert [each[0] for each in mine["top"]] == [each[0] for each in expected["top"]]


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (1.0, 0.99), (2.0, 1.0)])
def test_a_flat_distribution_is_refused_instead_of_guessed(temperature: float, top_p: float) -> None:
    logits = torch.zeros(VOCAB)

    with pytest.raises(UnlistedError, match="not among the 128 likeliest tokens"):
        judge_all(
            [place_of(logits, 5)], [5], {"temperature": temperature, "top_p": top_p, "top": 0}, VOCAB, COUNT
        )


def test_one_flat_place_among_many_is_judged_by_what_is_likely() -> None:
    peaked, flat = torch.zeros(VOCAB), torch.zeros(VOCAB)
    peaked[5] = 30.0
    places = [place_of(peaked, 5)] * 99 + [place_of(flat, 7)]
    (theirs,) = judge(flat.unsqueeze(0), [7], Sampling(1, 1.0, 1.0, (), None), 0)

    facts = {"temperature": 1.0, "top_p": 1.0, "top": 0}
    scores = judge_all(places, [5] * 99 + [7], facts, VOCAB, COUNT)

    expected = theirs.as_json()
    assert [scores[-1][name] for name in NAMES] == pytest.approx([expected[name] for name in NAMES], abs=1e-3)


def test_a_vocabulary_that_is_listed_to_its_end_is_judged_exactly() -> None:
    torch.manual_seed(2)
    logits = torch.randn(20)
    (theirs,) = judge(logits.unsqueeze(0), [3], Sampling(1, 1.7, 1.0, (), None), 0)

    mine, tail = judge_listed(read_listed(place_of(logits, 3, 20), 3, COUNT), 1.7, 1.0, 20, 0)

    expected = theirs.as_json()
    assert tail == 0
    assert [mine[name] for name in NAMES] == pytest.approx([expected[name] for name in NAMES], abs=1e-4)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {},
        [],
        {"5": {}},
        {"5": {"logprob": "x"}},
        {"x": {"logprob": -1}},
        {"5": {"logprob": float("nan")}},
    ],
)
def test_what_is_no_place_is_refused(entry: Any) -> None:
    with pytest.raises(ValueError, match="prompt_logprobs"):
        read_listed(entry, 5, COUNT)


def test_as_many_places_as_tokens_are_needed() -> None:
    with pytest.raises(ValueError, match="tells of 1 tokens instead of 2"):
        judge_all([{}], [1, 2], {"temperature": 0, "top_p": 1, "top": 0}, 5, COUNT)


def test_a_token_that_greedy_choice_passes_over_lies_by_a_gap_below_the_best() -> None:
    listed = Listed(7, -3.0, ((1, -0.5), (2, -1.5)))

    assert judge_listed(listed, 0, 1.0, 100, 1)[0]["gap"] == 2.5
