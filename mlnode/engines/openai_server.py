"""A client of any OpenAI-compatible server, for engines that pass requests on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx2

from mlnode.engines.base import Asked, AskedText
from mlnode.errors import RefusedError
from mlnode.openai_schemas import ChatRequest, ScoreRequest, TokenizeRequest

CONNECT_TIMEOUT_S = 5.0
RETRY_AFTER_S = 2
ERROR_CHARS_MAX = 1000
# Refusals of the request itself: they are the asker's, word for word.
ASKERS_STATUSES = (400, 413, 422, 429)


class OpenAIServer:
    """Requests to one server about one of its models, which is called `ours` here and `theirs` there."""

    def __init__(self, url: str, key: str | None, *, ours: str, theirs: str, timeout_s: float) -> None:
        self._ours = ours
        self._theirs = theirs
        self._url = url.rstrip("/")
        self._root = self._url.removesuffix("/v1")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = httpx2.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        self._http = httpx2.AsyncClient(
            headers=headers, timeout=timeout, follow_redirects=False, trust_env=False
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def is_healthy(self, timeout_s: float) -> bool:
        """Whether GET /health says so in time."""
        with contextlib.suppress(httpx2.HTTPError):
            return (await self._http.get(f"{self._root}/health", timeout=timeout_s)).is_success
        return False

    async def context(self, timeout_s: float) -> int | None:
        """The model's context where the server tells it; RefusedError where it does not serve the model."""
        body = await self._ask("GET", f"{self._url}/models", None, timeout_s)
        models = {each.get("id"): each for each in body.get("data") or () if isinstance(each, dict)}
        if self._theirs not in models:
            served = ", ".join(sorted(str(each) for each in models)) or "none"
            raise RefusedError(
                404, f"the server has no model {self._theirs}; it has {served}", code="model_not_found"
            )
        context = models[self._theirs].get("max_model_len")
        return context if isinstance(context, int) else None

    async def complete(self, asked: AskedText) -> AsyncGenerator[dict[str, Any]]:
        """The server's objects under our model's name; a stream always ends with its usage."""
        path = "chat/completions" if isinstance(asked.request, ChatRequest) else "completions"
        body = asked.raw | {"model": self._theirs}
        if asked.request.stream:
            body["stream_options"] = (body.get("stream_options") or {}) | {"include_usage": True}
            async with contextlib.aclosing(self._events(f"{self._url}/{path}", body)) as events:
                async for each in events:
                    yield each | {"model": self._ours}
        else:
            answer = await self._ask("POST", f"{self._url}/{path}", body)
            if not isinstance(answer.get("choices"), list):
                raise RefusedError(502, "the engine's answer has no choices", code="failed")
            yield answer | {"model": self._ours}

    async def score(self, asked: Asked[ScoreRequest]) -> dict[str, Any]:
        """The server's judgement, where it can judge: another MLNode can, most others cannot."""
        body = asked.raw | {"request": asked.raw["request"] | {"model": self._theirs}}
        return await self._ask("POST", f"{self._url}/chat/completions/score", body)

    async def tokenize(self, asked: Asked[TokenizeRequest]) -> dict[str, Any]:
        """The server's POST /tokenize."""
        return await self._ask("POST", f"{self._root}/tokenize", asked.raw | {"model": self._theirs})

    async def token_ids(self, fields: Mapping[str, Any]) -> list[int]:
        """The tokens of a prompt, as the server makes them."""
        answer = await self._ask("POST", f"{self._root}/tokenize", {"model": self._theirs, **fields})
        tokens = answer.get("tokens")
        if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
            raise RefusedError(502, "the engine's /tokenize tells no tokens", code="failed")
        return tokens

    async def whole_completion(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The server's answer to a text completion that is not streamed."""
        return await self._ask("POST", f"{self._url}/completions", {"model": self._theirs, **fields})

    async def _ask(
        self, method: str, url: str, body: Mapping[str, Any] | None, timeout_s: float | None = None
    ) -> dict[str, Any]:
        timeout = {} if timeout_s is None else {"timeout": timeout_s}
        try:
            response = await self._http.request(method, url, json=body, **timeout)  # type: ignore[arg-type]
            if not response.is_success:
                raise _refusal(response)
            answer = response.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise _failure(error) from error
        if not isinstance(answer, dict):
            raise RefusedError(502, "the engine's answer is no object", code="failed")
        return answer

    async def _events(self, url: str, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        try:
            async with self._http.stream("POST", url, json=body) as response:
                if not response.is_success:
                    await response.aread()
                    raise _refusal(response)
                async for line in response.aiter_lines():
                    payload = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                    if payload == "[DONE]":
                        return
                    if payload:
                        yield _checked(json.loads(payload))
        except (httpx2.HTTPError, ValueError) as error:
            raise _failure(error) from error
        raise RefusedError(502, "the engine's stream ended before its end", code="failed")


def _checked(chunk: Any) -> dict[str, Any]:
    if not isinstance(chunk, dict):
        raise RefusedError(502, "the engine's stream has what is no object", code="failed")
    if "error" in chunk:
        raise RefusedError(502, f"the engine failed: {_message(chunk)}", code="failed")
    return chunk


def _message(body: Any) -> str:
    error = body.get("error", body.get("detail", body)) if isinstance(body, dict) else body
    text = error.get("message", error) if isinstance(error, dict) else error
    return str(text)[:ERROR_CHARS_MAX]


def _refusal(response: httpx2.Response) -> RefusedError:
    """What the server refuses in the asker's request stays that; all else is the engine's failure."""
    try:
        body = response.json()
    except ValueError:
        body = response.text
    status = response.status_code
    if status in ASKERS_STATUSES:
        retry = response.headers.get("retry-after", "")
        after = int(retry) if retry.isdecimal() else RETRY_AFTER_S
        return RefusedError(
            400 if status == 422 else status,
            _message(body),
            code="full" if status == 429 else "invalid",
            retry_after_s=after if status == 429 else None,
        )
    if status in {404, 405, 501}:
        return RefusedError(501, f"the engine cannot do this: {_message(body)}", code="unsupported")
    if status == 503:
        text = f"the engine cannot answer now: {_message(body)}"
        return RefusedError(503, text, code="unavailable", retry_after_s=RETRY_AFTER_S)
    # What it says of itself, such as which key it was shown, is for its operator alone.
    text = "the engine refuses this node's key" if status in {401, 403} else "the engine failed"
    return RefusedError(502, f"{text} (status {status})", code="failed")


def _failure(error: Exception) -> RefusedError:
    if isinstance(error, httpx2.TimeoutException):
        return RefusedError(504, f"the engine did not answer in time: {type(error).__name__}", code="timeout")
    if isinstance(error, httpx2.HTTPError):
        text = f"the engine cannot be reached: {type(error).__name__}"
        return RefusedError(503, text, code="unavailable", retry_after_s=RETRY_AFTER_S)
    return RefusedError(502, f"the engine's answer cannot be read: {type(error).__name__}", code="failed")
