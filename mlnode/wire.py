"""Frames between the HTTP process and the compute process: four bytes of length, then JSON.

A request is {id, op, ...}; its replies are {id, ok: {...}, last: bool} or {id, error: {kind, message}};
what nobody asked for is {event: name, ...}.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Mapping
from typing import Any

FRAME_BYTES_MAX = 256 * 2**20

Message = dict[str, Any]


class FrameError(Exception):
    """The other side does not speak in frames."""


def encode(message: Mapping[str, Any]) -> bytes:
    """One message as a frame; ValueError for NaN and infinity, which JSON does not have."""
    payload = json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
    return len(payload).to_bytes(4, "big") + payload


def _length(head: bytes) -> int:
    length = int.from_bytes(head, "big")
    if length > FRAME_BYTES_MAX:
        raise FrameError(f"a frame of {length} bytes is longer than {FRAME_BYTES_MAX}")
    return length


async def read_frame(reader: asyncio.StreamReader) -> Message | None:
    """The next message, or None when the other side has closed."""
    try:
        head = await reader.readexactly(4)
        payload = await reader.readexactly(_length(head))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    message: Message = json.loads(payload)
    return message


class Channel:
    """The blocking end of the connection; any thread may send, one thread receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._reader = sock.makefile("rb")
        self._sending = threading.Lock()

    def send(self, message: Mapping[str, Any]) -> None:
        frame = encode(message)
        with self._sending:
            self._socket.sendall(frame)

    def reply(self, request_id: int, *, last: bool = True, **ok: Any) -> None:
        self.send({"id": request_id, "ok": ok, "last": last})

    def fail(self, request_id: int, kind: str, message: str) -> None:
        self.send({"id": request_id, "error": {"kind": kind, "message": message}})

    def receive(self) -> Message | None:
        """The next message, or None when the other side has closed."""
        try:
            head = self._reader.read(4)
            if len(head) < 4:
                return None
            payload = self._reader.read(_length(head))
        except ConnectionError:
            return None
        message: Message = json.loads(payload)
        return message
