"""Whole API nodes on the real application: files, sockets, fake MLNodes, one block after another."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from google.protobuf.message import Message

from api_node.main import ApiNode, create, serve
from api_node.settings import Settings
from client.keyring import Keyring
from tests.api_node.comet import Comet
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.serving import served
from tests.chain import key_of, validator_key_of, validator_of

R = TypeVar("R", bound=Message)

API_KEY = "sk-test"


@dataclass
class Running:
    """One API node at work."""

    name: str
    node: ApiNode
    stop: asyncio.Event
    task: asyncio.Task[int]
    settings: Settings
    http: httpx2.AsyncClient = field(default_factory=lambda: httpx2.AsyncClient(trust_env=False, timeout=20))

    def url(self, server: int = 0) -> str:
        """Of the public, callback, admin or metrics server."""
        return f"http://127.0.0.1:{self.node.servers[server][1].getsockname()[1]}"

    async def chat(self, model: str, /, **fields: Any) -> httpx2.Response:
        """One chat request with the API key."""
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
        return await self.http.post(
            f"{self.url()}/v1/chat/completions",
            json=body | fields,
            headers={"Authorization": f"Bearer {API_KEY}"},
        )

    async def get(self, path: str) -> Any:
        """The JSON of a public path that has to answer."""
        reply = await self.http.get(f"{self.url()}/v1/{path}")
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def end(self) -> int:
        """An orderly end; the exit code."""
        self.stop.set()
        code = await asyncio.wait_for(self.task, 20)
        await self.http.aclose()
        return code


def write_files(home: Path, name: str, nodes: dict[str, tuple[str, str]]) -> Settings:
    """An operator's files: `nodes` are (URL, model) by id."""
    home.mkdir(parents=True, exist_ok=True)
    ring = Keyring(home)
    if not ring.list():
        ring.add("participant", key_of(name))
    keys = {"pub_key": validator_key_of(name), "priv_key": validator_of(name) + validator_key_of(name)}
    (home / "priv_validator_key.json").write_text(
        json.dumps({k: {"value": base64.b64encode(v).decode()} for k, v in keys.items()})
    )
    entries = []
    for node_id, (url, model) in nodes.items():
        port = int(url.rpartition(":")[2])
        ports = {"host": "127.0.0.1", "inference_port": port, "poc_port": port, "max_concurrent": 4}
        entries.append({"id": node_id, "models": {model: {"args": []}}} | ports)
    (home / "node-config.json").write_text(json.dumps(entries))
    (home / "api-keys.txt").write_text(API_KEY + "\n")
    return Settings(
        home=home,
        node_config=home / "node-config.json",
        validator_key_file=home / "priv_validator_key.json",
        api_keys_file=home / "api-keys.txt",
        allow_private_peers=True,
        public_port=0,
        callback_port=0,
        admin_port=0,
        metrics_port=0,
        shutdown_grace_s=2,
    )


@contextlib.asynccontextmanager
async def api_node(
    comet_url: str, home: Path, name: str, nodes: dict[str, tuple[str, str]], **changes: Any
) -> AsyncIterator[Running]:
    """An API node of a participant, started and ended in order."""
    settings = write_files(home, name, nodes).model_copy(update={"rpc_url": comet_url} | changes)
    node, stop = create(settings), asyncio.Event()
    running = Running(name, node, stop, asyncio.create_task(serve(node, stop)), settings)
    try:
        yield running
    finally:
        if not running.task.done():
            await running.end()


@contextlib.asynccontextmanager
async def fleet(nodes: dict[str, FakeMLNode]) -> AsyncIterator[dict[str, str]]:
    """Fake MLNodes; their URLs by id."""
    async with contextlib.AsyncExitStack() as stack:
        yield {
            node_id: await stack.enter_async_context(served(node.app())) for node_id, node in nodes.items()
        }


async def run_to(comet: Comet, height: int, running: Sequence[Running], block_s: float = 0.2) -> None:
    """Blocks up to a height; API nodes on a slow machine get the time that blocks of one second give."""
    while comet.chain.height < height:
        await asyncio.sleep(block_s)
        end = time.monotonic() + 1
        while time.monotonic() < end and not all(_is_idle(comet, each) for each in running):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await comet.block()


def _is_idle(comet: Comet, running: Running) -> bool:
    """Whether nothing is left to do before the next block."""
    if running.task.done():
        return True
    orchestrator, view = running.node.orchestrator, running.node.orchestrator.view
    if view is None or view.height < comet.chain.height or running.node.outbox.pending():
        return False
    at = view.heights
    if at and at.end <= view.height < at.batches_end and orchestrator.collector.held_back():
        return False
    validation = orchestrator.validator._round
    if validation is not None and view.upcoming is not None and not validation.complete.is_set():
        return False
    return all(node.worker.reached.is_set() for node in running.node.broker.nodes.values())
