"""The public, admin, callback and metrics servers of one API node on the real application."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from api_node.execution import signed_headers
from api_node.relay import ChatCall
from api_node.signatures import request_keys
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import Participant
from protocol.gen.evergrid.inference.v1 import inference_pb2
from tests.api_node.comet import Comet
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.network import API_KEY, Running, api_node, fleet
from tests.api_node.serving import served, wait_for
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of

pytestmark = pytest.mark.anyio

X, Y, Z = "org/x", "org/y", "org/z"
ALICE, BOB = key_of("alice"), key_of("bob")
TEXT = "To be or not."


@contextlib.asynccontextmanager
async def alone(tmp_path: Path, node: FakeMLNode, **changes: Any) -> AsyncIterator[tuple[Comet, Running]]:
    """Alice's API node in epoch 0, in which her node n1 serves X, and bob, whom nobody reaches, Y."""
    changes = {"queue_wait_s": 0.5} | changes
    genesis = [
        GenesisParticipant("alice", nodes=(GenesisNode("n1", (X,), 100),)),
        GenesisParticipant("bob", nodes=(GenesisNode("b1", (Y,), 100),)),
    ]
    comet = Comet(Chain(app_state(genesis, [a_model(X), a_model(Y), a_model(Z)], funded=("carol",))))
    comet.chain.run_to(1)
    async with (
        fleet({"n1": node}) as urls,
        served(comet.app()) as rpc,
        api_node(rpc, tmp_path / "alice", "alice", {"n1": (urls["n1"], X)}, **changes) as running,
    ):
        await wait_for(lambda: node.model == X)
        await wait_for(lambda: running.node.broker.nodes["n1"].worker.serves == X)
        yield comet, running


async def settle(comet: Comet, running: Running) -> None:
    """Blocks until nothing waits to be in one."""
    await wait_for(lambda: comet.mempool or not running.node.outbox.waiting())
    while running.node.outbox.waiting():
        await comet.block()
        await asyncio.sleep(0.15)


def inference(comet: Comet, inference_id: str) -> inference_pb2.Inference:
    request = inference_pb2.QueryInferenceRequest(inference_id=inference_id)
    return comet.chain.query(request, inference_pb2.QueryInferenceResponse).inference


# chats


async def test_an_answer_is_recorded_on_chain_with_hashes_of_prompt_and_text(tmp_path: Path) -> None:
    node = FakeMLNode()
    async with alone(tmp_path, node) as (comet, running):
        reply = await running.chat(X)
        await settle(comet, running)

    body = reply.json()
    assert (reply.status_code, body["choices"][0]["message"]["content"]) == (200, TEXT)
    recorded = inference(comet, body["id"])
    assert recorded.status == inference_pb2.INFERENCE_STATUS_FINISHED
    assert recorded.prompt_hash == sha256(node.chats[0]).hexdigest()
    assert recorded.response_hash == sha256(TEXT.encode()).hexdigest()
    assert (recorded.requested_by, recorded.executed_by) == (ALICE.address, ALICE.address)
    assert (recorded.prompt_token_count, recorded.completion_token_count, recorded.max_tokens) == (7, 4, 8)


