"""/v1: the part of OpenAI's interface that a chat client needs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from mlnode.errors import RefusedError
from mlnode.http_limits import error_body
from mlnode.node import Node
from mlnode.schemas import ModelName
from mlnode.wire import Message

STOPS_MAX = 16


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None

    def plain(self) -> dict[str, str]:
        content = self.content
        text = content if isinstance(content, str) else "\n".join(part.text for part in content or [])
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class StreamOptions(BaseModel):
    include_usage: bool = False


Stop = Annotated[str, Field(min_length=1, max_length=200)]


class ChatRequest(BaseModel):
    """Unknown fields are ignored, as other servers do; known ones that cannot be served are refused."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    model: ModelName
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=1000)]
    max_tokens: Annotated[int, Field(ge=1, le=10**9)] | None = Field(
        default=None, validation_alias=AliasChoices("max_completion_tokens", "max_tokens")
    )
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=STOPS_MAX)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    # As vLLM: every choice carries the ids of its tokens, the one that ends the answer included.
    return_token_ids: bool | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None

    def for_compute(self, tokens_default: int) -> Message:
        return {
            "messages": [message.plain() for message in self.messages],
            "max_tokens": self.max_tokens,
            "max_tokens_default": tokens_default,
            "temperature": 1.0 if self.temperature is None else self.temperature,
            "top_p": self.top_p or 1.0,
            "stop": [self.stop] if isinstance(self.stop, str) else self.stop or [],
            "seed": self.seed,
        }


class ScoreRequest(BaseModel):
    """A request as it was answered, and the answer that is to be judged."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    request: ChatRequest
    text: str
    token_ids: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=2**20)]
    top_logprobs: Annotated[int, Field(ge=0, le=20)] = 0

    def for_compute(self, tokens_default: int) -> Message:
        answer = {"text": self.text, "token_ids": self.token_ids, "top_logprobs": self.top_logprobs}
        return self.request.for_compute(tokens_default) | answer


@dataclass(frozen=True, slots=True)
class Head:
    """What every object of one answer repeats."""

    id: str
    created: int
    model: str

    def completion(self, text: str, last: Message, token_ids: list[int] | None) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": last["finish_reason"]}
        if token_ids is not None:
            choice |= {"token_ids": token_ids}
        return self._object("chat.completion", [choice]) | {"usage": usage(last)}

    def chunk(
        self, delta: dict[str, str], finish_reason: str | None = None, token_ids: list[int] | None = None
    ) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        if token_ids is not None:
            choice |= {"token_ids": token_ids}
        return self._object("chat.completion.chunk", [choice])

    def usage_chunk(self, last: Message) -> dict[str, Any]:
        return self._object("chat.completion.chunk", []) | {"usage": usage(last)}

    def _object(self, kind: str, choices: list[Any]) -> dict[str, Any]:
        named = {"id": self.id, "object": kind, "created": self.created, "model": self.model}
        return named | {"choices": choices}


def usage(last: Message) -> dict[str, int]:
    prompt, completion = last["prompt_tokens"], last["completion_tokens"]
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def sse(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"


async def measured(node: Node, request: ChatRequest) -> AsyncGenerator[Message]:
    """The node's replies, counted and timed on their way."""
    outcome, started, first = "cancelled", time.monotonic(), True
    model = node.served.request.model if node.served else ""
    try:
        fields = request.for_compute(node.settings.max_tokens_default)
        async with contextlib.aclosing(node.chat(request.model, fields)) as replies:
            async for reply in replies:
                if "text" in reply and first:
                    first = False
                    node.metrics.first_token_seconds.observe(time.monotonic() - started)
                if "finish_reason" in reply:
                    outcome = str(reply["finish_reason"])
                    node.metrics.tokens.labels(model, "prompt").inc(reply["prompt_tokens"])
                    node.metrics.tokens.labels(model, "completion").inc(reply["completion_tokens"])
                yield reply
    except RefusedError as error:
        outcome = error.code or "refused"
        raise
    finally:
        node.metrics.requests.labels(model, outcome).inc()
        node.metrics.request_seconds.observe(time.monotonic() - started)


@dataclass(frozen=True, slots=True)
class Collected:
    """A whole answer: its text, its tokens, and the last reply."""

    text: str
    token_ids: list[int]
    last: Message


async def collect(replies: AsyncGenerator[Message]) -> Collected:
    """All replies, joined."""
    parts: list[str] = []
    token_ids: list[int] = []
    last: Message = {}
    async with contextlib.aclosing(replies):
        async for last in replies:
            parts.append(last.get("text", ""))
            if "token" in last:
                token_ids.append(last["token"])
    return Collected("".join(parts), token_ids, last)


async def stream(
    head: Head,
    first: Message,
    replies: AsyncGenerator[Message],
    *,
    include_usage: bool,
    return_token_ids: bool = False,
) -> AsyncIterator[str]:
    """Server-sent events; `first` has been awaited already, so that a refusal still has its own status."""
    assert "prompt_tokens" in first
    async with contextlib.aclosing(replies):
        yield sse(head.chunk({"role": "assistant", "content": ""}))
        token_ids: list[int] | None = [] if return_token_ids else None
        try:
            async for reply in replies:
                if token_ids is not None:
                    token_ids.append(reply["token"])
                if reply["text"]:
                    yield sse(head.chunk({"content": reply["text"]}, token_ids=token_ids))
                    token_ids = None if token_ids is None else []
                if "finish_reason" in reply:
                    yield sse(head.chunk({}, reply["finish_reason"], token_ids))
                    if include_usage:
                        yield sse(head.usage_chunk(reply))
        except RefusedError as error:
            yield sse(error_body("/v1/", error.status, error.message, error.code))
            return
        yield "data: [DONE]\n\n"


async def unless_disconnected(request: Request, work: AsyncGenerator[Message]) -> Collected | None:
    """The collected answer, or None as soon as nobody waits for it any more."""
    answer = asyncio.create_task(collect(work))
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait([answer, gone], return_when=asyncio.FIRST_COMPLETED)
        return await answer if answer.done() else None
    finally:
        for task in (answer, gone):
            task.cancel()
        await asyncio.gather(answer, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def openai_routes(node: Node) -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.get("/models")
    async def models() -> dict[str, Any]:
        data = []
        if served := node.served:
            entry = {"id": served.request.model, "object": "model", "created": int(served.since)}
            data.append(entry | {"owned_by": "evergrid", "max_model_len": served.context})
        return {"object": "list", "data": data}

    @router.post("/chat/completions", response_model=None)
    async def chat_completions(body: ChatRequest, request: Request) -> Response:
        head = Head(f"chatcmpl-{secrets.token_hex(12)}", int(time.time()), body.model)
        replies = measured(node, body)
        if not body.stream:
            answer = await unless_disconnected(request, replies)
            if answer is None:
                return Response(status_code=499)
            shown = answer.token_ids if body.return_token_ids else None
            return JSONResponse(head.completion(answer.text, answer.last, shown))
        include_usage = body.stream_options is not None and body.stream_options.include_usage
        first = await anext(replies)
        return StreamingResponse(
            stream(
                head,
                first,
                replies,
                include_usage=include_usage,
                return_token_ids=bool(body.return_token_ids),
            ),
            media_type="text/event-stream",
        )

    @router.post("/chat/completions/score", response_model=None)
    async def score(body: ScoreRequest, request: Request) -> Response:
        fields = body.for_compute(node.settings.max_tokens_default)
        answer = await unless_disconnected(request, node.score(body.request.model, fields))
        return JSONResponse(answer.last) if answer else Response(status_code=499)

    return router
