"""What all HTTP servers of the API node share: limits on bodies, errors, tokens, start and end."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import socket
import uuid
from collections.abc import Callable, Generator, Sequence
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api_node.errors import ApiError, error_body
from api_node.node_config import name_all
from api_node.settings import Settings

log = structlog.get_logger("api_node.http")

KEEP_ALIVE_S = 30
HEAD_BYTES_MAX = 64 * 2**10


class BodyLimits:
    """Reads each body within a size and a time before the application sees it."""

    def __init__(self, app: ASGIApp, bytes_max: int, timeout_s: float) -> None:
        self._app = app
        self._bytes_max = bytes_max
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(self._read(scope, receive), self._timeout_s)
        except TimeoutError:
            await _refuse(send, 408, f"the body did not come within {self._timeout_s:g} s")
            return
        if body is None:
            await _refuse(send, 413, f"the body is larger than {self._bytes_max} bytes")
            return
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced[:20]) > self._bytes_max:
            return None
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return b""
            body += message.get("body", b"")
            if len(body) > self._bytes_max:
                return None
            if not message.get("more_body", False):
                return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    told = False

    async def replayed() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


async def _refuse(send: Send, status: int, message: str) -> None:
    body = json.dumps(error_body(status, message)).encode()
    # What is left of the request is not read, so the connection cannot be used again.
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def new_app(title: str, version: str, settings: Settings) -> FastAPI:
    """An application whose errors have one form and whose bodies are limited."""
    app = FastAPI(title=title, version=version)
    app.add_middleware(BodyLimits, bytes_max=settings.body_bytes_max, timeout_s=settings.body_timeout_s)

    @app.exception_handler(ApiError)
    async def refused(_request: Request, error: ApiError) -> Response:
        return JSONResponse(error.body, status_code=error.status, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        return JSONResponse(error_body(400, name_all(error.errors()), "invalid"), status_code=400)

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> Response:
        body = error_body(error.status_code, str(error.detail))
        return JSONResponse(body, status_code=error.status_code, headers=error.headers)

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> Response:
        # The server logs the traceback; the client learns no more than under which name to ask for it.
        request_id = uuid.uuid4().hex
        log.error("internal error", request_id=request_id, path=request.url.path, kind=type(error).__name__)
        body = error_body(500, f"internal error, request id {request_id}", "internal")
        return JSONResponse(body, status_code=500)

    return app


def bearer_check(tokens: Callable[[], Sequence[str]]) -> Callable[[Request], None]:
    """A dependency that lets pass who shows one of the tokens; everybody where there are none."""

    def check(request: Request) -> None:
        known = tokens()
        if not known:
            return
        shown = request.headers.get("authorization", "").encode()
        # Every token is compared, so that time tells nothing.
        if not sum(hmac.compare_digest(shown, f"Bearer {token}".encode()) for token in known):
            raise ApiError(401, "a valid key is needed: Authorization: Bearer ...", code="invalid_api_key")

    return check


class Server(uvicorn.Server):
    """A uvicorn server among several of one process, which handles the signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class HeadLimits(HttpToolsProtocol):
    """Uvicorn's protocol with a clock and a cap from the connection, or first byte, to the head's end.

    One address has so many connections at most; what is beyond is closed at once, so that others have room.
    """

    head_timeout_s = 20.0
    per_address_max = 256
    # Shared by the connections of one server: a class is made for each.
    open_by_address: dict[str, int] = {}  # noqa: RUF012 - shared by intent
    _address = ""
    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else ""
        count = self.open_by_address[self._address] = self.open_by_address.get(self._address, 0) + 1
        if count > self.per_address_max:
            transport.abort()
            return
        self._wind()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        left = self.open_by_address.pop(self._address, 1) - 1
        if left:
            self.open_by_address[self._address] = left
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
            if self._timer is None:
                self._wind()
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX:
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        self._stop()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()

    def _wind(self) -> None:
        self._timer = self.loop.call_later(self.head_timeout_s, self._late)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises OSError that names the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
    # Connections inherit it; asyncio sets it only where a socket names its protocol. Without it a token
    # waits 40 ms until the client has acknowledged the one before.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def new_server(app: Any, settings: Settings) -> Server:
    """A server for an application; it is started with its socket."""
    limits: dict[str, Any] = {
        "head_timeout_s": settings.head_timeout_s,
        "per_address_max": settings.connections_per_address_max,
        "open_by_address": {},
    }
    config = uvicorn.Config(
        app,
        lifespan="off",
        http=type("Limited", (HeadLimits,), limits),
        ws="none",
        access_log=False,
        log_level="warning",
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        limit_concurrency=settings.connections_max,
        timeout_graceful_shutdown=max(1, int(settings.shutdown_grace_s)),
        server_header=False,
    )
    return Server(config)
