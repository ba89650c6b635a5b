"""How the next token is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Sampling:
    tokens_max: int
    temperature: float
    top_p: float
    stop: tuple[str, ...]
    seed: int | None


def new_generator(seed: int | None, device: torch.device) -> torch.Generator:
    """The source of an answer's chance: repeatable if there is a seed."""
    generator = torch.Generator(device)
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator


def choose(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """The next token from float32 logits [vocab]: the greatest at temperature 0, else a draw from top_p.

    ArithmeticError where the model overflowed: of no numbers nothing can be drawn, and on a card the attempt
    would cost the whole process.
    """
    if not bool(logits.max().isfinite()):
        raise ArithmeticError("the model's numbers overflowed; its dtype may be too narrow for it")
    if sampling.temperature == 0:
        return int(logits.argmax())
    probabilities = torch.softmax(logits / sampling.temperature, dim=-1)
    if sampling.top_p < 1:
        ordered, indices = probabilities.sort(descending=True)
        ordered[ordered.cumsum(0) - ordered >= sampling.top_p] = 0
        return int(indices[torch.multinomial(ordered, 1, generator=generator)])
    return int(torch.multinomial(probabilities, 1, generator=generator))


def likeliest(logits: torch.Tensor, token: int, top: int) -> tuple[float, list[tuple[int, float]]]:
    """The model's own log-probability of `token`, before temperature, and its `top` likeliest tokens."""
    logprobs = logits.log_softmax(-1)
    if top == 0:
        return float(logprobs[token]), []
    best = logprobs.topk(min(top, logprobs.shape[-1]))
    return float(logprobs[token]), list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
