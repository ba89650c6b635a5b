"""Several choices and bare prompts through an API node: every choice an inference of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from api_node.chat_request import CHOICES_MAX, read_request
from api_node.choices import single_bodies
from api_node.errors import ApiError
from api_node.execution import signed_headers
from api_node.relay import COMPLETIONS, ChatCall
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.network import API_KEY
from tests.api_node.test_public import ALICE, BOB, TEXT, X, alone, inference, post_execute, settle

pytestmark = pytest.mark.anyio

HELLO = [{"role": "user", "content": "hello"}]


async def test_each_of_n_choices_is_escrowed_executed_and_finished_as_one_answer_of_its_own(
    tmp_path: Path,
) -> None:
    node = FakeMLNode()
    async with alone(tmp_path, node) as (comet, running):
        body = (await running.chat(X, n=3, seed=10, max_tokens=9)).json()
        await settle(comet, running)

    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert body["usage"] == {"prompt_tokens": 7, "completion_tokens": 12, "total_tokens": 19}
    assert body["inference_ids"][0] == body["id"]
    recorded = [inference(comet, each) for each in body["inference_ids"]]
    assert len({each.inference_id for each in recorded}) == 3
    for each in recorded:
        assert (each.max_tokens, each.prompt_token_count, each.completion_token_count) == (9, 7, 4)
    asked = [json.loads(raw) for raw in node.chats]
    assert sorted(each["seed"] for each in asked) == [10, 11, 12]
    assert not any("n" in each for each in asked)


async def test_the_openai_client_streams_choices_and_continues_texts(tmp_path: Path) -> None:
    async with alone(tmp_path, FakeMLNode()) as (comet, running):
        client = openai.AsyncOpenAI(base_url=f"{running.url()}/v1", api_key=API_KEY, max_retries=0)
        ask: dict[str, Any] = {"model": X, "messages": HELLO, "n": 2, "stream": True}
        stream = await client.chat.completions.create(**ask, stream_options={"include_usage": True})
        chunks = [chunk async for chunk in stream]
        texts = await client.completions.create(model=X, prompt=["one", "two"], max_tokens=8)
        await client.close()
        await settle(comet, running)

    said = ["", ""]
    for chunk in chunks[:-1]:
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
    assert said == [TEXT, TEXT]
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (7, 8)
    assert [choice.text for choice in texts.choices] == [TEXT, TEXT]
    assert texts.usage is not None
    assert (texts.usage.prompt_tokens, texts.usage.completion_tokens) == (14, 8)
    assert inference(comet, texts.id).completion_token_count == 4


async def test_the_account_pays_for_all_choices_or_each_is_cut_alike(tmp_path: Path) -> None:
    node = FakeMLNode()
    async with alone(tmp_path, node) as (comet, running):
        price = (await running.get("pricing"))["models"][0]["price_per_token"]
        most = comet.chain.balance("alice") // price
        reply = await running.chat(X, n=4, max_tokens=2 * most)

    assert reply.status_code == 200
    limits = [json.loads(raw)["max_tokens"] for raw in node.chats]
    assert len(limits) == 4
    assert most - 400 < sum(limits) < most


async def test_an_executor_refuses_what_would_be_several_answers_under_one_inference(tmp_path: Path) -> None:
    bodies: list[dict[str, Any]] = [
        {"messages": HELLO, "n": 2},
        {"prompt": ["a", "b"]},
        {"prompt": "a", "messages": HELLO},
        {},
    ]
    node = FakeMLNode()
    async with alone(tmp_path, node) as (_comet, running):
        replies = []
        for i, body in enumerate(bodies):
            raw = json.dumps(body | {"model": X, "max_tokens": 8}).encode()
            call = ChatCall(f"{BOB.address}:{i}", X, raw, stream=False)
            replies.append(await post_execute(running, call, signed_headers(call, BOB, ALICE.address)))

    assert [reply.status_code for reply in replies] == [400] * 4
    assert all("one answer to one prompt" in reply.json()["error"]["message"] for reply in replies)
    assert node.chats == []


def test_a_body_becomes_one_for_each_choice_with_its_own_seed_and_prompt() -> None:
    body = {"model": X, "prompt": ["a", [1, 2]], "n": 2, "seed": 2**63 - 1, "best_of": 2}

    singles = single_bodies(body)

    assert [each["prompt"] for each in singles] == ["a", "a", [1, 2], [1, 2]]
    assert [each["seed"] for each in singles] == [2**63 - 1, -(2**63), -(2**63) + 1, -(2**63) + 2]
    assert not any("n" in each or "best_of" in each for each in singles)
    assert body["n"] == 2


def test_a_request_for_choices_is_told_all_that_is_wrong() -> None:
    wrong = {"n": CHOICES_MAX + 1, "best_of": 99, "prompt": [[]], "messages": HELLO, "max_tokens": True}
    many = {"model": X, "prompt": ["a"] * 9, "n": 2}
    surrogate = b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}'

    with pytest.raises(ApiError) as caught:
        read_request(json.dumps(wrong).encode(), 512, COMPLETIONS)
    with pytest.raises(ApiError, match="18 choices are more than 16"):
        read_request(json.dumps(many).encode(), 512, COMPLETIONS)
    with pytest.raises(ApiError) as unwritable:
        read_request(surrogate, 512)

    assert all(f"{name}: " in caught.value.message for name in ("model", *wrong))
    assert unwritable.value.status == 400


def test_tools_count_towards_the_prompt_that_is_paid_for() -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "x" * 1000}}
    plain, tools = (
        read_request(json.dumps({"model": X, "messages": HELLO} | extra).encode(), 512)[0].prompt_tokens
        for extra in ({}, {"tools": [tool]})
    )

    assert tools > plain + 1000


@pytest.mark.parametrize("raw", [b"[1", b"[]", b"{}", b'{"model":"m","messages":[{"role":"user"}],"n":99}'])
def test_no_malformed_body_is_refused_without_a_word_for_metrics(raw: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        read_request(raw, 8)

    assert (refused.value.status, refused.value.code) == (400, "invalid")
