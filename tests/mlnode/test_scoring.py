"""Given answers judged by a model: on the engine's own parts, and over HTTP beside running answers."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch

from mlnode.model import Model, generate_tokens, load_model
from mlnode.sampling import Sampling
from mlnode.scoring import CHUNK_TOKENS, TokenScore, judge, replay, score_tokens
from mlnode.tiny import make_tiny_llama
from tests.mlnode.service_harness import OTHER, TINY, Service, wait_for

HELLO = [{"role": "user", "content": "hello"}]
GREEDY = Sampling(tokens_max=40, temperature=0, top_p=1, stop=(), seed=None)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Model]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("scoring")
    folders = [make_tiny_llama(folder / str(seed), seed) for seed in (1, 2)]
    one, other = (load_model(each, "float32", None, torch.device("cpu")) for each in folders)
    return one, other


def generated(model: Model, prompt: list[int], sampling: Sampling) -> list[int]:
    tokens = generate_tokens(model, prompt, sampling)
    return [next(tokens) for _ in range(sampling.tokens_max)]


def scored(model: Model, prompt: list[int], tokens: list[int], sampling: Sampling) -> list[TokenScore]:
    return [each for chunk in score_tokens(model, prompt, tokens, sampling) for each in chunk]


def test_a_models_own_greedy_tokens_have_no_gap_and_those_of_another_model_have(
    models: tuple[Model, Model],
) -> None:
    own, other = models
    prompt = own.encode_chat(HELLO)

    honest = scored(own, prompt, generated(own, prompt, GREEDY), GREEDY)
    faked = scored(own, prompt, generated(other, prompt, GREEDY), GREEDY)

    assert len(honest) == 40
    assert max(score.gap for score in honest) < 1e-4
    assert sum(score.gap for score in faked) / 40 > 1


def test_a_long_prompt_read_in_chunks_gives_the_scores_of_one_pass(models: tuple[Model, Model]) -> None:
    own, _ = models
    prompt = own.encode_chat([{"role": "user", "content": "word " * CHUNK_TOKENS}])
    tokens = list(range(40, 40 + CHUNK_TOKENS + 3))
    ids = torch.tensor([[*prompt, *tokens[:-1]]])

    chunks = list(score_tokens(own, prompt, tokens, GREEDY))
    with torch.inference_mode():
        logits = own.network(input_ids=ids).logits[0, len(prompt) - 1 :].float()
    whole = judge(logits, tokens, GREEDY, 0)

    assert len(chunks) > 2
    assert [] in chunks
    joined = [score for chunk in chunks for score in chunk]
    assert [score.token for score in joined] == tokens
    assert [score.logprob for score in joined] == pytest.approx([score.logprob for score in whole], abs=1e-4)


def test_entropy_and_variance_are_the_mean_and_spread_of_the_surprise_of_drawn_tokens() -> None:
    torch.manual_seed(3)
    logits, sampling = torch.randn(12) * 2, Sampling(1, 0.8, 0.9, (), None)
    probabilities = torch.softmax(logits / 0.8, -1)
    ordered, indices = probabilities.sort(descending=True)
    kept = indices[ordered.cumsum(0) - ordered < 0.9].tolist()

    scores = judge(logits.expand(12, 12), range(12), sampling, 3)

    mass = float(probabilities[kept].sum())
    weights = {token: float(probabilities[token]) / mass for token in kept}
    mean = sum(weight * scores[token].surprise for token, weight in weights.items())
    square = sum(weight * scores[token].surprise ** 2 for token, weight in weights.items())
    assert 1 < len(kept) < 12
    assert scores[0].entropy == pytest.approx(mean, abs=1e-5)
    assert scores[0].variance == pytest.approx(square - mean**2, abs=1e-5)
    assert {score.token for score in scores if score.gap > 0} == set(range(12)) - set(kept)
    assert scores[0].top[0][0] == int(logits.argmax())


def test_a_replay_says_how_an_answer_ends_and_refuses_tokens_behind_the_end(
    models: tuple[Model, Model],
) -> None:
    own, _ = models
    ids = own.tokenizer("To be or not", add_special_tokens=False)["input_ids"]
    end = next(iter(own.end_ids))
    stopping = Sampling(40, 0, 1, (" not",), None)

    ended, broken, full, stopped = (
        replay(own, [*ids, end], GREEDY),
        replay(own, ids, GREEDY),
        replay(own, ids[:5], Sampling(5, 0, 1, (), None)),
        replay(own, ids, stopping),
    )

    assert (ended.text, ended.finish_reason, ended.ended_by_token) == ("To be or not", "stop", True)
    assert (broken.text, broken.finish_reason) == ("To be or not", "cut")
    assert (full.text, full.finish_reason) == ("To be", "length")
    assert (stopped.text, stopped.finish_reason, stopped.ended_by_token) == ("To be or", "stop", False)
    with pytest.raises(ValueError, match="end the answer"):
        replay(own, [*ids, end, end], GREEDY)


# over HTTP


def asked(**changes: Any) -> dict[str, Any]:
    body = {"model": TINY, "messages": HELLO, "max_tokens": 24, "temperature": 0, "return_token_ids": True}
    return body | changes


def answered(node: Service, **changes: Any) -> tuple[str, list[int]]:
    choice = node.ok("/v1/chat/completions", asked(**changes))["choices"][0]
    return choice["message"]["content"], choice["token_ids"]


def test_the_node_scores_its_own_answer_without_gaps_and_another_models_with_them(node: Service) -> None:
    node.up(OTHER)
    faked = answered(node, model=OTHER)
    node.up(TINY)
    honest = answered(node)

    bodies = [
        node.ok("/v1/chat/completions/score", {"request": asked(), "text": text, "token_ids": ids})
        for text, ids in (honest, faked)
    ]

    assert [body["text_matches"] for body in bodies] == [True, True]
    assert [body["completion_tokens"] for body in bodies] == [24, 24]
    assert max(each["gap"] for each in bodies[0]["tokens"]) < 1e-3
    assert sum(each["gap"] for each in bodies[1]["tokens"]) > 24


def test_streamed_token_ids_are_those_of_the_whole_answer(node: Service) -> None:
    node.up(TINY)
    _, whole = answered(node)
    text = node.post("/v1/chat/completions", asked(stream=True)).text

    lines = [line.removeprefix("data: ") for line in text.splitlines() if line]
    choices = [json.loads(line)["choices"][0] for line in lines[:-1]]

    assert [token for choice in choices for token in choice.get("token_ids") or ()] == whole


@pytest.mark.parametrize(
    ("token_ids", "said"), [([10**6], "vocabulary"), ([258, 258], "end the answer"), ([40] * 5000, "context")]
)
def test_tokens_that_cannot_be_an_answer_are_refused_with_the_reason(
    node: Service, token_ids: list[int], said: str
) -> None:
    node.up(TINY)
    body = {"request": asked(max_tokens=10_000), "text": "a", "token_ids": token_ids}

    reply = node.post("/v1/chat/completions/score", body)

    assert reply.status_code == 400
    assert said in reply.json()["error"]["message"]


def test_answers_go_on_while_another_one_is_scored_and_taking_the_model_down_ends_the_scoring(
    node: Service, models_dir: Path
) -> None:
    node.up(TINY)
    text, ids = answered(node, max_tokens=1500)
    body = {"request": asked(max_tokens=1500), "text": text, "token_ids": ids}
    replies: list[httpx2.Response] = []
    threads = [
        threading.Thread(target=lambda: replies.append(node.post("/v1/chat/completions/score", body)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()

    assert len(answered(node, max_tokens=8)[1]) == 8
    node.ok("/api/v1/stop")

    wait_for(lambda: len(replies) == 4)
    assert {reply.status_code for reply in replies} <= {200, 503}
    assert node.state()["state"] == "STOPPED"
