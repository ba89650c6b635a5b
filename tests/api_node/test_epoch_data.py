"""A process that starts while its chain is away serves what the last epoch data on disk say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from api_node import orchestrator as orchestrator_module
from api_node.epoch_data import FACT, KeptData, intents_without_chain, keep, load
from api_node.intents import NodeStatus
from api_node.outbox import Outbox
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from tests.api_node.comet import Comet
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.network import api_node, fleet, run_to
from tests.api_node.serving import served, wait_for
from tests.api_node.views import Placed, X, Y, facts, view_at
from tests.chain import Chain, GenesisParticipant, a_model, app_state

BOTH = (Placed("n1", X, poc_slot=True), Placed("n2", Y))
# Local profile: V of the first PoC is 25, S of the second one is 40.
SERVING, IN_POC = 30, 42


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.sqlite")


def kept_at(outbox: Outbox, height: int) -> KeptData:
    keep(outbox, view_at(height, BOTH))
    found = load(outbox)
    assert found is not None
    return found


@pytest.mark.parametrize("height", [SERVING, IN_POC])
def test_what_is_kept_of_a_group_is_read_again_as_it_was(outbox: Outbox, height: int) -> None:
    view = view_at(height, BOTH)

    kept = kept_at(outbox, height)

    assert (kept.height, kept.in_poc) == (height, height == IN_POC)
    assert kept.data == replace(view.effective, voting_powers={}, weights={})


def test_the_disk_is_written_when_the_data_change_and_at_no_other_block(outbox: Outbox) -> None:
    written = [kept_at(outbox, height).height for height in (26, 30, 38, 39, 45, 54, 55, 60)]

    # At S-1 slots are drawn, at V another group rules.
    assert written == [26, 26, 26, 39, 39, 39, 55, 55]


def test_without_a_chain_nodes_serve_their_epoch_model_with_its_arguments_and_take_no_requests(
    outbox: Outbox,
) -> None:
    found = intents_without_chain(kept_at(outbox, SERVING), facts("n1", "n2", "n3"))

    assert {node_id: (each.status, each.model_id) for node_id, each in found.items()} == {
        "n1": (NodeStatus.INFERENCE, X),
        "n2": (NodeStatus.INFERENCE, Y),
        "n3": (NodeStatus.STOPPED, ""),
    }
    assert found["n1"].args == ("--max-model-len", "64", "--max-num-seqs", "4")
    assert not any(each.admits for each in found.values())
    assert {each.reason for each in found.values()} == {reasons_pb2.REASON_CHAIN_UNREACHABLE}


def test_in_a_poc_only_nodes_that_serve_through_it_are_asked_for_anything(outbox: Outbox) -> None:
    found = intents_without_chain(kept_at(outbox, IN_POC), facts("n1", "n2"))

    assert {node_id: each.model_id for node_id, each in found.items()} == {"n1": X}


def test_disabled_nodes_are_left_as_they_are(outbox: Outbox) -> None:
    nodes = [replace(each, enabled=False) for each in facts("n1")]

    assert intents_without_chain(kept_at(outbox, SERVING), nodes) == {}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"height": 1, "in_poc": 0, "epoch_index": 1, "models": 3}']
)
def test_what_cannot_be_read_is_as_good_as_nothing(outbox: Outbox, text: str) -> None:
    outbox.remember(FACT, text)

    assert load(outbox) is None


@pytest.mark.anyio
@pytest.mark.slow
async def test_a_restarted_api_node_serves_its_epoch_model_while_the_chain_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orchestrator_module, "CHAIN_AWAY_S", 0.5)
    comet = Comet(Chain(app_state([GenesisParticipant("alice", 50)], [a_model(X), a_model(Y)])))
    comet.chain.run_to(1)
    node = FakeMLNode()
    async with fleet({"a1": node}) as urls:
        # The configuration prefers another model than the epoch gave the node.
        async with (
            served(comet.app()) as rpc,
            api_node(rpc, tmp_path, "alice", {"a1": (urls["a1"], Y)}) as one,
        ):
            await run_to(comet, 27, [one])
            await wait_for(lambda: node.model == Y)
            assert await one.end() == 0
        node.model = ""
        away = "http://127.0.0.1:1"
        async with api_node(away, tmp_path, "alice", {"a1": (urls["a1"], X)}) as again:
            await wait_for(lambda: node.model == Y)
            assert again.node.orchestrator.view is None
            assert await again.end() == 0
