"""How a model judges an answer that is already there: one forward pass over its tokens, in chunks.

The numbers fit greedy and sampled answers alike. With q the distribution from which the request's temperature
and top_p let a token be drawn, a token has the surprise -log q; that of an honest engine is the entropy of q
on average. What q does not allow at all lies by a gap below the least likely token that it allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from mlnode.model import Model, new_cache
from mlnode.replay import Replay, replay_tokens
from mlnode.sampling import Sampling
from mlnode.wire import Message

# Tokens of one forward pass: other requests wait no longer than that.
CHUNK_TOKENS = 128


def replay(model: Model, tokens: Sequence[int], sampling: Sampling) -> Replay:
    """Goes the way of a request with tokens that are given; ValueError where some follow behind its end."""
    decode, end_ids = model.tokenizer.decode, model.end_ids
    return replay_tokens(decode, end_ids, tokens, stop=sampling.stop, tokens_max=sampling.tokens_max)


@dataclass(frozen=True, slots=True)
class TokenScore:
    """One token, in nats: its surprise by q, with that one's mean and variance; `gap` lies outside q."""

    token: int
    # At temperature 1, whatever the request's.
    logprob: float
    gap: float
    surprise: float
    entropy: float
    variance: float
    # The most likely ones at temperature 1, with their logprobs.
    top: tuple[tuple[int, float], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As the endpoint answers it."""
        numbers = (self.gap, self.surprise, self.entropy, self.variance)
        named = zip(("gap", "surprise", "entropy", "variance"), numbers, strict=True)
        return {"token": self.token, "logprob": self.logprob, "top": list(self.top)} | dict(named)


def score_tokens(
    model: Model, prompt: Sequence[int], tokens: Sequence[int], sampling: Sampling, top: int = 0
) -> Iterator[list[TokenScore]]:
    """The scores of `tokens` behind `prompt`: of each forward pass those that it gave, which may be none."""
    device, ids = model.network.device, [*prompt, *tokens[:-1]]
    first = len(prompt) - 1
    cache = new_cache()
    for begin in range(0, len(ids), CHUNK_TOKENS):
        end = min(begin + CHUNK_TOKENS, len(ids))
        wanted = end - max(begin, first)
        # The mode is per thread and must not stay on while the generator rests.
        with torch.inference_mode():
            output = model.network(
                input_ids=torch.tensor([ids[begin:end]], device=device),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=max(1, wanted),
            )
            given = tokens[max(begin, first) - first : end - first] if wanted > 0 else []
            scores = judge(output.logits[0, -max(1, wanted) :].float(), given, sampling, top) if given else []
        yield scores


def judge(logits: torch.Tensor, tokens: Sequence[int], sampling: Sampling, top: int) -> list[TokenScore]:
    """Scores of one token for each row of float32 logits [positions, vocab]."""
    chosen = torch.tensor(list(tokens), device=logits.device).unsqueeze(1)
    plain = logits.log_softmax(-1)
    logprobs = plain.gather(1, chosen).squeeze(1)
    if sampling.temperature == 0:
        zero = torch.zeros_like(logprobs)
        columns = (logprobs, plain.amax(-1) - logprobs, zero, zero, zero)
    else:
        columns = (logprobs, *_by_distribution(logits / sampling.temperature, chosen, sampling.top_p))
    best = plain.topk(min(top, plain.shape[-1]), dim=-1) if top else None
    numbers = torch.stack(columns, dim=1).tolist()
    scores = []
    for row, token in enumerate(tokens):
        likely: tuple[tuple[int, float], ...] = ()
        if best is not None:
            likely = tuple(zip(best.indices[row].tolist(), best.values[row].tolist(), strict=True))
        logprob, gap, surprise, entropy, variance = numbers[row]
        scores.append(TokenScore(token, logprob, gap, surprise, entropy, variance, likely))
    return scores


def _by_distribution(
    logits: torch.Tensor, chosen: torch.Tensor, top_p: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """(gap, surprise, entropy, variance) by the distribution that `choose` draws from."""
    logq = logits.log_softmax(-1)
    ordered = logq.sort(descending=True).values
    before = ordered.exp().cumsum(-1) - ordered.exp()
    allowed = before < top_p if top_p < 1 else torch.ones_like(before, dtype=torch.bool)
    least = ordered.masked_fill(~allowed, torch.inf).amin(-1)
    mass = ordered.masked_fill(~allowed, -torch.inf).logsumexp(-1)
    inside = (ordered - mass.unsqueeze(1)).masked_fill(~allowed, 0)
    weights = inside.exp().masked_fill(~allowed, 0)
    entropy = -(weights * inside).sum(-1)
    variance = (weights * inside * inside).sum(-1) - entropy * entropy
    drawn = logq.gather(1, chosen).squeeze(1)
    gap = (least - drawn).clamp_min(0)
    surprise = mass - torch.maximum(drawn, least)
    return gap, surprise, entropy, variance.clamp_min(0)


@dataclass
class Judgement:
    """One answer that is being scored."""

    request_id: int
    chunks: Iterator[list[TokenScore]]
    # What is known before the first forward pass.
    facts: dict[str, Any]
    # Of prompt and answer together.
    tokens: int
    is_begun: bool = False
    # For room beside the answers that run.
    waits: bool = False
    scores: list[TokenScore] = field(default_factory=list)


def open_judgement(model: Model, request: Message) -> Judgement:
    """An answer's scoring, not begun; ValueError that says why these tokens cannot be that answer."""
    prompt = model.encode(request["prompt"])
    tokens = request["token_ids"]
    if not all(0 <= token < model.vocab_size for token in tokens):
        raise ValueError("token_ids: there are ids that the model's vocabulary does not have")
    if len(prompt) + len(tokens) > model.context:
        raise ValueError(f"{len(prompt)} + {len(tokens)} tokens are more than the context of {model.context}")
    room = min(model.context - len(prompt), request["max_tokens_default"])
    sampling = Sampling(
        tokens_max=request["max_tokens"] or room,
        temperature=request["temperature"],
        top_p=request["top_p"],
        stop=tuple(request["stop"]),
        seed=None,
    )
    told = replay(model, tokens, sampling)
    facts = {
        "prompt_tokens": len(prompt),
        "completion_tokens": len(tokens),
        "text_matches": told.text == request["text"],
        "finish_reason": told.finish_reason,
        "ended_by_token": told.ended_by_token,
    }
    chunks = score_tokens(model, prompt, tokens, sampling, request["top_logprobs"])
    return Judgement(request["id"], chunks, facts, len(prompt) + len(tokens))