async def test_the_openai_client_reads_answers_streams_models_and_errors(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode()) as (comet, running):
        client = openai.AsyncOpenAI(base_url=f"{running.url()}/v1", api_key=API_KEY, max_retries=0)
        ask = {"model": X, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
        whole = await client.chat.completions.create(**ask)  # type: ignore[call-overload]
        stream = await client.chat.completions.create(**ask, stream=True)  # type: ignore[call-overload]
        chunks = [chunk async for chunk in stream]
        models = [model.id async for model in client.models.list()]
        one = await client.models.retrieve(Y)
        with pytest.raises(openai.NotFoundError, match="org/none is no model of epoch 0"):
            await client.models.retrieve("org/none")
        with pytest.raises(openai.NotFoundError, match="org/none is no model of epoch 0"):
            await client.chat.completions.create(**ask | {"model": "org/none"})  # type: ignore[call-overload]
        await client.close()
        await settle(comet, running)

    assert whole.choices[0].message.content == TEXT
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert models == [X, Y]
    assert one.id == Y
    assert inference(comet, chunks[0].id).completion_token_count == 4


async def test_the_blocking_openai_client_reads_the_same(tmp_path: Path) -> None:
    def ask(url: str) -> tuple[str, str, list[str]]:
        with openai.OpenAI(base_url=f"{url}/v1", api_key=API_KEY, max_retries=0) as client:
            whole = client.chat.completions.create(
                model=X, messages=[{"role": "user", "content": "hello"}], max_tokens=8
            )
            stream = client.chat.completions.create(
                model=X, messages=[{"role": "user", "content": "hello"}], max_tokens=8, stream=True
            )
            said = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
            return whole.choices[0].message.content or "", said, [each.id for each in client.models.list()]

    async with alone(tmp_path, FakeMLNode()) as (_comet, running):
        found = await asyncio.to_thread(ask, running.url())

    assert found == (TEXT, TEXT, [X, Y])


async def test_a_stream_has_its_usage_only_where_it_was_asked_for(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode()) as (_comet, running):
        plain = await running.chat(X, stream=True)
        asked = await running.chat(X, stream=True, stream_options={"include_usage": True})

    assert '"usage"' not in plain.text
    assert '"usage"' in asked.text
    assert plain.text.endswith("data: [DONE]\n\n")


async def test_a_client_that_leaves_does_not_keep_the_answer_from_being_recorded(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode(word_s=0.2)) as (comet, running):
        body = {"model": X, "messages": [{"role": "user", "content": "hello"}], "stream": True}
        headers = {"Authorization": f"Bearer {API_KEY}"}
        url = f"{running.url()}/v1/chat/completions"
        async with running.http.stream("POST", url, json=body, headers=headers) as reply:
            first = await anext(reply.aiter_lines())
        inference_id = json.loads(first.removeprefix("data:"))["id"]
        await wait_for(lambda: running.node.outbox.get(f"finish/{inference_id}"))
        await settle(comet, running)

    assert inference(comet, inference_id).status == inference_pb2.INFERENCE_STATUS_FINISHED
    assert running.node.broker.in_flight == 0


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        ({"model": None}, ["model:"]),
        ({"messages": []}, ["messages:"]),
        ({"model": "", "messages": "x", "max_tokens": 0}, ["model:", "messages:", "max_tokens:"]),
        ({"stream": "yes"}, ["stream:"]),
    ],
)
async def test_a_wrong_request_is_told_all_that_is_wrong(
    tmp_path: Path, change: dict[str, object], texts: list[str]
) -> None:
    async with alone(tmp_path, FakeMLNode()) as (_comet, running):
        reply = await running.chat(X, **change)
        starts = [each.key for each in running.node.outbox.open_entries() if each.key.startswith("start/")]

    assert reply.status_code == 400
    assert all(text in reply.json()["error"]["message"] for text in texts)
    assert starts == []


async def test_without_a_valid_key_nothing_is_served(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode()) as (_comet, running):
        url = f"{running.url()}/v1/chat/completions"
        replies = [
            await running.http.post(url, json={"model": X}, headers=headers)
            for headers in ({}, {"Authorization": "Bearer wrong"})
        ]

    assert [reply.status_code for reply in replies] == [401, 401]
    assert replies[0].json()["error"]["type"] == "authentication_error"


async def test_where_nobody_can_be_reached_the_client_may_come_again_and_no_start_is_left(
    tmp_path: Path,
) -> None:
    async with alone(tmp_path, FakeMLNode()) as (_comet, running):
        reply = await running.chat(Y)

        assert reply.status_code == 503
        assert int(reply.headers["Retry-After"]) > 0
        assert reply.json()["error"]["code"] == "unreachable"


async def test_a_node_that_fails_makes_the_request_fail_with_a_reason(tmp_path: Path) -> None:
    node = FakeMLNode()
    async with alone(tmp_path, node) as (_comet, running):
        node.fail = {"chat": 500}
        reply = await running.chat(X)

    assert reply.status_code == 503
    assert reply.json()["error"]["code"] == "engine_failed"
    assert running.node.broker.in_flight == 0


