"""The run of the demo: observes every block, acts when something is due, and records what happened."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx2

from abci_app.node.genesis import DENOM
from cli import supervisor
from cli.demo_facts import (
    BETWEEN,
    Cast,
    ExtensionFact,
    PocFact,
    ProposalFact,
    RequestFact,
    Snapshot,
    Story,
    TargetFact,
)
from cli.demo_observe import ChainReader, node_state, snapshot, word
from cli.demo_script import PROPOSE_HEIGHT, Asker, due_request, register_model, send, votes
from cli.demo_view import evg, request_line, short_model, vote_lines
from cli.network import Network
from client.chain import ChainClient, ChainError
from client.keys import Key
from protocol.address import module_account
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.gov.v1 import query_pb2 as gov_query

DEPOSIT_NEVG = 10**7
POLL_S = 0.1
# Without a block for so long the demo gives up.
STALL_S = 60.0
PROBE_TIMEOUT_S = 5.0
SETTLED_STATES = ("finished", "final", "expired", "invalidated")
METRICS = {"chain": "evergrid_", "cometbft": "cometbft_", "api_node": "apinode_", "mlnode": "mlnode_"}


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


class Director:
    """Holds the story; `advance` brings it to the next block."""

    def __init__(
        self, network: Network, cast: Cast, processes: list[supervisor.Process], epochs: int
    ) -> None:
        self.network = network
        self.cast = cast
        self.epochs = epochs
        self.processes = processes
        self.story = Story()
        self.clients = [ChainClient(each.rpc, PROBE_TIMEOUT_S) for each in network.validators]
        self.reader = ChainReader(self.clients[0])
        nodes = {key: network.node_url(i) for i, key in enumerate(cast.nodes)}
        self._node_urls = {key[1]: url for key, url in nodes.items()}
        apis = {each.address: (each.public, each.api_key) for each in network.validators}
        self._asker = Asker(apis, nodes)
        # One at a time, so that a node's counter tells whose answer it was.
        self._pool = ThreadPoolExecutor(1)
        self._answer: Future[RequestFact] | None = None
        self._proposing: Future[None] | None = None
        self._helpers = ThreadPoolExecutor(2)
        self._stage = ""
        self._height = 0
        self._block_at = time.monotonic()

    def close(self) -> None:
        """Forgets what is still under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._helpers.shutdown(wait=False, cancel_futures=True)

    def advance(self) -> Snapshot:
        """Waits for the next block; raises DemoError or ProcessFailedError where none can come."""
        height = self._next_height()
        now = self._snapshot(height)
        for note in (
            self._note_blocks,
            self._note_stage,
            self._note_models,
            self._note_poc,
            self._note_epoch,
            self._note_settlements,
            self._note_requests,
        ):
            note(now)
        self._act(now)
        return now

    def is_over(self) -> bool:
        """Whether the wanted epochs are settled and paid, and every request is closed."""
        asked = self._answer is not None or any(not self._is_closed(r) for r in self.story.requests)
        return all(index in self.story.settlements for index in range(1, self.epochs + 1)) and not asked

    def finish(self) -> None:
        """The last looks: metrics of every process, and the same state at both validators."""
        self.story.targets = [self._target(job, url) for job, url in self.network.targets()]
        height = str(self._height - 1)
        for number, client in enumerate(self.clients, 1):
            header = client.call(
                {"jsonrpc": "2.0", "id": 1, "method": "header", "params": {"height": height}}
            )
            self.story.app_hashes[f"validator {number}"] = str(header["header"]["app_hash"])

    # Looking

    def _next_height(self) -> int:
        while True:
            supervisor.check(self.processes)
            height = self._heights()["validator 1"]
            if height > self._height:
                if self._height:
                    self._block_seen(height)
                self._height, self._block_at = height, time.monotonic()
                return height
            if time.monotonic() - self._block_at > STALL_S:
                raise DemoError(f"no block after height {self._height} for {STALL_S:g} s")
            time.sleep(POLL_S)

    def _block_seen(self, height: int) -> None:
        seconds = (time.monotonic() - self._block_at) / (height - self._height)
        self.story.block_seconds[height] = seconds

    def _heights(self) -> dict[str, int]:
        heights = {}
        for number, client in enumerate(self.clients, 1):
            try:
                height = int(client.status()["sync_info"]["latest_block_height"])
            except ChainError:
                height = 0
            heights[f"validator {number}"] = height
        return heights

    def _snapshot(self, height: int) -> Snapshot:
        states: dict[str, Any] = {node_id: node_state(url) for node_id, url in self._node_urls.items()}
        heights = self._heights() | {"validator 1": height}
        return snapshot(self.reader, height, self.cast.participants, heights, states)

    def _target(self, job: str, url: str) -> TargetFact:
        prefix = METRICS[job.split(maxsplit=1)[0]]
        try:
            reply = httpx2.get(url, timeout=PROBE_TIMEOUT_S, trust_env=False)
        except httpx2.HTTPError as error:
            return TargetFact(job, url, f"no answer: {error}")
        if reply.status_code != 200:
            return TargetFact(job, url, f"HTTP {reply.status_code}")
        named = any(line.startswith(prefix) for line in reply.text.splitlines())
        return TargetFact(job, url, "" if named else f"no metric begins with {prefix}")

    # Recording

    def _note_blocks(self, now: Snapshot) -> None:
        self.story.models_registered = now.governance_models
        new = [key for key in now.registered if key not in self.story.nodes_declared]
        for key in new:
            self.story.tell(now.height, f"the API node of {self.cast.name(key[0])} declared {key[1]}")
        self.story.nodes_declared += tuple(new)

    def _note_stage(self, now: Snapshot) -> None:
        if now.stage != self._stage:
            self._stage = now.stage
            if now.stage == "start_of_poc":
                self.story.tell(now.height, f"PoC begins; nodes without POC_SLOT mine ({_miners(now)})")
            elif now.stage == "start_of_poc_validation":
                self.story.tell(now.height, "the participants re-compute samples of each other's nonces")
        info = self.reader.epoch_info(now.height)
        if not info.HasField("dropped") or info.dropped.height_start in self.story.extensions:
            return
        start, reason = info.dropped.height_start, word(info.dropped.extension_reason)
        registered = len(self.reader.registered(self.cast.participants, start))
        self.story.extensions[start] = ExtensionFact(start, reason, registered)
        self.story.tell(
            now.height,
            f"epoch {now.epoch} is extended, reason {reason}: at the PoC of height {start} there were "
            f"{registered} nodes in the registry; the next PoC begins at {now.height_start}",
        )

    def _note_models(self, now: Snapshot) -> None:
        if len(self.story.proposals) == 2 and all(
            each.status not in {"deposit_period", "voting_period"} for each in self.story.proposals.values()
        ):
            return
        for found in self.reader.proposals():
            former = self.story.proposals.get(found.proposal_id)
            voters = set(former.voters if former else ())
            request = gov_query.QueryVotesRequest(proposal_id=found.proposal_id)
            reply = self.reader.client.query(request, gov_query.QueryVotesResponse)
            # Votes are counted and dropped when the period ends.
            voters |= {vote.voter for vote in reply.votes}
            fact = ProposalFact(
                found.proposal_id,
                found.title,
                found.status,
                tuple(sorted(voters)),
                found.yes_power,
                found.failed_reason,
            )
            if former is None or former.status != fact.status:
                power = f" with yes power {fact.yes_power}" if fact.status == "passed" else ""
                self.story.tell(
                    now.height, f"proposal {fact.proposal_id} ({fact.title}): {fact.status}{power}"
                )
            self.story.proposals[found.proposal_id] = fact

    def _note_poc(self, now: Snapshot) -> None:
        """Slots and draws once they are known; nonces and verdicts as long as the PoC lasts."""
        if "pre_poc_scheduling" not in {each.name for each in now.stages if each.done}:
            return
        if not now.nodes and not now.registered:
            return
        epoch = now.epoch + 1
        poc = self.story.pocs.get(epoch)
        if poc is None or poc.height_start != now.height_start:
            nodes = now.nodes
            poc = PocFact(epoch, now.height_start, now.height_switch, nodes, self.reader.stops(epoch))
            self.story.pocs[epoch] = poc
            for node in nodes:
                if node.poc_slot:
                    stop = poc.stops.get(node.model_id, "")
                    self.story.tell(
                        now.height,
                        f"{node.node_id} ({self.cast.name(node.participant)}) holds POC_SLOT for "
                        f"{short_model(node.model_id)} through the next PoC (draw ended: {stop})",
                    )
        if now.poc_under_way:
            self._note_verdicts(now, poc)

    def _note_verdicts(self, now: Snapshot, poc: PocFact) -> None:
        poc.nonces = self.reader.nonces(poc.height_start) or poc.nonces
        had = bool(poc.outcomes)
        verdicts, outcomes = self.reader.verdicts(poc.height_start)
        poc.verdicts, poc.outcomes = verdicts or poc.verdicts, outcomes or poc.outcomes
        if poc.outcomes and not had:
            for line in vote_lines(poc, self.cast):
                self.story.tell(now.height, line)

    def _note_epoch(self, now: Snapshot) -> None:
        if now.epoch < 1 or now.epoch in self.story.epochs:
            return
        epoch = self.reader.epoch_fact(now.epoch, now.height)
        self.story.epochs[now.epoch] = epoch
        poc = self.story.pocs.get(now.epoch)
        if poc is not None:
            self._note_verdicts(now, poc)
        weights = ", ".join(f"{node.node_id} {node.weight} {node.weight_source}" for node in epoch.nodes)
        self.story.tell(now.height, f"epoch {now.epoch} begins; weights: {weights}")

    def _note_settlements(self, now: Snapshot) -> None:
        for index in range(1, now.epoch):
            if index in self.story.settlements:
                continue
            self.story.served |= self.reader.served(index)
            settlement = self.reader.settlement(index, DENOM)
            if settlement is None:
                continue
            self.story.settlements[index] = settlement
            paid = ", ".join(f"{self.cast.name(a.participant)} {evg(a.total)}" for a in settlement.amounts)
            self.story.tell(now.height, f"epoch {index} is settled and paid: {paid}")

    def _note_requests(self, now: Snapshot) -> None:
        if self._answer is not None and self._answer.done():
            request, self._answer = self._answer.result(), None
            self.story.tell(now.height, request_line(request, self.cast))
        for request in self.story.requests:
            if request.inference_id and not self._is_closed(request):
                self._read_inference(request)

    def _is_closed(self, request: RequestFact) -> bool:
        return bool(request.error) or request.status in SETTLED_STATES

    def _read_inference(self, request: RequestFact) -> None:
        from protocol.gen.evergrid.inference.v1 import inference_pb2  # noqa: PLC0415

        found = self.reader.inference(request.inference_id)
        if found is None:
            return
        status = inference_pb2.InferenceStatus.Name(found.status)
        request.status = status.removeprefix("INFERENCE_STATUS_").lower()
        request.executed_by = found.executed_by
        request.height_started, request.height_finished = found.height_started, found.height_finished
        request.tokens = found.completion_token_count

    # Acting

    def _act(self, now: Snapshot) -> None:
        if self._proposing is None and now.height < PROPOSE_HEIGHT:
            return
        if self._proposing is None:
            self._proposing = self._helpers.submit(self._propose_and_vote)
            self.story.tell(now.height, "both models are proposed to governance")
        elif self._proposing.done():
            # Raises what went wrong there.
            self._proposing.result()
        if self._answer is not None:
            return
        ask = due_request(now, self.story, self.cast, self.epochs)
        if ask is None:
            return
        request = RequestFact(
            number=len(self.story.requests) + 1,
            phase=ask.phase,
            epoch=ask.epoch,
            model_id=ask.model_id,
            sent_to=ask.to,
            node_expected=ask.node_expected,
        )
        self.story.requests.append(request)
        when = "between PoCs" if ask.phase == BETWEEN else "while the PoC runs"
        self.story.tell(now.height, f"chat {request.number} is sent {when} to {self.cast.name(ask.to)}")
        self._answer = self._pool.submit(self._asker.ask, request)

    def _propose_and_vote(self) -> None:
        chain_id, gov = self.network.design.chain_id, module_account("gov")
        keys: list[Key] = [each.key for each in self.network.validators]
        deposit = Coin(denom=DENOM, amount=str(DEPOSIT_NEVG))
        ids = []
        for model, key in zip(self.network.design.models, keys, strict=True):
            message = register_model(model.model, key.address, gov, deposit)
            reply = send(self.clients[0], key, chain_id, [message])
            ids.append(int(reply.attribute("submit_proposal", "proposal_id") or 0))
        for key in keys:
            send(self.clients[0], key, chain_id, votes(ids, key.address))


def _miners(now: Snapshot) -> str:
    """The nodes that have to mine, by id; before there is a group, those that are declared."""
    serving = {node.key for node in now.nodes if node.poc_slot}
    mining = [key[1] for key in now.registered if key not in serving]
    return ", ".join(mining) if mining else "there is none yet"


def run(director: Director, show: Callable[[Snapshot], None]) -> None:
    """To the end of the last wanted epoch."""
    while not director.is_over():
        show(director.advance())
    director.finish()
