"""Carries one chat answer from where it is computed to who asked, and knows at the end what it was.

The answer is read to its end even if the client leaves, so that what was computed is also recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import httpx2
import structlog

from api_node.breaker import Failure
from api_node.errors import ApiError, ExecutorFailedError
from api_node.mlnode_client import BUSY_STATUSES, refusal_text

log = structlog.get_logger("api_node.relay")

CONNECT_TIMEOUT_S = 5.0
# What an executor sends is read no further than this.
ANSWER_BYTES_MAX = 32 * 2**20
REFUSAL_BYTES_MAX = 64 * 2**10
# An executor that has not begun to answer is looked at so often, and given up after so many silent looks.
LOOK_S, LOOKS_SILENT_MAX = 2.0, 2
DONE_LINE = "data: [DONE]\n\n"
CHAT, COMPLETIONS = "chat/completions", "completions"


@dataclass(frozen=True, slots=True)
class ChatCall:
    """One request as the executor gets it. `raw` is what the prompt's hash is of."""

    inference_id: str
    model_id: str
    raw: bytes
    stream: bool
    # Whether the client asked for the last chunk with the usage.
    include_usage: bool = False
    # What of an MLNode's /v1 is asked.
    path: str = CHAT

    @property
    def prompt_hash(self) -> str:
        """SHA-256 of the canonical body, in hex."""
        return sha256(self.raw).hexdigest()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was answered, as far as it is recorded."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    # Where whoever answers tells them.
    token_ids: tuple[int, ...] = ()

    @property
    def response_hash(self) -> str:
        """SHA-256 of the answer's text, in hex."""
        return sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, or server-sent events."""

    body: dict[str, Any] | None = None
    events: AsyncIterator[str] | None = None


OnEnd = Callable[[Outcome | None], None]
_tasks: set[asyncio.Task[None]] = set()


def canonical(body: Mapping[str, Any]) -> bytes:
    """The one way to write a request body, so that its hash says which it was."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


async def relay(
    http: httpx2.AsyncClient,
    url: str,
    call: ChatCall,
    *,
    headers: Mapping[str, str],
    timeout_s: float,
    on_end: OnEnd,
    content: bytes = b"",
    first_byte_timeout_s: float | None = None,
    is_alive: Callable[[], Awaitable[bool]] | None = None,
) -> Reply:
    """Asks and returns as soon as there is something to return; raises ApiError before the first byte.

    It is an ExecutorFailedError where another executor may do better. `content` is sent where it is not
    `call.raw` that is asked. A stream has to begin within `first_byte_timeout_s`, a whole answer to end
    within `timeout_s`, and an executor for which `is_alive` is False twice in a row is not waited for.

    `on_end` is called exactly once: with what was answered, or None where it did not come to its end.
    """
    queue: asyncio.Queue[Any] = asyncio.Queue()
    pump = _Pump(
        http, url, call, headers=headers, timeout_s=timeout_s, queue=queue, content=content or call.raw
    )
    task = asyncio.create_task(pump.run(on_end))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    began = time.monotonic()
    try:
        first = await _first(queue, first_byte_timeout_s if call.stream else None, is_alive)
    except TimeoutError:
        task.cancel()
        text = f"the executor did not begin to answer within {time.monotonic() - began:.0f} s"
        raise ExecutorFailedError(Failure.UNREACHABLE, text) from None
    if isinstance(first, ApiError):
        raise first
    if not call.stream:
        return Reply(body=first)
    return Reply(events=_events(first, queue))


async def _first(
    queue: asyncio.Queue[Any], timeout_s: float | None, is_alive: Callable[[], Awaitable[bool]] | None
) -> Any:
    """What comes first; raises TimeoutError where it comes too late, or whoever is asked is gone."""
    async with asyncio.timeout(timeout_s):
        silent = 0
        while is_alive is not None:
            try:
                return await asyncio.wait_for(queue.get(), LOOK_S)
            except TimeoutError:
                silent = 0 if await is_alive() else silent + 1
                # It may have answered while it was looked at.
                if silent >= LOOKS_SILENT_MAX and queue.empty():
                    raise
        return await queue.get()


async def _events(first: str, queue: asyncio.Queue[Any]) -> AsyncIterator[str]:
    item: Any = first
    while item is not None:
        if isinstance(item, ApiError):
            yield sse(item.body)
            return
        yield item
        item = await queue.get()


