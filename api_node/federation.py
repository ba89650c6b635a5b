"""The metrics of all MLNodes in one answer, each series with its node_id: no node has to be reachable."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass

import httpx2
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from api_node.broker import Broker
from api_node.node_config import NodeConfig

CACHE_S = 10.0
TIMEOUT_S = 3.0
BYTES_MAX = 2 * 2**20
SERIES_MAX = 5000
PREFIX = "mlnode_"
GONE = (404, 405)


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one node said. `up` None: it is there and serves no metrics; then it has no series at all."""

    node_id: str
    up: bool | None
    families: tuple[Metric, ...] = ()
    problem: str = ""


def read_families(node_id: str, text: str) -> tuple[Metric, ...]:
    """A node's own series with its id; raises ValueError where it is no exposition, or too long."""
    found, series = [], 0
    for family in text_string_to_metric_families(text):
        series += len(family.samples)
        if series > SERIES_MAX:
            raise ValueError(f"more than {SERIES_MAX} series")
        if not family.name.startswith(PREFIX):
            continue
        own = Metric(family.name, family.documentation, family.type)
        # Who is scraped does not choose whose series they are.
        own.samples = [
            Sample(each.name, {**each.labels, "node_id": node_id}, each.value, each.timestamp)
            for each in family.samples
        ]
        found.append(own)
    return tuple(found)


def merged(scrapes: Iterable[Scrape]) -> list[Metric]:
    """One family a name, with the series of all nodes, and mlnode_up; the first node's type counts."""
    up = GaugeMetricFamily("mlnode_up", "1: the node's metrics came, 0: they did not", labels=["node_id"])
    families: dict[str, Metric] = {}
    for scrape in scrapes:
        if scrape.up is not None:
            up.add_metric([scrape.node_id], float(scrape.up))
        for family in scrape.families:
            known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            if known.type == family.type:
                known.samples += family.samples
    families.pop(up.name, None)
    return [up, *families.values()]


class _Merged(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


class Federation:
    """Asks all nodes at once, at most once in ten seconds, however many ask here."""

    def __init__(self, broker: Broker, cache_s: float = CACHE_S) -> None:
        self._broker = broker
        self._cache_s = cache_s
        self._lock = asyncio.Lock()
        self._text = b""
        self._until = 0.0

    async def render(self) -> bytes:
        """The exposition of all nodes."""
        async with self._lock:
            if time.monotonic() >= self._until:
                configs = [node.config for node in self._broker.nodes.values()]
                scrapes = await asyncio.gather(*(self._scrape(each) for each in configs))
                registry = CollectorRegistry()
                registry.register(_Merged(merged(scrapes)))
                self._text = generate_latest(registry)
                self._until = time.monotonic() + self._cache_s
            return self._text

    async def _scrape(self, node: NodeConfig) -> Scrape:
        url = f"{node.poc_url.removesuffix('/api/v1')}/metrics"
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status, body = await self._read(url)
            if status in GONE:
                return Scrape(node.id, None)
            if status != httpx2.codes.OK:
                return Scrape(node.id, up=False, problem=f"status {status}")
            return Scrape(node.id, up=True, families=read_families(node.id, body.decode()))
        except (httpx2.HTTPError, TimeoutError, ValueError) as error:
            return Scrape(node.id, up=False, problem=f"{type(error).__name__}: {error}")

    async def _read(self, url: str) -> tuple[int, bytes]:
        """Status and body; raises ValueError where the body is too large."""
        body = bytearray()
        async with self._broker.http.stream("GET", url) as reply:
            async for chunk in reply.aiter_bytes():
                body += chunk
                if len(body) > BYTES_MAX:
                    raise ValueError(f"more than {BYTES_MAX} bytes")
            return reply.status_code, bytes(body)
