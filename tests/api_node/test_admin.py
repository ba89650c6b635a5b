"""The operator's API: drains, batches, tests of nodes, timelines, windows, and no secret in any answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from abci_app.modules.epochs.profiles import default_params
from tests.api_node.comet import Comet
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.network import Running, api_node, fleet
from tests.api_node.serving import served, wait_for
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of

pytestmark = pytest.mark.anyio

X, Y = "org/x", "org/y"
ALICE = key_of("alice").address
STEPS = ["reach", "download", "load", "infer", "nonces"]


@dataclass
class Slow(FakeMLNode):
    """Loads a model only when it is let."""

    may_load: asyncio.Event = field(default_factory=asyncio.Event)

    async def on_inference_up(self, body: dict[str, Any]) -> None:
        await self.may_load.wait()
        await super().on_inference_up(body)


@dataclass
class Admin:
    """The admin API of a running API node, with its token."""

    comet: Comet
    running: Running

    async def call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        token = (self.running.settings.home / "admin_token").read_text().strip()
        url = f"{self.running.url(2)}/admin/v1/{path}"
        return await self.running.http.request(
            method, url, headers={"Authorization": f"Bearer {token}"}, timeout=30, **options
        )

    async def get(self, path: str) -> Any:
        reply = await self.call("GET", path)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def post(self, path: str, status: int = 200, **options: Any) -> Any:
        reply = await self.call("POST", path, **options)
        assert reply.status_code == status, reply.text
        return reply.json()

    async def node(self, node_id: str = "n1") -> dict[str, Any]:
        shown: dict[str, Any] = next(
            each for each in (await self.get("overview"))["nodes"] if each["node_id"] == node_id
        )
        return shown

    async def view(self, height: int) -> None:
        """Blocks up to a height, each seen by the API node."""
        while self.comet.chain.height < height:
            await self.comet.block()
            expected = self.comet.chain.height
            orchestrator = self.running.node.orchestrator
            await wait_for(lambda: orchestrator.view and orchestrator.view.height >= expected)  # noqa: B023


@contextlib.asynccontextmanager
async def operated(
    tmp_path: Path, node: FakeMLNode, first_poc: int = 10, credit: int = 0, **changes: Any
) -> AsyncIterator[Admin]:
    """Alice's API node in epoch 0, in which her node n1 serves X."""
    params = default_params("local")
    params.epoch.first_poc_height = first_poc
    genesis = [GenesisParticipant("alice", nodes=(GenesisNode("n1", (X,), 100),))]
    state = app_state(genesis, [a_model(X), a_model(Y)], params)
    if credit:
        state["maintenance"] = {"credits": [{"participant": ALICE, "blocks": str(credit)}]}
    comet = Comet(Chain(state))
    comet.chain.run_to(1)
    changes.setdefault("queue_wait_s", 0.2)
    async with (
        fleet({"n1": node}) as urls,
        served(comet.app()) as rpc,
        api_node(rpc, tmp_path / "alice", "alice", {"n1": (urls["n1"], X)}, **changes) as running,
    ):
        await wait_for(lambda: running.node.broker.nodes["n1"].worker.intent is not None)
        yield Admin(comet, running)


@contextlib.asynccontextmanager
async def serving(tmp_path: Path, node: FakeMLNode, **options: Any) -> AsyncIterator[Admin]:
    """The same once n1 serves."""
    async with operated(tmp_path, node, **options) as admin:
        await wait_for(lambda: admin.running.node.broker.nodes["n1"].worker.serves == X)
        yield admin


# draining


async def test_a_drained_node_finishes_takes_nothing_new_says_when_it_is_empty_and_comes_back(
    tmp_path: Path,
) -> None:
    slow = FakeMLNode(word_s=0.3)
    async with serving(tmp_path, slow) as admin:
        running = asyncio.create_task(admin.running.chat(X))
        await wait_for(lambda: slow.chats)
        before = await admin.node()

        begun = await admin.post("nodes/n1/drain")
        refused = await admin.running.chat(X)
        with_work = await admin.node()
        ended = await admin.post("nodes/n1/drain", params={"wait_s": 10})
        empty = await admin.node()

        assert not before["switch_off"]["allowed"]
        assert (begun["empty"], begun["at_work"]) == (False, 1)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
        assert (with_work["reason"], with_work["admits"], with_work["requests"]) == ("draining", False, 1)
        assert (with_work["switch_off"]["allowed"], with_work["switch_off"]["reason"]) == (False, "busy")
        assert ended["empty"]
        assert (await running).status_code == 200
        assert (empty["drained"], empty["switch_off"]["allowed"]) == (True, True)
        assert empty["switch_off"]["deadline"]["height"] == 10
        assert slow.model == X

        await admin.post("nodes/n1/enable")
        await wait_for(lambda: admin.running.node.broker.nodes["n1"].worker.intent.admits)  # type: ignore[union-attr]
        assert (await admin.running.chat(X)).status_code == 200


