"""What a scrape shows of the ABCI server."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from abci_app.node.metrics import Exporter, Metrics
from bench.kvstore import KeyValueStore
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.node.client import Client, running


def test_requests_are_counted_by_method_and_connections_while_they_are_open(tmp_path: Path) -> None:
    metrics = Metrics()
    value = metrics.registry.get_sample_value

    with running(KeyValueStore(), tmp_path, metrics=metrics) as server, Client(server.address) as client:
        for _ in range(3):
            client.ask(check_tx=abci.RequestCheckTx(tx=b"k=v"))
        connections = value("evergrid_abci_connections")

    assert connections == 1
    assert value("evergrid_abci_connections") == 0
    assert value("evergrid_abci_duration_seconds_count", {"method": "check_tx"}) == 3
    assert value("evergrid_abci_duration_seconds_count", {"method": "commit"}) == 0


def test_the_exporter_serves_the_registry_until_it_is_stopped() -> None:
    metrics = Metrics()
    metrics.block_height.set(42)
    exporter = Exporter(metrics, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{exporter.port}/metrics"

    with urllib.request.urlopen(url, timeout=10) as reply:
        text = reply.read().decode()
    exporter.stop()

    assert "evergrid_block_height 42.0" in text
    assert "evergrid_build_info{" in text
    assert "process_resident_memory_bytes" in text
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=10)


def test_two_nodes_in_one_process_count_apart() -> None:
    one, two = Metrics(), Metrics()

    one.block_height.set(1)

    assert two.registry.get_sample_value("evergrid_block_height") == 0
