"""No secret that a node tells is in a log, a timeline or an answer of the admin API."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
from fastapi import HTTPException

from api_node.http_server import new_app
from api_node.logs import CleanFormatter, clean, configure_logging
from api_node.settings import Settings
from api_node.timeline import REMOVED
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.network import API_KEY
from tests.api_node.serving import served, wait_for
from tests.api_node.test_admin import operated

pytestmark = pytest.mark.anyio

WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"
MARKERS = ("marker-key-1", "hf_markertoken22", "marker-pass-3", WORDS, API_KEY)


@dataclass
class Talkative(FakeMLNode):
    """Tells secrets in its errors."""

    async def on_inference_up(self, _body: dict[str, Any]) -> None:
        text = f"Bearer {MARKERS[0]} token={MARKERS[1]} https://me:{MARKERS[2]}@hub words {WORDS}; {API_KEY}"
        raise HTTPException(400, text)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What is logged, as a process would write it."""
    stream = io.StringIO()
    configure_logging("debug", "json", [API_KEY], stream)
    yield stream
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each.formatter, CleanFormatter)]:
        root.removeHandler(handler)


async def test_no_secret_that_a_node_tells_is_in_the_log_the_timeline_or_an_answer(
    tmp_path: Path, logged: io.StringIO
) -> None:
    async with operated(tmp_path, Talkative()) as admin:
        worker = admin.running.node.broker.nodes["n1"].worker
        await wait_for(lambda: worker.current.status == "failed")
        await admin.post("nodes/n1/disable")
        await wait_for(lambda: worker.current.status == "stopped")
        tested = await admin.post("nodes/n1/test", params={"wait_s": 20})
        answers = [tested] + [
            await admin.get(path) for path in ("nodes", "overview", "nodes/n1/timeline", "status")
        ]
        raw = b"".join(path.read_bytes() for path in (tmp_path / "alice").glob("timeline.sqlite*"))

    told = json.dumps(answers) + logged.getvalue()
    assert REMOVED in told
    assert "inference_up" in logged.getvalue()
    assert [marker for marker in MARKERS if marker in told] == []
    assert [marker for marker in MARKERS if marker.encode() in raw and marker != WORDS] == []


def test_values_are_cleaned_by_name_and_by_form_and_the_rest_stays() -> None:
    value = {"admin_token": "abc", "tokens": 16, "nested": [{"mnemonic": WORDS}, f"see {WORDS}"], "n": None}

    cleaned = clean(value | {"text": "the pass phrase stays, 16 tokens"}, ["abc"])

    assert cleaned["admin_token"] == REMOVED
    assert cleaned["tokens"] == 16
    assert cleaned["nested"] == [{"mnemonic": REMOVED}, REMOVED]
    assert cleaned["text"] == "the pass phrase stays, 16 tokens"


def test_a_traceback_in_the_log_is_cleaned_too(logged: io.StringIO) -> None:
    try:
        int(f"bad key {API_KEY}")
    except ValueError:
        structlog.get_logger("test").exception("failed")

    line = json.loads(logged.getvalue())
    assert "'bad key [removed]'" in line["exception"]
    assert API_KEY not in logged.getvalue()


def test_what_libraries_log_with_their_tracebacks_holds_no_secret_once(logged: io.StringIO) -> None:
    configure_logging("info", "json", [API_KEY, MARKERS[0]], logged)

    try:
        int(f"{API_KEY} and {MARKERS[0]}")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("of %s", f"token={MARKERS[1]}")

    assert "ValueError" in logged.getvalue()
    assert logged.getvalue().count("Traceback") == 1
    assert [marker for marker in MARKERS if marker in logged.getvalue()] == []


async def test_a_fault_of_ours_is_answered_with_no_more_than_a_name_that_stands_in_the_log(
    tmp_path: Path, logged: io.StringIO
) -> None:
    app = new_app("x", "1", Settings(home=tmp_path, node_config=tmp_path / "n"))

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError("of inside")

    async with served(app) as url, httpx2.AsyncClient() as client:
        reply = await client.get(f"{url}/bug")

    message = reply.json()["error"]["message"]
    assert reply.status_code == 500
    assert "RuntimeError" not in reply.text
    assert "inside" not in reply.text
    assert message.rpartition(" ")[2] in logged.getvalue()