async def test_a_drain_is_remembered_by_the_next_process(tmp_path: Path) -> None:
    async with serving(tmp_path, FakeMLNode()) as admin:
        await admin.post("nodes/n1/drain")
        url = f"http://127.0.0.1:{admin.running.node.broker.nodes['n1'].config.poc_port}"
        assert await admin.running.end() == 0
        rpc = admin.running.settings.rpc_url
        async with api_node(rpc, tmp_path / "alice", "alice", {"n1": (url, X)}) as again:
            assert again.node.broker.nodes["n1"].drained


# batches


async def test_a_batch_with_errors_does_nothing_and_names_them_all(tmp_path: Path) -> None:
    async with serving(tmp_path, FakeMLNode()) as admin:
        entry = admin.running.node.broker.nodes["n1"].config.model_dump()
        operations = [
            {"op": "disable", "node_id": "n1"},
            {"op": "add", "node": entry | {"id": "n2", "models": {"no/b": {}, "no/a": {}}}},
            {"op": "add", "node": {"id": "n3", "poc_port": 0}},
            {"op": "drain", "node_id": "n9"},
            {"op": "restart", "node_id": "n1"},
            {"op": "enable"},
        ]
        refused = (await admin.post("nodes/batch", 400, json={"operations": operations}))["error"]["message"]
        empty = await admin.call("POST", "nodes/batch", json={"operations": []})
        node = await admin.node()

    assert "operations.1 (add): node n2: models not registered: no/a, no/b" in refused
    assert "operations.2 (add): host: Field required" in refused
    assert "poc_port" in refused
    assert "operations.3 (drain): there is no node n9" in refused
    assert "operations.4 (restart): it is none of add, remove" in refused
    assert "operations.5 (enable): node_id is missing" in refused
    assert "operations.0" not in refused
    assert (empty.status_code, node["enabled"]) == (400, True)


async def test_a_batch_is_done_in_order_and_sees_what_it_did_before(tmp_path: Path) -> None:
    async with serving(tmp_path, FakeMLNode()) as admin:
        entry = admin.running.node.broker.nodes["n1"].config.model_dump() | {"id": "n2"}
        operations = [
            {"op": "add", "node": entry},
            {"op": "disable", "node_id": "n2"},
            {"op": "drain", "node_id": "n1"},
            {"op": "remove", "node_id": "n2"},
        ]
        done = (await admin.post("nodes/batch", json={"operations": operations}))["done"]
        again = await admin.call("POST", "nodes/batch", json={"operations": operations[-1:]})
        nodes = await admin.get("nodes")

    assert [each["node_id"] for each in done] == ["n2", "n2", "n1", "n2"]
    assert again.status_code == 400
    assert [(each["node"]["id"], each["state"]["drained"]) for each in nodes] == [("n1", True)]


# tests of nodes


async def test_a_test_downloads_loads_infers_and_mines_says_how_long_it_took_and_gives_the_node_back(
    tmp_path: Path,
) -> None:
    node = FakeMLNode()
    async with serving(tmp_path, node) as admin:
        await admin.post("nodes/n1/drain")
        calls = len(node.calls)
        found = await admin.post("nodes/n1/test", params={"wait_s": 20})
        paths = node.names()[calls:]
        await wait_for(lambda: admin.running.node.broker.nodes["n1"].worker.serves == X)
        last = await admin.get("nodes/n1/test")
        entries = (await admin.get("nodes/n1/timeline"))["entries"]

    assert [(each["step"], each["result"]) for each in found["steps"]] == [(name, "pass") for name in STEPS]
    assert "nonces" in found["steps"][4]["text"]
    assert (found["result"], found["model"], last) == ("pass", X, found)
    # First the worker leaves the node alone; at the end it is stopped.
    assert paths[:6] == [
        *("stop", "inference/prepare", "inference/up", "inference/down", "pow/init/generate", "stop")
    ]
    tested = next(each for each in entries if each["from"] == "test")
    drained = next(each for each in entries if (each["kind"], each["reason"]) == ("intent", "draining"))
    assert (tested["to"], tested["asked_by"], drained["asked_by"]) == ("pass", "operator", "operator")


