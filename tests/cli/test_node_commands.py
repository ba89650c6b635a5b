"""`evergrid node` against a running API node: what it does, what it prints, its exit codes."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import Result

from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.serving import wait_for
from tests.api_node.test_admin import Admin, Slow, X, serving
from tests.cli.conftest import Command

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _quiet_api_node() -> Iterator[None]:
    """Its log would stand in the output of the command, which runs in the same process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


class Node:
    """Types `evergrid node ...` beside a running API node."""

    def __init__(self, evergrid: Command, admin: Admin) -> None:
        self._evergrid = evergrid
        self._env = {
            "EVERGRID_ADMIN_URL": admin.running.url(2),
            "EVERGRID_ADMIN_TOKEN_FILE": str(admin.running.settings.home / "admin_token"),
        }

    async def __call__(self, *words: str, code: int = 0) -> Result:
        result = await asyncio.to_thread(self._evergrid, "node", *words, **self._env)
        assert result.exit_code == code, result.output
        return result

    async def json(self, *words: str, code: int = 0) -> Any:
        return json.loads((await self(*words, "-o", "json", code=code)).stdout)

    async def fails(self, *words: str, code: int = 1) -> str:
        result = await self(*words, code=code)
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1
        return result.stderr


async def test_nodes_are_listed_added_changed_and_removed(evergrid: Command, tmp_path: Path) -> None:
    async with serving(tmp_path, FakeMLNode()) as admin:
        node = Node(evergrid, admin)
        entry = admin.running.node.broker.nodes["n1"].config.model_dump() | {"id": "n2"}
        file, bad = tmp_path / "n2.json", tmp_path / "bad.json"
        file.write_text(json.dumps(entry))
        bad.write_text(json.dumps([entry | {"id": "n3"}, entry | {"poc_port": 0, "host": ""}]))

        added = await node("add", str(file))
        refused = await node.fails("add", str(bad))
        listed = await node.json("list")
        table = (await node("list")).stdout
        removed = await node("remove", "n2")
        again = await node.fails("remove", "n1", "n2")
        left = await node.json("list")

    assert added.stdout == "n2: node added\n"
    assert "operations.1 (add)" in refused
    assert "poc_port" in refused
    assert "host" in refused
    assert [each["node"]["id"] for each in listed] == ["n1", "n2"]
    assert "n1" in table
    assert removed.stdout == "n2: node removed\n"
    assert "there is no node n2" in again
    assert [each["node"]["id"] for each in left] == ["n1"]


async def test_a_drain_waits_until_a_node_is_empty_and_the_question_is_answered_by_exit_codes(
    evergrid: Command, tmp_path: Path
) -> None:
    slow = FakeMLNode(word_s=0.5)
    async with serving(tmp_path, slow) as admin:
        node = Node(evergrid, admin)
        serving_now = await node("switch-off", "n1", code=3)
        running = asyncio.create_task(admin.running.chat(X))
        await wait_for(lambda: slow.chats)
        too_short = await node("drain", "n1", "--wait", "0.1", code=3)
        drained = await node("drain", "n1", "--wait", "20")
        allowed = await node.json("switch-off")
        unknown = await node.fails("switch-off", "n9")
        assert (await running).status_code == 200
        enabled = await node("enable", "n1")
        disabled = await node("disable", "n1")

    assert serving_now.stdout.startswith("no: it takes requests for org/x: drain it first")
    assert "next stage: pre_poc_scheduling in 8 blocks" in serving_now.stdout
    assert too_short.stdout == "n1: works on 1\n"
    assert drained.stdout == "n1: empty\n"
    assert (allowed["allowed"], allowed["deadline"]["height"]) == (True, 10)
    assert "there is no node n9" in unknown
    assert (enabled.stdout, disabled.stdout) == ("n1: node enabled\n", "n1: node disabled\n")


