"""Epochs under constant load: no request is lost where stages change, nor where a process dies."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from cli.localnet_ports import base_port_free
from cli.localnet_run import height_of
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from tests.localnet.commands import evergrid, output_of
from tests.localnet.load import Asked, Load
from tests.localnet.network import Net

pytestmark = [pytest.mark.localnet, pytest.mark.xdist_group("localnet"), pytest.mark.timeout(600)]

VALIDATORS, NODES, EPOCHS = 2, 4, 3
EPOCHS_WAIT_S = 300.0
# Long enough for a block.
BLOCKS_S = 2.5


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    """Two participants, each with a chain node, an API node and two MLNodes."""
    home = tmp_path_factory.mktemp("load") / "net"
    shown = output_of(
        *("localnet", "up", "--home", home, "--base-port", base_port_free(80, 20_000, 26_000)),
        *("--validators", VALIDATORS, "--mlnodes", NODES, "--json"),
    )
    net = Net(home, shown)
    # In the first PoC of a chain nobody is drawn to serve on.
    net.until("a first group with weight", lambda: epoch(net) >= 1, EPOCHS_WAIT_S)
    yield net
    evergrid("localnet", "down", "--home", home)


def state(net: Net) -> epochs_pb2.QueryEpochInfoResponse:
    return net.query(epochs_pb2.QueryEpochInfoRequest(), epochs_pb2.QueryEpochInfoResponse)


def epoch(net: Net) -> int:
    return int(state(net).state.epoch_effective)


def is_well(net: Net) -> bool:
    """Whether both chains go on and each node does what it should."""
    before = [height_of(each["rpc"]) for each in net.shown["validators"]]
    if not all(before) or not all(map(net.is_up, range(VALIDATORS))):
        return False
    states = [state for who in range(VALIDATORS) for state in net.status(who)["nodes"].values()]
    time.sleep(BLOCKS_S)
    after = [height_of(each["rpc"]) for each in net.shown["validators"]]
    there = all(state["current_status"] == state["intended_status"] for state in states)
    return there and all(now > then for then, now in zip(before, after, strict=True))


def told(asked: list[Asked]) -> str:
    """Failures with their number and heights, for whoever reads why a test failed."""
    found: dict[tuple[str, str], list[int]] = {}
    for each in asked:
        found.setdefault((f"api-{each.api + 1} {each.model}", each.wrong), []).append(each.height)
    return "\n".join(
        f"{who}: {len(at)} from height {min(at)} to {max(at)}: {wrong}" for (who, wrong), at in found.items()
    )


def test_no_request_fails_through_three_epochs(net: Net) -> None:
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


def test_no_client_is_left_alone_while_processes_are_killed_at_random(net: Net) -> None:
    draw = random.Random(7)
    victims = ["api-1", "node-3", "chain-2", "api-2", "node-2", "chain-1"]
    draw.shuffle(victims)
    first = epoch(net)

    with Load(net.shown["apis"], net.shown["models"], lambda: net.height, fail_over=True) as load:
        for victim in victims:
            time.sleep(draw.uniform(1, 8))
            names = [victim, victim.replace("chain", "cometbft")] if "chain" in victim else [victim]
            for name in names:
                net.kill(name)
            time.sleep(draw.uniform(1, 3))
            for name in names:
                net.start(name)
            net.until(f"everybody after the death of {victim}", lambda: is_well(net), 90)
        net.until("two epochs", lambda: epoch(net) >= first + 2, EPOCHS_WAIT_S)

    assert len(load.asked) > 200
    assert not load.failed, told(load.failed)
