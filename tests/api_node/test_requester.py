"""Requests that an account signed: it pays on chain, once, and whatever is wrong is named."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from api_node import start
from client.keys import Key
from client.requests import HEADERS, request_headers
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.evergrid.inference.v1 import inference_pb2
from tests.api_node.comet import Comet
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.network import Running
from tests.api_node.serving import wait_for
from tests.api_node.test_public import ALICE, BOB, TEXT, X, Y, alone, inference, settle
from tests.chain import GENESIS_TIME_S, key_of

pytestmark = pytest.mark.anyio

CAROL = key_of("carol")
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def body(model: str = X, **fields: Any) -> bytes:
    # Written as no canonical body is: what counts are the bytes that were sent.
    asked = {"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": "hello"}]}
    return json.dumps(asked | fields, indent=2).encode()


async def ask(running: Running, raw: bytes, headers: Any) -> httpx2.Response:
    return await running.http.post(f"{running.url()}/v1/chat/completions", content=raw, headers=headers)


@contextlib.asynccontextmanager
async def paid(tmp_path: Path, node: FakeMLNode, **changes: Any) -> AsyncIterator[tuple[Comet, Running]]:
    """`alone`, on a chain whose clock is right and that has seen carol's key."""
    async with alone(tmp_path, node, **changes) as (comet, running):
        comet.chain.seconds_ahead = int(time.time()) - GENESIS_TIME_S - comet.chain.height
        message = MsgSend(from_address=CAROL.address, to_address=BOB.address)
        message.amount.add(denom="nevg", amount="1")
        comet.mempool.append(comet.chain.sign("carol", message))
        await comet.block()
        await wait_for(lambda: running.node.orchestrator.reader.height == comet.chain.height)
        yield comet, running


async def test_who_signed_pays_and_the_hash_on_chain_is_that_of_the_bytes_that_were_sent(
    tmp_path: Path,
) -> None:
    raw = body()
    async with paid(tmp_path, FakeMLNode()) as (comet, running):
        before = {who: comet.chain.balance(who) for who in ("alice", "carol")}
        reply = await ask(running, raw, request_headers(raw, CAROL, ALICE.address))
        await settle(comet, running)
        after = {who: comet.chain.balance(who) for who in ("alice", "carol")}

    assert reply.status_code == 200, reply.text
    recorded = inference(comet, reply.json()["id"])
    assert recorded.status == inference_pb2.INFERENCE_STATUS_FINISHED
    assert (recorded.requested_by, recorded.transferred_by) == (CAROL.address, ALICE.address)
    assert recorded.prompt_hash == sha256(raw).hexdigest()
    assert before["carol"] - after["carol"] == recorded.cost > 0
    assert before["alice"] == after["alice"]


async def test_the_openai_client_pays_with_a_key_of_its_own(tmp_path: Path) -> None:
    def signed(request: Any) -> Any:
        request.headers.update(request_headers(request.content, CAROL, ALICE.address))
        return request

    async with paid(tmp_path, FakeMLNode()) as (comet, running):
        client = openai.AsyncOpenAI(
            base_url=f"{running.url()}/v1",
            api_key="none",
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(auth=signed, trust_env=False),
        )
        stream = await client.chat.completions.create(
            model=X, messages=[{"role": "user", "content": "hello"}], max_tokens=8, stream=True
        )
        chunks = [chunk async for chunk in stream]
        await client.close()
        await settle(comet, running)

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert inference(comet, chunks[0].id).requested_by == CAROL.address
    assert inference(comet, chunks[0].id).completion_token_count == 4


async def test_a_signed_request_is_taken_once(tmp_path: Path) -> None:
    raw = body()
    headers = request_headers(raw, CAROL, ALICE.address)
    async with paid(tmp_path, FakeMLNode()) as (_comet, running):
        replies = [await ask(running, raw, headers) for _ in range(2)]

    assert [reply.status_code for reply in replies] == [200, 409]
    assert replies[1].json()["error"]["code"] == "request_used"


