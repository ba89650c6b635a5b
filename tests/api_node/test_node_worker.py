"""A worker brings a server that behaves like an MLNode to what it should do, or says what hinders it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest

from api_node.intents import Intent, NodeStatus, Puzzle
from api_node.metrics import Metrics
from api_node.mlnode_client import FailureKind, MLNodeClient, MLNodeError, NodeReport
from api_node.node_config import NodeConfig, parse_nodes
from api_node.node_state import Command, Served, next_command
from api_node.node_worker import BACKOFF_MAX_S, NodeWorker
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.serving import served, wait_for

pytestmark = pytest.mark.anyio

PUZZLE, LATER = Puzzle(40, "ab" * 32), Puzzle(70, "cd" * 32)
GENERATE = Intent(NodeStatus.POC_GENERATE, puzzle=PUZZLE)
VALIDATE = Intent(NodeStatus.POC_VALIDATE, puzzle=PUZZLE)
SERVE = Intent(NodeStatus.INFERENCE, model_id="org/x", args=("--seed", "1"), admits=True)
MAINTENANCE = Intent(NodeStatus.MAINTENANCE, reasons_pb2.REASON_MAINTENANCE)
OTHER = Intent(NodeStatus.INFERENCE, model_id="org/y", admits=True)


def config_of(url: str, node_id: str = "n1", **fields: object) -> NodeConfig:
    """A node of the operators' file at a URL of loopback."""
    port = int(url.rpartition(":")[2])
    entry = {"id": node_id, "host": "127.0.0.1", "inference_port": port, "poc_port": port}
    return parse_nodes([entry | {"models": {"org/x": {"args": []}}} | fields])[0]


async def init_request(puzzle: Puzzle, node_id: str) -> dict[str, object]:
    named = {"node_id": node_id, "block_hash": puzzle.poc_seed, "block_height": puzzle.height_start}
    return named | {"public_key": "02" + "00" * 32, "first_nonce": 0, "url": "http://127.0.0.1:1"}


@contextlib.asynccontextmanager
async def working(node: FakeMLNode) -> AsyncIterator[NodeWorker]:
    async with served(node.app()) as url, httpx2.AsyncClient(trust_env=False) as http:
        config = config_of(url)
        client = MLNodeClient(config, http, timeout_s=2, load_timeout_s=5)
        worker = NodeWorker(config, client, init_request, Metrics())
        worker.start()
        try:
            yield worker
        finally:
            await worker.close()


def preparing_is_over(worker: NodeWorker) -> bool:
    """Whether nobody waits for the load ahead any more."""
    return worker._preparing is None or worker._preparing.done()


async def test_a_worker_leads_its_node_through_a_whole_poc() -> None:
    node = FakeMLNode()

    async with working(node) as worker:
        for intent in (SERVE, GENERATE, VALIDATE, SERVE):
            worker.intend(intent)
            await wait_for(worker.reached.is_set)

    assert node.names() == [
        "inference/up",
        "inference/down",
        "pow/init/generate",
        "pow/init/validate",
        "pow/stop",
        "inference/up",
    ]
    assert node.calls[0][1] == {"model": "org/x", "additional_args": ["--seed", "1"]}
    assert (node.state, node.model) == ("INFERENCE", "org/x")


async def test_another_model_is_loaded_although_one_is_served() -> None:
    node = FakeMLNode()

    async with working(node) as worker:
        worker.intend(SERVE)
        await wait_for(worker.reached.is_set)
        worker.intend(OTHER)
        await wait_for(lambda: worker.serves == "org/y")

    assert node.model == "org/y"


async def test_a_node_that_still_generates_the_former_poc_is_given_the_new_one() -> None:
    node = FakeMLNode()

    async with working(node) as worker:
        worker.intend(GENERATE)
        await wait_for(worker.reached.is_set)
        worker.intend(Intent(NodeStatus.POC_GENERATE, puzzle=LATER))
        await wait_for(worker.reached.is_set)

    assert node.pow is not None
    assert node.pow["block_height"] == LATER.height_start


async def test_a_node_that_lost_its_state_is_brought_back() -> None:
    node = FakeMLNode()

    async with working(node) as worker:
        worker.intend(SERVE)
        await wait_for(worker.reached.is_set)
        node.model = ""  # it was restarted
        worker.wake()
        await wait_for(lambda: node.model == "org/x")

    assert node.names() == ["inference/up", "inference/up"]


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (404, FailureKind.POLICY, reasons_pb2.REASON_POLICY_REFUSED),
        (409, FailureKind.BUSY, reasons_pb2.REASON_BUSY),
        (503, FailureKind.BUSY, reasons_pb2.REASON_BUSY),
        (500, FailureKind.NODE, reasons_pb2.REASON_ENGINE_FAILED),
    ],
)
async def test_a_status_code_is_a_failure_of_its_kind_and_the_worker_recovers(
    status: int, kind: FailureKind, reason: int
) -> None:
    node = FakeMLNode(fail={"inference/up": status})

    async with working(node) as worker:
        worker.intend(SERVE)
        await wait_for(lambda: worker.current.reason == reason)
        with pytest.raises(MLNodeError, match="inference/up fails") as caught:
            await worker.client.inference_up("org/x", ())
        node.fail.clear()
        worker.backoff_until = 0
        worker.wake()
        await wait_for(lambda: worker.serves == "org/x")

    assert caught.value.kind == kind
    assert worker.current.reason == reasons_pb2.REASON_UNSPECIFIED


