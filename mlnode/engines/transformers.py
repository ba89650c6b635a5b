"""The embedded engine: transformers in the node's own compute process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any, ClassVar

import structlog
from pydantic import Field

from mlnode.engine_args import parse_engine_args
from mlnode.engines.base import Asked, AskedText, Engine, ModelToServe, Options, Prepared, Serving
from mlnode.errors import RefusedError
from mlnode.openai_objects import Gathered, Writer, usage_of
from mlnode.openai_schemas import ChatRequest, CompletionRequest, ScoreRequest, TokenizeRequest
from mlnode.supervisor import ComputeError
from mlnode.wire import Message

log = structlog.get_logger("mlnode.engines.transformers")

# Memory that a prepared model may need for each byte of its files.
MEMORY_FACTOR = 1.25


class TransformersOptions(Options):
    """How much of the device answers may take."""

    cache_bytes: int | None = Field(
        default=None, ge=1, description="most memory for keys and values of answers; none: what is free"
    )


class TransformersEngine(Engine):
    """Serves causal language models of transformers itself, batched, on the compute process's device."""

    name: ClassVar[str] = "transformers"
    options: ClassVar[type[Options]] = TransformersOptions
    given: TransformersOptions

    async def check(self, model: ModelToServe) -> None:
        await self.host.compute.request(
            "model_check", timeout_s=self.host.settings.load_timeout_s, folder=str(model.folder)
        )

    async def up(self, model: ModelToServe) -> Serving:
        if ignored := parse_engine_args(model.args).ignored:
            log.info("options ignored", model=model.model, options=ignored)
        reply = await self.host.compute.request(
            "model_load",
            timeout_s=self.host.settings.load_timeout_s,
            cache_bytes=self.given.cache_bytes,
            **_load_fields(model),
        )
        facts = {name: reply[name] for name in ("dtype", "context", "cache_bytes", "cache_tokens")}
        log.info("model loaded", model=model.model, **facts)
        return Serving(reply["context"], reply["phases"])

    async def prepare(self, model: ModelToServe) -> Prepared:
        fields = _load_fields(model)
        # Weights are kept in half precision on disk more often than not.
        widened = 2 if fields["dtype"] in {"float32", "float"} else 1
        reply = await self.host.compute.request(
            "model_prepare",
            timeout_s=self.host.settings.load_timeout_s,
            bytes_needed=int(model.bytes * widened * MEMORY_FACTOR),
            **fields,
        )
        return Prepared(reply["loaded"], reply["reason"], reply["phases"])

    async def forget(self) -> None:
        with contextlib.suppress(ComputeError):
            if self.host.compute.is_ready:
                await self.host.compute.request("model_forget", timeout_s=self.host.settings.load_timeout_s)

    async def down(self) -> None:
        # If the process is gone the model is too.
        with contextlib.suppress(ComputeError):
            if self.host.compute.is_ready:
                await self.host.compute.request("model_unload", timeout_s=self.host.settings.load_timeout_s)

    async def complete(self, asked: AskedText) -> AsyncGenerator[dict[str, Any]]:
        request = asked.request
        _refuse(request)
        writer = Writer(
            request.model,
            isinstance(request, ChatRequest),
            with_token_ids=bool(request.return_token_ids),
            with_logprobs=request.top() is not None,
        )
        count = (request.n or 1) * len(request.prompts())
        write = _chunks if request.stream else _whole
        async with contextlib.aclosing(self._generate(request)) as replies:
            async for written in write(writer, replies, count):
                yield written

    async def _generate(self, request: ChatRequest | CompletionRequest) -> AsyncGenerator[Message]:
        fields = request.sampling() | {
            "prompts": request.prompts(),
            "n": request.n or 1,
            "top_logprobs": request.top(),
            "max_tokens_default": self.host.settings.max_tokens_default,
        }
        async with contextlib.aclosing(self.host.compute.stream("generate", **fields)) as replies:
            async for reply in replies:
                yield reply

    async def score(self, asked: Asked[ScoreRequest]) -> dict[str, Any]:
        body, request = asked.request, asked.request.request
        # 400 would say that the answer is impossible; this engine only cannot tell.
        problems = list(request.beyond_text())
        if len(request.prompts()) > 1:
            problems.append("prompt: one at a time can be judged")
        if problems:
            raise RefusedError(501, "; ".join(problems), code="unsupported")
        fields = request.sampling() | {
            "prompt": request.prompts()[0],
            "max_tokens_default": self.host.settings.max_tokens_default,
            "text": body.text,
            "token_ids": body.token_ids,
            "top_logprobs": body.top_logprobs,
        }
        return await self.host.compute.request("score", **fields)

    async def tokenize(self, asked: Asked[TokenizeRequest]) -> dict[str, Any]:
        body = asked.request
        if (body.prompt is None) == (body.messages is None):
            raise RefusedError(400, "prompt or messages: one of them is needed", code="invalid")
        prompt: Message = {"text": body.prompt}
        if body.messages is not None:
            prompt = {"messages": [message.plain() for message in body.messages]}
        reply = await self.host.compute.request(
            "tokenize",
            prompt=prompt,
            add_special_tokens=body.add_special_tokens,
            add_generation_prompt=body.add_generation_prompt,
        )
        tokens = reply["tokens"]
        return {"count": len(tokens), "max_model_len": reply["context"], "tokens": tokens}

    def describe(self) -> dict[str, Any]:
        compute = self.host.compute
        return {"name": self.name, "status": compute.status, "reason": compute.reason}


def _load_fields(model: ModelToServe) -> dict[str, Any]:
    args = parse_engine_args(model.args)
    fields = {"folder": str(model.folder), "dtype": args.dtype or model.dtype}
    return fields | {"context_max": args.context_max}


def _refuse(request: ChatRequest | CompletionRequest) -> None:
    if problems := list(request.beyond_text()):
        raise RefusedError(400, "; ".join(problems), code="unsupported")


async def _whole(
    writer: Writer, replies: AsyncGenerator[Message], count: int
) -> AsyncGenerator[dict[str, Any]]:
    said = [Gathered() for _ in range(count)]
    reasons = [""] * count
    last: Message = {}
    async for last in replies:
        if "choice" in last:
            said[last["choice"]].add(last)
            reasons[last["choice"]] = last.get("finish_reason", "")
    yield writer.whole(list(zip(said, reasons, strict=True)), usage_of(last))


async def _chunks(
    writer: Writer, replies: AsyncGenerator[Message], count: int
) -> AsyncGenerator[dict[str, Any]]:
    said = [Gathered() for _ in range(count)]
    last: Message = {}
    async for last in replies:
        if "choice" not in last:
            # It is admitted: from here on a failure is told in the stream.
            for index in range(count if writer.is_chat else 0):
                yield writer.opening(index)
            continue
        index, finish_reason = last["choice"], last.get("finish_reason")
        said[index].add(last)
        if said[index].text or finish_reason:
            yield writer.chunk(index, said[index], finish_reason)
            said[index] = Gathered()
    yield writer.usage(usage_of(last))


ENGINE = TransformersEngine
