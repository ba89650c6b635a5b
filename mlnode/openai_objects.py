"""Answers of /v1 in OpenAI's words, put together from what the compute process tells of each token."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from mlnode.wire import Message


def usage_of(last: Message) -> dict[str, int]:
    prompt, completion = last["prompt_tokens"], last["completion_tokens"]
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


@dataclass
class Gathered:
    """What a choice has said and was not sent yet."""

    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)

    def add(self, delta: Message) -> None:
        self.text += delta["text"]
        self.token_ids.append(delta["token"])
        if "logprob" in delta:
            self.logprobs.append(delta["logprob"])


@dataclass
class Writer:
    """The objects of one answer; `is_chat` says in which of the two forms."""

    model: str
    is_chat: bool
    with_token_ids: bool
    with_logprobs: bool
    id: str = field(init=False)
    created: int = field(default_factory=lambda: int(time.time()))
    _offsets: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.id = f"{'chatcmpl' if self.is_chat else 'cmpl'}-{secrets.token_hex(12)}"

    def whole(self, choices: list[tuple[Gathered, str]], usage: dict[str, int]) -> dict[str, Any]:
        """The answer to a request that is not streamed: what each choice said, and why it ends."""
        written = []
        for index, (said, finish_reason) in enumerate(choices):
            text: dict[str, Any] = {"text": said.text}
            if self.is_chat:
                text = {"message": {"role": "assistant", "content": said.text, "refusal": None}}
            written.append(self._choice(index, text, said, finish_reason))
        kind = "chat.completion" if self.is_chat else "text_completion"
        return self._object(kind, written) | {"usage": usage}

    def opening(self, index: int) -> dict[str, Any]:
        """The first chunk of a chat's choice."""
        return self._chunk(self._choice(index, {"delta": {"role": "assistant", "content": ""}}, None, None))

    def chunk(self, index: int, said: Gathered, finish_reason: str | None) -> dict[str, Any]:
        """A chunk with what a choice has said since the last one."""
        text: dict[str, Any] = {"text": said.text}
        if self.is_chat:
            text = {"delta": {"content": said.text} if said.text or not finish_reason else {}}
        return self._chunk(self._choice(index, text, said, finish_reason))

    def usage(self, usage: dict[str, int]) -> dict[str, Any]:
        """The last chunk, which has no choices."""
        kind = "chat.completion.chunk" if self.is_chat else "text_completion"
        return self._object(kind, []) | {"usage": usage}

    def _choice(
        self, index: int, text: dict[str, Any], said: Gathered | None, finish_reason: str | None
    ) -> dict[str, Any]:
        choice = {"index": index} | text
        choice |= {"logprobs": self._logprobs(index, said), "finish_reason": finish_reason}
        if self.with_token_ids and said is not None:
            choice["token_ids"] = said.token_ids
        return choice

    def _logprobs(self, index: int, said: Gathered | None) -> dict[str, Any] | None:
        if not self.with_logprobs or said is None:
            return None
        if self.is_chat:
            return {"content": said.logprobs, "refusal": None}
        offsets = []
        for each in said.logprobs:
            offsets.append(self._offsets.get(index, 0))
            self._offsets[index] = offsets[-1] + len(each["token"])
        return {
            "tokens": [each["token"] for each in said.logprobs],
            "token_logprobs": [each["logprob"] for each in said.logprobs],
            "top_logprobs": [
                {top["token"]: top["logprob"] for top in each["top_logprobs"]} for each in said.logprobs
            ],
            "text_offset": offsets,
        }

    def _chunk(self, choice: dict[str, Any]) -> dict[str, Any]:
        return self._object("chat.completion.chunk" if self.is_chat else "text_completion", [choice])

    def _object(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        named = {"id": self.id, "object": kind, "created": self.created, "model": self.model}
        return named | {"choices": choices}
