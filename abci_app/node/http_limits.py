"""Limits against slow and greedy HTTP clients: one deadline for each request, caps on connections and bodies.

By default a silent socket, a header sent byte by byte or an unread answer holds a connection for ever.
"""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

BODY_BYTES_MAX: Final = 4 * 1024 * 1024


class LimitedProtocol(H11Protocol):
    """Uvicorn's protocol, where a connection is cut unless each request is sent and answered in time."""

    request_timeout_s = 20.0
    connections_max = 256
    _deadline: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.connections_max:
            transport.abort()
            return
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._start_clock()
        super().data_received(data)

    def on_response_complete(self) -> None:
        self._stop_clock()
        # It may begin the next request, which came in one piece with this one.
        super().on_response_complete()
        if self.cycle is not None and not self.cycle.response_complete:
            self._start_clock()

    def timeout_keep_alive_handler(self) -> None:
        # Closing would wait until the peer has read what it was sent.
        self.transport.abort()

    def _start_clock(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.request_timeout_s, self._too_late)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        self.transport.abort()


def limited_protocol(request_timeout_s: float, connections_max: int) -> type[LimitedProtocol]:
    """The protocol with these limits."""
    limits = {"request_timeout_s": request_timeout_s, "connections_max": connections_max}
    return type("LimitedProtocol", (LimitedProtocol,), limits)


class BodyTooLargeError(Exception):
    """A request's body is larger than it may be."""


async def read_body(receive: Any, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """The whole body of a request; raises BodyTooLargeError, and ConnectionError when the client left."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left")
        body += message.get("body", b"")
        if len(body) > bytes_max:
            raise BodyTooLargeError(f"the body is larger than {bytes_max} bytes")
        if not message.get("more_body", False):
            return bytes(body)
