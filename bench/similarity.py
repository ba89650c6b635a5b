"""The value of honest answers in other precisions, and of those of cheaper models.

`python -m bench.similarity MODEL_FOLDER`: one line for each executor and temperature, with the least and the
middle value over the prompts and how many are below a threshold of 9000.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from api_node.similarity import Score, TokenScore, similarity
from mlnode.model import Model, generate_tokens, load_model
from mlnode.sampling import Sampling
from mlnode.scoring import replay, score_tokens

PROMPTS = (
    "What is the capital of France?",
    "Write a short poem about the sea.",
    "Explain how a bicycle stays upright.",
    "List five uses of a paper clip.",
    "Translate to German: the weather is nice today.",
    "Tell me about the history of the printing press.",
    "Why is the sky blue?",
    "Give me a recipe with lentils.",
)
TOKENS = 64
THRESHOLD_BPS = 9_000


def answer(model: Model, prompt: Sequence[int], sampling: Sampling) -> list[int]:
    """The tokens of one answer, up to the one that ends it."""
    tokens: list[int] = []
    for token in generate_tokens(model, prompt, sampling):
        tokens.append(token)
        if token in model.end_ids or len(tokens) == sampling.tokens_max:
            break
    return tokens


def value(judge: Model, prompt: Sequence[int], tokens: Sequence[int], sampling: Sampling) -> int:
    """What a verdict would say of these tokens, in basis points."""
    told = replay(judge, tokens, sampling)
    chunks = score_tokens(judge, prompt, tokens, sampling)
    scores = [TokenScore(e.gap, e.surprise, e.entropy, e.variance) for chunk in chunks for e in chunk]
    score = Score(
        len(prompt),
        text_matches=True,
        finish_reason=told.finish_reason,
        ended_by_token=told.ended_by_token,
        tokens=scores,
    )
    return similarity(score, len(prompt), len(tokens)).value_bps


def coarse(model: Model, bits: int) -> Model:
    """The model with each row of its matrices rounded to so many bits."""
    steps = 2 ** (bits - 1) - 1
    with torch.no_grad():
        for weight in model.network.parameters():
            if weight.dim() == 2:
                scale = weight.abs().amax(dim=1, keepdim=True).clamp_min(1e-8) / steps
                weight.copy_((weight / scale).round() * scale)
    return model


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    cpu = torch.device("cpu")
    judge = load_model(folder, "float32", None, cpu)
    executors = {
        "float32": judge,
        "bfloat16": load_model(folder, "bfloat16", None, cpu),
        "8 bits": coarse(load_model(folder, "float32", None, cpu), 8),
        "4 bits": coarse(load_model(folder, "float32", None, cpu), 4),
    }
    for temperature in (0.0, 0.7, 1.0):
        sampling = Sampling(TOKENS, temperature, 1.0, (), 1)
        for name, executor in executors.items():
            values = []
            for seed, text in enumerate(PROMPTS):
                prompt = judge.encode_chat([{"role": "user", "content": text}])
                seeded = replace(sampling, seed=seed)
                values.append(value(judge, prompt, answer(executor, prompt, seeded), seeded))
            below = sum(each < THRESHOLD_BPS for each in values)
            middle = int(statistics.median(values))
            print(f"temperature {temperature} {name:9} least {min(values):5} middle {middle:5} below {below}")


if __name__ == "__main__":
    main()
