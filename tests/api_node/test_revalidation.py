"""Sampled re-execution by whole API nodes: due work is found, payloads are fetched, verdicts are in time."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Self

import httpx2
import pytest

from abci_app.modules.epochs.profiles import default_params
from api_node.node_worker import NodeWorker
from api_node.payloads import Payload, payload_headers
from mlnode.tiny import make_tiny_llama
from protocol.gen.evergrid.inference.v1 import inference_pb2 as pb
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from tests.api_node.comet import Comet
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.network import Running, api_node, fleet
from tests.api_node.serving import served, wait_for
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of
from tests.mlnode.service_harness import ROOT, free_port

pytestmark = pytest.mark.anyio

X = "org/x"
VALID, INVALID = pb.VALIDATION_RESULT_VALID, pb.VALIDATION_RESULT_INVALID


@dataclass
class Network:
    comet: Comet
    running: dict[str, Running]

    def inference(self, inference_id: str) -> pb.Inference:
        request = pb.QueryInferenceRequest(inference_id=inference_id)
        return self.comet.chain.query(request, pb.QueryInferenceResponse).inference

    def verdicts(self, inference_id: str) -> dict[str, int]:
        request = pb.QueryInferenceValidatorsRequest(inference_id=inference_id)
        answer = self.comet.chain.query(request, pb.QueryInferenceValidatorsResponse)
        names = {key_of(name).address: name for name in self.running}
        return {names[each.validator]: each.result for each in answer.validations}

    def drawn(self, inference_id: str) -> set[str]:
        request = pb.QueryInferenceValidatorsRequest(inference_id=inference_id)
        answer = self.comet.chain.query(request, pb.QueryInferenceValidatorsResponse)
        names = {key_of(name).address: name for name in self.running}
        return {names[each.validator] for each in answer.draws if each.sampled}

    def metric(self, name: str, line_start: str) -> float:
        lines = self.running[name].node.metrics.render().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(line_start))

    async def block(self) -> None:
        """A block once nobody has anything left to do about the one before."""
        end = asyncio.get_running_loop().time() + 5
        while asyncio.get_running_loop().time() < end and not all(map(self._is_idle, self.running.values())):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await self.comet.block()
        await asyncio.sleep(0.1)

    def _is_idle(self, running: Running) -> bool:
        node, view = running.node, running.node.orchestrator.view
        busy = any(due.task and not due.task.done() for due in node.revalidator._due.values())
        seen = view is not None and view.height >= self.comet.chain.height
        return seen and not busy and not node.outbox.pending()

    async def until(self, condition: Callable[[], bool], blocks: int = 12) -> None:
        for _ in range(blocks):
            if condition():
                return
            await self.block()
        assert condition(), f"not within {blocks} blocks"


@contextlib.asynccontextmanager
async def network(tmp_path: Path, urls: dict[str, str]) -> AsyncIterator[Network]:
    """Participants of equal weight that serve X in epoch 0, far from any PoC; of two the other is drawn."""
    genesis = [GenesisParticipant(name, nodes=(GenesisNode(f"{name}1", (X,), 100),)) for name in urls]
    params = default_params("local")
    params.epoch.first_poc_height = 100
    params.inference.validation_rate_bps = 10_000
    params.inference.validation_window = 8
    comet = Comet(Chain(app_state(genesis, [a_model(X)], params)))
    comet.chain.run_to(1)
    async with contextlib.AsyncExitStack() as stack:
        rpc = await stack.enter_async_context(served(comet.app()))
        running = {}
        for name, url in urls.items():
            nodes = {f"{name}1": (url, X)}
            running[name] = await stack.enter_async_context(api_node(rpc, tmp_path / name, name, nodes))
        net = Network(comet, running)
        for each in running.values():
            worker = next(iter(each.node.broker.nodes.values())).worker
            await wait_for(partial(_serves, worker), 60)
        # Where they are reached is in the genesis another URL than they have.
        await net.until(lambda: all(_knows_urls(net, name) for name in urls))
        yield net


def _serves(worker: NodeWorker) -> bool:
    return worker.serves == X


def _knows_urls(net: Network, name: str) -> bool:
    from protocol.gen.evergrid.hardware.v1 import hardware_pb2

    request = hardware_pb2.QueryParticipantRequest(address=key_of(name).address)
    found = net.comet.chain.query(request, hardware_pb2.QueryParticipantResponse).participant
    return bool(found.url == net.running[name].url())


@contextlib.asynccontextmanager
async def fakes(tmp_path: Path, **nodes: FakeMLNode) -> AsyncIterator[Network]:
    async with fleet(nodes) as urls, network(tmp_path, urls) as net:
        yield net


async def finished(net: Network, name: str, **fields: object) -> str:
    """An inference that a participant executed itself and whose finish is in a block."""
    inference_id = await answered(net, name, **fields)
    await finish_in_block(net, inference_id)
    return inference_id


async def answered(net: Network, name: str, **fields: object) -> str:
    """An inference whose finish is in no block yet, so that no validator has asked for its payload."""
    reply = await net.running[name].chat(X, **fields)
    assert reply.status_code == 200, reply.text
    inference_id: str = reply.json()["id"]
    return inference_id


async def finish_in_block(net: Network, inference_id: str) -> None:
    await net.until(lambda: _status(net, inference_id) == pb.INFERENCE_STATUS_FINISHED)


def _status(net: Network, inference_id: str) -> int:
    request = pb.QueryInferencesRequest()
    found = net.comet.chain.query(request, pb.QueryInferencesResponse).inferences
    return next((each.status for each in found if each.inference_id == inference_id), 0)


# with fake MLNodes


async def test_validators_learn_from_the_block_what_is_due_and_give_their_verdict_once(
    tmp_path: Path,
) -> None:
    async with fakes(tmp_path, alice=FakeMLNode(), bob=FakeMLNode()) as net:
        inference_id = await finished(net, "alice")

        await net.until(lambda: bool(net.verdicts(inference_id)))
        await net.until(lambda: _status(net, inference_id) == pb.INFERENCE_STATUS_FINAL)

        assert net.verdicts(inference_id) == {"bob": VALID}
        assert net.metric("bob", 'apinode_validations_total{reason="tokens",result="valid"}') == 1
        assert net.metric("bob", "apinode_validations_pending") == 0
        assert net.metric("alice", "apinode_validations_total") == 0


async def test_many_at_once_are_judged_one_at_a_time_on_a_node_and_all_in_time(tmp_path: Path) -> None:
    judge = FakeMLNode(score_s=0.05)

    async with fakes(tmp_path, alice=FakeMLNode(), bob=judge) as net:
        replies = await asyncio.gather(*(net.running["alice"].chat(X) for _ in range(4)))
        ids = [reply.json()["id"] for reply in replies]
        await net.until(
            lambda: all(net.verdicts(each) == {"bob": VALID} for each in ids if _status(net, each))
        )
        await net.until(lambda: all(_status(net, each) == pb.INFERENCE_STATUS_FINAL for each in ids), 20)

        assert [net.verdicts(each) for each in ids] == [{"bob": VALID}] * 4
        assert (len(judge.judged), judge.judging_max) == (4, 1)


async def test_without_block_events_polling_finds_the_same(tmp_path: Path) -> None:
    async with fakes(tmp_path, alice=FakeMLNode(), bob=FakeMLNode()) as net:
        net.running["bob"].node.watcher.__dict__["touched"] = _Forgetful()

        inference_id = await finished(net, "alice")
        await net.until(lambda: net.verdicts(inference_id) == {"bob": VALID})


class _Forgetful(set[str]):
    """Takes in nothing."""

    def __ior__(self, _other: object) -> Self:  # type: ignore[override]
        return self


async def test_an_executor_that_shows_no_payload_is_judged_invalid_at_the_deadline_and_not_before(
    tmp_path: Path,
) -> None:
    async with fakes(tmp_path, alice=FakeMLNode(), bob=FakeMLNode()) as net:
        store = net.running["alice"].node.payloads
        inference_id = await answered(net, "alice")
        store.prune(10**9)
        await finish_in_block(net, inference_id)

        height_finished = net.inference(inference_id).height_finished
        await net.until(lambda: bool(net.verdicts(inference_id)))

        assert net.verdicts(inference_id) == {"bob": INVALID}
        assert net.comet.chain.height >= height_finished + 8 - 2
        assert net.metric("bob", 'apinode_validations_total{reason="payload_missing"') == 1
        await net.until(lambda: _status(net, inference_id) == pb.INFERENCE_STATUS_INVALIDATED, 20)


async def test_an_answer_of_another_hash_than_on_chain_is_no_answer(tmp_path: Path) -> None:
    async with fakes(tmp_path, alice=FakeMLNode(), bob=FakeMLNode()) as net:
        alice = net.running["alice"].node
        inference_id = await answered(net, "alice")
        kept = alice.payloads.get(inference_id)
        assert kept is not None and alice.orchestrator.view is not None
        alice.payloads.keep(inference_id, replace(kept, answer="another one"), alice.orchestrator.view)
        await finish_in_block(net, inference_id)

        await net.until(lambda: bool(net.verdicts(inference_id)))

        assert net.verdicts(inference_id) == {"bob": INVALID}
        assert net.metric("bob", 'apinode_validations_total{reason="payload_mismatch"') == 1


async def test_who_has_no_node_to_re_execute_with_gives_no_verdict_and_says_why(tmp_path: Path) -> None:
    unable = FakeMLNode(fail={"score": 503})

    async with fakes(tmp_path, alice=FakeMLNode(), bob=unable) as net:
        inference_id = await finished(net, "alice")
        waiting = await wait_for(net.running["bob"].node.revalidator.describe)
        await wait_for(lambda: net.running["bob"].node.revalidator.describe()[0]["reason"] == "busy")
        await net.until(lambda: _status(net, inference_id) == pb.INFERENCE_STATUS_FINAL)
        await net.block()

        assert waiting[0]["height_deadline"] == net.inference(inference_id).height_finished + 8 - 2
        assert net.verdicts(inference_id) == {}
        assert net.metric("bob", 'apinode_validations_total{reason="busy",result="failed"}') == 1


async def test_a_payload_is_shown_to_assigned_validators_alone(tmp_path: Path) -> None:
    async with fakes(tmp_path, alice=FakeMLNode(), bob=FakeMLNode()) as net:
        alice, holder = net.running["alice"], key_of("alice").address
        revalidator = net.running["bob"].node.revalidator
        room, revalidator._room = revalidator._room, asyncio.Semaphore(0)
        inference_id = await finished(net, "alice")
        url = f"{alice.url()}/v1/internal/payloads/{inference_id}"

        async def ask(name: str, signer: str = "", at: str = url, to: str = holder) -> int:
            headers = payload_headers(inference_id, key_of(signer or name), key_of(name).address, to)
            return (await alice.http.get(at, headers=headers)).status_code

        # Bob is drawn, alice is judged, dave is nobody.
        assert await ask("bob") == 200
        assert [await ask("alice"), await ask("dave")] == [403, 403]
        assert await ask("bob", signer="alice") == 401
        assert await ask("bob", to=key_of("bob").address) == 401
        assert await ask("bob", at=f"{alice.url()}/v1/internal/payloads/other") == 404
        assert (await alice.http.get(url)).status_code == 401

        # Who has given its verdict has seen enough.
        blocked, revalidator._room = revalidator._room, room
        blocked.release()
        await net.until(lambda: bool(net.verdicts(inference_id)))
        assert await ask("bob") == 403


async def test_a_payload_is_forgotten_when_its_inference_must_be_final(tmp_path: Path) -> None:
    async with fakes(tmp_path, alice=FakeMLNode(), bob=FakeMLNode()) as net:
        inference_id = await finished(net, "alice")
        store = net.running["alice"].node.payloads
        payload = store.get(inference_id)

        await net.until(lambda: store.get(inference_id) is None, 40)

        assert payload is not None
        inference = net.inference(inference_id)
        assert sha256(payload.prompt).hexdigest() == inference.prompt_hash
        assert sha256(payload.answer.encode()).hexdigest() == inference.response_hash
        assert inference.status == pb.INFERENCE_STATUS_FINAL
        assert net.comet.chain.height > inference.height_closed


# with real MLNodes


@pytest.fixture(scope="module")
def real_mlnodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Two MLNodes that serve X: one with its weights, one with those of another model."""
    started, urls = [], {}
    for name, seed in (("honest", 1), ("other", 2)):
        folder = tmp_path_factory.mktemp(name)
        make_tiny_llama(folder / X.replace("/", "--"), seed=seed)
        port = free_port()
        command = [sys.executable, "-m", "mlnode.service", "--port", str(port), "--threads", "1"]
        command += ["--models-dir", str(folder)]
        started.append(subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}))
        urls[name] = f"http://127.0.0.1:{port}"
    yield urls
    for process in started:
        process.send_signal(signal.SIGTERM)
    for process in started:
        process.wait(timeout=30)


