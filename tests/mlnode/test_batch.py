"""Sequences decoded together say what each would say alone."""

from __future__ import annotations

import pytest
import torch

from mlnode.batch import CHUNK_TOKENS, Batch, Prefill
from mlnode.model import Model, generate_tokens, load_model
from mlnode.sampling import Sampling
from mlnode.tiny import make_tiny_llama

GREEDY = Sampling(tokens_max=20, temperature=0, top_p=1, stop=(), seed=None)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    torch.set_num_threads(1)
    folder = make_tiny_llama(tmp_path_factory.mktemp("batch") / "model", seed=1)
    return load_model(folder, "float32", None, torch.device("cpu"))


def alone(model: Model, prompt: list[int], count: int) -> list[int]:
    tokens = generate_tokens(model, prompt, GREEDY)
    return [next(tokens) for _ in range(count)]


def read(model: Model, prompt: list[int]) -> Prefill:
    prefill = Prefill(model.network, prompt)
    while prefill.step():
        pass
    return prefill


def test_sequences_that_join_and_leave_at_any_time_say_what_each_says_alone(model: Model) -> None:
    prompts = {"a": list(range(40, 45)), "b": list(range(60, 60 + 40)), "c": [70]}
    joins, leaves = {0: "a", 3: "b", 5: "c"}, {9: "b", 14: "a"}
    batch, order = Batch(model.network), list[str]()
    said: dict[str, list[int]] = {name: [] for name in prompts}

    for at in range(20):
        if name := joins.get(at):
            prefill = read(model, prompts[name])
            batch.join(prefill.cache, 1)
            order.append(name)
            said[name].append(int(prefill.logits.argmax()))
        if name := leaves.get(at):
            batch.keep([row for row, each in enumerate(order) if each != name])
            order.remove(name)
        logits = batch.step([said[each][-1] for each in order])
        for row, each in enumerate(order):
            said[each].append(int(logits[row].argmax()))

    assert batch.size == 1
    assert {name: len(tokens) for name, tokens in said.items()} == {"a": 15, "b": 7, "c": 16}
    for name, tokens in said.items():
        assert tokens == alone(model, prompts[name], len(tokens))


def test_a_long_prompt_is_read_in_chunks_and_one_past_serves_several_sequences(model: Model) -> None:
    prompt = [40 + i % 50 for i in range(CHUNK_TOKENS * 2 + 7)]
    prefill = read(model, prompt)
    batch = Batch(model.network)
    first = int(prefill.logits.argmax())

    batch.join(prefill.cache, 3)
    logits = batch.step([first, first, 41])

    expected = alone(model, prompt, 2)
    assert [first, int(logits[0].argmax())] == expected
    assert torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[0], logits[2])
