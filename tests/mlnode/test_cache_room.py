"""Answers whose caches do not fit wait or are refused; memory does not run out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch

from mlnode import cache_room
from mlnode.cache_room import COPIES, CacheRoom, Need, NoRoomError, free_bytes
from tests.mlnode.service_harness import TINY, Service

# Keys and values of one token of the tiny model: 2 layers, 2 heads of 16 numbers, float32.
TOKEN_BYTES = 2 * 2 * 2 * 16 * 4
ROOM_TOKENS = 2000
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def narrow(start_service: Callable[..., Service], models_dir: Path) -> Service:
    """A node whose answers may have 2,000 tokens together."""
    options = json.dumps({"cache_bytes": ROOM_TOKENS * TOKEN_BYTES * COPIES})
    flags = ("--models-dir", str(models_dir), "--engine-options", options, "--requests-waiting-max", "2")
    service = start_service(*flags, "--requests-active-max", "8", "--drain-timeout-s", "5")
    service.wait_ready()
    service.up()
    return service


def chat(service: Service, **changes: Any) -> httpx2.Response:
    body = {"model": TINY, "messages": HELLO, "temperature": 0} | changes
    return service.post("/v1/chat/completions", body)


def test_a_batch_costs_its_rows_times_its_longest_row() -> None:
    room = CacheRoom(bytes_max=100 * COPIES * 8, token_bytes=8)

    assert room.tokens_max == 100
    assert room.fits([Need(1, 25), Need(3, 10)], 0)
    assert not room.fits([Need(1, 26), Need(3, 10)], 0)
    assert room.fits([Need(2, 40)], 20)
    assert not room.fits([Need(2, 40)], 21)
    assert room.fits([], 100)
    room.check(Need(4, 25))
    with pytest.raises(NoRoomError, match=r"4 answers of up to 26 tokens.* 100 tokens"):
        room.check(Need(4, 26))


def test_a_model_beside_which_no_cache_fits_is_not_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_room, "free_bytes", lambda _device: 1000)

    with pytest.raises(MemoryError, match="800 bytes are left for caches, a token needs 128"):
        CacheRoom.after_load(torch.device("cpu"), 64, None)


def test_free_memory_is_at_most_what_the_machine_has() -> None:
    assert 0 < free_bytes(torch.device("cpu")) < 2**50


def test_what_could_not_run_even_alone_is_refused_and_the_context_says_so(narrow: Service) -> None:
    alone = chat(narrow, max_tokens=3000)
    many = chat(narrow, max_tokens=500, n=8)
    fitting = chat(narrow, max_tokens=100, n=8)

    assert narrow.get("/v1/models")["data"][0]["max_model_len"] == ROOM_TOKENS
    for answer in (alone, many):
        assert answer.status_code == 400
        assert f"{ROOM_TOKENS} tokens for which this node has memory" in answer.json()["error"]["message"]
    assert fitting.status_code == 200


def test_answers_that_fit_only_one_after_another_all_come_and_the_rest_is_told_when_to_come_again(
    narrow: Service,
) -> None:
    with ThreadPoolExecutor(14) as pool:
        answers = list(pool.map(lambda _: chat(narrow, max_tokens=900), range(14)))

    served = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(served) >= 10
    assert {answer.json()["usage"]["completion_tokens"] for answer in served} == {900}
    assert all(answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0 for answer in refused)


def test_a_given_answer_is_judged_while_answers_keep_the_memory_full(narrow: Service) -> None:
    ask = {"model": TINY, "messages": HELLO, "temperature": 0, "max_tokens": 1200}
    whole = narrow.ok("/v1/chat/completions", ask | {"return_token_ids": True})["choices"][0]
    score = {"request": ask, "text": whole["message"]["content"], "token_ids": whole["token_ids"]}
    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(chat, narrow, max_tokens=900) for _ in range(6)]
        time.sleep(0.2)

        judged = narrow.ok("/v1/chat/completions/score", score)

        statuses = [each.result().status_code for each in running]
    assert judged["text_matches"] is True
    assert len(judged["tokens"]) == 1200
    assert statuses == [200] * 6


def test_a_given_answer_that_memory_does_not_hold_is_not_called_impossible(narrow: Service) -> None:
    ask = {"model": TINY, "messages": HELLO, "temperature": 0, "max_tokens": 3000}

    answer = narrow.post(
        "/v1/chat/completions/score", {"request": ask, "text": "a" * 2500, "token_ids": [66] * 2500}
    )

    assert answer.status_code == 503
    assert "that memory holds" in answer.json()["error"]["message"]


def test_a_prompt_far_beyond_the_context_is_refused_at_once_while_others_are_answered(
    narrow: Service,
) -> None:
    huge = [{"role": "user", "content": "word " * 3_000_000}]
    started = time.monotonic()

    answer = chat(narrow, messages=huge, max_tokens=1)

    assert answer.status_code == 400
    assert "characters" in answer.json()["error"]["message"]
    assert time.monotonic() - started < 5