async def test_a_test_says_of_each_step_why_it_failed_and_goes_on_with_what_it_can(tmp_path: Path) -> None:
    node = FakeMLNode()
    async with serving(tmp_path, node) as admin:
        await admin.post("nodes/n1/drain")
        node.fail = {"inference/prepare": 404, "inference/up": 500}
        found = await admin.post("nodes/n1/test", params={"wait_s": 20}, json={"model": Y})

    results = {each["step"]: (each["result"], each["text"]) for each in found["steps"]}
    assert results["download"] == ("fail", "status 404: inference/prepare fails")
    assert results["load"] == ("fail", "status 500: inference/up fails")
    assert results["infer"] == ("skipped", "the model is not up")
    assert (results["nonces"][0], found["result"], found["model"]) == ("pass", "fail", Y)


async def test_a_test_of_a_node_that_is_not_there_skips_all_but_the_first_step(tmp_path: Path) -> None:
    async with operated(tmp_path, FakeMLNode()) as admin:
        entry = admin.running.node.broker.nodes["n1"].config.model_dump()
        await admin.post("nodes", 201, json=entry | {"id": "n2", "poc_port": 1, "inference_port": 1})
        await wait_for(lambda: admin.running.node.broker.nodes["n2"].worker.intent is not None)
        found = await admin.post("nodes/n2/test", params={"wait_s": 20})

    assert [each["result"] for each in found["steps"]] == ["fail", *["skipped"] * 4]


async def test_a_test_is_refused_where_the_node_takes_requests_is_tested_or_is_unknown(
    tmp_path: Path,
) -> None:
    node = Slow()
    node.may_load.set()
    async with serving(tmp_path, node) as admin:
        busy = await admin.call("POST", "nodes/n1/test")
        untested = await admin.call("GET", "nodes/n1/test")
        unknown = await admin.call("POST", "nodes/n9/test")
        await admin.post("nodes/n1/drain")
        odd = await admin.call("POST", "nodes/n1/test", json={"model": "no/model"})
        node.may_load.clear()
        begun = await admin.call("POST", "nodes/n1/test")
        twice = await admin.call("POST", "nodes/n1/test")
        node.may_load.set()

    assert (busy.status_code, untested.status_code, unknown.status_code) == (409, 404, 404)
    assert "evergrid node drain n1" in busy.json()["error"]["message"]
    assert "neither registered nor configured" in odd.json()["error"]["message"]
    assert (begun.status_code, begun.json()["result"]) == (202, "running")
    assert (twice.status_code, "already" in twice.json()["error"]["message"]) == (409, True)


async def test_a_test_gives_way_to_a_proof_of_compute(tmp_path: Path) -> None:
    node = Slow()
    node.may_load.set()
    async with serving(tmp_path, node) as admin:
        await admin.post("nodes/n1/drain")
        node.may_load.clear()
        await admin.post("nodes/n1/test", 202)
        await wait_for(lambda: admin.running.node.trials.last["n1"].steps[2].result == "running")
        await admin.view(9)
        found = (await admin.call("GET", "nodes/n1/test", params={"wait_s": 10})).json()
        refused = await admin.call("POST", "nodes/n1/test")
        node.may_load.set()

    assert [each["result"] for each in found["steps"]] == ["pass", "pass", *["skipped"] * 3]
    assert found["steps"][2]["text"].startswith("the node is wanted for pre_poc_scheduling")
    assert found["result"] == "skipped"
    assert "busy with the stage pre_poc_scheduling" in refused.json()["error"]["message"]


# maintenance


async def test_a_window_is_announced_with_the_participants_key_and_then_listed(tmp_path: Path) -> None:
    async with serving(tmp_path, FakeMLNode(), first_poc=500, credit=50) as admin:
        credit = await admin.get("maintenance")
        first = credit["height_first"] + 10
        body = {"node_id": "n1", "height_from": first, "height_to": first + 2}
        blocks = asyncio.create_task(admin.comet.run(0.2))
        done = await admin.post("maintenance", params={"wait_s": 15}, json=body)
        refused = await admin.call("POST", "maintenance", params={"wait_s": 15}, json=body)
        unknown = await admin.call("POST", "maintenance", json=body | {"node_id": "n9"})
        await wait_for(lambda: admin.running.node.orchestrator.view.windows)  # type: ignore[union-attr]
        blocks.cancel()
        listed = await admin.get("maintenance")

    assert (credit["credit_blocks"], credit["windows"], credit["announced_here"]) == (50, [], True)
    assert (done["status"], done["height"] > 0) == ("included", True)
    assert (refused.status_code, unknown.status_code) == (200, 404)
    assert refused.json()["height"] == done["height"]
    assert listed["windows"] == [body]
    assert listed["credit_blocks"] == 47