async def test_a_node_that_nobody_answers_for_is_failed_and_unreachable() -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        client = MLNodeClient(config_of("http://127.0.0.1:1"), http, timeout_s=1, load_timeout_s=1)
        worker = NodeWorker(client.node, client, init_request, Metrics())
        worker.start()
        worker.intend(SERVE)

        await wait_for(lambda: worker.current.status == NodeStatus.FAILED)
        await worker.close()

    assert worker.current.reason == reasons_pb2.REASON_UNREACHABLE


async def test_an_answer_with_status_error_is_a_failure() -> None:
    def handler(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"status": "ERROR", "message": "no such model"})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handler)) as http:
        client = MLNodeClient(config_of("http://127.0.0.1:1"), http, timeout_s=1, load_timeout_s=1)

        with pytest.raises(MLNodeError, match="no such model"):
            await client.inference_up("org/x", ())


def _report(**fields: object) -> NodeReport:
    return NodeReport(**fields)  # type: ignore[arg-type]


_SEED = {"pow_seed": PUZZLE.poc_seed, "pow_height": PUZZLE.height_start}
_UP = Served("org/x", ("--seed", "1"))


@pytest.mark.parametrize(
    ("intent", "report", "known", "command"),
    [
        (SERVE, _report(state="INFERENCE", model="org/x"), _UP, None),
        (SERVE, _report(state="INFERENCE", model="org/x"), None, Command.INFERENCE_UP),
        (SERVE, _report(state="INFERENCE", model="org/x"), Served("org/x"), Command.INFERENCE_UP),
        # Of the same name and at another commit it is another model.
        (
            replace(SERVE, hf_commit="c0"),
            _report(state="INFERENCE", model="org/x"),
            _UP,
            Command.INFERENCE_UP,
        ),
        (SERVE, _report(state="POW", pow_status="GENERATING", **_SEED), None, Command.POW_STOP),
        (SERVE, _report(state="POW", pow_status="IDLE", **_SEED), None, Command.POW_STOP),
        (GENERATE, _report(state="INFERENCE", model="org/x"), _UP, Command.INFERENCE_DOWN),
        (GENERATE, _report(state="POW", pow_status="GENERATING", **_SEED), None, None),
        (GENERATE, _report(state="POW", pow_status="IDLE", **_SEED), None, Command.POW_GENERATE),
        (VALIDATE, _report(state="POW", pow_status="GENERATING", **_SEED), None, Command.POW_VALIDATE),
        (VALIDATE, _report(state="POW", pow_status="IDLE", **_SEED), None, None),
        (Intent(NodeStatus.STOPPED), _report(state="POW", pow_status="IDLE"), None, Command.STOP),
        (Intent(NodeStatus.STOPPED), _report(), None, None),
    ],
)
async def test_the_next_command_follows_from_intent_and_report(
    intent: Intent, report: NodeReport, known: Served | None, command: Command | None
) -> None:
    assert next_command(intent, report, known) == command


async def test_a_node_is_asked_to_load_the_next_model_with_its_repository_and_goes_on_serving() -> None:
    node = FakeMLNode()
    later = replace(SERVE, model_id="org/y", hf_repo="org/files", hf_commit="ab" * 20)

    async with working(node) as worker:
        worker.intend(SERVE)
        await wait_for(worker.reached.is_set)
        worker.prepare(later)
        await wait_for(lambda: node.prepared)
        worker.prepare(replace(later, hf_commit="main"))
        await wait_for(lambda: node.names().count("inference/prepare") == 2)

    where = {"hf_repo": "org/files", "hf_commit": "ab" * 20}
    assert node.calls[1][1] == {"model": "org/y", "additional_args": ["--seed", "1"]} | where
    assert node.calls[2][1] == {"model": "org/y", "additional_args": ["--seed", "1"]}
    assert (node.prepared, node.model) == ("org/y", "org/x")


async def test_a_new_intent_overtakes_a_look_at_a_node_that_does_not_answer() -> None:
    node = FakeMLNode()

    async with working(node) as worker:
        worker.intend(SERVE)
        await wait_for(worker.reached.is_set)
        node.hang.add("state")
        worker.wake()
        await asyncio.sleep(0.1)
        worker.intend(MAINTENANCE)  # stops the node without a look
        await wait_for(lambda: node.names()[-1] == "stop", 1)
        node.hang.clear()

    assert node.state == "STOPPED"


