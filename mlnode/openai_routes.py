"""/v1: OpenAI's interface, whatever engine answers behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from mlnode.engines.base import Asked, AskedText
from mlnode.errors import RefusedError
from mlnode.http_limits import error_body
from mlnode.node import Node
from mlnode.openai_schemas import ChatRequest, CompletionRequest, ScoreRequest, TokenizeRequest

T = TypeVar("T")
CLIENT_LEFT = 499
ERROR_PROPERTIES = {"error": {"type": "object", "required": ["message", "type", "param", "code"]}}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": text,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"error": {"type": "object"}},
                    "required": ["error"],
                }
            }
        },
    }
    for status, text in {
        400: "what is wrong with the request, all of it",
        404: "the model is not served here",
        408: "the body did not come in time",
        413: "the body is too large",
        429: "the queue is full; Retry-After says when to come again",
        500: "the engine failed",
        501: "this engine cannot do it",
        502: "the engine behind this node failed",
        503: "no model can answer now; Retry-After says when to come again",
        504: "there was no answer in time",
    }.items()
}


def sse(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"


async def measured(node: Node, asked: AskedText) -> AsyncGenerator[dict[str, Any]]:
    """The engine's objects, counted and timed on their way."""
    outcome, started, first = "cancelled", time.monotonic(), True
    model = node.served.request.model if node.served else ""
    try:
        async with contextlib.aclosing(node.complete(asked)) as objects:
            async for each in objects:
                for choice in each.get("choices") or ():
                    if first and _has_text(choice):
                        first = False
                        node.metrics.first_token_seconds.observe(time.monotonic() - started)
                    outcome = str(choice.get("finish_reason") or outcome)
                if usage := each.get("usage"):
                    node.metrics.tokens.labels(model, "prompt").inc(usage.get("prompt_tokens") or 0)
                    node.metrics.tokens.labels(model, "completion").inc(usage.get("completion_tokens") or 0)
                yield each
    except RefusedError as error:
        outcome = error.code or "refused"
        raise
    finally:
        # A status of another server is no label of ours.
        node.metrics.requests.labels(model, outcome).inc()
        node.metrics.request_seconds.observe(time.monotonic() - started)


def _has_text(choice: dict[str, Any]) -> bool:
    said = choice.get("delta") or choice.get("message") or choice
    return bool(said.get("content") or said.get("text") or said.get("tool_calls"))


async def whole(objects: AsyncGenerator[dict[str, Any]]) -> dict[str, Any]:
    """The one object of an answer that is not streamed."""
    async with contextlib.aclosing(objects):
        return await anext(objects)


async def stream(
    first: dict[str, Any], objects: AsyncGenerator[dict[str, Any]], *, include_usage: bool
) -> AsyncIterator[str]:
    """Server-sent events; `first` has been awaited already, so that a refusal still has its own status."""
    async with contextlib.aclosing(objects):
        yield sse(first)
        try:
            async for each in objects:
                if each.get("choices") or include_usage:
                    yield sse(each)
        except RefusedError as error:
            yield sse(error_body("/v1/", error.status, error.message, error.code))
            return
        yield "data: [DONE]\n\n"


async def unless_disconnected(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """The work's result, or None as soon as nobody waits for it any more."""
    answer = asyncio.create_task(work)
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


async def _answer(node: Node, asked: AskedText, request: Request) -> Response:
    body, objects = asked.request, measured(node, asked)
    if body.stream:
        # Whoever leaves while the answer waits for its turn gives the place back, too.
        first = await unless_disconnected(request, anext(objects))
        if first is None:
            await objects.aclose()
            return Response(status_code=CLIENT_LEFT)
        events = stream(first, objects, include_usage=body.include_usage)
        return StreamingResponse(events, media_type="text/event-stream")
    answer = await unless_disconnected(request, whole(objects))
    return Response(status_code=CLIENT_LEFT) if answer is None else JSONResponse(answer)


def openai_routes(node: Node) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["openai"], responses=ERRORS)

    @router.get("/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model_entry(node)] if node.served else []}

    @router.get("/models/{model:path}")
    async def model_of(model: str) -> dict[str, Any]:
        node.check_served(model)
        return _model_entry(node)

    @router.post("/chat/completions", response_model=None)
    async def chat_completions(body: ChatRequest, request: Request) -> Response:
        return await _answer(node, Asked(body, await request.json()), request)

    @router.post("/completions", response_model=None)
    async def completions(body: CompletionRequest, request: Request) -> Response:
        return await _answer(node, Asked(body, await request.json()), request)

    @router.post("/chat/completions/score", response_model=None)
    async def score(body: ScoreRequest, request: Request) -> Response:
        asked = Asked(body, await request.json())
        answer = await unless_disconnected(request, node.score(asked))
        return JSONResponse(answer) if answer else Response(status_code=CLIENT_LEFT)

    return router


def tokenize_routes(node: Node) -> APIRouter:
    """POST /tokenize, where vLLM has it."""
    router = APIRouter(tags=["openai"], responses=ERRORS)

    @router.post("/tokenize")
    async def tokenize(body: TokenizeRequest, request: Request) -> dict[str, Any]:
        return await node.tokenize(Asked(body, await request.json()))

    return router


def _model_entry(node: Node) -> dict[str, Any]:
    served = node.served
    assert served is not None
    entry = {"id": served.request.model, "object": "model", "created": int(served.since)}
    return entry | {"owned_by": "evergrid", "max_model_len": served.context}
