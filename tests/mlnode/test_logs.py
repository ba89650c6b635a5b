"""What clients and operators entrust to the node stands in none of its lines, however a request ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.mlnode.service_harness import TINY, Service, free_port, wait_for

PROMPT = "MARKERprompt"
TOKEN = "MARKERtoken"
KEY = "MARKERkey"
HEADERS = {"Authorization": f"Bearer {KEY}", "Cookie": f"session={KEY}"}


@dataclass
class Watched:
    """A node of two ports whose every line goes to a file."""

    service: Service
    inference: str
    log: Path

    def lines(self) -> str:
        return self.log.read_text(errors="replace")


@contextlib.contextmanager
def started(tmp_path: Path, *flags: str) -> Iterator[Watched]:
    token_file, port = tmp_path / "token", free_port()
    token_file.write_text(TOKEN)
    flags = ("--token-file", str(token_file), "--inference-port", str(port), *flags)
    with (tmp_path / "log").open("wb") as log:
        service = Service.started_alone(*flags, log=log)
        service.client.headers["Authorization"] = f"Bearer {TOKEN}"
        try:
            service.wait_ready()
            yield Watched(service, f"http://127.0.0.1:{port}", tmp_path / "log")
        finally:
            service.process.send_signal(signal.SIGTERM)
            service.process.wait(30)


@pytest.fixture
def watched(tmp_path: Path, models_dir: Path) -> Iterator[Watched]:
    with started(tmp_path, "--models-dir", str(models_dir), "--drain-timeout-s", "1") as watched:
        yield watched


def bodies() -> list[tuple[str, Any]]:
    """Requests that are answered, and such as fail in every way, all with the marker in them."""
    chat: dict[str, Any] = {"model": TINY, "max_tokens": 2, "messages": [{"role": "user", "content": PROMPT}]}
    text: dict[str, Any] = {"model": TINY, "max_tokens": 2, "prompt": PROMPT}
    score = {"request": chat, "text": PROMPT, "token_ids": [1, 2]}
    wrong: list[dict[str, Any]] = [
        {"temperature": 9},
        {"model": PROMPT},
        {"max_tokens": 10**6},
        {"tools": [{"name": PROMPT}]},
    ]
    wrong += [{"stop": [PROMPT] * 20}, {PROMPT: PROMPT}, {"stream": True}, {"logit_bias": PROMPT}]
    wrong += [{"messages": [{"role": PROMPT}]}, {"response_format": {"type": PROMPT}}]
    return [
        *[("/v1/chat/completions", chat | each) for each in [{}, *wrong]],
        *[("/v1/completions", text | each) for each in [{}, *wrong]],
        ("/v1/chat/completions/score", score),
        ("/v1/chat/completions/score", score | {"token_ids": [10**9]}),
        ("/tokenize", {"prompt": PROMPT}),
        ("/tokenize", {"messages": chat["messages"]}),
    ]


def test_no_line_holds_a_prompt_a_token_or_a_key_whatever_was_asked(watched: Watched) -> None:
    service = watched.service
    service.up()
    paths = [*service.get("/openapi.json")["paths"], f"/none/{PROMPT}", f"/v1/models/{PROMPT}"]
    statuses = set()

    with httpx2.Client(base_url=watched.inference, headers=HEADERS, trust_env=False, timeout=30) as client:
        for path, body in bodies():
            statuses.add(client.post(path, json=body).status_code)
            statuses.add(client.post(path, content=json.dumps(body)[:-1]).status_code)
        for path in paths:
            statuses.add(client.get(path, params={"key": KEY}).status_code)
    for path in paths:
        statuses.add(service.client.post(path, params={"key": KEY}, json={"key": PROMPT}).status_code)
        statuses.add(service.client.get(path, headers=HEADERS).status_code)
    service.up()
    with httpx2.stream(
        "POST",
        f"{watched.inference}/v1/chat/completions",
        json=bodies()[0][1] | {"max_tokens": 4000, "stream": True},
        trust_env=False,
    ) as response:
        next(response.iter_lines())
        os.kill(service.state()["compute"]["pid"], signal.SIGKILL)
    wait_for(lambda: service.state()["compute"]["restarts"])

    lines = watched.lines()
    assert {200, 400, 401, 404, 405, 422} <= statuses
    assert "compute down" in lines
    assert "model up" in lines
    assert [line for line in lines.splitlines() if "MARKER" in line] == []


def test_what_an_engines_own_process_says_once_it_has_served_is_no_part_of_a_reason(
    tmp_path: Path, models_dir: Path
) -> None:
    program = tmp_path / "vllm"
    stand_in = Path(__file__).with_name("serve_stand_in.py")
    program.write_text(f"#!{sys.executable}\nimport runpy\nrunpy.run_path({str(stand_in)!r})\n")
    program.chmod(0o755)
    options = json.dumps({"executable": str(program), "health_interval_s": 0.2})
    flags = ("--engine", "vllm", "--engine-options", options, "--models-dir", str(models_dir))
    with started(tmp_path, *flags) as watched:
        watched.service.up()
        ask = {"model": TINY, "messages": [{"role": "user", "content": f"crash {PROMPT}"}]}

        httpx2.post(f"{watched.inference}/v1/chat/completions", json=ask, trust_env=False)
        reason = wait_for(lambda: watched.service.state()["engine"]["reason"])

        assert "exited with status 3" in reason
        assert "engine down" in watched.lines()
        assert "MARKER" not in reason + watched.lines()
