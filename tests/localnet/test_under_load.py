"""Epochs under constant load: no request is lost where stages change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from cli.localnet_ports import base_port_free
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from tests.localnet.commands import evergrid, output_of
from tests.localnet.load import Asked, Load
from tests.localnet.network import Net

pytestmark = [pytest.mark.localnet, pytest.mark.xdist_group("localnet"), pytest.mark.timeout(600)]

VALIDATORS, NODES, EPOCHS = 2, 4, 3
EPOCHS_WAIT_S = 300.0


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    """Two participants, each with a chain node, an API node and two MLNodes."""
    home = tmp_path_factory.mktemp("load") / "net"
    shown = output_of(
        *("localnet", "up", "--home", home, "--base-port", base_port_free(80, 20_000, 26_000)),
        *("--validators", VALIDATORS, "--mlnodes", NODES, "--json"),
    )
    yield Net(home, shown)
    evergrid("localnet", "down", "--home", home)


def state(net: Net) -> epochs_pb2.QueryEpochInfoResponse:
    return net.query(epochs_pb2.QueryEpochInfoRequest(), epochs_pb2.QueryEpochInfoResponse)


def epoch(net: Net) -> int:
    return int(state(net).state.epoch_effective)


def told(asked: list[Asked]) -> str:
    """Failures with their number and heights, for whoever reads why a test failed."""
    found: dict[tuple[str, str], list[int]] = {}
    for each in asked:
        found.setdefault((f"api-{each.api + 1} {each.model}", each.wrong), []).append(each.height)
    return "\n".join(
        f"{who}: {len(at)} from height {min(at)} to {max(at)}: {wrong}" for (who, wrong), at in found.items()
    )


def test_no_request_fails_through_three_epochs(net: Net) -> None:
    net.until("a first group with weight", lambda: epoch(net) >= 1, EPOCHS_WAIT_S)
    first = epoch(net)

    with Load(net.shown["apis"], net.shown["models"], lambda: net.height) as load:
        net.until("three epochs", lambda: epoch(net) >= first + EPOCHS, EPOCHS_WAIT_S)

    kinds = Counter((each.api, each.model, each.stream) for each in load.asked)
    assert len(kinds) == VALIDATORS * len(net.shown["models"]) * 2
    assert min(kinds.values()) > 50
    assert not load.failed, told(load.failed)


def test_each_node_mined_and_served_in_those_epochs(net: Net) -> None:
    seen: dict[str, set[int]] = {}
    for index in range(1, epoch(net) + 1):
        for model in net.shown["models"]:
            request = epochs_pb2.QueryEpochGroupDataRequest(epoch_index=index, model_id=model)
            group: Any = net.query(request, epochs_pb2.QueryEpochGroupDataResponse)
            for member in group.epoch_group_data.validation_weights:
                for node in member.ml_nodes:
                    seen.setdefault(node.node_id, set()).add(node.poc_weight)

    assert set(seen) == set(net.mlnode_urls)
    assert all(all(weights) for weights in seen.values()), seen
