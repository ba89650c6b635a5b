"""What the API node adds to a request: latency and requests per second through it and at the MLNode itself.

Once with a stand-in for the MLNode that answers at once, so that nothing but the way is measured, and once
with a real MLNode and a tiny random model; the chain is the real application behind CometBFT's RPC, with a
block each second. Each is a process of its own. Both ways are timed in turns, and medians are reported.
`python -m bench.gateway [--quick]`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from abci_app.modules.epochs.profiles import default_params
from tests.api_node.comet import Comet
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.network import API_KEY, api_node
from tests.api_node.serving import served
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state

MODEL = "org/x"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
CONCURRENCY = 4  # as many as the node takes at once
START_S = 30.0


@contextlib.contextmanager
def real_mlnode() -> Iterator[str]:
    """The URL of an MLNode that serves a tiny random model."""
    from mlnode.tiny import make_tiny_llama  # noqa: PLC0415 - brings torch

    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as probe:
        make_tiny_llama(Path(folder) / MODEL.replace("/", "--"))
        port = probe.getsockname()[1]
        probe.close()
        words = ("--port", str(port), "--threads", "1", "--models-dir", folder)
        process = subprocess.Popen([sys.executable, "-m", "mlnode.service", *words])
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(START_S)


async def ready(url: str) -> None:
    """Until the MLNode's compute process runs; raises TimeoutError."""
    async with asyncio.timeout(START_S), httpx2.AsyncClient(trust_env=False) as client:
        while True:
            with contextlib.suppress(httpx2.HTTPError):
                if (await client.get(f"{url}/health")).status_code == httpx2.codes.OK:
                    return
            await asyncio.sleep(0.1)


async def play(part: str, rpc: str, mlnode: str) -> None:
    """One of the three processes; says its URL and runs until its input ends."""
    over = asyncio.to_thread(sys.stdin.read)
    if part == "real":
        with real_mlnode() as url:
            await ready(url)
            print(url, flush=True)
            await over
    elif part == "mlnode":
        async with served(FakeMLNode(model=MODEL).app()) as url:
            print(url, flush=True)
            await over
    elif part == "chain":
        genesis = [GenesisParticipant("alice", nodes=(GenesisNode("n1", (MODEL,), 100),))]
        params = default_params("local")
        # No PoC while it is measured: the node's time is the requests'.
        params.epoch.first_poc_height = 100_000
        comet = Comet(Chain(app_state(genesis, [a_model(MODEL)], params)))
        comet.chain.run_to(1)
        async with served(comet.app()) as url:
            print(url, flush=True)
            blocks = asyncio.create_task(comet.run(1.0))
            await over
            blocks.cancel()
    else:
        with tempfile.TemporaryDirectory() as home:
            nodes = {"n1": (mlnode, MODEL)}
            async with api_node(rpc, Path(home), "alice", nodes, requests_per_key_per_s=0) as running:
                print(running.url(), flush=True)
                await over


class Process:
    """A process of `play`, with the URL that it said."""

    def __init__(self, part: str, rpc: str = "", mlnode: str = "") -> None:
        command = [sys.executable, "-m", "bench.gateway", "--part", part, "--rpc", rpc, "--mlnode", mlnode]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        # Logs go to the same place.
        self.url = next(line.strip() for line in self.process.stdout if line.startswith("http"))
        # A pipe that nobody empties would stop the process that logs into it.
        self._drain = threading.Thread(target=self.process.stdout.read, daemon=True)
        self._drain.start()

    def end(self) -> None:
        """Lets it end in order."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(START_S)


async def latencies(client: httpx2.AsyncClient, url: str, count: int) -> list[float]:
    """Seconds of each of so many requests, one after another."""
    found = []
    for _ in range(count):
        started = time.perf_counter()
        reply = await client.post(f"{url}/v1/chat/completions", json=BODY)
        found.append(time.perf_counter() - started)
        reply.raise_for_status()
    return found


async def rate(client: httpx2.AsyncClient, url: str, count: int) -> float:
    """Requests per second, `CONCURRENCY` at once."""
    started = time.perf_counter()
    await asyncio.gather(*(latencies(client, url, count // CONCURRENCY) for _ in range(CONCURRENCY)))
    return count // CONCURRENCY * CONCURRENCY / (time.perf_counter() - started)


async def measure(direct: str, gateway: str, rounds: int, count: int) -> dict[str, Any]:
    """Both ways in turns."""
    one: dict[str, list[float]] = {direct: [], gateway: []}
    rates: dict[str, list[float]] = {direct: [], gateway: []}
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as client:
        end = time.monotonic() + START_S
        while (await client.post(f"{gateway}/v1/chat/completions", json=BODY)).status_code != httpx2.codes.OK:
            if time.monotonic() > end:
                raise TimeoutError(f"the API node served nothing within {START_S:g} s")
            await asyncio.sleep(0.2)
        for url in (direct, gateway):
            await latencies(client, url, 20)
        for _ in range(rounds):
            for url in (direct, gateway):
                one[url] += await latencies(client, url, count)
                rates[url].append(await rate(client, url, 2 * count))
    p50 = {url: statistics.median(found) * 1000 for url, found in one.items()}
    per_s = {url: statistics.median(found) for url, found in rates.items()}
    return {
        "p50_ms_direct": round(p50[direct], 3),
        "p50_ms_gateway": round(p50[gateway], 3),
        "p50_ms_added": round(p50[gateway] - p50[direct], 3),
        "requests_per_s_direct": round(per_s[direct], 1),
        "requests_per_s_gateway": round(per_s[gateway], 1),
        "requests_per_s_ratio": round(per_s[gateway] / per_s[direct], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test, in which no figure means much")
    parser.add_argument("--part", default="", help=argparse.SUPPRESS)
    parser.add_argument("--rpc", default="", help=argparse.SUPPRESS)
    parser.add_argument("--mlnode", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        asyncio.run(play(options.part, options.rpc, options.mlnode))
        return
    rounds, count = (1, 40) if options.quick else (5, 200)
    found = {part: run(part, rounds, count) for part in ("mlnode", "real")}
    print(
        json.dumps(
            {"bench": "gateway", "concurrency": CONCURRENCY, **found["mlnode"], "real": found["real"]},
            indent=2,
        )
    )


def run(mlnode: str, rounds: int, count: int) -> dict[str, Any]:
    """The figures with one kind of MLNode."""
    processes = [Process(mlnode), Process("chain")]
    try:
        node, chain = processes
        processes.append(Process("api_node", chain.url, node.url))
        return asyncio.run(measure(node.url, processes[2].url, rounds, count))
    finally:
        for process in reversed(processes):
            process.end()


if __name__ == "__main__":
    main()
