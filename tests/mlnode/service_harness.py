"""What the tests of the service hold in their hands: a running MLNode and a receiver of its callbacks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx2
import pytest

ROOT = Path(__file__).parents[2]
TINY = "evergrid/tiny"
OTHER = "evergrid/other"
HUGE = "evergrid/huge"
START_TIMEOUT_S = 90


def wait_for(condition: Callable[[], Any], timeout_s: float = 20) -> Any:
    """The first true value of `condition`; fails the test when there is none in time."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail(f"nothing within {timeout_s} s")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@dataclass
class Receiver:
    """Takes callbacks; `refuse_next` of them get a 503 first."""

    url: str
    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    accepted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    refuse_next: int = 0

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        return [body for path, body in self.accepted if path.endswith(f"/{kind}")]

    def claims(self) -> list[tuple[int, int]]:
        """Nonces and claims of all accepted batches, as they came."""
        pairs: list[tuple[int, int]] = []
        for body in self.bodies("generated"):
            pairs += zip(body["nonces"], body["dist"], strict=True)
        return pairs

    def verdict(self, request_id: str) -> dict[str, Any]:
        found = [body for body in self.bodies("validated") if body["request_id"] == request_id]
        return found[0] if found else {}


@dataclass
class Service:
    """A running MLNode."""

    url: str
    process: subprocess.Popen[bytes]
    client: httpx2.Client

    @classmethod
    def started_alone(cls, *flags: str, log: IO[bytes] | None = None) -> Service:
        """A service that the test ends itself."""
        port = free_port()
        command = [sys.executable, "-m", "mlnode.service", "--port", str(port), "--threads", "1", *flags]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        url = f"http://127.0.0.1:{port}"
        return cls(url, process, httpx2.Client(base_url=url, timeout=60, trust_env=False))

    def get(self, path: str) -> Any:
        return self.client.get(path).raise_for_status().json()

    def post(self, path: str, body: Any = None) -> httpx2.Response:
        return self.client.post(path, json=body)

    def ok(self, path: str, body: Any = None) -> Any:
        response = self.post(path, body)
        assert response.status_code == 200, response.text
        return response.json()

    def state(self) -> dict[str, Any]:
        body: dict[str, Any] = self.get("/api/v1/state")
        return body

    def up(self, model: str = TINY) -> None:
        assert self.ok("/api/v1/inference/up", {"model": model, "dtype": "auto", "additional_args": []}) == {
            "status": "OK"
        }

    def metric(self, line_start: str) -> float:
        lines = self.client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(line_start))

    def wait_ready(self) -> None:
        wait_for(self._is_ready, START_TIMEOUT_S)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, "the service has ended"
        try:
            return self.client.get("/health").status_code == 200
        except httpx2.TransportError:
            return False
