"""The other end of the ABCI socket for tests: plain blocking sockets, as CometBFT's client uses them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from abci_app.node.application import Application
from abci_app.node.codec import FrameReader, frame
from abci_app.node.server import Address, Server
from protocol.gen.tendermint.abci import types_pb2 as abci

WAIT_SECONDS = 20.0


def request_frame(**arm: Any) -> bytes:
    return frame(abci.Request(**arm).SerializeToString())


def check_tx_frame(tx: bytes) -> bytes:
    return request_frame(check_tx=abci.RequestCheckTx(tx=tx))


class Client:
    """One connection to a server; counts on answers within `WAIT_SECONDS`."""

    def __init__(self, address: str) -> None:
        parsed = Address.parse(address)
        if parsed.path is not None:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(WAIT_SECONDS)
            self.socket.connect(str(parsed.path))
        else:
            self.socket = socket.create_connection((parsed.host, parsed.port), timeout=WAIT_SECONDS)
        self._reader = FrameReader()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))

    def receive(self) -> abci.Response:
        """The next answer. Raises ConnectionError when the server closed the connection instead."""
        while (body := self._reader.next_frame()) is None:
            data = self.socket.recv(1 << 20)
            if not data:
                raise ConnectionError("closed by the server")
            self._reader.feed(data)
        return abci.Response.FromString(body)

    def ask(self, **arm: Any) -> abci.Response:
        """Sends one request and its Flush, as CometBFT does for a call that it waits for."""
        self.send(request_frame(**arm), request_frame(flush=abci.RequestFlush()))
        response = self.receive()
        assert self.receive().WhichOneof("value") == "flush"
        return response


class Running:
    """A server on a thread of its own; `exit_code` is there once it has returned."""

    def __init__(self, app: Application, address: str, **options: Any) -> None:
        self.server = Server(app, address, **options)
        self.exit_code: int | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.server.listening.wait(WAIT_SECONDS)
        self.address = str(self.server.address)

    def _run(self) -> None:
        self.exit_code = self.server.run()

    def join(self) -> int | None:
        self.thread.join(WAIT_SECONDS)
        return self.exit_code


@contextmanager
def running(app: Application, folder: Path, **options: Any) -> Iterator[Running]:
    """A server on a unix socket in a folder, stopped at the end."""
    server = Running(app, f"unix://{folder}/abci.sock", **options)
    try:
        yield server
    finally:
        server.server.stop()
        server.join()
