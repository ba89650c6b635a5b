"""The ABCI 2.0 server: a unix or TCP socket, one thread that owns the state, and a small pool for queries."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from abci_app.node.application import Application
from abci_app.node.codec import FRAME_BYTES_MAX
from abci_app.node.connection import Connection, Hub
from abci_app.node.dispatch import Dispatcher
from abci_app.node.metrics import Metrics
from abci_app.node.snapshots import Snapshots

try:
    import uvloop as event_loops
except ImportError:  # it works without, at two thirds of the rate
    import asyncio as event_loops  # type: ignore[no-redef]

__all__ = ["Address", "Application", "Server"]

log = structlog.get_logger(__name__)

QUERY_THREADS: Final = 2
BACKLOG: Final = 16
# So long a peer may take to read the last answers after the server was told to stop.
GRACE_SECONDS: Final = 5.0
UNIX_PATH_BYTES_MAX: Final = 107


@dataclass(frozen=True)
class Address:
    """Where the server listens: a path for a unix socket, else a host and a port."""

    path: Path | None = None
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """Reads `unix://PATH` or `tcp://HOST:PORT`. Raises ValueError."""
        scheme, _, rest = text.partition("://")
        host, _, port = rest.rpartition(":")
        if scheme == "unix" and rest:
            if len(os.fsencode(rest)) > UNIX_PATH_BYTES_MAX:
                raise ValueError(f"a unix socket's path may have {UNIX_PATH_BYTES_MAX} bytes: {rest}")
            return cls(path=Path(rest))
        if scheme == "tcp" and host and port.isascii() and port.isdecimal() and int(port) <= 0xFFFF:
            return cls(host=host.strip("[]"), port=int(port))
        raise ValueError(f"an ABCI address is unix://PATH or tcp://HOST:PORT, not {text!r}")

    def __str__(self) -> str:
        return f"unix://{self.path}" if self.path else f"tcp://{self.host}:{self.port}"

    def listen(self) -> socket.socket:
        """A bound, listening socket. Raises OSError, also when another process answers at the unix path."""
        if self.path is None:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            listener = socket.create_server((self.host, self.port), family=family, backlog=BACKLOG)
            # Connections inherit it; asyncio sets it only where a socket names its protocol.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return listener
        _remove_stale(self.path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self.path))
            # Whoever may connect can commit blocks.
            self.path.chmod(stat.S_IRUSR | stat.S_IWUSR)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
        return listener


def _remove_stale(path: Path) -> None:
    """Unlinks the socket of a process that is gone; never that of one that lives, or any other file."""
    if not path.exists():
        return
    if not path.is_socket():
        raise FileExistsError(errno.EEXIST, "the ABCI socket's path is taken by a file", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise OSError(errno.EADDRINUSE, "another process already serves ABCI here", str(path))


class Server:
    """Serves one application until it is told to stop or the application fails; `run` does all of it."""

    def __init__(
        self,
        app: Application,
        address: str,
        *,
        metrics: Metrics | None = None,
        snapshots: Snapshots | None = None,
        query_threads: int = QUERY_THREADS,
        frame_bytes_max: int = FRAME_BYTES_MAX,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] = event_loops.new_event_loop,
    ) -> None:
        self.address = Address.parse(address)
        self.metrics = Metrics() if metrics is None else metrics
        self.listening = threading.Event()
        self._loop = loop_factory()
        self._stop = asyncio.Event()
        self._failure: Exception | None = None
        self._hub = Hub(
            loop=self._loop,
            dispatcher=Dispatcher(app, self.metrics, snapshots),
            metrics=self.metrics,
            query_pool=ThreadPoolExecutor(max_workers=query_threads, thread_name_prefix="query"),
            failed=self._fail,
            frame_bytes_max=frame_bytes_max,
        )

    def run(self) -> int:
        """Serves on this thread; returns the exit code: 0 after `stop`, SIGTERM or SIGINT, 1 after a failure.

        Raises OSError when the address cannot be had.
        """
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()
        if self._failure is not None:
            log.error("stopped without an answer", error=str(self._failure))
            return 1
        return 0

    def stop(self) -> None:
        """Asks the server to finish the requests in hand and return; any thread may call it, and again."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    async def _serve(self) -> None:
        listener = self.address.listen()
        if self.address.path is None:
            self.address = Address(host=self.address.host, port=listener.getsockname()[1])
        acceptor = await self._open(listener)
        self._handle_signals()
        log.info("listening", address=str(self.address))
        self.listening.set()
        try:
            await self._stop.wait()
        finally:
            self._hub.stopping = True
            acceptor.close()
            if self.address.path is not None:
                self.address.path.unlink(missing_ok=True)
            await self._close_connections()
            # After a failure nothing is waited for: the process is to end.
            self._hub.query_pool.shutdown(wait=self._failure is None, cancel_futures=True)

    async def _open(self, listener: socket.socket) -> asyncio.AbstractServer:
        def connect() -> Connection:
            return Connection(self._hub)

        if self.address.path is not None:
            return await self._loop.create_unix_server(connect, sock=listener)
        return await self._loop.create_server(connect, sock=listener)

    def _handle_signals(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.add_signal_handler(number, self._stop.set)

    async def _close_connections(self) -> None:
        for connection in list(self._hub.connections):
            connection.finish()
        if self._hub.connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hub.empty.wait(), GRACE_SECONDS)
        for connection in list(self._hub.connections):
            connection.abort()

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
        self._hub.stopping = True
        for connection in list(self._hub.connections):
            connection.abort()
        self._stop.set()
