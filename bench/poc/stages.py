"""A real MLNode through alternating stages: what its processes' memory does, and how long switches take.

Serve a few requests, generate, validate, serve again, with a tiny model and the puzzle's smaller presets.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2

from mlnode.pow import PRESETS
from mlnode.sensors import resident_bytes
from mlnode.tiny import make_tiny_llama

ROOT = Path(__file__).resolve().parents[2]
MODEL = "evergrid/tiny"
REQUESTS, NONCES = 3, 64
WAIT_S = 120.0
MIB = 2**20
PROCESSES = ("service", "compute")


class Callbacks:
    """Takes what the node posts: how many nonces came, the last claims, and which verdicts."""

    def __init__(self) -> None:
        self.nonces = 0
        self.last: dict[str, Any] = {}
        self.verdicts: dict[str, str] = {}

    def take(self, path: str, body: dict[str, Any]) -> None:
        if path.endswith("/generated"):
            self.nonces, self.last = self.nonces + len(body["nonces"]), body
        else:
            self.verdicts[body["request_id"]] = body["verdict"]


@contextmanager
def receiver() -> Iterator[tuple[str, Callbacks]]:
    callbacks = Callbacks()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            callbacks.take(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", callbacks
    finally:
        server.shutdown()
        server.server_close()


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {WAIT_S:g} s")
        time.sleep(0.01)


class Node:
    """The service under test."""

    def __init__(self, client: httpx2.Client, pid: int, url: str, callbacks: Callbacks, preset: str) -> None:
        self.client, self.pid, self.url, self.callbacks = client, pid, url, callbacks
        self.params = PRESETS[preset].to_json()
        self.stage = 0

    def get(self, path: str) -> Any:
        return self.client.get(path).raise_for_status().json()

    def post(self, path: str, body: Any = None) -> Any:
        return self.client.post(path, json=body).raise_for_status().json()

    def is_ready(self) -> bool:
        try:
            return self.client.get("/health").status_code == 200
        except httpx2.TransportError:
            return False

    def serve(self) -> None:
        self.post("/api/v1/inference/up", {"model": MODEL, "additional_args": []})

    def answer(self) -> None:
        messages = [{"role": "user", "content": f"tell me about number {self.stage}"}]
        self.post("/v1/chat/completions", {"model": MODEL, "messages": messages, "max_tokens": 16})

    def generate(self) -> None:
        """A new stage, until its first nonces are at the callback."""
        self.stage += 1
        key = "02" + "11" * 32
        request = {"node_id": "node-1", "block_hash": f"{self.stage:064x}", "block_height": self.stage}
        request |= {"public_key": key, "params": self.params, "url": self.url}
        self.before = self.callbacks.nonces
        self.post("/api/v1/pow/init/generate", request)
        until(lambda: self.callbacks.nonces > self.before, "nonces")

    def validate(self) -> None:
        """Its own claims again, judged like anybody's."""
        until(lambda: self.callbacks.nonces >= self.before + NONCES, "nonces")
        self.post("/api/v1/pow/phase/validate")
        batch = {name: self.callbacks.last[name] for name in ("public_key", "block_hash", "block_height")}
        name = f"stage-{self.stage}"
        claims = {each: self.callbacks.last[each][:NONCES] for each in ("nonces", "dist")}
        self.post("/api/v1/pow/validate", batch | claims | {"node_id": "node-1", "request_id": name})
        until(lambda: name in self.callbacks.verdicts, "a verdict")
        if self.callbacks.verdicts.pop(name) != "honest":
            raise RuntimeError(f"the node's own claims of stage {self.stage} were not found honest")

    def stop(self) -> None:
        self.post("/api/v1/stop")

    def compute_pid(self) -> int:
        return int(self.get("/api/v1/state")["compute"]["pid"])

    def memory(self, compute_pid: int) -> tuple[int, int]:
        """Resident bytes of the service and of its compute process."""
        return resident_bytes(self.pid), resident_bytes(compute_pid)


@contextmanager
def node(preset: str = "tiny") -> Iterator[Node]:
    """A service with one torch thread, ended with what it started."""
    with tempfile.TemporaryDirectory() as folder, receiver() as (url, callbacks):
        make_tiny_llama(Path(folder) / MODEL.replace("/", "--"))
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        command = [sys.executable, "-m", "mlnode.service", "--port", str(port), "--threads", "1"]
        command += ["--models-dir", folder, "--device", "cpu", "--callback-interval-s", "0.1"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        base = f"http://127.0.0.1:{port}"
        try:
            with httpx2.Client(base_url=base, timeout=WAIT_S, trust_env=False) as client:
                found = Node(client, process.pid, url, callbacks, preset)
                until(found.is_ready, "the service")
                yield found
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def memory(minutes: float, preset: str = "tiny") -> dict[str, Any]:
    """Resident memory at the end of each round of stages: samples, and growth from a third of the time on.

    Growth is the median of the last quarter less the median of as many rounds after the warm-up, which
    is the first third: caches of kernels, of threads and of the allocator fill up in it.
    """
    samples: list[tuple[float, int, int]] = []
    with node(preset) as one:
        started, pid = time.monotonic(), one.compute_pid()
        while (now := time.monotonic() - started) < 60 * minutes or len(samples) < 8:
            one.serve()
            for _ in range(REQUESTS):
                one.answer()
            one.stop()
            one.generate()
            one.validate()
            one.stop()
            samples.append((round(now, 1), *one.memory(pid)))
        if one.compute_pid() != pid:
            raise RuntimeError("the compute process was replaced")
    count = max(2, len(samples) // 4)
    warm = samples[len(samples) // 3 :][:count]
    found: dict[str, Any] = {"minutes": minutes, "preset": preset, "rounds": len(samples)}
    for column, name in enumerate(PROCESSES, 1):
        early, late = (
            statistics.median(sample[column] for sample in part) / MIB for part in (warm, samples[-count:])
        )
        peak = max(sample[column] for sample in samples) / MIB
        found[name] = {"warm_mib": round(early, 1), "end_mib": round(late, 1)}
        found[name] |= {"growth_mib": round(late - early, 2), "peak_mib": round(peak, 1)}
    return found | {"samples": samples}


def switches(rounds: int = 5, preset: str = "small") -> dict[str, Any]:
    """Seconds of each switch between serving and Proof of Compute, as an API node waits for them."""
    steps: dict[str, list[float]] = {}

    def timed(name: str, act: Callable[[], None]) -> None:
        start = time.perf_counter()
        act()
        steps.setdefault(name, []).append(time.perf_counter() - start)

    with node(preset) as one:
        one.serve()
        for _ in range(rounds):
            one.answer()
            timed("serving to stopped", one.stop)
            timed("stopped to first nonces", one.generate)
            one.validate()
            timed("Proof of Compute to stopped", one.stop)
            timed("stopped to serving", one.serve)
    rows = [
        {"switch": name, "median_s": round(statistics.median(each), 3), "worst_s": round(max(each), 3)}
        for name, each in steps.items()
    ]
    return {"preset": preset, "rounds": rounds, "rows": rows}
