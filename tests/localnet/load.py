"""Clients that never stop asking, and what became of each request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Any, Self

import httpx2
import openai

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

    Each is the unmodified client `openai`, told to try nothing again. With `fail_over` it does
    as by default, turns to the other API nodes then, and at last to its own again: an answer may break off
    there because it came from another one, which died.
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
        clients = [self._connect(step % len(self._apis)) for step in range(api, api + len(self._apis) + 1)]
        with ExitStack() as held:
            for client in clients:
                held.enter_context(client)
            for number in count():
                if self._over.wait(PAUSE_S):
                    return
                height, begun = self._height(), time.monotonic()
                wrong = self._ask(clients if self._fail_over else clients[:1], model, number, stream=stream)
                self.asked.append(Asked(api, model, stream, height, time.monotonic() - begun, wrong))

    def _connect(self, api: int) -> openai.OpenAI:
        facts = self._apis[api]
        return openai.OpenAI(
            base_url=f"{facts['public']}/v1",
            api_key=facts["api_key"],
            timeout=TIMEOUT_S,
            max_retries=openai.DEFAULT_MAX_RETRIES if self._fail_over else 0,
        )

    @staticmethod
    def _ask(clients: Sequence[openai.OpenAI], model: str, number: int, *, stream: bool) -> str:
        """What is wrong with the answers of all of them; empty where one is whole."""
        wrong = []
        for client in clients:
            try:
                reason = _finish_reason(client, model, f"Hello {number}", stream=stream)
            except (openai.OpenAIError, httpx2.HTTPError) as error:
                wrong.append(f"{type(error).__name__}: {error}")
                continue
            if reason in {"stop", "length"}:
                return ""
            wrong.append(f"ended with {reason}")
        return "; then ".join(wrong)


def _finish_reason(client: openai.OpenAI, model: str, text: str, *, stream: bool) -> str | None:
    """Why an answer ended; None where its last piece never came."""
    messages: list[Any] = [{"role": "user", "content": text}]
    if not stream:
        whole = client.chat.completions.create(model=model, messages=messages, max_tokens=MAX_TOKENS)
        return whole.choices[0].finish_reason
    reason = None
    pieces = client.chat.completions.create(
        model=model, messages=messages, max_tokens=MAX_TOKENS, stream=True
    )
    for piece in pieces:
        reason = piece.choices[0].finish_reason or reason
    return reason
