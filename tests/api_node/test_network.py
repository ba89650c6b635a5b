"""Two API nodes on the real application: registration, PoC, verdicts, switches and chats."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from api_node.orchestrator import process_new_block_event
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from tests.api_node.comet import Comet
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.network import Running, api_node, fleet, run_to
from tests.api_node.serving import served, wait_for
from tests.chain import Chain, GenesisParticipant, a_model, app_state, key_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

X, Y = "org/x", "org/y"
ALICE, BOB = key_of("alice").address, key_of("bob").address


@dataclass
class Network:
    comet: Comet
    nodes: dict[str, FakeMLNode]
    alice: Running
    bob: Running

    @property
    def chain(self) -> Chain:
        return self.comet.chain

    async def to(self, height: int) -> None:
        await run_to(self.comet, height, (self.alice, self.bob))

    def outcomes(self, height_start: int) -> dict[str, int]:
        request = poc_pb2.QueryPocValidationsRequest(poc_stage_start_height=height_start)
        answer = self.chain.query(request, poc_pb2.QueryPocValidationsResponse)
        return {each.participant: each.outcome for each in answer.outcomes}

    def verdicts(self, height_start: int) -> dict[tuple[str, str], int]:
        request = poc_pb2.QueryPocValidationsRequest(poc_stage_start_height=height_start)
        answer = self.chain.query(request, poc_pb2.QueryPocValidationsResponse)
        return {(each.validator, each.participant): each.verdict for each in answer.validations}

    def nonces(self, height_start: int) -> dict[str, poc_pb2.NodeNonces]:
        request = poc_pb2.QueryNodeNoncesRequest(poc_stage_start_height=height_start)
        answer = self.chain.query(request, poc_pb2.QueryNodeNoncesResponse)
        return {each.node_id: each for each in answer.nodes}

    def info(self) -> epochs_pb2.QueryEpochInfoResponse:
        return self.chain.query(epochs_pb2.QueryEpochInfoRequest(), epochs_pb2.QueryEpochInfoResponse)

    def serving(self, model: str) -> dict[str, list[str]]:
        request = inference_pb2.QueryExecutorsRequest(model_id=model)
        answer = self.chain.query(request, inference_pb2.QueryExecutorsResponse)
        return {each.participant: list(each.node_ids) for each in answer.executors}

    def inference(self, inference_id: str) -> inference_pb2.Inference:
        request = inference_pb2.QueryInferenceRequest(inference_id=inference_id)
        return self.chain.query(request, inference_pb2.QueryInferenceResponse).inference


@contextlib.asynccontextmanager
async def network(tmp_path: Path, **special: FakeMLNode) -> AsyncIterator[Network]:
    """Alice runs a1 and a2, bob b1; two models; the participants vote by genesis weights without nodes."""
    genesis = [GenesisParticipant("alice", 50), GenesisParticipant("bob", 40)]
    comet = Comet(Chain(app_state(genesis, [a_model(X), a_model(Y)])))
    comet.chain.run_to(1)
    nodes = {node_id: special.get(node_id) or FakeMLNode() for node_id in ("a1", "a2", "b1")}
    async with contextlib.AsyncExitStack() as stack:
        urls = await stack.enter_async_context(fleet(nodes))
        rpc = await stack.enter_async_context(served(comet.app()))
        of_alice = {"a1": (urls["a1"], X), "a2": (urls["a2"], Y)}
        alice = await stack.enter_async_context(api_node(rpc, tmp_path / "alice", "alice", of_alice))
        bob = await stack.enter_async_context(api_node(rpc, tmp_path / "bob", "bob", {"b1": (urls["b1"], X)}))
        yield Network(comet, nodes, alice, bob)


async def test_a_network_registers_mines_validates_switches_and_serves_through_two_epochs(
    tmp_path: Path,
) -> None:
    async with network(tmp_path) as net:
        # Registration: the URL of the genesis is another one, and the nodes are new.
        await net.to(6)
        participant = net.chain.query(
            hardware_pb2.QueryParticipantRequest(address=ALICE), hardware_pb2.QueryParticipantResponse
        ).participant
        assert participant.url == net.alice.url()

        # The first PoC, S = 10: all nodes mine, each participant judges the other.
        await net.to(23)
        nonces = net.nonces(10)
        assert set(nonces) == {"a1", "a2", "b1"}
        assert all(each.nonce_next == each.nonces_total > 0 for each in nonces.values())
        honest = poc_pb2.VERDICT_HONEST
        assert net.verdicts(10) == {(ALICE, BOB): honest, (BOB, ALICE): honest}
        assert net.outcomes(10) == dict.fromkeys((ALICE, BOB), reasons_pb2.REASON_ACCEPTED)

        # The switch, V = 25: the models of the epoch are served, and each node answers.
        await net.to(27)
        assert net.info().state.epoch_effective == 1
        await wait_for(lambda: [net.nodes[each].model for each in ("a1", "a2", "b1")] == [X, Y, X])
        replies = [await net.alice.chat(X), await net.bob.chat(X), await net.bob.chat(Y)]
        assert [reply.status_code for reply in replies] == [200, 200, 200], [each.text for each in replies]
        await net.to(30)
        own, _, forwarded = (net.inference(reply.json()["id"]) for reply in replies)
        assert own.status == inference_pb2.INFERENCE_STATUS_FINISHED
        assert own.transferred_by == ALICE
        assert own.executed_by in {ALICE, BOB}
        assert (forwarded.transferred_by, forwarded.executed_by) == (BOB, ALICE)
        assert forwarded.status == inference_pb2.INFERENCE_STATUS_FINISHED
        assert (forwarded.prompt_token_count, forwarded.completion_token_count) == (7, 4)

        # The second PoC, S = 40: of the two nodes of X one serves and answers, the other mines.
        await net.to(44)
        serving = [node_id for nodes in net.serving(X).values() for node_id in nodes]
        assert serving in (["a1"], ["b1"])
        mining = ({"a1", "b1"} - set(serving)).pop()
        await wait_for(lambda: net.nodes[mining].pow_status == "GENERATING")
        assert net.nodes[serving[0]].model == X
        during = await net.bob.chat(X)
        assert during.status_code == 200, during.text
        await net.to(57)
        assert net.inference(during.json()["id"]).status == inference_pb2.INFERENCE_STATUS_FINAL
        assert serving[0] not in net.nonces(40)
        assert mining in net.nonces(40)
        assert net.info().state.epoch_effective == 2
        request = epochs_pb2.QueryCurrentEpochGroupDataRequest(model_id=X)
        data = net.chain.query(request, epochs_pb2.QueryEpochGroupDataResponse).epoch_group_data
        sources = {
            node.node_id: node.weight_source for each in data.validation_weights for node in each.ml_nodes
        }
        assert sources == {serving[0]: reasons_pb2.REASON_PRESERVED, mining: reasons_pb2.REASON_MINED}

        assert [await each.end() for each in (net.alice, net.bob)] == [0, 0]


async def test_a_liar_is_found_out_and_who_cannot_check_abstains(tmp_path: Path) -> None:
    liar, unable = FakeMLNode(lie=50_000), FakeMLNode(cannot_validate=True)

    async with network(tmp_path, a1=liar, b1=unable) as net:
        net.nodes["a2"].fail = {"pow/init/validate": 500}
        liar.cannot_validate = True
        await net.to(21)
        abstain = poc_pb2.VERDICT_ABSTAIN
        assert net.verdicts(10) == {(ALICE, BOB): abstain, (BOB, ALICE): abstain}

        # Bob becomes able to check before the next PoC, which then decides about alice.
        unable.cannot_validate = False
        await net.to(51)
        assert net.verdicts(40) == {(ALICE, BOB): abstain, (BOB, ALICE): poc_pb2.VERDICT_FRAUD}


async def test_a_restart_in_the_middle_of_a_poc_loses_neither_nonces_nor_the_verdict(tmp_path: Path) -> None:
    async with network(tmp_path) as net:
        await net.to(13)
        urls = {node.config.id: node.config.poc_url for node in net.alice.node.broker.nodes.values()}
        places = {
            "a1": (urls["a1"].removesuffix("/api/v1"), X),
            "a2": (urls["a2"].removesuffix("/api/v1"), Y),
        }
        ports = [sock.getsockname()[1] for _, sock in net.alice.node.servers]
        same = dict(zip(("public_port", "callback_port", "admin_port", "metrics_port"), ports, strict=True))
        assert await net.alice.end() == 0
        rpc = net.alice.settings.rpc_url
        async with api_node(rpc, tmp_path / "alice", "alice", places, **same) as again:
            await run_to(net.comet, 23, (again, net.bob))
            nonces = net.nonces(10)
            assert all(nonces[each].nonces_total == nonces[each].nonce_next > 0 for each in ("a1", "a2"))
            assert set(net.verdicts(10)) == {(ALICE, BOB), (BOB, ALICE)}
            assert net.outcomes(10) == dict.fromkeys((ALICE, BOB), reasons_pb2.REASON_ACCEPTED)
            assert await again.end() == 0


async def test_an_event_that_fails_or_comes_late_is_made_good_by_the_next_look(tmp_path: Path) -> None:
    async with network(tmp_path) as net:
        await net.to(6)
        orchestrator = net.alice.node.orchestrator
        await wait_for(lambda: orchestrator.view and orchestrator.view.height == 6)
        before = orchestrator.broker.intents()

        late = await process_new_block_event(orchestrator, 3)
        unknown = await process_new_block_event(orchestrator, 10**6)

        assert late == 3
        assert unknown < 6
        assert orchestrator.problem
        assert orchestrator.broker.intents() == before
        await net.to(8)
        await wait_for(lambda: orchestrator.view and orchestrator.view.height == 8)
        assert orchestrator.problem == ""


async def test_blocks_that_are_not_announced_lose_nothing(tmp_path: Path) -> None:
    async with network(tmp_path) as net:
        net.comet.silent = True
        for node in (net.alice, net.bob):
            node.node.watcher._poll_interval_s = 0.3
        await asyncio.sleep(0)

        await net.to(23)

        assert net.outcomes(10) == dict.fromkeys((ALICE, BOB), reasons_pb2.REASON_ACCEPTED)