async def test_a_window_that_the_chain_refuses_is_an_error_with_the_chains_words(tmp_path: Path) -> None:
    async with serving(tmp_path, FakeMLNode(), first_poc=500) as admin:
        blocks = asyncio.create_task(admin.comet.run(0.2))
        body = {"height_from": 100, "height_to": 102}
        reply = await admin.call("POST", "maintenance", params={"wait_s": 15}, json=body)
        blocks.cancel()

    assert reply.status_code == 400
    assert "3 blocks are more than the credit of 0" in reply.json()["error"]["message"]


async def test_where_the_participants_key_is_elsewhere_the_command_to_run_is_named(tmp_path: Path) -> None:
    public = key_of("alice").public.hex()
    comet = Comet(Chain(app_state([GenesisParticipant("alice")], [a_model(X)])))
    comet.chain.run_to(1)
    async with (
        served(comet.app()) as rpc,
        api_node(rpc, tmp_path, "warm", {}, participant_key=public) as running,
    ):
        await wait_for(lambda: running.node.orchestrator.view)
        body = {"height_from": 100, "height_to": 102, "node_id": "n1"}
        reply = await Admin(comet, running).call("POST", "maintenance", json=body)

    assert reply.status_code == 409
    words = f"evergrid tx maintenance announce 100 102 --node-id n1 --from {ALICE}"
    assert words in reply.json()["error"]["message"]


# the picture, and the document


async def test_the_overview_counts_down_and_tells_slots_nonces_and_who_may_be_switched_off(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, FakeMLNode()) as admin:
        await admin.view(4)
        resting = await admin.get("overview")
        await admin.view(12)
        await wait_for(lambda: admin.running.node.orchestrator.collector.nonce_next("n1"))
        mining = await admin.get("overview")

    chain = resting["chain"]
    assert (chain["stage"], chain["slot"], chain["epoch"], chain["lag_blocks"]) == (
        *("inference", "PRE_POC_SLOT", 0, 0),
    )
    assert chain["next"]["stage"] == "pre_poc_scheduling"
    assert chain["next"]["blocks"] == 5
    assert chain["next"]["seconds"] == pytest.approx(5 * chain["block_s"], abs=0.2)
    assert resting["nodes"][0]["slots"] == ["PRE_POC_SLOT"]
    assert resting["nodes"][0]["nonces"] is None
    assert mining["chain"]["stage"] == "start_of_poc"
    assert mining["nodes"][0]["nonces"] > 0
    assert mining["nodes"][0]["deadline"]["blocks"] == 3
    assert (mining["switch_off"]["allowed"], mining["switch_off"]["deadline"]["height"]) == (False, 22)


async def test_a_yes_by_a_view_that_is_long_past_is_none_and_the_picture_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, FakeMLNode()) as admin:
        await admin.view(4)
        await admin.post("nodes/n1/drain")
        before = await admin.get("overview")
        monkeypatch.setattr("api_node.operations.QUIET_S", 0.1)
        monkeypatch.setattr("api_node.operations.QUIET_BLOCKS", 0)
        await asyncio.sleep(0.2)
        after = await admin.get("overview")

    assert (before["switch_off"]["allowed"], before["chain"]["problem"]) == (True, "")
    assert after["switch_off"]["allowed"] is after["nodes"][0]["switch_off"]["allowed"] is None
    assert "no new block for 0 s; it might at height 4" in after["switch_off"]["text"]
    assert after["chain"]["problem"] == "no new block for 0 s"


async def test_before_the_first_view_nobody_knows_and_says_so(tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:1"
    async with api_node(nobody, tmp_path, "alice", {"n1": (nobody, X)}) as running:
        admin = Admin(Comet(Chain(app_state([], []))), running)
        shown = await admin.get("overview")
        refused = await admin.call("POST", "nodes/n1/test")
        windows = await admin.call("GET", "maintenance")

    assert (shown["switch_off"]["allowed"], shown["chain"]["stage"]) == (None, None)
    assert "no view of the chain" in refused.json()["error"]["message"]
    assert windows.status_code == 503


async def test_the_document_describes_every_route_with_its_errors(tmp_path: Path) -> None:
    async with operated(tmp_path, FakeMLNode()) as admin:
        document = (await admin.running.http.get(f"{admin.running.url(2)}/openapi.json")).json()
        token_free = await admin.running.http.get(f"{admin.running.url(2)}/admin/v1/overview")

    paths = {path.removeprefix("/admin/v1/") for path in document["paths"]}
    nodes = {f"nodes/{{node_id}}/{name}" for name in ("enable", "disable", "drain", "test", "timeline")}
    assert paths == nodes | {
        *("nodes", "nodes/batch", "nodes/{node_id}", "maintenance", "overview"),
        *("transactions", "validations", "status"),
    }
    routes = [route for path in document["paths"].values() for route in path.values()]
    assert all(route.get("description") and {"400", "401"} <= set(route["responses"]) for route in routes)
    assert token_free.status_code == 401
