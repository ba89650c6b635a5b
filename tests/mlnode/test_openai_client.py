"""The unmodified openai client against a running MLNode: every form of answer that it can ask for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.mlnode.service_harness import TINY, Service

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]


@pytest.fixture
def serving(node: Service) -> Service:
    node.up()
    return node


@pytest.fixture
def client(serving: Service) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{serving.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_every_choice_of_a_seed_repeats_and_the_first_is_that_of_a_single_answer(
    client: openai.OpenAI,
) -> None:
    ask: dict[str, Any] = {"model": TINY, "messages": HELLO, "max_tokens": 12, "temperature": 1.5, "seed": 3}

    three = client.chat.completions.create(**ask, n=3)
    again = client.chat.completions.create(**ask, n=3)
    alone = client.chat.completions.create(**ask)

    texts = [choice.message.content for choice in three.choices]
    assert [choice.index for choice in three.choices] == [0, 1, 2]
    assert len(set(texts)) == 3
    assert texts == [choice.message.content for choice in again.choices]
    assert texts[0] == alone.choices[0].message.content
    assert three.usage is not None
    assert alone.usage is not None
    assert three.usage.completion_tokens == 36
    assert three.usage.prompt_tokens == alone.usage.prompt_tokens


def test_streamed_choices_are_those_of_a_whole_answer_with_one_usage_for_all(client: openai.OpenAI) -> None:
    ask: dict[str, Any] = {"model": TINY, "messages": HELLO, "max_completion_tokens": 9, "seed": 5, "n": 2}
    whole = client.chat.completions.create(**ask)

    chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))

    texts = ["", ""]
    reasons: dict[int, str | None] = {}
    for chunk in chunks[:-1]:
        (choice,) = chunk.choices
        texts[choice.index] += choice.delta.content or ""
        reasons[choice.index] = choice.finish_reason
    assert texts == [choice.message.content for choice in whole.choices]
    assert reasons == {0: "length", 1: "length"}
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage


def test_logprobs_tell_the_chosen_token_and_the_likeliest_ones_whole_and_streamed(
    client: openai.OpenAI,
) -> None:
    ask: dict[str, Any] = {"model": TINY, "messages": HELLO, "max_tokens": 6, "temperature": 0}
    whole = client.chat.completions.create(**ask, logprobs=True, top_logprobs=4)
    stream = client.chat.completions.create(**ask, logprobs=True, top_logprobs=4, stream=True)
    streamed: list[Any] = []
    for chunk in stream:
        for choice in chunk.choices:
            streamed += (choice.logprobs.content or []) if choice.logprobs else []
    plain = client.chat.completions.create(**ask)

    told = whole.choices[0].logprobs
    assert told is not None
    assert told.content is not None
    assert "".join(each.token for each in told.content) == whole.choices[0].message.content
    for each in told.content:
        best = [top.logprob for top in each.top_logprobs]
        assert each.top_logprobs[0].token == each.token
        assert each.logprob == max(best)
        assert best == sorted(best, reverse=True)
        assert len(best) == 4
        assert sum(math.exp(value) for value in best) <= 1
        assert bytes(each.bytes or []).decode() == each.token
    assert [each.token for each in streamed] == [each.token for each in told.content]
    assert plain.choices[0].logprobs is None


def test_completions_continue_texts_and_tokens_with_their_own_form_of_logprobs(
    serving: Service, client: openai.OpenAI
) -> None:
    ask: dict[str, Any] = {"model": TINY, "max_tokens": 5, "temperature": 0}
    tokens = serving.ok("/tokenize", {"model": TINY, "prompt": "once"})["tokens"]

    one = client.completions.create(**ask, prompt="once", logprobs=2)
    two = client.completions.create(**ask, prompt=["once", "upon a time"])
    ids = client.completions.create(**ask, prompt=tokens)
    stream = client.completions.create(
        **ask, prompt="once", stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)

    told = one.choices[0].logprobs
    assert told is not None
    assert told.tokens is not None
    assert told.token_logprobs is not None
    assert told.top_logprobs is not None
    assert "".join(told.tokens) == one.choices[0].text
    assert told.text_offset == [0, 1, 2, 3, 4]
    best_of = zip(told.token_logprobs, told.top_logprobs, strict=True)
    assert all(logprob == max(top.values()) for logprob, top in best_of)
    assert [choice.index for choice in two.choices] == [0, 1]
    assert two.choices[0].text == ids.choices[0].text == one.choices[0].text
    assert two.usage is not None
    assert two.usage.prompt_tokens == 4 + 11
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == one.choices[0].text
    assert chunks[-1].usage == one.usage


def test_a_stop_string_that_lies_across_tokens_ends_an_answer_before_it_in_a_stream_too(
    client: openai.OpenAI,
) -> None:
    ask: dict[str, Any] = {"model": TINY, "messages": HELLO, "max_tokens": 40, "temperature": 0}
    text = client.chat.completions.create(**ask).choices[0].message.content or ""
    stop = text[7:11]

    chunks = list(client.chat.completions.create(**ask, stop=["never", stop], stream=True))

    streamed = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert streamed == text[: text.index(stop)]
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_parts_of_text_are_read_and_others_are_all_named_in_a_clear_refusal(client: openai.OpenAI) -> None:
    parts: Any = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    image: Any = [{"type": "image_url", "image_url": {"url": "data:,"}}, {"type": "input_audio"}]
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {}}}

    answer = client.chat.completions.create(
        model=TINY, messages=[{"role": "user", "content": parts}], max_tokens=3
    )
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model=TINY, messages=[{"role": "user", "content": image}], tools=[tool], presence_penalty=1
        )

    assert answer.choices[0].message.content is not None
    for name in ("tools", "messages.0.content.0", "messages.0.content.1", "presence_penalty"):
        assert name in caught.value.message


def test_errors_are_the_clients_own_kinds_and_name_what_is_wrong(client: openai.OpenAI) -> None:
    wrong: Any = {"temperature": 9, "n": 0, "top_p": 2}

    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=TINY, messages=HELLO, **wrong)
    with pytest.raises(openai.NotFoundError) as absent:
        client.models.retrieve("evergrid/none")

    assert all(f"{name}: " in caught.value.message for name in wrong)
    assert (caught.value.code, caught.value.type) == ("invalid", "invalid_request_error")
    assert absent.value.code == "model_not_found"
    assert client.models.retrieve(TINY).id == TINY


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", r'"messages":[{"role":"user","content":"\ud800"}]'),
        ("/v1/chat/completions", r'"messages":[{"role":"user","content":[{"type":"text","text":"\ud800"}]}]'),
        ("/v1/completions", r'"prompt":"\udfff"'),
        ("/v1/completions", r'"prompt":["a","\udfff"]'),
        ("/tokenize", r'"prompt":"\ud800"'),
        ("/tokenize", r'"messages":[{"role":"user","content":"\ud800"}]'),
        (
            "/v1/chat/completions/score",
            r'"request":{"model":"evergrid/tiny","prompt":"\ud800"},"text":"a","token_ids":[1]',
        ),
        (
            "/v1/chat/completions/score",
            r'"request":{"model":"evergrid/tiny","prompt":"a"},"text":"\ud800","token_ids":[1]',
        ),
    ],
)
def test_half_a_surrogate_pair_is_refused_and_the_model_stays_up(
    node: Service, path: str, fields: str
) -> None:
    node.up()
    pid = node.state()["compute"]["pid"]

    content = '{"model":"evergrid/tiny",' + fields + "}"
    answer = node.client.post(path, content=content, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400, answer.text
    assert "lone surrogate" in answer.json()["error"]["message"]
    assert node.state()["compute"]["pid"] == pid
    assert node.state()["model"] == TINY


def test_what_vllm_would_heed_and_this_engine_does_not_is_refused_by_name(client: openai.OpenAI) -> None:
    asked = {"top_k": 5, "ignore_eos": True, "guided_json": {"type": "object"}}
    nothing = {"top_k": -1, "min_p": 0.0, "ignore_eos": False, "bad_words": []}

    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=TINY, messages=HELLO, max_tokens=1, extra_body=asked)
    answer = client.chat.completions.create(model=TINY, messages=HELLO, max_tokens=1, extra_body=nothing)

    assert all(name in caught.value.message for name in asked)
    assert answer.usage is not None


def test_a_body_that_does_not_say_that_it_is_json_is_refused_with_that_hint(node: Service) -> None:
    answer = node.client.post("/v1/chat/completions", content=b'{"model":"evergrid/tiny"}')

    assert answer.status_code == 400
    assert "application/json" in answer.json()["error"]["message"]


def test_to_count_the_tokens_of_a_text_far_beyond_the_context_is_refused(node: Service) -> None:
    node.up()

    answer = node.post("/tokenize", {"prompt": "word " * 1_000_000})

    assert answer.status_code == 400
    assert "5000000 characters" in answer.json()["error"]["message"]


def test_without_a_model_the_client_learns_when_to_come_again(node: Service) -> None:
    with (
        openai.OpenAI(base_url=f"{node.url}/v1", api_key="none", max_retries=0) as client,
        pytest.raises(openai.InternalServerError) as caught,
    ):
        client.chat.completions.create(model=TINY, messages=HELLO)

    assert caught.value.status_code == 503
    assert int(caught.value.response.headers["retry-after"]) > 0


def test_tokens_of_texts_and_of_messages_are_counted_as_usage_counts_them(
    serving: Service, client: openai.OpenAI
) -> None:
    answer = client.chat.completions.create(model=TINY, messages=HELLO, max_tokens=1)

    counted = serving.ok("/tokenize", {"model": TINY, "messages": HELLO})
    text = serving.ok("/tokenize", {"model": TINY, "prompt": "hello"})
    neither = serving.post("/tokenize", {"model": TINY})

    assert answer.usage is not None
    assert (counted["count"], counted["max_model_len"]) == (answer.usage.prompt_tokens, 4096)
    assert (text["count"], len(text["tokens"])) == (5, 5)
    assert neither.status_code == 400
    assert "prompt or messages" in neither.json()["error"]["message"]