async def test_a_batch_is_done_from_a_file(evergrid: Command, tmp_path: Path) -> None:
    async with serving(tmp_path, FakeMLNode()) as admin:
        node = Node(evergrid, admin)
        file = tmp_path / "operations.json"
        file.write_text(json.dumps([{"op": "drain", "node_id": "n1"}, {"op": "enable", "node_id": "n1"}]))
        done = await node.json("batch", str(file))
        file.write_text(json.dumps({"operations": [{"op": "fly", "node_id": "n1"}]}))
        refused = await node.fails("batch", str(file))

    assert [each["message"] for each in done] == ["node takes no new requests", "node enabled"]
    assert "operations.0 (fly): it is none of add" in refused


async def test_a_test_is_shown_step_by_step_with_its_exit_code(evergrid: Command, tmp_path: Path) -> None:
    mlnode = Slow()
    mlnode.may_load.set()
    async with serving(tmp_path, mlnode) as admin:
        node = Node(evergrid, admin)
        busy = await node.fails("test", "n1", code=3)
        await node("drain", "n1")
        passed = await node("test", "n1")
        await wait_for(lambda: admin.running.node.broker.nodes["n1"].worker.serves == X)
        mlnode.fail = {"inference/prepare": 500}
        failed = await node.json("test", "n1", code=1)
        await wait_for(lambda: admin.running.node.broker.nodes["n1"].worker.serves == X)
        mlnode.may_load.clear()
        too_long = await node.json("test", "n1", "--timeout", "1", code=3)
        mlnode.may_load.set()
        timeline = (await node("timeline", "n1")).stdout

    assert "evergrid node drain n1" in busy
    assert [line.split()[:2] for line in passed.stdout.splitlines()[2:7]] == [
        *(["reach", "pass"], ["download", "pass"], ["load", "pass"], ["infer", "pass"], ["nonces", "pass"])
    ]
    assert passed.stdout.splitlines()[-1] == "n1 with org/x: pass"
    assert failed["result"] == "fail"
    assert too_long["result"] == "running"
    assert "operator" in timeline


async def test_one_frame_of_top_is_printed_for_scripts(evergrid: Command, tmp_path: Path) -> None:
    async with serving(tmp_path, FakeMLNode()) as admin:
        node = Node(evergrid, admin)
        frame = (await node("top", "--once")).stdout
        shown = await node.json("top", "--once")
        waiting = (await node("transactions")).stdout

    assert "may I switch off now: no: n1: it takes requests for org/x" in frame
    assert "next: pre_poc_scheduling in" in frame
    assert frame.splitlines()[-1].split()[:2] == ["n1", "inference"]
    assert shown["nodes"][0]["node_id"] == "n1"
    assert waiting


async def test_windows_are_listed_and_announced(evergrid: Command, tmp_path: Path) -> None:
    async with serving(tmp_path, FakeMLNode(), first_poc=500, credit=50) as admin:
        node = Node(evergrid, admin)
        empty = (await node("maintenance", "list")).stdout
        blocks = asyncio.create_task(admin.comet.run(0.2))
        announced = await node("maintenance", "announce", "300", "302", "--node-id", "n1")
        refused = await node.fails("maintenance", "announce", "400", "499", "--node-id", "n1")
        await wait_for(lambda: admin.running.node.orchestrator.view.windows)  # type: ignore[union-attr]
        blocks.cancel()
        listed = (await node("maintenance", "list")).stdout

    assert "credit 50 blocks" in empty
    assert "nothing is announced" in empty
    assert announced.stdout.startswith("included in block ")
    assert "100 blocks are more than the credit of 47" in refused
    assert listed.splitlines()[-1].split() == ["n1", "300", "302"]


def test_an_api_node_that_does_not_answer_and_a_wrong_token_are_one_sentence(
    evergrid: Command, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")

    unmade = evergrid.fails("node", "list")
    silent = evergrid.fails(
        "node", "list", "--admin-token-file", str(token), "--admin-url", "http://127.0.0.1:1"
    )

    assert "the API node makes it at its first start" in unmade
    assert silent.startswith("no API node answers at http://127.0.0.1:1: ")


def test_the_help_says_exit_codes_and_gives_examples(evergrid: Command) -> None:
    group, drain, test = (evergrid("node", *words, "--help").output for words in ((), ("drain",), ("test",)))

    assert "3 not now" in group
    assert "evergrid node drain n1 --wait 600" in drain
    assert "Exit code 0: pass, 1: fail, 3: not now." in " ".join(test.split())
