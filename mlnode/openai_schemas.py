"""Requests of /v1 in OpenAI's words; what a field means to an engine is the engine's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from mlnode.schemas import ModelName

STOPS_MAX = 16
CHOICES_MAX = 16
PROMPTS_MAX = 16
TOP_LOGPROBS_MAX = 20
TOKENS_MAX = 2**20
COMPLETION_TOKENS_DEFAULT = 16
# Below these, which float32 cannot divide by or compare with, a draw has one outcome: the likeliest token.
TEMPERATURE_MIN = 1e-5
TOP_P_MIN = 1e-6


# What vLLM heeds beyond OpenAI's fields, and the values that ask for nothing.
BEYOND_OPENAI: dict[str, tuple[Any, ...]] = {
    "top_k": (-1, 0),
    "min_p": (0,),
    "repetition_penalty": (1,),
    "length_penalty": (1,),
    "min_tokens": (0,),
    "ignore_eos": (False,),
    "use_beam_search": (False,),
    "stop_token_ids": ([],),
    "bad_words": ([],),
    "allowed_token_ids": (),
    "prompt_logprobs": (),
    "structured_outputs": (),
    "guided_json": (),
    "guided_regex": (),
    "guided_choice": ([],),
    "guided_grammar": (),
}


def _encodable(text: str) -> str:
    """Half of a surrogate pair is JSON, yet no text: no tokenizer takes it."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise PydanticCustomError("no_text", "it holds a lone surrogate, which is no character")
    return text


Text = Annotated[str, AfterValidator(_encodable)]


class Loose(BaseModel):
    """Unknown fields are kept for engines that know them; known ones are checked."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())


class ContentPart(Loose):
    type: Annotated[str, Field(max_length=40)]
    text: Text | None = None


class ChatMessage(Loose):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | list[ContentPart] | None = None
    tool_calls: list[dict[str, Any]] | None = None

    def plain(self) -> dict[str, str]:
        """The message as text alone."""
        content = self.content
        text = content if isinstance(content, str) else "\n".join(part.text or "" for part in content or [])
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class StreamOptions(Loose):
    include_usage: bool = False


Stop = Annotated[str, Field(min_length=1, max_length=200)]
TokenId = Annotated[int, Field(ge=0, lt=2**31, strict=True)]
Tokens = Annotated[list[TokenId], Field(min_length=1, max_length=TOKENS_MAX)]
Penalty = Annotated[float, Field(ge=-2, le=2)]


class Generation(Loose):
    """What chat and text completions have in common."""

    model: ModelName
    max_tokens: Annotated[int, Field(ge=1, le=10**9)] | None = Field(
        default=None, validation_alias=AliasChoices("max_completion_tokens", "max_tokens")
    )
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=STOPS_MAX)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    n: Annotated[int, Field(ge=1, le=CHOICES_MAX)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # As vLLM: every choice carries the ids of its tokens, the one that ends the answer included.
    return_token_ids: bool | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, float] | None = None

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    def sampling(self) -> dict[str, Any]:
        """How tokens are drawn, in the compute process's words."""
        temperature = 1.0 if self.temperature is None else self.temperature
        return {
            "max_tokens": self.max_tokens,
            "temperature": temperature if temperature >= TEMPERATURE_MIN else 0.0,
            "top_p": max(self.top_p or 1.0, TOP_P_MIN),
            "stop": [self.stop] if isinstance(self.stop, str) else self.stop or [],
            "seed": self.seed,
        }

    def beyond_text(self) -> Iterator[str]:
        """What of this request an engine that only continues text cannot do."""
        for name in ("presence_penalty", "frequency_penalty", "logit_bias"):
            if getattr(self, name):
                yield f"{name}: this engine cannot change the model's probabilities"
        for name, value in (self.model_extra or {}).items():
            if name in BEYOND_OPENAI and value is not None and value not in BEYOND_OPENAI[name]:
                yield f"{name}: this engine cannot do it"


class ChatRequest(Generation):
    """POST /v1/chat/completions"""

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=1000)]
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=TOP_LOGPROBS_MAX)] | None = None
    tools: list[dict[str, Any]] | None = None
    functions: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None

    def prompts(self) -> list[dict[str, Any]]:
        return [{"messages": [message.plain() for message in self.messages]}]

    def top(self) -> int | None:
        """How many likeliest tokens are told beside the drawn one; None: not even its own probability."""
        return (self.top_logprobs or 0) if self.logprobs else None

    def beyond_text(self) -> Iterator[str]:
        yield from super().beyond_text()
        if self.tools or self.functions:
            yield "tools: this engine cannot call tools; leave them out, or ask a model whose engine can"
        if self.response_format and self.response_format.get("type") != "text":
            yield "response_format: this engine writes text only"
        for i, message in enumerate(self.messages):
            if message.tool_calls:
                yield f"messages.{i}.tool_calls: this engine cannot call tools"
            parts = message.content if isinstance(message.content, list) else []
            for j, part in enumerate(parts):
                if part.type != "text" or part.text is None:
                    yield f"messages.{i}.content.{j}: this engine reads parts of type text only"


class CompletionRequest(Generation):
    """POST /v1/completions"""

    prompt: (
        Text
        | Annotated[list[Text], Field(min_length=1, max_length=PROMPTS_MAX)]
        | Tokens
        | Annotated[list[Tokens], Field(min_length=1, max_length=PROMPTS_MAX)]
    )
    logprobs: Annotated[int, Field(ge=0, le=TOP_LOGPROBS_MAX)] | None = None
    echo: bool | None = None
    suffix: str | None = None
    best_of: int | None = None

    def prompts(self) -> list[dict[str, Any]]:
        if isinstance(self.prompt, list) and not isinstance(self.prompt[0], int):
            return [{"text": each} for each in self.prompt]
        return [{"text": self.prompt}]

    def top(self) -> int | None:
        return self.logprobs

    def sampling(self) -> dict[str, Any]:
        return super().sampling() | {"max_tokens": self.max_tokens or COMPLETION_TOKENS_DEFAULT}

    def beyond_text(self) -> Iterator[str]:
        yield from super().beyond_text()
        if self.echo:
            yield "echo: this engine does not repeat the prompt"
        if self.suffix:
            yield "suffix: this engine cannot fill in"
        if self.best_of is not None and self.best_of != (self.n or 1):
            yield "best_of: this engine returns all that it computes, so it must equal n"


def _kind(value: Any) -> str:
    names = value if isinstance(value, dict) else vars(value) if isinstance(value, BaseModel) else {}
    return "completion" if "prompt" in names and "messages" not in names else "chat"


AnyRequest = Annotated[
    Annotated[ChatRequest, Tag("chat")] | Annotated[CompletionRequest, Tag("completion")],
    Discriminator(_kind),
]


class ScoreRequest(Loose):
    """A request as it was answered, and the answer that is to be judged."""

    request: AnyRequest
    text: Text
    token_ids: Tokens
    top_logprobs: Annotated[int, Field(ge=0, le=TOP_LOGPROBS_MAX)] = 0


class TokenizeRequest(Loose):
    """POST /tokenize, in vLLM's words: {prompt} or {messages}."""

    model: ModelName | None = None
    prompt: Text | None = None
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=1000)] | None = None
    add_special_tokens: bool = True
    add_generation_prompt: bool = True
