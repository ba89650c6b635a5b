"""Clients that never stop asking, and what became of each request."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Any, Self

import httpx2

PAUSE_S = 0.4
TIMEOUT_S = 30.0
MAX_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: to whom, when, and what is wrong with the answer; empty: nothing."""

    api: int
    model: str
    stream: bool
    height: int
    seconds: float
    wrong: str


class Load(AbstractContextManager["Load"]):
    """One client for each API node, model and way of asking, each with one request at a time.

    With `fail_over` a client turns to the other API nodes where one does not answer.
    """

    def __init__(
        self,
        apis: Sequence[Any],
        models: Sequence[str],
        height: Callable[[], int],
        *,
        fail_over: bool = False,
    ) -> None:
        self.asked: list[Asked] = []
        self._apis = apis
        self._height = height
        self._fail_over = fail_over
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._client, args=(api, model, stream), daemon=True)
            for api in range(len(apis))
            for model in models
            for stream in (False, True)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(2 * TIMEOUT_S)

    @property
    def failed(self) -> list[Asked]:
        return [each for each in self.asked if each.wrong]

    def _client(self, api: int, model: str, stream: bool) -> None:
        with httpx2.Client(timeout=TIMEOUT_S, trust_env=False) as http:
            for number in count():
                if self._over.wait(PAUSE_S):
                    return
                self.asked.append(self._ask(http, api, model, number, stream=stream))

    def _ask(self, http: httpx2.Client, api: int, model: str, number: int, *, stream: bool) -> Asked:
        height, begun = self._height(), time.monotonic()
        order = [(api + step) % len(self._apis) for step in range(len(self._apis) if self._fail_over else 1)]
        wrong = ""
        for to in order:
            try:
                wrong = self._once(http, to, model, number, stream=stream)
            except httpx2.HTTPError as error:
                wrong = f"{type(error).__name__}: {error}"
            if not wrong:
                break
        return Asked(api, model, stream, height, time.monotonic() - begun, wrong)

    def _once(self, http: httpx2.Client, to: int, model: str, number: int, *, stream: bool) -> str:
        """What is wrong with one API node's answer."""
        api = self._apis[to]
        body = {
            "model": model,
            "messages": [{"role": "user", "content": f"Hello {number}"}],
            "max_tokens": MAX_TOKENS,
            "stream": stream,
        }
        reply = http.post(
            f"{api['public']}/v1/chat/completions",
            json=body,
            headers={"Authorization": f"Bearer {api['api_key']}"},
        )
        if reply.status_code != 200:
            return f"HTTP {reply.status_code}: {reply.text[:300]}"
        return _wrong_stream(reply.text) if stream else _wrong_body(reply.json())


def _wrong_body(body: Any) -> str:
    ended = (
        body["choices"][0]["finish_reason"] in {"stop", "length"} and body["usage"]["completion_tokens"] > 0
    )
    return "" if ended else f"incomplete: {json.dumps(body)[:300]}"


def _wrong_stream(text: str) -> str:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line]
    if not lines or lines[-1] != "[DONE]":
        return f"broken off: {text[-300:]}"
    reasons = [each["choices"][0]["finish_reason"] for each in map(json.loads, lines[:-1]) if each["choices"]]
    return "" if reasons and reasons[-1] in {"stop", "length"} else f"incomplete: {text[-300:]}"
