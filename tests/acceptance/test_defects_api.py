"""Known defects of what is shown elsewhere, which the API node lacks; README.md has the list."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.network import X
from tests.api_node.comet import Comet
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.network import api_node, fleet
from tests.api_node.serving import served, wait_for
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of

pytestmark = pytest.mark.anyio


async def test_no_participant_and_no_model_beyond_the_largest_page_is_left_out(tmp_path: Path) -> None:
    """Lists were read without asking for their next page, so who came behind the first did not exist."""
    genesis = [GenesisParticipant("alice", nodes=(GenesisNode("n1", (X,), 100),))]
    genesis += [GenesisParticipant(f"p{number}") for number in range(1_001)]
    models = [a_model(X), *(a_model(f"model/{number}") for number in range(1_001))]
    comet = Comet(Chain(app_state(genesis, models)))
    comet.chain.run_to(1)
    async with (
        fleet({"n1": FakeMLNode()}) as urls,
        served(comet.app()) as rpc,
        api_node(rpc, tmp_path / "alice", "alice", {"n1": (urls["n1"], X)}) as running,
    ):
        await wait_for(lambda: running.node.orchestrator.view is not None)
        shown = (await running.get("participants"))["participants"]
        registry = (await running.get("governance/models"))["models"]

    assert {each["id"] for each in registry} == {model.id for model in models}
    assert {each["id"] for each in shown} == {key_of(each.name).address for each in genesis}
