"""Inference: what the engine's parts promise, and what a chat client sees."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from mlnode.engine_args import parse_engine_args
from mlnode.model_files import UnfitModelError, UnknownModelError, check, locate
from mlnode.text_stream import TextStream
from mlnode.tiny import byte_tokenizer, make_tiny_llama
from tests.mlnode.service_harness import HUGE, OTHER, TINY, Service, wait_for

REAL = "SmolLM2-135M-Instruct"
HELLO = [{"role": "user", "content": "hello"}]


def body(**changes: Any) -> dict[str, Any]:
    return {"model": TINY, "messages": HELLO, "max_tokens": 16, "temperature": 0} | changes


def events(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


# the parts


@given(st.text(max_size=60), st.lists(st.text(min_size=1, max_size=4), max_size=3))
def test_streamed_text_is_the_whole_text_up_to_the_first_stop_string(text: str, stops: list[str]) -> None:
    tokenizer = byte_tokenizer()
    stream = TextStream(tokenizer.decode, stops)

    parts = []
    for token in tokenizer.encode(text).ids:
        parts.append(stream.push(token))
        if stream.stopped:
            break
    parts += [] if stream.stopped else [stream.flush()]

    ends = [text.find(stop) for stop in stops if stop in text]
    joined = "".join(parts)
    assert text.startswith(joined)
    assert stream.stopped == bool(ends)
    assert len(joined) <= min(ends, default=len(text))
    assert ends or joined == text


def test_a_character_of_several_tokens_comes_out_whole_and_broken_bytes_do_not_block() -> None:
    tokenizer = byte_tokenizer()
    stream = TextStream(tokenizer.decode)

    parts = [stream.push(token) for token in tokenizer.encode("é🙂").ids]
    broken = tokenizer.encode("é").ids[0]
    rest = [stream.push(broken) for _ in range(8)]

    assert [part for part in parts if part] == ["é", "🙂"]
    assert "".join(rest).count("\ufffd") >= 4


def test_a_tiny_llama_is_the_same_bytes_for_a_seed_and_another_for_another(tmp_path: Path) -> None:
    one, same, other = (make_tiny_llama(tmp_path / str(i), seed) for i, seed in enumerate((1, 1, 2)))

    for path in one.iterdir():
        assert path.read_bytes() == (same / path.name).read_bytes()
    assert (one / "model.safetensors").read_bytes() != (other / "model.safetensors").read_bytes()
    assert check(one) is False


def test_a_model_folder_is_found_by_map_or_by_name_and_never_outside(tmp_path: Path) -> None:
    models_dir = tmp_path / "models"
    (models_dir / "a--b").mkdir(parents=True)
    (tmp_path / "mapped").mkdir()
    model_map = tmp_path / "map.json"
    model_map.write_text(json.dumps({"x/y": "mapped", "gone": "nowhere"}))

    assert locate("a/b", models_dir, None) == models_dir / "a--b"
    assert locate("x/y", models_dir, model_map) == tmp_path / "mapped"
    for model in ("..", "../mapped", "a/../b", "/etc", "a/b/c", "gone", "none", "a/b\n"):
        with pytest.raises(UnknownModelError):
            locate(model, models_dir, model_map)


def test_an_unfit_folder_is_refused_with_everything_that_is_wrong(tmp_path: Path) -> None:
    folder = make_tiny_llama(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    changed = config | {"auto_map": {"AutoModel": "code.Model"}}
    (folder / "config.json").write_text(json.dumps(changed))
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])

    with pytest.raises(UnfitModelError) as caught:
        check(folder)

    for part in ("pytorch_model.bin", "auto_map", "cut off"):
        assert part in str(caught.value)


def test_checksums_in_the_folder_are_verified(tmp_path: Path) -> None:
    import hashlib

    folder = make_tiny_llama(tmp_path / "model")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "provenance.json").write_text(json.dumps({"files": {"model.safetensors": digest}}))
    assert check(folder) is True

    (folder / "provenance.json").write_text(json.dumps({"files": {"model.safetensors": "0" * 64}}))
    with pytest.raises(UnfitModelError, match="does not match its checksum"):
        check(folder)


def test_engine_options_are_read_in_every_spelling_and_other_allowed_ones_ignored() -> None:
    joined = parse_engine_args(["--max_model_len=64", "--tensor-parallel-size", "2", "--dtype=float16"])
    apart = parse_engine_args(["--enforce-eager", "--max-model-len", "64"])

    assert (joined.context_max, joined.dtype) == (64, "float16")
    assert (apart.context_max, apart.dtype) == (64, None)
    assert (joined.ignored, apart.ignored) == (("--tensor-parallel-size",), ("--enforce-eager",))


def test_engine_options_that_run_code_or_are_malformed_are_all_named() -> None:
    with pytest.raises(ValueError, match="additional_args") as caught:
        parse_engine_args(["--trust-remote-code", "--max-model-len=many", "--middleware", "x.y"])

    for option in ("--trust-remote-code", "--max-model-len", "--middleware"):
        assert option in str(caught.value)


# what a chat client sees


@pytest.fixture
def serving(node: Service) -> Service:
    node.up()
    return node


def test_usage_counts_exactly_the_tokens_of_prompt_and_answer(serving: Service) -> None:
    answer = serving.ok("/v1/chat/completions", body(max_tokens=21))

    prompt = "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    expected = len(byte_tokenizer().encode(prompt).ids)
    usage = {"prompt_tokens": expected, "completion_tokens": 21, "total_tokens": expected + 21}
    assert answer["usage"] == usage
    assert len(answer["choices"][0]["message"]["content"]) == 21
    assert (answer["object"], answer["choices"][0]["finish_reason"]) == ("chat.completion", "length")


def test_a_stream_is_the_same_answer_in_pieces_with_usage_at_the_end_if_asked(serving: Service) -> None:
    whole = serving.ok("/v1/chat/completions", body())
    options = {"stream": True, "stream_options": {"include_usage": True}}
    response = serving.post("/v1/chat/completions", body(**options))

    chunks = events(response.text)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1])
    assert text == whole["choices"][0]["message"]["content"]
    assert len(chunks) > 10
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], whole["usage"])
    plain = events(serving.post("/v1/chat/completions", body(stream=True)).text)
    assert all(chunk["choices"] for chunk in plain)


def test_a_seed_repeats_a_random_answer_and_top_p_near_zero_is_greedy(serving: Service) -> None:
    def text(**changes: Any) -> str:
        answer = serving.ok("/v1/chat/completions", body(**changes))
        return str(answer["choices"][0]["message"]["content"])

    assert text(temperature=2, seed=7) == text(temperature=2, seed=7)
    assert text(temperature=2, seed=7) != text(temperature=2, seed=8)
    assert text(temperature=1, top_p=1e-6) == text()
    assert text(temperature=2, top_p=1e-300) == text(temperature=1e-300) == text()


def test_a_model_that_overflows_on_a_prompt_fails_that_answer_alone(
    serving: Service, models_dir: Path
) -> None:
    folder = make_tiny_llama(models_dir / "evergrid--overflowing")
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"][byte_tokenizer().encode("~").ids[0]] = np.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    serving.up("evergrid/overflowing")
    pid = serving.state()["compute"]["pid"]
    fine = body(model="evergrid/overflowing", max_tokens=200)
    bad = fine | {"messages": [{"role": "user", "content": "~"}], "n": 2, "temperature": 1}

    with ThreadPoolExecutor() as pool:
        answers = pool.map(lambda each: serving.post("/v1/chat/completions", each), [fine, bad, fine])
        first, overflowed, second = answers

    assert (first.status_code, overflowed.status_code, second.status_code) == (200, 500, 200)
    assert "overflowed" in overflowed.json()["error"]["message"]
    assert serving.state()["compute"]["pid"] == pid
    assert serving.state()["requests_in_flight"] == 0


def test_an_answer_ends_before_a_stop_string(serving: Service) -> None:
    whole = serving.ok("/v1/chat/completions", body())["choices"][0]["message"]["content"]
    stop = whole[3:5]

    choice = serving.ok("/v1/chat/completions", body(stop=[stop]))["choices"][0]

    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == whole[: whole.find(stop)]


def test_requests_that_cannot_be_served_get_their_own_error_each(serving: Service) -> None:
    cases = [
        (body(model="evergrid/none"), 404, "model_not_found"),
        (body(max_tokens=10**6), 400, "invalid"),
        (body(temperature=3, messages=[]), 400, "invalid"),
        (body(n=17, logprobs="many"), 400, "invalid"),
        (body(tools=[{"type": "function", "function": {"name": "f"}}]), 400, "unsupported"),
        (body(response_format={"type": "json_object"}), 400, "unsupported"),
    ]
    for request, status, code in cases:
        for stream in (False, True):
            answer = serving.post("/v1/chat/completions", request | {"stream": stream})

            assert answer.status_code == status, answer.text
            assert answer.json()["error"]["code"] == code


def test_a_full_queue_is_refused_with_a_time_to_come_back(serving: Service) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: serving.post("/v1/chat/completions", body(max_tokens=300)), range(8))
        )

    refused = [answer for answer in answers if answer.status_code == 429]
    served = [answer for answer in answers if answer.status_code == 200]
    assert len(served) >= 3
    assert refused
    assert len(served) + len(refused) == 8
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    assert len({answer.json()["choices"][0]["message"]["content"] for answer in served}) == 1


def test_a_client_that_leaves_frees_its_place_at_once(serving: Service) -> None:
    request = body(max_tokens=4000, stream=True)
    with serving.client.stream("POST", "/v1/chat/completions", json=request) as response:
        lines = response.iter_lines()
        next(lines)
        assert serving.state()["requests_in_flight"] == 1

    started = time.monotonic()
    wait_for(lambda: serving.state()["requests_in_flight"] == 0)
    with pytest.raises(httpx2.ReadTimeout):
        serving.client.post("/v1/chat/completions", json=body(max_tokens=4000), timeout=0.3)
    wait_for(lambda: serving.state()["requests_in_flight"] == 0)
    assert serving.ok("/v1/chat/completions", body(max_tokens=1))
    assert time.monotonic() - started < 3


def test_a_stop_lets_a_running_answer_finish(serving: Service) -> None:
    answers: list[httpx2.Response] = []
    request = body(max_tokens=300)
    thread = threading.Thread(target=lambda: answers.append(serving.post("/v1/chat/completions", request)))
    thread.start()
    wait_for(lambda: serving.state()["requests_in_flight"])

    serving.ok("/api/v1/stop")

    thread.join(10)
    assert answers[0].status_code == 200
    assert answers[0].json()["usage"]["completion_tokens"] == 300
    assert serving.state()["state"] == "STOPPED"


def test_an_answer_that_the_compute_process_takes_with_it_ends_with_an_error(serving: Service) -> None:
    with serving.client.stream(
        "POST", "/v1/chat/completions", json=body(max_tokens=4000, stream=True)
    ) as response:
        lines: Iterator[str] = response.iter_lines()
        next(lines)

        os.kill(serving.state()["compute"]["pid"], signal.SIGKILL)

        rest = [json.loads(line.removeprefix("data: ")) for line in lines if line]
    assert "SIGKILL" in rest[-1]["error"]["message"]
    assert serving.post("/v1/chat/completions", body()).status_code == 503


def test_the_openai_client_works_unmodified(serving: Service) -> None:
    with openai.OpenAI(base_url=f"{serving.url}/v1", api_key="none", max_retries=0) as client:
        models = [model.id for model in client.models.list()]
        answer = client.chat.completions.create(
            model=TINY,
            messages=[{"role": "user", "content": "hello"}],
            max_completion_tokens=5,
            temperature=0,
        )
        stream = client.chat.completions.create(
            model=TINY,
            messages=[{"role": "user", "content": "hello"}],
            max_tokens=5,
            temperature=0,
            stream=True,
        )
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="none", messages=[{"role": "user", "content": "hello"}])

    assert models == [TINY]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5
    assert streamed == answer.choices[0].message.content


def test_smollm2_answers_sensibly(node: Service, models_dir: Path) -> None:
    if not (models_dir / REAL).is_dir():
        pytest.skip("set-up has not made the model")
    node.up(REAL)

    question = [{"role": "user", "content": "What is the capital of France?"}]
    answer = node.ok("/v1/chat/completions", body(model=REAL, messages=question, max_tokens=12))

    assert "Paris" in answer["choices"][0]["message"]["content"]
    assert node.metric(f'mlnode_model_artifact_verified{{model="{REAL}"}}') == 1


# the next model


def test_the_next_model_is_loaded_beside_a_running_answer_and_then_takes_over_at_once(
    serving: Service,
) -> None:
    alone = serving.ok("/v1/chat/completions", body())["choices"][0]["message"]["content"]
    long = body(max_tokens=300)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(lambda: serving.ok("/v1/chat/completions", long))
        prepared = serving.ok("/api/v1/inference/prepare", {"model": OTHER})
        answer = running.result()
    before = serving.metric(f'mlnode_model_load_seconds{{model="{OTHER}",phase="weights"}}')

    serving.up(OTHER)

    assert prepared == {"status": "OK", "loaded": True, "reason": None}
    assert answer["choices"][0]["message"]["content"].startswith(alone)
    assert before > 0
    assert serving.metric(f'mlnode_model_load_seconds{{model="{OTHER}",phase="weights"}}') == 0
    assert serving.state()["model"] == OTHER
    assert serving.ok("/v1/chat/completions", body(model=OTHER))["usage"]["completion_tokens"] == 16


def test_what_was_prepared_is_given_up_by_a_stop_and_loaded_anew(serving: Service) -> None:
    serving.ok("/api/v1/inference/prepare", {"model": OTHER})

    serving.ok("/api/v1/stop")
    serving.up(OTHER)

    assert serving.metric(f'mlnode_model_load_seconds{{model="{OTHER}",phase="weights"}}') > 0


def test_a_model_that_memory_does_not_allow_is_fetched_and_checked_but_not_loaded(serving: Service) -> None:
    unfit = serving.post("/api/v1/inference/prepare", {"model": "evergrid/none"})
    huge = serving.post("/api/v1/inference/prepare", {"model": HUGE})

    assert unfit.status_code == 404
    assert huge.status_code == 200
    assert huge.json()["loaded"] is False
    assert "are free" in huge.json()["reason"]
    assert serving.state()["model"] == TINY