@pytest.mark.parametrize(("intent", "path"), [(GENERATE, "inference/down"), (MAINTENANCE, "stop")])
async def test_a_switch_overtakes_a_load_ahead_and_a_command_of_the_former_intent(
    intent: Intent, path: str
) -> None:
    node = FakeMLNode(hang={"inference/prepare"})

    async with working(node) as worker:
        worker.intend(SERVE)
        await wait_for(worker.reached.is_set)
        node.hang.add("inference/up")
        worker.prepare(OTHER)
        await wait_for(lambda: "inference/prepare" in node.names())
        worker.intend(OTHER)
        await wait_for(lambda: node.names()[-1] == "inference/up")
        assert not preparing_is_over(worker)
        worker.intend(intent)
        await wait_for(lambda: node.names()[-1] == path, 1)
        over = await wait_for(lambda: preparing_is_over(worker), 1)
        assert worker.serves != OTHER.model_id
        node.hang.clear()

    assert over
    results = [each["to"] for each in worker.timeline.entries("n1") if each["kind"] == "command"]
    assert "superseded" in results


async def test_a_load_ahead_goes_on_while_its_node_keeps_serving_what_it_serves() -> None:
    node = FakeMLNode(hang={"inference/prepare"})

    async with working(node) as worker:
        worker.intend(SERVE)
        await wait_for(worker.reached.is_set)
        worker.prepare(OTHER)
        await wait_for(lambda: "inference/prepare" in node.names())
        worker.intend(replace(SERVE, puzzle=PUZZLE))
        await wait_for(lambda: "pow/init/validate" in node.names())
        assert not preparing_is_over(worker)
        node.hang.clear()
        await wait_for(lambda: node.prepared == OTHER.model_id)


async def test_a_failed_request_of_a_former_stage_says_nothing_of_the_present_one() -> None:
    node = FakeMLNode()

    async with working(node) as worker:
        worker.intend(GENERATE)
        await wait_for(worker.reached.is_set)
        worker.report_failure(MLNodeError(FailureKind.HOST, "the connection was reset"))

        assert worker.current.status == NodeStatus.POC_GENERATE


async def test_what_is_missing_of_the_chain_is_waited_for_and_is_not_the_nodes_failure() -> None:
    node, known = FakeMLNode(), False

    async def asks_the_chain(puzzle: Puzzle, node_id: str) -> dict[str, object]:
        if not known:
            raise MLNodeError(FailureKind.CHAIN, "the PoC of height 40 is not known")
        return await init_request(puzzle, node_id)

    async with working(node) as worker:
        worker._init_request = asks_the_chain
        worker.intend(GENERATE)
        await wait_for(lambda: worker.current.reason == reasons_pb2.REASON_CHAIN_UNREACHABLE)
        assert worker.current.status == NodeStatus.STOPPED
        known = True
        await wait_for(worker.reached.is_set)

    assert node.names() == ["pow/init/generate"]


async def test_intended_and_current_state_say_since_when_and_until_when() -> None:
    node, before = FakeMLNode(hang={"inference/up"}), time.time()

    async with working(node) as worker:
        worker.intend(replace(SERVE, height_deadline=70))
        await wait_for(lambda: worker.current.command)
        doing = worker.current
        node.fail["inference/up"] = 500
        node.hang.clear()
        await wait_for(lambda: worker.current.status == NodeStatus.FAILED)
        failed = worker.current
        node.fail.clear()
        await wait_for(worker.reached.is_set)
        reached = worker.current

    assert worker.intent is not None
    assert worker.intent.height_deadline == 70
    assert before <= worker.intended_since <= doing.since <= failed.since <= reached.since
    assert (doing.status, doing.command) == (NodeStatus.STOPPED, "inference_up")
    # The loading is given up after five seconds; what failed is tried again soon.
    assert 3 < doing.deadline - before < 8
    assert failed.since < failed.deadline < failed.since + 1
    assert (reached.command, reached.deadline) == ("", 0)


@pytest.mark.parametrize("kind", list(FailureKind))
async def test_the_waits_after_failures_double_to_the_bound_of_their_kind_and_end_with_a_new_intent(
    kind: FailureKind,
) -> None:
    async with working(FakeMLNode(hang={"state"})) as worker:
        worker.intend(SERVE)
        waits = []
        for _ in range(9):
            begin = time.monotonic()
            worker._fail(MLNodeError(kind, "no"))
            waits.append(round(worker.backoff_until - begin, 2))
        worker.intend(GENERATE)

        assert waits[:3] == [0.25, 0.5, 1.0]
        assert waits[-1] == BACKOFF_MAX_S[kind]
        assert worker.backoff_until == 0
