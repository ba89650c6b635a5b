"""Waiting is no error: through all stages, with a chain that is away and a node that loads, all is INFO."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs

from api_node.chain import Waiting
from tests.api_node.comet import Comet
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.network import Running, api_node, fleet, run_to
from tests.api_node.serving import served, wait_for
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

X = "org/x"
# How long it may take: until the next try, the height by which it must be, or the most that is waited.
ETAS = {"retry_s", "retry_blocks", "seconds_max", "by"}


@dataclass
class Away:
    """Stands before an application and refuses everything while it is told to."""

    app: ASGIApp
    away: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.away and scope["type"] == "http":
            await JSONResponse({"error": "away"}, 503)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


@dataclass
class Reluctant(FakeMLNode):
    """Loads slowly, and is busy when it is asked meanwhile."""

    load_s: float = 0.4
    loads: int = 0
    refusals: list[str] = field(default_factory=list)

    async def on_inference_up(self, body: dict[str, Any]) -> None:
        self.loads += 1
        await asyncio.sleep(self.load_s)
        await super().on_inference_up(body)

    async def on_pow_init_generate(self, body: dict[str, Any]) -> None:
        await asyncio.sleep(self.load_s)
        await super().on_pow_init_generate(body)


@contextlib.asynccontextmanager
async def network(tmp_path: Path, node: Reluctant) -> AsyncIterator[tuple[Comet, Away, Running]]:
    genesis = [GenesisParticipant("alice", nodes=(GenesisNode("n1", (X,), 100),))]
    comet = Comet(Chain(app_state(genesis, [a_model(X)])))
    comet.chain.run_to(1)
    door = Away(comet.app(), away=True)
    async with (
        fleet({"n1": node}) as urls,
        served(door) as rpc,
        api_node(rpc, tmp_path / "alice", "alice", {"n1": (urls["n1"], X)}) as running,
    ):
        yield comet, door, running


async def test_through_all_stages_waiting_is_told_as_info_with_its_reason_and_how_long(
    tmp_path: Path,
) -> None:
    node = Reluctant()
    with capture_logs() as events:
        async with network(tmp_path, node) as (comet, door, running):
            # The chain is not there yet, then it is; the node is not there at first.
            node.fail = {"state": 503}
            await asyncio.sleep(1.2)
            door.away = False
            await wait_for(lambda: running.node.broker.nodes["n1"].worker.current.reason)
            await asyncio.sleep(0.5)
            node.fail = {}
            await wait_for(lambda: running.node.broker.nodes["n1"].worker.serves == X)
            # A whole PoC, in the middle of which the chain is away for a while.
            await run_to(comet, 12, [running])
            door.away = True
            await asyncio.sleep(1.2)
            door.away = False
            await run_to(comet, 27, [running])
            await wait_for(lambda: running.node.broker.nodes["n1"].worker.serves == X)

    bad = [each for each in events if each["log_level"] not in {"debug", "info"}]
    assert bad == []
    waits = [each for each in events if "wait" in each["event"]]
    assert {each["event"] for each in waits} >= {"waiting for the chain", "waiting for the node"}
    assert [each for each in waits if not each.get("reason")] == []
    assert [each for each in waits if not any(each.get(name) for name in ETAS)] == []
    reasons = {each["reason"] for each in waits}
    assert {"chain_unreachable", "model_loading", "busy"} <= reasons
    intents = [each["status"] for each in events if each["event"] == "intent"]
    assert {"inference", "poc_generate", "poc_validate"} <= set(map(str, intents))


def test_a_wait_for_the_chain_is_said_once_for_each_problem_and_again_when_it_comes_back() -> None:
    waiting = Waiting()

    with capture_logs() as events:
        for problem in ("away", "away", "slow", "slow", "away"):
            waiting.say(problem, 0.5)
        waiting.end()
        waiting.say("away", 0.5)

    assert [each["problem"] for each in events] == ["away", "slow", "away", "away"]
