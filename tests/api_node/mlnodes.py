"""An MLNode as the API node sees it, with states and refusals but without torch.

Claims are a hash of what a nonce's input is derived from, so that any honest node finds the same.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import httpx2
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse


def claim_of(seed: str, public_key: str, node_id: str, nonce: int) -> int:
    """The one true claim, in 1e-6, between -2 and 2."""
    raw = sha256(f"{seed}/{public_key}/{node_id}/{nonce}".encode()).digest()
    return int.from_bytes(raw[:4], "big") % 4_000_001 - 2_000_000


@dataclass
class FakeMLNode:
    """`lie` is added to every claim that it mines; `fail` answers a path with a status instead."""

    nonces_per_s: int = 200
    nonces_max: int = 10**9
    lie: int = 0
    fail: dict[str, int] = field(default_factory=dict)
    # Paths that do not answer as long as they stand here.
    hang: set[str] = field(default_factory=set)
    cannot_validate: bool = False
    # Nonces that it found and that no callback has taken.
    unsent: int = 0
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    model: str = ""
    prepared: str = ""
    pow: dict[str, Any] | None = None
    pow_status: str = "NOT_LOADED"
    chats: list[bytes] = field(default_factory=list)
    words: tuple[str, ...] = ("To ", "be ", "or ", "not.")
    word_s: float = 0.0
    # What it says of the words of others, and those words that it was asked to judge.
    gap: float = 0.0
    score_s: float = 0.0
    judging: int = 0
    judging_max: int = 0
    judged: list[str] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def state(self) -> str:
        if self.model:
            return "INFERENCE"
        return "STOPPED" if self.pow_status == "NOT_LOADED" else "POW"

    def names(self) -> list[str]:
        """The paths that were called, in order, without looks at the state."""
        return [path for path, _ in self.calls]

    def app(self) -> FastAPI:
        """The node as an application."""
        app = FastAPI()

        @app.get("/api/v1/state")
        async def state() -> dict[str, Any]:
            await self._hang("state")
            self._refuse("state")
            status: dict[str, Any] = {"status": self.pow_status, "nonces_unsent": self.unsent}
            if self.pow:
                status |= {name: self.pow[name] for name in ("block_hash", "block_height", "node_id")}
            return {"state": self.state, "model": self.model or None, "pow_status": status}

        @app.post("/api/v1/{path:path}")
        async def command(path: str, request: Request) -> Any:
            raw = await request.body()
            body = json.loads(raw) if raw else {}
            if path in self.hang:
                self.calls.append((path, body))
                await self._hang(path)
            self._refuse(path)
            if path != "pow/validate":
                self.calls.append((path, body))
            await getattr(self, "on_" + path.replace("/", "_"))(body)
            return {"status": "OK"}

        @app.post("/v1/chat/completions", response_model=None)
        async def chat(request: Request) -> Response:
            return await self._chat(await request.body())

        @app.post("/v1/completions", response_model=None)
        async def completions(request: Request) -> Response:
            return await self._complete(await request.body())

        @app.post("/v1/chat/completions/score")
        async def score(request: Request) -> dict[str, Any]:
            self._refuse("score")
            self.judging += 1
            self.judging_max = max(self.judging_max, self.judging)
            await asyncio.sleep(self.score_s)
            self.judging -= 1
            return self._score(await request.json())

        return app

    async def _hang(self, path: str) -> None:
        while path in self.hang:  # noqa: ASYNC110 - a node that hangs tells nobody
            await asyncio.sleep(0.02)

    def _refuse(self, path: str) -> None:
        if status := self.fail.get(path):
            raise HTTPException(status, f"{path} fails")

    async def on_stop(self, _body: dict[str, Any]) -> None:
        self.model, self.pow, self.pow_status = "", None, "NOT_LOADED"

    async def on_inference_up(self, body: dict[str, Any]) -> None:
        if self.pow_status == "GENERATING":
            raise HTTPException(409, "the node generates nonces")
        self.model = body["model"]

    async def on_inference_prepare(self, body: dict[str, Any]) -> None:
        self.prepared = body["model"]

    async def on_inference_down(self, _body: dict[str, Any]) -> None:
        self.model = ""

    async def on_pow_stop(self, _body: dict[str, Any]) -> None:
        self.pow, self.pow_status = None, "NOT_LOADED"

    async def on_pow_init_generate(self, body: dict[str, Any]) -> None:
        if self.model:
            raise HTTPException(409, f"the node serves {self.model}")
        self.pow, self.pow_status = body, "GENERATING"
        self._spawn(self._generate(body))

    async def on_pow_init_validate(self, body: dict[str, Any]) -> None:
        self.pow, self.pow_status = body, "VALIDATING"

    async def on_pow_validate(self, body: dict[str, Any]) -> None:
        if self.pow is None or self.pow["block_hash"] != body["block_hash"]:
            raise HTTPException(409, "another puzzle")
        self.calls.append(("pow/validate", body))
        self._spawn(self._validate(body, self.pow["url"]))

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _generate(self, body: dict[str, Any]) -> None:
        """Nonces at a steady pace, posted in order; those that nobody takes are kept and posted again."""
        found = sent = body["first_nonce"]
        while self.pow is body or found > sent:
            if self.pow is body and self.pow_status == "GENERATING":
                found = max(found, min(found + max(1, self.nonces_per_s // 10), self.nonces_max))
            self.unsent = found - sent
            if found > sent and await _post(f"{body['url']}/generated", self._batch(body, sent, found)):
                sent = found
                self.unsent = 0
            elif self.pow_status != "GENERATING" and found == sent:
                return
            await asyncio.sleep(0.1)

    def _batch(self, body: dict[str, Any], first: int, after: int) -> dict[str, Any]:
        nonces = list(range(first, after))
        who = (body["block_hash"], body["public_key"], body["node_id"])
        named = {name: body[name] for name in ("block_hash", "block_height", "public_key", "node_id")}
        return named | {"nonces": nonces, "dist": [claim_of(*who, each) + self.lie for each in nonces]}

    async def _validate(self, body: dict[str, Any], url: str) -> None:
        who = (body["block_hash"], body["public_key"], body["node_id"])
        answer = body | {"received_dist": body["dist"], "error": None, "verdict": "honest"}
        if self.cannot_validate:
            answer |= {"dist": [None] * len(body["nonces"]), "error": "out of memory", "verdict": "error"}
        else:
            answer |= {"dist": [claim_of(*who, nonce) for nonce in body["nonces"]]}
        await _post(f"{url}/validated", answer)

    async def _chat(self, raw: bytes) -> Response:
        if not self.model:
            return JSONResponse({"error": {"message": "no model is up"}}, 503)
        if status := self.fail.get("chat"):
            return JSONResponse({"error": {"message": "the engine failed"}}, status)
        self.chats.append(raw)
        body = json.loads(raw)
        usage = {
            "prompt_tokens": 7,
            "completion_tokens": len(self.words),
            "total_tokens": 7 + len(self.words),
        }
        head = {"id": "chatcmpl-node", "created": 1, "model": self.model}
        if body.get("stream"):
            return StreamingResponse(self._stream(head, usage), media_type="text/event-stream")
        await asyncio.sleep(self.word_s * len(self.words))
        message = {"role": "assistant", "content": "".join(self.words)}
        ids = list(range(len(self.words)))
        choice = {"index": 0, "message": message, "finish_reason": "stop", "token_ids": ids}
        return JSONResponse(head | {"object": "chat.completion", "choices": [choice], "usage": usage})

    async def _complete(self, raw: bytes) -> Response:
        self.chats.append(raw)
        usage = {
            "prompt_tokens": 7,
            "completion_tokens": len(self.words),
            "total_tokens": 7 + len(self.words),
        }
        choice = {"index": 0, "text": "".join(self.words), "finish_reason": "stop"}
        head = {"id": "cmpl-node", "object": "text_completion", "created": 1, "model": self.model}
        return JSONResponse(head | {"choices": [choice], "usage": usage})

    def _score(self, body: dict[str, Any]) -> dict[str, Any]:
        self.judged.append(body["text"])
        token = {"gap": self.gap, "surprise": 0.0, "entropy": 0.0, "variance": 0.0}
        return {
            "tokens": [token] * len(body["token_ids"]),
            "prompt_tokens": 7,
            "text_matches": True,
            "finish_reason": "stop",
            "ended_by_token": False,
        }

    async def _stream(self, head: dict[str, Any], usage: dict[str, int]) -> AsyncIterator[str]:
        for token, word in enumerate(self.words):
            await asyncio.sleep(self.word_s)
            yield _event(head | {"choices": [{"index": 0, "delta": {"content": word}, "token_ids": [token]}]})
        yield _event(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        yield _event(head | {"choices": [], "usage": usage})
        yield "data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value)}\n\n"


async def _post(url: str, body: dict[str, Any]) -> bool:
    # Reading certificates costs more than the post, which is to loopback.
    async with httpx2.AsyncClient(trust_env=False, verify=False) as http:
        try:
            return (await http.post(url, json=body)).is_success
        except httpx2.HTTPError:
            return False