async def _ready(urls: Sequence[str]) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        for url in urls:
            for _ in range(600):
                with contextlib.suppress(httpx2.HTTPError):
                    if (await http.get(f"{url}/health")).status_code == 200:
                        break
                await asyncio.sleep(0.1)


async def drawn(net: Network, name: str, judges: set[str], temperature: float) -> str:
    """An inference for which one of these is drawn: the draw depends on its id, which is random."""
    for _ in range(20):
        inference_id = await finished(net, name, max_tokens=48, temperature=temperature)
        if judges & net.drawn(inference_id):
            return inference_id
    pytest.fail("nobody was drawn")


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0, 0.7])
async def test_a_real_answer_is_found_valid_and_that_of_another_model_is_refunded(
    tmp_path: Path, real_mlnodes: dict[str, str], temperature: float
) -> None:
    await _ready(list(real_mlnodes.values()))
    urls = dict.fromkeys(("alice", "bob"), real_mlnodes["honest"])

    async with network(tmp_path, urls | {"mallory": real_mlnodes["other"]}) as net:
        honest = await drawn(net, "alice", {"bob"}, temperature)
        await net.until(lambda: net.inference(honest).status == pb.INFERENCE_STATUS_FINAL, 30)
        faked = await drawn(net, "mallory", {"alice", "bob"}, temperature)
        charged = net.comet.chain.balance(key_of("mallory").address)
        cost = net.inference(faked).cost
        await net.until(lambda: net.inference(faked).status == pb.INFERENCE_STATUS_INVALIDATED, 30)

        assert net.verdicts(honest)["bob"] == VALID
        assert net.verdicts(faked) == {"alice": INVALID, "bob": INVALID}
        assert cost > 0
        assert net.comet.chain.balance(key_of("mallory").address) == charged + cost
        request = pb.QueryStandingRequest(participant=key_of("mallory").address)
        standing = net.comet.chain.query(request, pb.QueryStandingResponse).standing
        assert standing.invalid == 1


def test_a_payload_survives_its_way_over_the_wire() -> None:
    prompt = json.dumps({"messages": ["ä"]}).encode()

    body = json.loads(json.dumps(Payload(prompt, "ü", (1, 2)).body))

    assert base64.b64decode(body["prompt"]) == prompt
    assert (body["answer"], body["token_ids"]) == ("ü", [1, 2])
    assert reasons_pb2.Reason.Name(reasons_pb2.REASON_PAYLOAD_MISSING) == "REASON_PAYLOAD_MISSING"