async def test_max_tokens_is_cut_to_what_the_account_can_pay(tmp_path: Path) -> None:
    node = FakeMLNode()
    async with alone(tmp_path, node) as (comet, running):
        price = (await running.get("pricing"))["models"][0]["price_per_token"]
        most = comet.chain.balance("alice") // price
        reply = await running.chat(X, max_tokens=2 * most)

    assert reply.status_code == 200
    assert most - 100 < json.loads(node.chats[0])["max_tokens"] < most


# execution for others


def handed_over(inference_id: str = f"{BOB.address}:chatcmpl-1") -> ChatCall:
    body = {"model": X, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
    return ChatCall(inference_id, X, json.dumps(body).encode(), stream=False)


async def post_execute(running: Running, call: ChatCall, headers: dict[str, str]) -> httpx2.Response:
    return await running.http.post(f"{running.url()}/v1/internal/execute", content=call.raw, headers=headers)


async def test_a_request_signed_by_a_participant_is_executed_and_finished_once(tmp_path: Path) -> None:
    call = handed_over()
    async with alone(tmp_path, FakeMLNode()) as (_comet, running):
        headers = signed_headers(call, BOB, ALICE.address)
        first = await post_execute(running, call, headers)
        again = await post_execute(running, call, headers)
        finish = running.node.outbox.get(f"finish/{call.inference_id}")

    assert (first.status_code, first.json()["id"]) == (200, call.inference_id)
    assert again.status_code == 409
    assert finish is not None


def test_a_participants_worker_key_speaks_for_it_too() -> None:
    account, worker = b"\x02" + b"a" * 32, b"\x03" + b"b" * 32

    assert request_keys(Participant(public_key=account, worker_key=worker.hex())) == [account, worker]
    assert request_keys(Participant(public_key=account, worker_key="no hex")) == [account]


async def test_requests_that_are_not_signed_as_they_stand_are_refused(tmp_path: Path) -> None:
    node, call = FakeMLNode(), handed_over()
    good = signed_headers(call, BOB, ALICE.address)
    old = str(time.time_ns() - 120 * 10**9)
    cases = {
        "headers are missing": {},
        "not that of": good | {"X-Inference-Id": "another"},
        "is not that": signed_headers(call, BOB, BOB.address),
        "no participant": signed_headers(call, key_of("stranger"), ALICE.address),
        "begin with it": signed_headers(call, ALICE, ALICE.address),
        "a colon": signed_headers(handed_over("anyones"), BOB, ALICE.address),
        "compare the clocks": good | {"X-Timestamp": old},
        "no number": good | {"X-Timestamp": "soon"},
        "cannot be read": good | {"X-TA-Signature": "!"},
    }
    async with alone(tmp_path, node) as (_comet, running):
        replies = {text: await post_execute(running, call, headers) for text, headers in cases.items()}

    for text, reply in replies.items():
        assert reply.status_code in {401, 403}
        assert text in reply.json()["error"]["message"]
    assert node.chats == []


# what anyone may read


async def test_epoch_prices_participants_and_status_are_shown(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode()) as (_comet, running):
        models, pricing = await running.get("models"), await running.get("pricing")
        registry, future = await running.get("governance/models"), await running.get("governance/pricing")
        epoch, participants = await running.get("epochs/latest"), await running.get("participants")
        status = await running.get("status")

    assert [each["id"] for each in models["models"]] == [X, Y]
    assert [each["id"] for each in models["data"]] == [X, Y]
    assert [each["id"] for each in registry["models"]] == [X, Y, Z]
    assert [each["id"] for each in future["models"]] == [X, Y, Z]
    assert {each["id"]: each["price_per_token"] for each in pricing["models"]} == {X: 1000, Y: 1000}
    assert (epoch["latest_epoch"]["index"], epoch["phase"], epoch["slot_in_force"]) == (
        0,
        "inference",
        "PRE_POC_SLOT",
    )
    weights = {each["id"]: each["weight"] for each in participants["participants"]}
    assert weights == {ALICE.address: 100, BOB.address: 100}
    assert status["participant"] == ALICE.address


async def test_an_unknown_inference_is_not_found(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode()) as (_comet, running):
        reply = await running.http.get(f"{running.url()}/v1/chat/completions/none")

    assert reply.status_code == 404
    assert reply.json()["error"]["type"] == "not_found_error"


async def test_a_body_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode()) as (_comet, running):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(running.url().rpartition(":")[2]))
        size = running.settings.body_bytes_max + 1
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
        )
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()

    assert answer.startswith(b"HTTP/1.1 413 ")


