"""Runs ASGI applications on real sockets within the test's own loop, and waits for what is to come."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn

from api_node.http_server import Server, listen


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """The application's URL on loopback."""
    sock = listen("127.0.0.1", 0)
    server = Server(uvicorn.Config(app, lifespan="off", access_log=False, log_config=None))
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await asyncio.wait([task], timeout=5)
        sock.close()


async def wait_for(condition: Callable[[], Any], timeout_s: float = 10) -> Any:
    """The first true value of a condition; fails the test when there is none in time."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if value := condition():
            return value
        await asyncio.sleep(0.01)
    pytest.fail(f"nothing within {timeout_s} s")
