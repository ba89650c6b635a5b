"""Limits against slow and greedy clients: deadlines for head, body and answer, caps on size, a token.

By default a silent socket, a header sent byte by byte or a body that never ends holds a connection for ever.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from asyncio import TimerHandle
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX = 64 * 1024
# Bodies that are held at once, in bodies of the greatest size: once read, each takes several times as much.
BODIES_MAX = 8
RETRY_AFTER_S = 2


class LimitedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol with a clock from the connection, or first byte, to the headers' end.

    What is no body has a cap: the head, and what stands between and behind the pieces of a chunked body.
    """

    head_timeout_s = 20.0
    _head_timer: TimerHandle | None = None
    # Since the last byte of a body.
    _head_bytes = 0
    _in_head = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Uvicorn's own refusal is plain text that does not say when to come again.
        self._connections_max, self.limit_concurrency = self.limit_concurrency, None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head and self._head_timer is None:
            self._start_clock()
        self._head_bytes += len(data)
        super().data_received(data)
        # What came in one piece with the body is counted with the head; a body is capped elsewhere.
        if self._head_bytes > HEAD_BYTES_MAX:
            self.transport.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        # Those behind a chunked body would become the request's own after it was let in.
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        self._stop_clock()
        app = self.app
        if self._connections_max is not None and len(self.connections) >= self._connections_max:
            self.app = _too_many_connections
        super().on_headers_complete()
        self.app = app

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()

    def _start_clock(self) -> None:
        self._head_timer = self.loop.call_later(self.head_timeout_s, self._head_is_late)

    def _stop_clock(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def limited_protocol(head_timeout_s: float) -> type[LimitedProtocol]:
    """The protocol with this deadline."""
    return type("LimitedProtocol", (LimitedProtocol,), {"head_timeout_s": head_timeout_s})


@dataclass(frozen=True, slots=True)
class Limits:
    body_bytes_max: int
    body_timeout_s: float
    answer_timeout_s: float
    switch_timeout_s: float
    token: str | None


class BodyError(Exception):
    """A body that is not taken."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(slots=True)
class Bodies:
    """How many bytes of bodies are held by all requests that run."""

    bytes_max: int
    bytes: int = 0


@dataclass(slots=True)
class Held:
    """One request's share of them."""

    all: Bodies
    body_max: int
    is_counted: bool
    bytes: int = 0

    def take(self, count: int) -> None:
        """So many bytes more; BodyError where they are too many for one, or for all together."""
        if self.bytes + count > self.body_max:
            raise BodyError(413, f"the body is larger than {self.body_max} bytes")
        if self.is_counted and self.all.bytes + count > self.all.bytes_max:
            raise BodyError(
                503, f"the bodies that are held reach {self.all.bytes_max} bytes; try again later"
            )
        self.bytes += count
        self.all.bytes += count

    def give_back(self) -> None:
        self.all.bytes -= self.bytes
        self.bytes = 0


class LimitsMiddleware:
    """Checks the token, reads the body within its deadline and cap, then runs the app within its own."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._bodies = Bodies(BODIES_MAX * limits.body_bytes_max)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_own = scope["path"].startswith("/api/v1")
        if is_own and not self._is_allowed(scope):
            await _refuse(scope, send, 401, "a bearer token is needed: Authorization: Bearer ...")
            return
        # Who steers the node is never refused for the bodies of others.
        held = Held(self._bodies, body_max=self._limits.body_bytes_max, is_counted=not is_own)
        try:
            body = await self._read(scope, receive, held)
            timeout_s = self._limits.switch_timeout_s if is_own else self._limits.answer_timeout_s
            await self._run(scope, _replay(body, receive), send, timeout_s)
        except BodyError as error:
            await _refuse(scope, send, error.status, error.message)
        finally:
            held.give_back()

    async def _run(self, scope: Scope, receive: Receive, send: Send, timeout_s: float) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(timeout_s) as deadline:
                await self._app(scope, receive, watched)
        except TimeoutError:
            if started or not deadline.expired():
                raise  # The answer has begun: the connection is closed, which is all that can be said.
            await _refuse(scope, send, 504, f"there was no answer within {timeout_s:g} s")

    def _is_allowed(self, scope: Scope) -> bool:
        if self._limits.token is None:
            return True
        expected = f"Bearer {self._limits.token}".encode()
        return hmac.compare_digest(dict(scope["headers"]).get(b"authorization", b""), expected)

    async def _read(self, scope: Scope, receive: Receive, held: Held) -> bytes:
        """The body; a client that leaves has an empty one. BodyError where it is too large or too late."""
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced[:20]) > self._limits.body_bytes_max:
            raise BodyError(413, f"the body is larger than {self._limits.body_bytes_max} bytes")
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                return await self._read_whole(receive, held)
        except TimeoutError:
            text = f"the body did not come within {self._limits.body_timeout_s:g} s"
            raise BodyError(408, text) from None

    @staticmethod
    async def _read_whole(receive: Receive, held: Held) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return b""
            piece = message.get("body", b"")
            held.take(len(piece))
            body += piece
            if not message.get("more_body", False):
                return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """First the body, then whatever else comes."""
    sent = False

    async def replayed() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replayed


def error_body(path: str, status: int, message: str, code: str = "") -> dict[str, Any]:
    """Errors of /v1 in OpenAI's form, all others as {detail}."""
    if not path.startswith(("/v1/", "/tokenize")):
        return {"detail": message}
    kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code or None}}


async def _too_many_connections(scope: Scope, _receive: Receive, send: Send) -> None:
    await _refuse(scope, send, 503, "there are too many connections; try again later")


async def _refuse(scope: Scope, send: Send, status: int, message: str) -> None:
    body = json.dumps(error_body(scope["path"], status, message)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    # What is left of the request is not read, so the connection cannot be used again.
    headers.append((b"connection", b"close"))
    if status == 503:
        headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
