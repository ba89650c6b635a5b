"""No request is lost: others are asked before the first byte, and who cannot be served yet waits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from api_node.breaker import BreakerState
from tests.api_node.comet import Comet
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.network import Running, api_node, fleet
from tests.api_node.serving import served, wait_for
from tests.api_node.test_network import network
from tests.api_node.test_public import ALICE, BOB, TEXT, X, Y, alone, inference, settle
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state

pytestmark = pytest.mark.anyio

ANSWER = {"message": {"role": "assistant", "content": "bob's"}, "finish_reason": "stop", "token_ids": [1]}
USAGE = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}


@dataclass
class Bob:
    """Another participant's API node, as alice's sees it: it answers, or fails in one of many ways."""

    fails: str = ""
    asked: int = 0
    probed: int = 0
    bodies: list[bytes] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/v1/status")
        async def status() -> dict[str, str]:
            self.probed += 1
            return {}

        @app.post("/v1/internal/execute", response_model=None)
        async def execute(request: Request) -> Response:
            self.asked += 1
            self.bodies.append(await request.body())
            if self.fails.isdigit():
                return JSONResponse({"error": {"message": "no"}}, int(self.fails))
            if self.fails:
                return StreamingResponse(self._broken(), media_type="text/event-stream")
            return JSONResponse({"id": "x", "choices": [ANSWER], "usage": USAGE})

        return app

    async def _broken(self) -> AsyncIterator[str]:
        if self.fails == "hangs":
            await asyncio.sleep(30)
        if self.fails == "says an error":
            yield 'data: {"error": {"message": "the engine died"}}\n\n'
        if self.fails == "says no JSON":
            yield "data: no JSON\n\n"


@contextlib.asynccontextmanager
async def beside_bob(
    tmp_path: Path, bob: Bob, node: FakeMLNode, **changes: Any
) -> AsyncIterator[tuple[Comet, Running]]:
    """Alice's n1 and bob's b1 both serve X; nearly all requests go to bob first, by his throughput."""
    genesis = [
        GenesisParticipant("alice", nodes=(GenesisNode("n1", (X,), 1),)),
        GenesisParticipant("bob", nodes=(GenesisNode("b1", (X,), 1_000_000),)),
    ]
    async with served(bob.app()) as place:
        state = app_state(genesis, [a_model(X)])
        for each in state["hardware"]["participants"]:
            if each["address"] == BOB.address:
                each["url"] = place
        comet = Comet(Chain(state))
        comet.chain.run_to(1)
        changes = {"queue_wait_s": 2.0} | changes
        async with (
            fleet({"n1": node}) as urls,
            served(comet.app()) as rpc,
            api_node(rpc, tmp_path / "alice", "alice", {"n1": (urls["n1"], X)}, **changes) as running,
        ):
            await wait_for(lambda: running.node.broker.nodes["n1"].worker.serves == X)
            yield comet, running


async def test_most_requests_go_to_whom_most_throughput_was_measured_of(tmp_path: Path) -> None:
    bob, node = Bob(), FakeMLNode()
    async with beside_bob(tmp_path, bob, node) as (comet, running):
        replies = [await running.chat(X) for _ in range(5)]
        await settle(comet, running)

    assert [reply.status_code for reply in replies] == [200] * 5
    assert (bob.asked, len(node.chats)) == (5, 0)
    assert inference(comet, replies[0].json()["id"]).executed_by == BOB.address


@pytest.mark.parametrize("fails", ["401", "404", "409", "429", "500", "502", "503"])
async def test_a_refusal_before_the_first_byte_is_another_executors_request(
    tmp_path: Path, fails: str
) -> None:
    bob = Bob(fails)
    async with beside_bob(tmp_path, bob, FakeMLNode()) as (comet, running):
        reply = await running.chat(X)
        await settle(comet, running)

    assert (reply.status_code, bob.asked) == (200, 1)
    assert reply.json()["choices"][0]["message"]["content"] == TEXT
    assert inference(comet, reply.json()["id"]).executed_by == ALICE.address


@pytest.mark.parametrize("fails", ["hangs", "says an error", "says no JSON", "ends at once"])
async def test_a_stream_that_dies_before_its_first_byte_is_another_executors_stream(
    tmp_path: Path, fails: str
) -> None:
    bob = Bob(fails)
    async with beside_bob(tmp_path, bob, FakeMLNode(), first_byte_timeout_s=0.5) as (_comet, running):
        reply = await running.chat(X, stream=True)

    assert (reply.status_code, bob.asked) == (200, 1)
    assert '"error"' not in reply.text
    assert reply.text.endswith("data: [DONE]\n\n")


async def test_what_the_client_did_wrong_is_not_asked_of_others(tmp_path: Path) -> None:
    node = FakeMLNode()
    async with beside_bob(tmp_path, Bob("422"), node) as (_comet, running):
        reply = await running.chat(X)

    assert (reply.status_code, node.chats) == (422, [])


async def test_who_failed_is_left_alone_and_one_request_tries_again_later(tmp_path: Path) -> None:
    bob = Bob("500")
    async with beside_bob(tmp_path, bob, FakeMLNode()) as (_comet, running):
        key, breakers = (BOB.address, X), running.node.agent.router.breakers
        await running.chat(X)
        meanwhile = [await running.chat(X) for _ in range(3)]
        left_alone = bob.asked
        bob.fails = ""
        await wait_for(lambda: breakers.state(key, time.monotonic()) == BreakerState.PROBATION)
        tried = await running.chat(X)
        metrics = (await running.http.get(f"{running.url(3)}/metrics")).text

    assert all(reply.status_code == 200 for reply in meanwhile)
    assert left_alone == 1
    assert tried.json()["choices"][0]["message"]["content"] == "bob's"
    assert breakers.state(key, time.monotonic()) == BreakerState.CLOSED
    assert f'apinode_executor_attempts_total{{model="{X}",result="engine_failed"}} 1.0' in metrics


async def test_who_does_not_answer_is_probed_by_its_status_page_not_by_a_request(tmp_path: Path) -> None:
    bob = Bob("hangs")
    async with beside_bob(tmp_path, bob, FakeMLNode(), first_byte_timeout_s=0.3) as (_comet, running):
        key, breakers = (BOB.address, X), running.node.agent.router.breakers
        await running.chat(X, stream=True)
        bob.fails = ""
        await wait_for(lambda: breakers.state(key, time.monotonic()) == BreakerState.PROBATION)
        own = await running.chat(X)
        await wait_for(lambda: bob.probed)
        asked = bob.asked
        back = await running.chat(X)

    assert own.json()["choices"][0]["message"]["content"] == TEXT
    assert asked == 1
    assert back.json()["choices"][0]["message"]["content"] == "bob's"


async def test_a_request_waits_while_its_model_is_loaded(tmp_path: Path) -> None:
    node = FakeMLNode()
    async with alone(tmp_path, node, queue_wait_s=10.0) as (_comet, running):
        worker = running.node.broker.nodes["n1"].worker
        node.fail, node.model = {"inference/up": 503}, ""
        worker.wake()
        await wait_for(lambda: not worker.serves)
        waiting = asyncio.create_task(running.chat(X))
        await wait_for(lambda: running.node.agent.router.room.length(X))
        metrics = (await running.http.get(f"{running.url(3)}/metrics")).text
        node.fail = {}
        reply = await waiting

    assert f'apinode_queue_length{{model="{X}"}} 1.0' in metrics
    assert reply.status_code == 200


async def test_a_request_waits_for_the_first_view_of_a_node_that_has_just_started(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode(), queue_wait_s=10.0) as (comet, running):
        running.node.orchestrator.view = None
        waiting = asyncio.create_task(running.chat(X))
        await asyncio.sleep(0.5)
        is_waiting = not waiting.done()
        await comet.block()
        reply = await waiting

    assert is_waiting
    assert reply.status_code == 200, reply.text


async def test_a_request_does_not_wait_for_ever_for_a_first_view(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode(), queue_wait_s=0.5) as (_comet, running):
        running.node.orchestrator.view = None
        reply = await running.chat(X)

    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "chain_unreachable")


async def test_a_full_queue_refuses_with_429_a_reason_and_a_time(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode(), queue_places_max=2, queue_wait_s=1.0) as (_comet, running):
        replies = await asyncio.gather(*(running.chat(Y) for _ in range(4)))

    found = Counter((reply.status_code, reply.json()["error"]["code"]) for reply in replies)
    assert found == {(503, "unreachable"): 2, (429, "queue_full"): 2}
    assert all(int(reply.headers["Retry-After"]) > 0 for reply in replies)


async def test_more_requests_than_a_node_takes_at_once_are_served_one_after_another(tmp_path: Path) -> None:
    node = FakeMLNode(word_s=0.05)
    async with alone(tmp_path, node, queue_wait_s=15.0) as (_comet, running):
        replies = await asyncio.gather(*(running.chat(X) for _ in range(20)))

    assert [reply.status_code for reply in replies] == [200] * 20


async def test_while_the_chain_is_away_requests_are_served_by_what_was_known(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode()) as (comet, running):
        await running.chat(X)
        reader = running.node.orchestrator.reader
        reader._cache.clear()
        # What is asked of the chain from now on leads nowhere.
        running.node.chain.url = "http://127.0.0.1:1"
        reply = await running.chat(X)
        assert comet.chain.height

    assert reply.status_code == 200, reply.text


@pytest.mark.slow
async def test_no_request_is_lost_through_two_epochs_of_stage_changes(tmp_path: Path) -> None:
    nodes = {each: FakeMLNode(word_s=0.02) for each in ("a1", "a2", "b1")}
    failed: list[tuple[int, str]] = []
    served_by: Counter[bool] = Counter()
    over = asyncio.Event()

    async def ask(net: Any, running: Running, *, stream: bool) -> None:
        while not over.is_set():
            height = net.chain.height
            reply = await running.chat(X, stream=stream)
            text = reply.text
            whole = text.endswith("data: [DONE]\n\n") and '"error"' not in text if stream else TEXT in text
            served_by[stream] += 1
            if reply.status_code != 200 or not whole:
                failed.append((height, text[-300:]))

    async with network(tmp_path, **nodes) as net:
        await net.to(27)
        await wait_for(lambda: net.nodes["a1"].model == net.nodes["b1"].model == X)
        load = [
            asyncio.create_task(ask(net, running, stream=stream))
            for running in (net.alice, net.bob)
            for stream in (True, False)
        ]
        await net.to(87)
        over.set()
        await asyncio.gather(*load)

    assert failed == []
    assert min(served_by.values()) > 50


# what it costs the chain


async def test_a_page_of_models_costs_no_query_of_the_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alone(tmp_path, FakeMLNode()) as (comet, running):
        asked: list[str] = []
        original = comet.on_abci_query

        def noted(**named: Any) -> dict[str, Any]:
            asked.append(named["path"])
            return original(**named)

        monkeypatch.setattr(comet, "on_abci_query", noted)
        for _ in range(5):
            await running.get("models")
        for_models = list(asked)
        for _ in range(5):
            await running.get("pricing")

    assert for_models == []
    assert asked.count("/evergrid.inference.v1.Query/Pricing") == 1


async def test_a_group_is_read_once_an_epoch_and_again_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with network(tmp_path) as net:
        asked: Counter[int] = Counter()
        original = net.comet.on_abci_query

        def counted(**named: Any) -> dict[str, Any]:
            if named["path"].endswith("/EpochGroupData"):
                asked[net.chain.height] += 1
            return original(**named)

        monkeypatch.setattr(net.comet, "on_abci_query", counted)
        await net.to(36)

    # Of two API nodes, each a parent and the subgroups: at the draw of S-1, at the formation, at the switch.
    quiet = [*range(11, 19), *range(28, 36)]
    assert [height for height in quiet if asked[height]] == []
    assert asked[9]


# limits


async def test_a_key_that_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode(), requests_per_key_per_s=1.0) as (_comet, running):
        replies = [await running.chat(X) for _ in range(4)]

    assert [reply.status_code for reply in replies] == [200, 200, 429, 429]
    assert replies[-1].json()["error"]["code"] == "rate_limited"
    assert int(replies[-1].headers["Retry-After"]) >= 1


async def test_an_address_that_has_the_chain_asked_too_often_waits_and_chats_still(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode(), queries_per_address_per_s=1.0) as (_comet, running):
        paths = ("epochs/0", "participants", "poc-batches/7", "chat/completions/none")
        asked = [await running.http.get(f"{running.url()}/v1/{path}") for path in paths]
        chat = await running.chat(X)

    assert [reply.status_code for reply in asked] == [200, 200, 429, 429]
    assert int(asked[-1].headers["Retry-After"]) >= 1
    assert chat.status_code == 200


async def test_a_request_that_is_not_let_in_is_counted_with_its_reason(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode(), requests_per_key_per_s=0.01) as (_comet, running):
        await running.chat(X)
        await running.chat(X)
        shown = (await running.http.get(f"{running.url(3)}/metrics")).text

    assert 'apinode_requests_total{model="unknown",outcome="429",reason="rate_limited"} 1.0' in shown


@pytest.mark.parametrize("sent", [b"", b"GET /v1/status HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_silent_connection_and_a_dripping_head_are_closed(tmp_path: Path, sent: bytes) -> None:
    async with alone(tmp_path, FakeMLNode(), head_timeout_s=0.5) as (_comet, running):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(running.url().rpartition(":")[2]))
        writer.write(sent)
        began = time.monotonic()

        async def drip() -> None:
            with contextlib.suppress(OSError):
                while sent:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        await asyncio.wait_for(reader.read(), 5)
        seconds = time.monotonic() - began
        dripping.cancel()
        writer.close()

    assert seconds < 3


async def test_one_address_has_so_many_connections_and_gets_others_when_it_closes_some(
    tmp_path: Path,
) -> None:
    async with alone(tmp_path, FakeMLNode(), connections_per_address_max=3) as (_comet, running):
        port = int(running.url().rpartition(":")[2])
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await asyncio.sleep(0.05)
        reader, beyond = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        beyond.close()
        for _, writer in kept:
            writer.close()
            await writer.wait_closed()
        await asyncio.sleep(0.05)
        again = await running.http.get(f"{running.url()}/v1/status")

    assert again.status_code == 200


async def test_a_body_that_drips_is_refused(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode(), body_timeout_s=0.5) as (_comet, running):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(running.url().rpartition(":")[2]))
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()

    assert answer.startswith(b"HTTP/1.1 408 ")


# what the openapi document promises


async def test_epochs_their_participants_and_batches_are_shown_by_number_and_by_name(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode()) as (_comet, running):
        current, latest = await running.get("epochs/current"), await running.get("epochs/latest")
        numbered = await running.get("epochs/0")
        members = await running.get("epochs/current/participants?limit=1")
        rest = await running.http.get(
            f"{running.url()}/v1/epochs/0/participants", params={"key": members["next_key"]}
        )
        batches, versions = await running.get("poc-batches/10"), await running.get("versions")
        missing = await running.http.get(f"{running.url()}/v1/epochs/77")
        wrong = await running.http.get(f"{running.url()}/v1/epochs/soon")

    assert current == latest
    assert numbered["record"]["index"] == 0
    found = [*members["active_participants"], *rest.json()["active_participants"]]
    assert len(members["active_participants"]) == 1
    assert {each["address"] for each in found} == {ALICE.address, BOB.address}
    assert batches == {"poc_stage_start_height": 10, "batches": [], "next_key": ""}
    assert versions["chain_id"]
    assert (missing.status_code, wrong.status_code) == (404, 400)
