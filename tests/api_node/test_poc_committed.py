"""Committed batches between API nodes: leaves kept, committed to, served, fetched and judged."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from abci_app.modules.epochs.profiles import default_params
from api_node.poc_artifacts import ArtifactStore, Leaves
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from protocol.merkle import Tree, claim_leaf
from tests.api_node.comet import Comet
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.network import Running, api_node, fleet, run_to
from tests.api_node.serving import served
from tests.chain import GOV, Chain, GenesisParticipant, a_model, app_state, key_of
from tests.stages.test_governance import passed

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

X = "org/x"
ALICE, BOB = key_of("alice").address, key_of("bob").address
NONCES = {"a1": 60, "b1": 45}


@dataclass
class Pair:
    comet: Comet
    rpc: str
    urls: dict[str, str]
    alice: Running
    bob: Running
    nodes: dict[str, FakeMLNode]

    async def to(self, height: int) -> None:
        await run_to(self.comet, height, (self.alice, self.bob))

    def validations(self) -> poc_pb2.QueryPocValidationsResponse:
        request = poc_pb2.QueryPocValidationsRequest(poc_stage_start_height=10)
        return self.comet.chain.query(request, poc_pb2.QueryPocValidationsResponse)

    def outcomes(self) -> dict[str, int]:
        return {each.participant: each.outcome for each in self.validations().outcomes}

    def verdict_of_alice(self) -> poc_pb2.PocValidation:
        (found,) = (each for each in self.validations().validations if each.validator == ALICE)
        return found

    def batches(self) -> list[poc_pb2.PocBatch]:
        request = poc_pb2.QueryPocBatchesRequest(poc_stage_start_height=10)
        return list(self.comet.chain.query(request, poc_pb2.QueryPocBatchesResponse).batches)

    def weights(self) -> dict[str, int]:
        request = epochs_pb2.QueryCurrentEpochGroupDataRequest(model_id=X)
        data = self.comet.chain.query(request, epochs_pb2.QueryEpochGroupDataResponse).epoch_group_data
        return {node.node_id: node.poc_weight for each in data.validation_weights for node in each.ml_nodes}


def open_forms(chain: Chain, *, inline: bool, committed: bool, batch_max: int = 100_000) -> None:
    """Governance says which forms of batches the next PoC takes."""
    params = default_params("local")
    params.poc.inline_batches, params.poc.committed_batches = inline, committed
    params.poc.max_nonces_per_batch = batch_max
    passed(chain, epochs_pb2.MsgUpdateParams(authority=GOV, params=params))


@contextlib.asynccontextmanager
async def pair(tmp_path: Path, **forms: Any) -> AsyncIterator[Pair]:
    """Alice runs a1, bob b1; each finds a known number of nonces."""
    genesis = [GenesisParticipant("alice", 50), GenesisParticipant("bob", 40)]
    comet = Comet(Chain(app_state(genesis, [a_model(X)], voting_period_s=3)))
    comet.chain.run_to(1)
    open_forms(comet.chain, **forms)
    nodes = {node_id: FakeMLNode(nonces_max=count) for node_id, count in NONCES.items()}
    async with contextlib.AsyncExitStack() as stack:
        urls = await stack.enter_async_context(fleet(nodes))
        rpc = await stack.enter_async_context(served(comet.app()))
        alice = await stack.enter_async_context(
            api_node(rpc, tmp_path / "alice", "alice", {"a1": (urls["a1"], X)})
        )
        bob = await stack.enter_async_context(api_node(rpc, tmp_path / "bob", "bob", {"b1": (urls["b1"], X)}))
        yield Pair(comet, rpc, urls, alice, bob, nodes)


@pytest.mark.parametrize(
    ("forms", "roots"),
    [
        ({"inline": True, "committed": False}, []),
        ({"inline": False, "committed": True}, ["a1", "b1"]),
        # Where both are open a node whose nonces are more than one inline batch holds commits to them.
        ({"inline": True, "committed": True, "batch_max": 50}, ["a1"]),
    ],
)
async def test_an_epoch_has_the_same_weights_in_every_form_that_governance_opens(
    tmp_path: Path, forms: dict[str, Any], roots: list[str]
) -> None:
    async with pair(tmp_path, **forms) as net:
        await net.to(26)

        assert sorted(each.node_id for each in net.batches() if each.root) == roots
        assert net.outcomes() == dict.fromkeys((ALICE, BOB), reasons_pb2.REASON_ACCEPTED)
        assert net.verdict_of_alice().sampled == NONCES["b1"]
        assert net.weights() == NONCES


async def test_leaves_survive_a_restart_in_the_middle_of_the_generation(tmp_path: Path) -> None:
    async with pair(tmp_path, inline=False, committed=True) as net:
        await net.to(12)
        ports = [sock.getsockname()[1] for _, sock in net.alice.node.servers]
        same = dict(zip(("public_port", "callback_port", "admin_port", "metrics_port"), ports, strict=True))
        kept = net.alice.node.orchestrator.collector.nonce_next("a1")
        assert await net.alice.end() == 0
        assert kept > 0

        async with api_node(
            net.rpc, tmp_path / "alice", "alice", {"a1": (net.urls["a1"], X)}, **same
        ) as again:
            await run_to(net.comet, 26, (again, net.bob))

            (batch,) = (each for each in net.batches() if each.node_id == "a1")
            assert (batch.nonce_count, len(batch.root)) == (NONCES["a1"], 32)
            assert net.outcomes() == dict.fromkeys((ALICE, BOB), reasons_pb2.REASON_ACCEPTED)
            assert net.weights() == NONCES
            assert await again.end() == 0


async def test_artifacts_are_served_from_the_commitment_until_the_validation_ends(tmp_path: Path) -> None:
    async with pair(tmp_path, inline=False, committed=True) as net:

        async def ask(*index: int, start: int = 10, node_id: str = "b1") -> tuple[int, Any]:
            params = {
                "poc_stage_start_height": str(start),
                "node_id": node_id,
                "index": list(map(str, index)),
            }
            reply = await net.bob.http.get(f"{net.bob.url()}/v1/poc-artifacts", params=params)
            return reply.status_code, reply.json()

        await net.to(13)
        early, refusal = await ask(0)
        await net.to(18)
        status, answer = await ask(0, 44)
        wrong = {
            "beyond": await ask(45, 3),
            "many": await ask(*range(51)),
            "none": await ask(),
            "node": await ask(0, node_id="b9"),
            "stage": await ask(0, start=11),
        }
        await net.to(24)
        after, _ = await ask(0)

        assert (early, refusal["error"]["code"]) == (409, "not_committed")
        assert status == 200
        assert (answer["count"], [each["leaf"]["index"] for each in answer["samples"]]) == (45, [0, 44])
        assert [each["neighbour"]["index"] for each in answer["samples"]] == [1, 43]
        (batch,) = (each for each in net.batches() if each.node_id == "b1")
        assert answer["root"] == batch.root.hex()
        assert {name: found[0] for name, found in wrong.items()} == {
            "beyond": 400,
            "many": 400,
            "none": 400,
            "node": 404,
            "stage": 404,
        }
        assert "45" in wrong["beyond"][1]["error"]["message"]
        assert after == 404


class Altered(ArtifactStore):
    """Shows other claims than it committed to."""

    def committed(self, height_start: int, node_id: str) -> Leaves | None:
        leaves = super().committed(height_start, node_id)
        if leaves is None:
            return None
        return Leaves(node_id, leaves.nonces, [claim + 1 for claim in leaves.claims], [leaves.tree])


class Withheld(ArtifactStore):
    """Shows nothing."""

    def committed(self, _height_start: int, _node_id: str) -> Leaves | None:
        return None


class Unsorted(ArtifactStore):
    """Commits to leaves that fall instead of rising."""

    def commit(self, height_start: int, leaves: Leaves) -> bytes:
        nonces, claims = leaves.nonces[::-1], leaves.claims[::-1]
        tree = Tree(claim_leaf(leaves.node_id, *pair) for pair in zip(nonces, claims, strict=True))
        return super().commit(height_start, Leaves(leaves.node_id, nonces, claims, [tree]))


@pytest.mark.parametrize(
    ("cheat", "verdict", "outcome"),
    [
        (Altered, poc_pb2.VERDICT_FRAUD, "fraud"),
        (Unsorted, poc_pb2.VERDICT_FRAUD, "fraud"),
        (Withheld, poc_pb2.VERDICT_ABSTAIN, "undecided"),
    ],
)
async def test_leaves_that_are_wrong_are_fraud_and_leaves_that_are_withheld_bring_no_weight(
    tmp_path: Path, cheat: type[ArtifactStore], verdict: int, outcome: str
) -> None:
    async with pair(tmp_path, inline=False, committed=True) as net:
        store = net.bob.node.orchestrator.collector.store
        store.__class__ = cheat

        await net.to(21)
        said = net.verdict_of_alice()
        await net.to(22)

        mismatches = NONCES["b1"] if verdict == poc_pb2.VERDICT_FRAUD else 0
        assert (said.verdict, said.mismatches) == (verdict, mismatches)
        events = net.comet.chain.events
        assert [fields for name, fields in events if name == "poc_not_accepted"] == [
            {"epoch": "1", "participant": BOB, "reason": outcome}
        ]
        # Without bob's weight the group would be too small to rule: the former one stays.
        assert [name for name, _ in events if name == "epoch_extended"] == ["epoch_extended"]
