"""The metrics of all MLNodes at one place: whose they are, who is missing, what is too much."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Response
from prometheus_client.parser import text_string_to_metric_families

from api_node import federation
from api_node.federation import Federation, Scrape, merged, read_families
from api_node.node_config import NodeConfig
from mlnode.metrics import Metrics
from mlnode.sensors import Sensors
from tests.api_node.serving import served

pytestmark = pytest.mark.anyio


@dataclass
class Scraped:
    """Something that answers /metrics."""

    text: str = ""
    status: int = 200
    wait_s: float = 0.0
    asked: int = 0

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/metrics")
        async def metrics() -> Response:
            self.asked += 1
            await asyncio.sleep(self.wait_s)
            return Response(self.text, self.status)

        return app


@dataclass
class Nodes:
    """As much of a broker as federation looks at."""

    http: Any
    nodes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Configured:
    config: NodeConfig


@contextlib.asynccontextmanager
async def federated(cache_s: float = 10.0, **nodes: Scraped) -> AsyncIterator[Federation]:
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient(trust_env=False))
        broker = Nodes(http)
        for node_id, node in nodes.items():
            url = await stack.enter_async_context(served(node.app()))
            port = int(url.rpartition(":")[2])
            places = {"host": "127.0.0.1", "inference_port": port, "poc_port": port}
            broker.nodes[node_id] = Configured(
                NodeConfig.model_validate({"id": node_id, "models": {"m": {}}} | places)
            )
        yield Federation(broker, cache_s)  # type: ignore[arg-type]


def samples(text: bytes) -> dict[tuple[str, str], list[float]]:
    """Values by name and node."""
    found: dict[tuple[str, str], list[float]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for each in family.samples:
            found.setdefault((each.name, each.labels["node_id"]), []).append(each.value)
    return found


async def test_series_of_every_node_carry_its_id_and_those_of_the_process_stay_there(tmp_path: Any) -> None:
    real = Metrics(Sensors(tmp_path))
    async with federated(n1=Scraped(real.render().decode()), n2=Scraped(real.render().decode())) as all_nodes:
        text = await all_nodes.render()

    found = samples(text)
    assert found["mlnode_up", "n1"] == found["mlnode_up", "n2"] == [1.0]
    assert ("mlnode_metrics_schema_info", "n2") in found
    assert all(name.startswith("mlnode_") for name, _ in found)
    assert text.count(b"# TYPE mlnode_state gauge") == 1


async def test_a_node_that_fails_is_0_one_that_is_silent_is_0_and_one_without_metrics_is_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(federation, "TIMEOUT_S", 0.2)
    async with federated(
        ok=Scraped("mlnode_x 1\n"),
        failing=Scraped(status=500),
        silent=Scraped(wait_s=1.0),
        odd=Scraped("mlnode_x{ 1"),
        off=Scraped(status=404),
    ) as all_nodes:
        found = samples(await all_nodes.render())

    ups = {node_id: values for (name, node_id), values in found.items() if name == "mlnode_up"}
    assert ups == {"ok": [1.0], "failing": [0.0], "silent": [0.0], "odd": [0.0]}
    assert found["mlnode_x", "ok"] == [1.0]


async def test_a_node_with_too_much_to_say_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(federation, "BYTES_MAX", 1000)
    monkeypatch.setattr(federation, "SERIES_MAX", 3)
    many = "".join(f'mlnode_x{{i="{each}"}} 1\n' for each in range(4))
    async with federated(large=Scraped("#" * 2000), many=Scraped(many), ok=Scraped("mlnode_x 1\n")) as nodes:
        found = samples(await nodes.render())

    assert {key: value for key, value in found.items() if key[0] == "mlnode_up"} == {
        ("mlnode_up", "large"): [0.0],
        ("mlnode_up", "many"): [0.0],
        ("mlnode_up", "ok"): [1.0],
    }


async def test_nodes_are_asked_once_however_many_ask_here() -> None:
    node = Scraped("mlnode_x 1\n", wait_s=0.1)
    async with federated(n1=node) as all_nodes:
        first = await asyncio.gather(*(all_nodes.render() for _ in range(5)))
    again = Scraped("mlnode_x 1\n")
    async with federated(cache_s=0.0, n1=again) as fresh:
        await fresh.render()
        await fresh.render()

    assert (node.asked, len(set(first)), again.asked) == (1, 1, 2)


def test_a_node_cannot_speak_in_anothers_name_nor_say_that_it_is_up() -> None:
    text = 'mlnode_x{node_id="n2"} 5\nmlnode_up{node_id="n2"} 0\n'

    families = merged([Scrape("n1", up=True, families=read_families("n1", text))])

    found = [(each.name, each.labels["node_id"], each.value) for one in families for each in one.samples]
    assert found == [("mlnode_up", "n1", 1.0), ("mlnode_x", "n1", 5.0)]