def high_s(headers: dict[str, str]) -> dict[str, str]:
    """The same signature with the other s, which the chain does not take."""
    raw = b64decode(headers["Authorization"])
    other = (ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    return headers | {"Authorization": b64encode(raw[:32] + other).decode()}


def signed_by(key: Key, raw: bytes, transfer: str = ALICE.address) -> dict[str, str]:
    return dict(request_headers(raw, key, transfer))


CASES: dict[str, tuple[Callable[[bytes], dict[str, str]], list[str]]] = {
    "nothing but an address": (lambda _: {HEADERS[1]: CAROL.address}, ["Authorization: it is missing"]),
    "all wrong at once": (
        lambda _: dict(zip(HEADERS, ("!", "nobody", "soon", BOB.address), strict=True)),
        [f"{name}: " for name in HEADERS],
    ),
    "an old time": (
        lambda raw: dict(request_headers(raw, CAROL, ALICE.address, time.time_ns() - 61 * 10**9)),
        ["X-Timestamp: it is more than 60 s away"],
    ),
    "another agent's": (lambda raw: signed_by(CAROL, raw, BOB.address), [f"agent is {ALICE.address}"]),
    "another body": (lambda _: signed_by(CAROL, b"{}"), [f"not that of {CAROL.address}"]),
    "a high s": (lambda raw: high_s(signed_by(CAROL, raw)), [f"not that of {CAROL.address}"]),
    "nobody's account": (lambda raw: signed_by(key_of("dave"), raw), ["no public key on chain"]),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_is_wrong_with_a_signed_request_is_named_and_nothing_is_computed(
    tmp_path: Path, case: str
) -> None:
    make, texts = CASES[case]
    node, raw = FakeMLNode(), body()
    async with paid(tmp_path, node) as (_comet, running):
        reply = await ask(running, raw, make(raw))

    assert reply.status_code == 401
    assert all(text in reply.json()["error"]["message"] for text in texts), reply.text
    assert node.chats == []


async def test_a_signed_body_names_its_limit_asks_for_one_choice_and_is_paid_for(tmp_path: Path) -> None:
    async with paid(tmp_path, FakeMLNode()) as (comet, running):
        price = (await running.get("pricing"))["models"][0]["price_per_token"]
        bodies = [
            body(max_tokens=None),
            body(n=2),
            body(max_tokens=1 + comet.chain.balance("carol") // price),
        ]
        replies = [await ask(running, raw, signed_by(CAROL, raw)) for raw in bodies]

    assert [reply.status_code for reply in replies] == [400, 400, 402]
    assert "max_tokens: a signed request names it" in replies[0].json()["error"]["message"]
    assert "one choice" in replies[1].json()["error"]["message"]
    assert replies[2].json()["error"]["code"] == "insufficient_funds"


async def test_requests_that_come_together_are_not_begun_beyond_what_the_account_holds(
    tmp_path: Path,
) -> None:
    async with paid(tmp_path, FakeMLNode(word_s=0.1)) as (comet, running):
        price = (await running.get("pricing"))["models"][0]["price_per_token"]
        most = comet.chain.balance("carol") // price
        raws = [body(max_tokens=most * 2 // 3, seed=seed) for seed in range(3)]
        replies = await asyncio.gather(*(ask(running, raw, signed_by(CAROL, raw)) for raw in raws))

    assert sorted(reply.status_code for reply in replies) == [200, 402, 402]


async def test_the_start_of_a_signed_request_that_nobody_took_is_never_sent(tmp_path: Path) -> None:
    raw = body(Y)
    async with paid(tmp_path, FakeMLNode()) as (comet, running):
        reply = await ask(running, raw, signed_by(CAROL, raw))
        starts = [each.key for each in running.node.outbox.open_entries() if each.key.startswith("start/")]
        free = await running.node.agent.purse.free(CAROL.address)

    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "unreachable")
    assert starts == []
    assert free == comet.chain.balance("carol")


async def test_a_signed_request_that_takes_long_is_started_while_it_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "HOLD_S", 0.1)
    raw = body()
    async with paid(tmp_path, FakeMLNode(word_s=0.3)) as (_comet, running):
        answer = asyncio.create_task(ask(running, raw, signed_by(CAROL, raw)))
        outbox = running.node.outbox
        await wait_for(lambda: [each for each in outbox.open_entries() if each.key.startswith("start/")])
        is_computed = answer.done()
        reply = await answer

    assert not is_computed
    assert reply.status_code == 200
