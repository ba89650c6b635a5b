"""Nonces that are held back are sent when nothing more of them comes, and in time whatever happens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api_node.mlnode_client import NodeReport
from api_node.poc_closing import QUIET_S, Closing, is_drained, may_close
from tests.api_node.network import api_node, run_to
from tests.api_node.serving import wait_for
from tests.api_node.test_poc_committed import NONCES, X, pair

DRAINED = Closing(height=100, height_end=100, height_last=106, is_drained=True)
SILENT = replace(DRAINED, is_drained=False)


@pytest.mark.parametrize(
    ("at", "closes"),
    [
        # Who has nothing more is waited for no longer, but never before the end of the generation.
        (DRAINED, True),
        (replace(DRAINED, height=99), False),
        # Who does not say so is waited for while there is time, then until its posts have ended.
        (SILENT, False),
        (replace(SILENT, height=103, quiet_s=60), False),
        (replace(SILENT, height=104), False),
        (replace(SILENT, height=104, quiet_s=QUIET_S), True),
        (replace(SILENT, height=105), True),
        # What is sent after the window is not taken.
        (replace(DRAINED, height=106), False),
        # A window of two blocks: there is the pause and nothing else.
        (replace(SILENT, height_last=102), False),
        (replace(SILENT, height_last=102, quiet_s=QUIET_S), True),
    ],
)
def test_a_node_is_closed_when_drained_or_when_time_runs_out(at: Closing, closes: bool) -> None:
    assert may_close(at) == closes


@pytest.mark.parametrize(
    ("report", "drained"),
    [
        (NodeReport(state="POW", pow_status="GENERATING"), False),
        (NodeReport(state="POW", pow_status="VALIDATING", nonces_unsent=1), False),
        (NodeReport(state="POW", pow_status="VALIDATING"), True),
        (NodeReport(state="STOPPED", nonces_unsent=5), False),
        (NodeReport(state="STOPPED"), True),
    ],
)
def test_a_node_is_drained_when_it_has_stopped_and_everything_was_taken(
    report: NodeReport, drained: bool
) -> None:
    assert is_drained(report) == drained


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.parametrize(
    "forms",
    [
        {"inline": True, "committed": False},
        {"inline": False, "committed": True},
        {"inline": True, "committed": True},
        {"inline": True, "committed": True, "batch_max": 50},
    ],
)
async def test_an_api_node_that_was_away_until_the_generation_ended_sends_what_its_node_has_kept(
    tmp_path: Path, forms: dict[str, Any]
) -> None:
    async with pair(tmp_path, **forms) as net:
        node = net.nodes["a1"]
        node.nonces_per_s = 20
        await net.to(10)
        await wait_for(lambda: node.pow_status == "GENERATING")
        ports = [sock.getsockname()[1] for _, sock in net.alice.node.servers]
        same = dict(zip(("public_port", "callback_port", "admin_port", "metrics_port"), ports, strict=True))
        assert await net.alice.end() == 0
        taken = net.alice.node.orchestrator.collector.nonce_next("a1")
        assert taken < NONCES["a1"]
        await wait_for(lambda: taken + node.unsent == NONCES["a1"])
        await run_to(net.comet, 15, [net.bob])

        async with api_node(
            net.rpc, tmp_path / "alice", "alice", {"a1": (net.urls["a1"], X)}, **same
        ) as again:
            await run_to(net.comet, 26, (again, net.bob))

            assert sum(each.nonce_count for each in net.batches() if each.node_id == "a1") == NONCES["a1"]
            assert net.weights() == NONCES
            assert await again.end() == 0
