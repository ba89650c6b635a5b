"""Announced downtime: nodes drain before it, are left alone in it, come back after it; others avoid them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from abci_app.modules.epochs.profiles import default_params
from api_node.broker import Node
from api_node.intents import Intent, NodeStatus
from api_node.maintenance import drain_blocks, routable
from api_node.phases import handle_phase_transitions
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.maintenance.v1.maintenance_pb2 import MaintenanceWindow
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from tests.api_node.comet import Comet
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.network import Running, api_node, fleet
from tests.api_node.serving import served, wait_for
from tests.api_node.test_node_worker import SERVE, working
from tests.api_node.views import ALICE, BOB, Placed, X, facts, view_at
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state
from tests.mlnode.service_harness import free_port

pytestmark = pytest.mark.anyio

SERVES = Placed("n1", X, poc_slot=True)
# Behind V = 25 and before S - 1 = 39; the local profile drains for two blocks.
FIRST, LAST, DRAIN = 32, 35, 2


def window(node_id: str = "n1", participant: str = ALICE, first: int = FIRST) -> MaintenanceWindow:
    return MaintenanceWindow(participant=participant, node_id=node_id, height_from=first, height_to=LAST)


def intent_at(height: int, *windows: MaintenanceWindow, in_flight: int = 0, node_id: str = "n1") -> Intent:
    """The node's intent when the next block is at a height."""
    view = replace(view_at(height - 1, [SERVES, Placed("n2", X)]), windows=windows)
    nodes = [replace(each, in_flight=in_flight) for each in facts("n1", "n2")]
    return handle_phase_transitions(view, nodes, frozenset()).intents[node_id]


# what is decided


@pytest.mark.parametrize(
    ("height_next", "status", "reason", "deadline"),
    [
        (FIRST - DRAIN - 1, NodeStatus.INFERENCE, reasons_pb2.REASON_UNSPECIFIED, 0),
        (FIRST - DRAIN, NodeStatus.INFERENCE, reasons_pb2.REASON_DRAINING, FIRST),
        (FIRST - 1, NodeStatus.INFERENCE, reasons_pb2.REASON_DRAINING, FIRST),
        (FIRST, NodeStatus.MAINTENANCE, reasons_pb2.REASON_MAINTENANCE, LAST),
        (LAST, NodeStatus.MAINTENANCE, reasons_pb2.REASON_MAINTENANCE, LAST),
        (LAST + 1, NodeStatus.INFERENCE, reasons_pb2.REASON_UNSPECIFIED, 0),
    ],
)
def test_a_node_drains_before_its_window_is_left_alone_in_it_and_serves_again_after_it(
    height_next: int, status: NodeStatus, reason: reasons_pb2.Reason, deadline: int
) -> None:
    for announced in (window(), window(node_id="")):
        intent = intent_at(height_next, announced)

        assert (intent.status, intent.reason, intent.height_deadline) == (status, reason, deadline)
        assert intent.admits == (reason == reasons_pb2.REASON_UNSPECIFIED)


def test_the_other_node_of_a_participant_goes_on_serving() -> None:
    assert intent_at(FIRST, window(), node_id="n2").admits
    assert drain_blocks(view_at(FIRST, [SERVES]).params) == DRAIN


def test_requests_that_run_into_the_window_may_finish_until_the_drains_deadline() -> None:
    running = [intent_at(FIRST + ahead, window(), in_flight=1) for ahead in range(DRAIN + 1)]

    assert [intent.status for intent in running] == [
        *[NodeStatus.INFERENCE] * DRAIN,
        NodeStatus.MAINTENANCE,
    ]
    assert not any(intent.admits for intent in running)
    assert running[0].height_deadline == FIRST + DRAIN


def test_a_window_that_lies_within_a_poc_after_all_stops_the_mining() -> None:
    within = MaintenanceWindow(participant=ALICE, node_id="n2", height_from=38, height_to=50)

    before, mining = intent_at(42, node_id="n2"), intent_at(42, within, node_id="n2")

    assert before.status == NodeStatus.POC_GENERATE
    assert (mining.status, mining.puzzle) == (NodeStatus.MAINTENANCE, None)
    assert intent_at(42, within).status == NodeStatus.INFERENCE


def test_executors_in_a_window_or_about_to_be_are_not_asked_and_those_in_part_get_less() -> None:
    executors = [
        inference_pb2.Executor(participant=ALICE, url="http://a", throughput=30, node_ids=["n1", "n2", "n3"]),
        inference_pb2.Executor(participant=BOB, url="http://b", throughput=10, node_ids=["b1"]),
    ]
    windows = [window(), window(node_id="b1", participant=BOB)]

    early, late = (routable(executors, windows, FIRST - DRAIN - back, DRAIN) for back in (1, 0))

    assert early == executors
    assert [(each.participant, each.throughput, list(each.node_ids)) for each in late] == [
        (ALICE, 20, ["n2", "n3"])
    ]


# what is done


