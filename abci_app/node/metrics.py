"""What the node tells Prometheus about its ABCI server; the application adds its own to the same registry."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib import metadata
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    start_http_server,
)

from protocol.gen.tendermint.abci import types_pb2 as abci

# A CheckTx takes some 70 microseconds, a full block seconds.
DURATION_BUCKETS_SECONDS: Final = (
    0.0001,
    0.00025,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    1,
    2.5,
    10,
)
METHODS: Final = tuple(field.name for field in abci.Request.DESCRIPTOR.fields)


def product_version() -> str:
    """The installed version, or 0.0.0 when the code runs uninstalled."""
    try:
        return metadata.version("evergrid")
    except metadata.PackageNotFoundError:
        return "0.0.0"


class Metrics:
    """The node's metrics in a registry of their own, so that two nodes may live in one process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        info = Gauge(
            "evergrid_build_info",
            "Always 1; the labels tell what runs.",
            ["version", "python", "protocol"],
            registry=self.registry,
        )
        info.labels(product_version(), platform.python_version(), "1").set(1)
        self.block_height = Gauge(
            "evergrid_block_height", "Height of the last committed block.", registry=self.registry
        )
        self.connections = Gauge(
            "evergrid_abci_connections", "Open connections of CometBFT.", registry=self.registry
        )
        self.frames_malformed = Counter(
            "evergrid_abci_frames_malformed_total",
            "Frames that were no request; each ended its connection.",
            registry=self.registry,
        )
        durations = Histogram(
            "evergrid_abci_duration_seconds",
            "Time from a request's frame to its answer, by method; _count is the number of requests.",
            ["method"],
            buckets=DURATION_BUCKETS_SECONDS,
            registry=self.registry,
        )
        errors = Counter(
            "evergrid_abci_errors_total",
            "Exceptions that the application let out, by method.",
            ["method"],
            registry=self.registry,
        )
        # Looked up once, since a look-up by label costs more than the measurement.
        self.observe: dict[str, Callable[[float], None]] = {m: durations.labels(m).observe for m in METHODS}
        self.errors: dict[str, Counter] = {m: errors.labels(m) for m in METHODS}


class Exporter:
    """Serves `/metrics` on its own thread. Port 0 takes a free one; raises OSError if the port is taken."""

    def __init__(self, metrics: Metrics, host: str, port: int) -> None:
        self._server, self._thread = start_http_server(port, addr=host, registry=metrics.registry)
        self.port = int(self._server.server_address[1])

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
