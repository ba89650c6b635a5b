"""Inference as a client sees it: tokens per second and time to first token, by requests at once.

`make bench-inference`, or `python -m bench.inference [--model FOLDER] [--concurrent 1 8 64] [--json PATH]`.
It starts a node of its own as operators do, and asks it over HTTP in streams; each client asks again when it
was answered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
from rich.console import Console
from rich.table import Table

from bench.__main__ import ROOT, machine

MODEL: Final = ROOT / ".cache" / "models" / "SmolLM2-135M-Instruct"
JSON_DEFAULT: Final = ROOT / ".cache" / "bench-inference.json"
# Fewer would say nothing of how long the slowest waits.
REQUESTS_MIN: Final = 12
START_TIMEOUT_S: Final = 120.0
ANSWER_TIMEOUT_S: Final = 600.0
# About 60 tokens with the chat template; no two prompts are equal, so nothing could be kept between them.
PROMPT: Final = (
    "Write a long story about lighthouse number {}. Tell of its keeper, of the ships and of the storm."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one client saw of one answer."""

    first_token_s: float
    whole_s: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Row:
    """One number of requests at once."""

    concurrent: int
    requests: int
    tokens: int
    seconds: float
    tokens_per_s: float
    first_token_p50_s: float
    first_token_p99_s: float
    whole_p50_s: float


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least this share of them does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-round(share * 100) * len(ordered) // 100) - 1)]


@contextmanager
def running_node(folder: Path, flags: Sequence[str]) -> Iterator[str]:
    """The URL of a node of its own that serves the model `bench`; it ends with the block."""
    with tempfile.TemporaryDirectory() as place, socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        sock.close()
        model_map = Path(place) / "map.json"
        model_map.write_text(json.dumps({"bench": str(folder.resolve())}))
        words = ["-m", "mlnode.service", "--port", str(port), "--model-map", str(model_map), *flags]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        log = Path(place) / "log"
        with log.open("wb") as lines:
            process = subprocess.Popen(
                [sys.executable, *words], cwd=ROOT, env=environment, stdout=lines, stderr=lines
            )
            try:
                wait_ready(process, f"http://127.0.0.1:{port}", log)
                yield f"http://127.0.0.1:{port}"
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(30)


def wait_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Until the node is ready; RuntimeError with its last lines where it ends or stays silent."""
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx2.get(f"{url}/health", timeout=5, trust_env=False).is_success:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"the MLNode is not ready: {log.read_text(errors='replace')[-2000:]}")


async def ask(client: httpx2.AsyncClient, number: int, tokens: int) -> Answer:
    """One streamed answer; RuntimeError with what the node says where there is none."""
    body = {
        "model": "bench",
        "messages": [{"role": "user", "content": PROMPT.format(number)}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    started, first, count = time.perf_counter(), 0.0, 0
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        if not response.is_success:
            raise RuntimeError(f"status {response.status_code}: {(await response.aread())[:500]!r}")
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            event = json.loads(line.removeprefix("data: "))
            if "error" in event:
                raise RuntimeError(str(event["error"]))
            if not first and any(each["delta"].get("content") for each in event["choices"]):
                first = time.perf_counter() - started
            count = (event.get("usage") or {}).get("completion_tokens", count)
    return Answer(first, time.perf_counter() - started, count)


async def measure(url: str, concurrent: int, requests: int, tokens: int) -> Row:
    """As many clients as `concurrent`, which share `requests` questions between them."""
    numbers = iter(range(requests))
    answers: list[Answer] = []
    limits = httpx2.Limits(max_connections=concurrent)
    async with httpx2.AsyncClient(
        base_url=url, timeout=ANSWER_TIMEOUT_S, limits=limits, trust_env=False
    ) as client:

        async def ask_again() -> None:
            answers.extend([await ask(client, number, tokens) for number in numbers])

        started = time.perf_counter()
        await asyncio.gather(*(ask_again() for _ in range(concurrent)))
        seconds = time.perf_counter() - started
    total = sum(answer.tokens for answer in answers)
    firsts = [answer.first_token_s for answer in answers]
    return Row(
        concurrent=concurrent,
        requests=len(answers),
        tokens=total,
        seconds=round(seconds, 3),
        tokens_per_s=round(total / seconds, 2),
        first_token_p50_s=round(percentile(firsts, 0.5), 4),
        first_token_p99_s=round(percentile(firsts, 0.99), 4),
        whole_p50_s=round(statistics.median(answer.whole_s for answer in answers), 4),
    )


def run(
    folder: Path, counts: Sequence[int], tokens: int, rounds: int, flags: Sequence[str]
) -> dict[str, Any]:
    """Everything: the facts, the seconds of the load and of taking the model down, a row for each count."""
    facts = machine()
    with running_node(folder, flags) as url:
        up_s = timed(url, "/api/v1/inference/up", {"model": "bench"})
        asyncio.run(measure(url, 1, 1, 2))
        rows = [
            asyncio.run(measure(url, count, max(REQUESTS_MIN, count * rounds), tokens)) for count in counts
        ]
        down_s = timed(url, "/api/v1/inference/down", None)
    return {
        "machine": facts,
        "model": folder.name,
        "flags": list(flags),
        "tokens_max": tokens,
        "up_s": round(up_s, 3),
        "down_s": round(down_s, 3),
        "rows": [asdict(row) for row in rows],
    }


def timed(url: str, path: str, body: Any) -> float:
    """Seconds until the node has done it."""
    started = time.perf_counter()
    httpx2.post(url + path, json=body, timeout=ANSWER_TIMEOUT_S, trust_env=False).raise_for_status()
    return time.perf_counter() - started


def table(results: dict[str, Any]) -> Table:
    """A line for each number of requests at once."""
    columns = ("at once", "requests", "tokens/s", "first token p50, s", "p99, s", "whole answer p50, s")
    out = Table(*columns, title=f"{results['model']}, at most {results['tokens_max']} new tokens")
    for column in out.columns:
        column.justify = "right"
    names = (
        "concurrent",
        "requests",
        "tokens_per_s",
        "first_token_p50_s",
        "first_token_p99_s",
        "whole_p50_s",
    )
    for row in results["rows"]:
        out.add_row(*(f"{row[name]:,}" for name in names))
    return out


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.inference", description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL, help="a folder of safetensors")
    parser.add_argument("--concurrent", type=int, nargs="+", default=[1, 8, 64], help="requests at once")
    parser.add_argument("--tokens", type=int, default=16, help="new tokens of each answer, at most")
    parser.add_argument("--rounds", type=int, default=3, help="answers for each client")
    parser.add_argument("--json", type=Path, default=JSON_DEFAULT, help="where all figures go")
    parser.add_argument("--flags", nargs=argparse.REMAINDER, default=[], help="the rest is for the node")
    options = parser.parse_args(argv)
    results = run(options.model, options.concurrent, options.tokens, options.rounds, options.flags)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=2) + "\n")
    facts = results["machine"]
    print(f"{facts['cores']} cores ({facts['cpu']}), load {facts['load_before']}; up in {results['up_s']} s")
    Console(width=100 if not sys.stdout.isatty() else None).print(table(results))
    print(f"all figures: {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
