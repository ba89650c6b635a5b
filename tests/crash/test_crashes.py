"""Deaths of the chain's process and of CometBFT: the committed stays, all heights come out the same."""

from __future__ import annotations

import base64
import random
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from abci_app.kernel.tx import decode
from client.chain import route_of
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from tests.crash.replay import acknowledged, assert_as_undisturbed
from tests.crash.serve import EXIT_CODE, POINTS
from tests.crash.traffic import POC_END, START, SWITCH, VALIDATION_END, VALIDATION_START

if TYPE_CHECKING:
    from bench.live import LiveNode
    from tests.crash.traffic import Traffic

pytestmark = [pytest.mark.localnet, pytest.mark.slow, pytest.mark.xdist_group("localnet")]

FAIL_POINTS = 14
# How long CometBFT takes to notice that its application is gone, and to end.
NOTICE_SECONDS = 20.0


def kill(node: LiveNode, *victims: str) -> None:
    """SIGKILL to the victims; CometBFT ends by itself without its application."""
    assert node.chain is not None and node.comet is not None
    for name, process in (("comet", node.comet), ("chain", node.chain)):
        if name in victims:
            process.kill()
            process.wait()
    if "comet" not in victims:
        node.comet.wait(NOTICE_SECONDS)


def assert_nothing_lost(node: LiveNode, traffic: Traffic) -> None:
    """Whatever the node ever called committed is at its height, with its code."""
    now = acknowledged(node, 1)
    assert traffic.seen == {height: now[height] for height in traffic.seen}
    assert any(code == 0 for txs in traffic.seen.values() for _, code in txs)
    assert any(code != 0 for txs in traffic.seen.values() for _, code in txs)


def events(node: LiveNode, kinds: set[str]) -> list[tuple[int, str]]:
    """The events of blocks' ends of some kinds, with their heights."""
    found = []
    for height in range(1, node.height() + 1):
        at_end = node.call("block_results", height=str(height))["finalize_block_events"] or []
        found += [(height, event["type"]) for event in at_end if event["type"] in kinds]
    return found


def test_kills_at_random_heights_change_no_height_and_lose_nothing(node: LiveNode, traffic: Traffic) -> None:
    rng = random.Random(7)
    node.start()

    for _ in range(6):
        traffic.run_to(traffic.height + rng.randint(2, 7))
        kill(node, *rng.choice((("chain",), ("comet",), ("comet", "chain"))))
        node.start()
    traffic.run_to(traffic.height + 3)

    assert_nothing_lost(node, traffic)
    assert_as_undisturbed(node)


def test_cometbft_dies_at_each_of_its_fail_points_and_goes_on(node: LiveNode, traffic: Traffic) -> None:
    node.start()
    traffic.run_to(2)
    kill(node, "comet")

    for index in range(FAIL_POINTS):
        if node.chain is None or node.chain.poll() is not None:
            node.start_chain()
        node.start_comet(FAIL_TEST_INDEX=str(index))
        assert node.comet is not None
        feed_to_the_end(node, traffic, node.comet)
        assert node.comet.returncode == 1, index
        assert f"*** fail-test {index} ***" in node.log.read_text()
        if index % 2:
            kill(node, "chain")
        before = traffic.height
        node.start()
        traffic.run_to(before + 2)
        kill(node, "comet")

    node.start()
    traffic.run_to(traffic.height + 1)
    assert_nothing_lost(node, traffic)
    assert_as_undisturbed(node)


def feed_to_the_end(node: LiveNode, traffic: Traffic, process: subprocess.Popen[bytes]) -> None:
    """Sends on until the process is gone."""

    def gone() -> bool:
        traffic.step()
        return process.poll() is not None

    node.wait("a death", gone)


def test_a_poc_with_deaths_in_it_runs_each_stage_once_and_gives_the_same_weights(
    node: LiveNode, traffic: Traffic
) -> None:
    node.start()
    for height, victims in (
        (START + 2, ("chain",)),
        (VALIDATION_START, ("comet", "chain")),
        (VALIDATION_END - 1, ("comet",)),
    ):
        traffic.run_to(height)
        kill(node, *victims)
        node.start()
    traffic.run_to(SWITCH + 3)

    stages = {"poc_started", "poc_ended", "poc_validation_started", "next_epoch_ready", "epoch_started"}
    assert events(node, stages) == [
        (START, "poc_started"),
        (POC_END, "poc_ended"),
        (VALIDATION_START, "poc_validation_started"),
        (VALIDATION_END, "next_epoch_ready"),
        (SWITCH, "epoch_started"),
    ]
    app = assert_as_undisturbed(node)
    request = epochs_pb2.QueryEpochGroupDataRequest(epoch_index=1)
    path = route_of(type(request)).path
    undisturbed, _ = app.queries.answer(path, request.SerializeToString(), app.store.version)
    live = node.client.query(request, epochs_pb2.QueryEpochGroupDataResponse)
    assert live == undisturbed
    weights = {each.member_address: each.weight for each in live.epoch_group_data.validation_weights}
    assert weights == accepted_nonces(node)
    assert_nothing_lost(node, traffic)


def accepted_nonces(node: LiveNode) -> dict[str, int]:
    """What the batches in the node's blocks claim, of those that succeeded, by participant."""
    nonces: Counter[str] = Counter()
    for txs in acknowledged(node, 1).values():
        for tx, code in txs:
            for _, message in decode(base64.b64decode(tx)).messages:
                if code == 0 and isinstance(message, poc_pb2.MsgSubmitPocBatch):
                    nonces[message.creator] += message.nonce_count
    return dict(nonces)


def test_the_chain_dies_at_each_point_of_a_block_and_goes_on(node: LiveNode, traffic: Traffic) -> None:
    node.start()
    traffic.run_to(2)

    for point in POINTS:
        kill(node, "comet", "chain")
        height = traffic.height + 3
        node.start_chain("tests.crash.serve", CRASH_AT=f"{point}@{height}")
        node.start_comet()
        assert node.chain is not None and node.comet is not None
        feed_to_the_end(node, traffic, node.chain)
        assert node.chain.returncode == EXIT_CODE, point
        node.comet.wait(NOTICE_SECONDS)
        # What it had not committed it must not have promised either.
        assert max(traffic.seen) < height
        node.start()
        traffic.run_to(height + 1)

    assert_nothing_lost(node, traffic)
    assert_as_undisturbed(node)