# operators


async def test_the_admin_api_needs_its_token_and_changes_nodes(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode()) as (comet, running):
        url = f"{running.url(2)}/admin/v1/nodes"
        refused = await running.http.get(url)
        token = (running.settings.home / "admin_token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        listed = (await running.http.get(url, headers=headers)).json()
        disabled = await running.http.post(f"{url}/n1/disable", headers=headers)
        await wait_for(lambda: running.node.broker.nodes["n1"].worker.current.status == "stopped")
        chat = await running.chat(X)
        unknown = await running.http.post(f"{url}/n9/enable", headers=headers)
        bad = listed[0]["node"] | {"id": "n2", "models": {"no/b": {}, "no/a": {}}}
        added = await running.http.post(url, json=bad, headers=headers)
        await settle(comet, running)
        removed = await running.http.delete(f"{url}/n1", headers=headers)

    assert (refused.status_code, disabled.status_code, unknown.status_code) == (401, 200, 404)
    assert listed[0]["state"]["current_model"] == X
    assert (chat.status_code, chat.json()["error"]["code"]) == (503, "admin_disabled")
    assert added.status_code == 400
    assert "no/a, no/b" in added.json()["error"]["message"]
    assert removed.status_code == 200


async def test_metrics_have_their_names_and_follow_the_nodes(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode()) as (_comet, running):
        await running.chat(X)
        text = (await running.http.get(f"{running.url(3)}/metrics")).text

    for line in (
        'apinode_mlnode_state{node_id="n1",state="inference"} 1.0',
        f'apinode_requests_total{{model="{X}",outcome="ok",reason=""}} 1.0',
        "apinode_chain_lag_blocks 0.0",
        "apinode_epoch_snapshot_epoch 0.0",
    ):
        assert line in text
    for name in (
        "tx_queue",
        "ttft_seconds_count",
        "request_duration_seconds_count",
        "mlnode_reconcile_total",
    ):
        assert f"apinode_{name}" in text


async def test_callbacks_outside_a_poc_are_refused(tmp_path: Path) -> None:
    batch = {"node_id": "n1", "public_key": ALICE.public.hex(), "block_hash": "00" * 32, "block_height": 10}
    async with alone(tmp_path, FakeMLNode()) as (_comet, running):
        url = f"{running.url(1)}/v1/poc-batches"
        generated = await running.http.post(f"{url}/generated", json=batch | {"nonces": [0], "dist": [1]})
        malformed = await running.http.post(f"{url}/generated", json={"nonces": [-1]})
        stray = batch | {"nonces": [0], "dist": [1], "request_id": "nobody's"}
        validated = await running.http.post(f"{url}/validated", json=stray)

    assert generated.status_code == 400
    assert "no PoC is under way" in generated.json()["error"]["message"]
    assert "node_id" in malformed.json()["error"]["message"]
    assert validated.json() == {"status": "OK", "used": False}


async def test_nonces_that_come_before_the_first_view_of_the_chain_are_asked_for_again(
    tmp_path: Path,
) -> None:
    batch = {"node_id": "n1", "public_key": ALICE.public.hex(), "block_hash": "00" * 32, "block_height": 10}
    nobody = "http://127.0.0.1:1"
    async with api_node(nobody, tmp_path, "alice", {"n1": (nobody, X)}) as running:
        url = f"{running.url(1)}/v1/poc-batches/generated"
        reply = await running.http.post(url, json=batch | {"nonces": [0], "dist": [1]})

    assert reply.status_code == 503
    assert int(reply.headers["Retry-After"]) > 0
    assert "not known yet" in reply.json()["error"]["message"]