def sse(value: dict[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"


class _Pump:
    """Reads the upstream's answer into a queue: items for the client, None at the end."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        url: str,
        call: ChatCall,
        *,
        headers: Mapping[str, str],
        timeout_s: float,
        queue: asyncio.Queue[Any],
        content: bytes,
    ) -> None:
        self._http = http
        self._url = url
        self._call = call
        # Nothing is unpacked, so that what is read is never more than what was sent.
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **headers}
        self._timeout_s = timeout_s
        self._timeout = httpx2.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        self._queue = queue
        self._content = content
        self._text: list[str] = []
        self._token_ids: list[int] = []
        self._usage: dict[str, int] | None = None

    async def run(self, on_end: OnEnd) -> None:
        """Until the answer has ended, one way or the other."""
        outcome: Outcome | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                outcome = await self._read()
        except ApiError as error:
            self._queue.put_nowait(error)
        except TimeoutError:
            text = f"the executor did not end its answer within {self._timeout_s:g} s"
            self._queue.put_nowait(ExecutorFailedError(Failure.UNREACHABLE, text))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            text = f"the executor did not answer: {type(error).__name__}: {error}".rstrip(": ")
            self._queue.put_nowait(ExecutorFailedError(Failure.UNREACHABLE, text))
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            text = f"the executor's answer cannot be read: {type(error).__name__}"
            self._queue.put_nowait(ExecutorFailedError(Failure.FAILED, text))
        except Exception:
            log.exception("an answer was lost", inference_id=self._call.inference_id)
            self._queue.put_nowait(ApiError(500, "internal error", code="internal"))
            raise
        finally:
            try:
                on_end(outcome)
            finally:
                self._queue.put_nowait(None)

    async def _read(self) -> Outcome | None:
        request = self._http.build_request(
            "POST", self._url, content=self._content, headers=self._headers, timeout=self._timeout
        )
        response = await self._http.send(request, stream=True)
        async with contextlib.aclosing(response):
            if response.status_code != httpx2.codes.OK:
                raise await _refusal(response)
            if self._call.stream:
                await self._read_events(response)
            else:
                self._read_body(json.loads(await _read_whole(response, ANSWER_BYTES_MAX)))
        if self._usage is None:
            return None
        prompt, completion = (_count(self._usage.get(f"{name}_tokens")) for name in ("prompt", "completion"))
        return Outcome("".join(self._text), prompt, completion, tuple(self._token_ids))

    def _read_body(self, body: dict[str, Any]) -> None:
        canonical(body)  # half of a surrogate pair is JSON, but no text
        for choice in body.get("choices", ()):
            self._text.append(_text(choice))
            self._token_ids += choice.get("token_ids") or ()
        self._usage = body.get("usage")
        self._queue.put_nowait(body | {"id": self._call.inference_id})

    async def _read_events(self, response: httpx2.Response) -> None:
        async for line in _lines(response, ANSWER_BYTES_MAX):
            if not line.startswith(b"data:"):
                continue
            payload = line.removeprefix(b"data:").strip()
            if payload == b"[DONE]":
                self._queue.put_nowait(DONE_LINE)
                return
            self._read_chunk(json.loads(payload))
        raise ExecutorFailedError(Failure.FAILED, "the executor's answer broke off")

    def _read_chunk(self, chunk: dict[str, Any]) -> None:
        if "error" in chunk:
            error = chunk["error"] if isinstance(chunk["error"], dict) else {}
            raise ExecutorFailedError(
                Failure.FAILED, str(error.get("message") or "the executor failed")[:500]
            )
        choices = chunk.get("choices") or []
        for choice in choices:
            self._text.append(_text(choice))
            self._token_ids += choice.get("token_ids") or ()
        if chunk.get("usage"):
            self._usage = chunk["usage"]
        if choices or self._call.include_usage:
            event = sse(chunk | {"id": self._call.inference_id})
            event.encode()
            self._queue.put_nowait(event)


def _text(choice: dict[str, Any]) -> str:
    """What a choice, or a piece of it, says: of a chat, of a stream, of a continued text."""
    said = choice.get("message") or choice.get("delta") or {"content": choice.get("text")}
    return said.get("content") or ""


def _count(value: Any) -> int:
    """A number of tokens; raises ValueError where an executor says something else."""
    if type(value) is not int or not 0 <= value < 2**32:
        raise ValueError("usage is no count of tokens")
    return value


async def _read_whole(response: httpx2.Response, bytes_max: int) -> bytes:
    """The body; raises ExecutorFailedError where it is larger."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > bytes_max:
            raise ExecutorFailedError(Failure.FAILED, f"the answer is larger than {bytes_max} bytes")
    return bytes(body)


async def _lines(response: httpx2.Response, bytes_max: int) -> AsyncIterator[bytes]:
    """The lines of the body, without their ends; raises ExecutorFailedError where all are larger."""
    kept, total = bytearray(), 0
    async for piece in response.aiter_bytes():
        total += len(piece)
        if total > bytes_max:
            raise ExecutorFailedError(Failure.FAILED, f"the answer is larger than {bytes_max} bytes")
        kept += piece
        if b"\n" in piece:
            *whole, rest = kept.split(b"\n")
            kept = bytearray(rest)
            for line in whole:
                yield bytes(line)
    yield bytes(kept)


async def _refusal(response: httpx2.Response) -> ApiError:
    """The upstream's refusal as ours: what the client itself is to mend keeps its status."""
    status = response.status_code
    body = await _read_whole(response, REFUSAL_BYTES_MAX)
    text = refusal_text(httpx2.Response(status, content=body))
    if status in {404, *BUSY_STATUSES}:
        return ExecutorFailedError(Failure.BUSY, text)
    if status in {401, 403}:
        return ExecutorFailedError(Failure.REFUSED, text)
    if status >= 500 or status < 400:
        return ExecutorFailedError(Failure.FAILED, text)
    return ApiError(status, text)


async def drain_relays(grace_s: float) -> None:
    """Lets answers that are under way come to their end."""
    if _tasks:
        await asyncio.wait(list(_tasks), timeout=grace_s)
