"""A real MLNode on a real socket, with tiny models, and a receiver for its callbacks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mlnode.tiny import make_tiny_llama
from tests.mlnode.service_harness import HUGE, OTHER, ROOT, TINY, Receiver, Service, free_port


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.posts.append((self.path, body))
            state.headers.append({name.lower(): value for name, value in self.headers.items()})
            state.times.append(time.monotonic())
            refused = state.refuse_next > 0
            state.refuse_next -= refused
            if not refused:
                state.accepted.append((self.path, body))
            self.send_response(503 if refused else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Receiver(f"http://127.0.0.1:{server.server_port}/v1/poc-batches")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def start_service() -> Iterator[Callable[..., Service]]:
    """Starts services with flags; all of them end in order, with status 0."""
    started: list[Service] = []

    def start(*flags: str, token: str | None = None) -> Service:
        port = free_port()
        command = [sys.executable, "-m", "mlnode.service", "--port", str(port), "--threads", "1", *flags]
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        client = httpx2.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=60, headers=headers, trust_env=False
        )
        started.append(Service(f"http://127.0.0.1:{port}", process, client))
        return started[-1]

    yield start
    for service in started:
        service.client.close()
        service.process.send_signal(signal.SIGTERM)
    for service in started:
        assert service.process.wait(timeout=30) == 0


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny models; that of SmolLM2 beside them where set-up has made it."""
    folder = tmp_path_factory.mktemp("models")
    make_tiny_llama(folder / TINY.replace("/", "--"), seed=1)
    make_tiny_llama(folder / OTHER.replace("/", "--"), seed=2)
    make_huge(folder / HUGE.replace("/", "--"))
    real = ROOT / ".cache" / "models" / "SmolLM2-135M-Instruct"
    if real.is_dir():
        (folder / real.name).symlink_to(real)
    return folder


def make_huge(folder: Path) -> None:
    """A tiny model with a tensor of 1 TiB, a hole in the file: fit to be checked, not to be loaded."""
    make_tiny_llama(folder)
    size = 2**40
    head = json.dumps({"hole": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    with (folder / "hole.safetensors").open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        file.truncate(8 + len(head) + size)


@pytest.fixture(scope="session")
def shared_service(start_service: Callable[..., Service], models_dir: Path) -> Service:
    flags = ("--models-dir", str(models_dir), "--drain-timeout-s", "5", "--requests-active-max", "2")
    service = start_service(*flags, "--requests-waiting-max", "1", "--callback-interval-s", "0.2")
    service.wait_ready()
    return service


@pytest.fixture
def node(shared_service: Service) -> Service:
    """The shared service, stopped, with a live compute process."""
    shared_service.wait_ready()
    shared_service.ok("/api/v1/stop")
    return shared_service
