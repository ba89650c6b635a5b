"""One request on its way through the embedded engine: its prompts, its choices, and what each token says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from mlnode.batch import Prefill
from mlnode.cache_room import Need
from mlnode.model import Model
from mlnode.sampling import Sampling, choose, likeliest, new_generator
from mlnode.text_stream import TextStream
from mlnode.wire import Message


class Choice:
    """One continuation of a prompt; `token` is the last that was drawn."""

    def __init__(
        self, model: Model, index: int, sampling: Sampling, top_logprobs: int | None, length_max: int
    ) -> None:
        self.index = index
        # Of prompt and answer together.
        self.length_max = length_max
        self.token = -1
        self.is_done = False
        self.tokens = 0
        self._model = model
        self._sampling = sampling
        self._top_logprobs = top_logprobs
        self._generator = new_generator(sampling.seed, model.network.device)
        self._text = TextStream(model.tokenizer.decode, sampling.stop)

    def take(self, logits: torch.Tensor) -> dict[str, Any]:
        """Draws the next token; {text, token}, with finish_reason if it is the last, logprob if asked for."""
        self.token = choose(logits, self._sampling, self._generator)
        self.tokens += 1
        text, finish_reason = self._read(self.token)
        delta: dict[str, Any] = {"text": text, "token": self.token}
        if finish_reason:
            self.is_done = True
            delta["finish_reason"] = finish_reason
        if self._top_logprobs is not None and self.token not in self._model.end_ids:
            delta["logprob"] = self._describe(logits)
        return delta

    def _read(self, token: int) -> tuple[str, str | None]:
        if token in self._model.end_ids:
            return self._text.flush(), "stop"
        text = self._text.push(token)
        if self._text.stopped:
            return text, "stop"
        if self.tokens == self._sampling.tokens_max:
            text += self._text.flush()
            return text, "stop" if self._text.stopped else "length"
        return text, None

    def _describe(self, logits: torch.Tensor) -> dict[str, Any]:
        logprob, best = likeliest(logits, self.token, self._top_logprobs or 0)
        describe = self._model.token_bytes.describe
        return describe(self.token, logprob) | {"top_logprobs": [describe(*each) for each in best]}


@dataclass(eq=False)
class Group:
    """The choices of one prompt, which is read once."""

    answer: Answer
    prompt: list[int]
    choices: list[Choice]
    prefill: Prefill | None = None

    @property
    def need(self) -> Need:
        return Need(len(self.choices), self.choices[0].length_max)


@dataclass(eq=False)
class Answer:
    """One running request."""

    request_id: int
    groups: list[Group] = field(default_factory=list)

    @property
    def choices(self) -> list[Choice]:
        return [choice for group in self.groups for choice in group.choices]

    @property
    def is_done(self) -> bool:
        return all(choice.is_done for choice in self.choices)

    def usage(self) -> dict[str, int]:
        """A prompt counts once, however many choices it has."""
        return {
            "prompt_tokens": sum(len(group.prompt) for group in self.groups),
            "completion_tokens": sum(choice.tokens for choice in self.choices),
        }


def open_answer(model: Model, request: Message) -> Answer:
    """The answer to {prompts, n, ...}, not begun; ValueError that says why there can be none."""
    answer = Answer(request["id"])
    prompts = [model.encode(prompt) for prompt in request["prompts"]]
    longest = max(len(prompt) for prompt in prompts)
    room = model.context - longest
    if room < (request["max_tokens"] or 1):
        raise ValueError(
            f"the prompt has {longest} tokens and max_tokens is {request['max_tokens'] or 1}, "
            f"which is more than the model's context of {model.context}"
        )
    tokens_max = request["max_tokens"] or min(room, request["max_tokens_default"])
    for i, prompt in enumerate(prompts):
        first, top = i * request["n"], request.get("top_logprobs")
        choices = [
            Choice(model, at, _sampling(request, tokens_max, at), top, len(prompt) + tokens_max)
            for at in range(first, first + request["n"])
        ]
        answer.groups.append(Group(answer, prompt, choices))
    return answer


def _sampling(request: Message, tokens_max: int, index: int) -> Sampling:
    seed = request["seed"]
    return Sampling(
        tokens_max=tokens_max,
        temperature=request["temperature"],
        top_p=request["top_p"],
        stop=tuple(request["stop"]),
        # The choices of a seed differ from one another, and the first is the one of a single answer.
        seed=None if seed is None else (seed + index + 2**63) % 2**64 - 2**63,
    )