async def test_a_node_in_maintenance_is_stopped_once_and_then_not_touched_until_it_is_taken_back() -> None:
    node = FakeMLNode()
    away = Intent(NodeStatus.MAINTENANCE, reasons_pb2.REASON_MAINTENANCE, height_deadline=LAST)

    async with working(node) as worker:
        worker.intend(SERVE)
        await wait_for(worker.reached.is_set)
        worker.intend(away)
        await wait_for(worker.reached.is_set)
        node.fail = {"state": 500, "stop": 500, "inference/up": 500}
        worker.wake()
        await asyncio.sleep(0.3)
        shown = worker.current
        failures = worker._failures

        # Back, but not healthy at first.
        worker.intend(SERVE)
        await wait_for(lambda: worker.current.status == NodeStatus.FAILED)
        node.fail = {}
        await wait_for(worker.reached.is_set)

    assert (shown.status, shown.reason, failures) == (
        NodeStatus.MAINTENANCE,
        reasons_pb2.REASON_MAINTENANCE,
        0,
    )
    assert node.names() == ["inference/up", "stop", "inference/up"]


async def test_a_node_that_is_down_already_is_left_without_retries() -> None:
    node = FakeMLNode(fail={"state": 500, "stop": 500})

    async with working(node) as worker:
        worker.intend(Intent(NodeStatus.MAINTENANCE, reasons_pb2.REASON_MAINTENANCE))
        await wait_for(worker.reached.is_set)

        assert worker.current.status == NodeStatus.MAINTENANCE
        assert (worker._failures, node.names()) == (0, [])


def _height(running: Running) -> int:
    view = running.node.orchestrator.view
    return view.height if view else 0


def _admits(node: Node) -> bool:
    return node.worker.intent is not None and node.worker.intent.admits


def a_genesis(url_of_bob: str) -> dict[str, Any]:
    """Both serve X in epoch 0, far from any PoC; alice's node has a window from 12 to 14."""
    names = ("alice", "bob")
    genesis = [GenesisParticipant(name, nodes=(GenesisNode(f"{name}1", (X,), 100),)) for name in names]
    params = default_params("local")
    params.epoch.first_poc_height = 100
    state = app_state(genesis, [a_model(X)], params)
    # Announcing it takes credit of good epochs, of which the genesis has none.
    announced = {"participant": ALICE, "node_id": "alice1", "height_from": "12", "height_to": "14"}
    state["maintenance"] = {"windows": [announced]}
    for each in state["hardware"]["participants"]:
        if each["address"] == BOB:
            each["url"] = url_of_bob
    return state


@pytest.mark.slow
async def test_a_request_in_flight_ends_well_while_the_node_drains_and_others_route_around_it(
    tmp_path: Path,
) -> None:
    slow, other = FakeMLNode(word_s=0.3), FakeMLNode()
    port = free_port()
    comet = Comet(Chain(a_genesis(f"http://127.0.0.1:{port}")))
    comet.chain.run_to(1)
    async with (
        fleet({"alice1": slow, "bob1": other}) as urls,
        served(comet.app()) as rpc,
        api_node(
            rpc, tmp_path / "alice", "alice", {"alice1": (urls["alice1"], X)}, executor_order="own_first"
        ) as alice,
        api_node(rpc, tmp_path / "bob", "bob", {"bob1": (urls["bob1"], X)}, public_port=port) as bob,
    ):
        node = alice.node.broker.nodes["alice1"]
        await wait_for(lambda: node.worker.serves == X)
        await wait_for(lambda: bob.node.broker.nodes["bob1"].worker.serves == X)

        async def to(height: int) -> None:
            while comet.chain.height < height:
                # Time for what waits to be sent.
                await asyncio.sleep(0.2)
                await comet.block()
                await wait_for(lambda: all(_height(each) >= comet.chain.height for each in (alice, bob)))

        # One request begins before the drain; those that come while it drains go to bob, from anyone.
        await to(8)
        asked = asyncio.create_task(alice.chat(X))
        await wait_for(lambda: slow.chats)
        await to(9)
        await wait_for(lambda: not _admits(node))
        described = alice.node.broker.describe()[0]["state"]
        assert (described["intended_reason"], described["height_deadline"]) == ("draining", 12)
        elsewhere = await alice.chat(X)
        assert elsewhere.status_code == 200, elsewhere.text
        assert (len(slow.chats), len(other.chats)) == (1, 1)

        # The window: what was in flight has ended well, and the node is left alone.
        reply = await asked
        assert reply.json()["choices"][0]["message"]["content"] == "To be or not."
        await to(11)
        await wait_for(lambda: node.worker.current.status == NodeStatus.MAINTENANCE)
        described = alice.node.broker.describe()[0]["state"]
        assert (described["current_status"], described["reason"]) == ("maintenance", "maintenance")
        assert described["height_deadline"] == 14
        (shown,) = (await alice.get("status"))["maintenance"]
        assert (shown["node_id"], shown["height_from"], shown["height_to"]) == ("alice1", 12, 14)
        metrics = (await alice.http.get(f"{alice.url(3)}/metrics")).text
        assert 'apinode_mlnode_state{node_id="alice1",state="maintenance"} 1.0' in metrics
        assert 'apinode_mlnode_deadline_height{node_id="alice1"} 14.0' in metrics
        calls = slow.names()
        await to(13)
        assert slow.names() == calls
        assert calls[-1] == "stop"

        # The end: it is looked at, loads its model and serves.
        await to(14)
        await wait_for(lambda: node.worker.serves == X and _admits(node))
        assert slow.names() == [*calls, "inference/up"]
        assert (await alice.chat(X)).status_code == 200
        assert len(slow.chats) == 2
