"""The loop: one view per block, what follows from it, and the few things that are done once per PoC."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping

import httpx2
import structlog
from google.protobuf import json_format

from api_node import epoch_data
from api_node.broker import Broker
from api_node.chain import BlockWatcher, ChainReader, Waiting
from api_node.intents import Puzzle
from api_node.metrics import Metrics
from api_node.mlnode_client import FailureKind, MLNodeClient, MLNodeError
from api_node.outbox import Outbox
from api_node.phases import (
    Done,
    Plan,
    StageAction,
    handle_phase_transitions,
    intent_to_prepare,
    retained,
    validating_nodes,
)
from api_node.poc_batches import BatchCollector
from api_node.poc_closing import BatchCloser
from api_node.poc_validation import Validator
from api_node.registration import Registrar
from api_node.sender import Sender
from api_node.view import ChainView
from client.chain import ChainError
from protocol.gen.evergrid.epochs.v1 import epochs_pb2, params_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

log = structlog.get_logger("api_node.orchestrator")

DONE_FACT = "stages_done"
RETRY_S = 0.25
# Without a word of the chain for so long after the start nodes serve what the disk says.
CHAIN_AWAY_S = 5.0
# Fields of PocParams that are the chain's business alone.
NOT_THE_PUZZLE = ("inline_batches", "committed_batches", "validation_slots")


class Orchestrator:
    """Turns new blocks into intents of nodes and messages to the chain."""

    def __init__(
        self,
        *,
        watcher: BlockWatcher,
        reader: ChainReader,
        broker: Broker,
        collector: BatchCollector,
        registrar: Registrar,
        sender: Sender,
        metrics: Metrics,
        callback_url: str,
        public_key: bytes,
        peers: httpx2.AsyncClient | None = None,
    ) -> None:
        self.view: ChainView | None = None
        self.problem = "no view of the chain yet"
        self.waiting = Waiting()
        self.watcher = watcher
        self.reader = reader
        self.broker = broker
        self.collector = collector
        self.registrar = registrar
        self.sender = sender
        self.metrics = metrics
        # Told of each view once the chain node is not behind.
        self.listeners: list[Callable[[ChainView], object]] = []
        self.closer = BatchCloser(collector, self._clients)
        self.validator = Validator(reader, reader.address, self._validating, peers)
        self._callback_url = callback_url
        self._public_key = public_key.hex()
        self._outbox: Outbox = sender.outbox
        self._done: Done = self._load_done()
        self._again = asyncio.Event()
        self._watched = 0
        self._watch: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until it is cancelled."""
        height = 0
        try:
            await asyncio.wait_for(self.watcher.newer_than(0), CHAIN_AWAY_S)
        except TimeoutError:
            self._serve_without_chain()
        while True:
            height = await process_new_block_event(self, await self._next_height(height))

    async def _next_height(self, height: int) -> int:
        """The next height to look at; the same one again where samples became complete or nodes changed."""
        news = asyncio.create_task(self.watcher.newer_than(height))
        again = asyncio.create_task(self._again.wait())
        try:
            await asyncio.wait({news, again}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
            again.cancel()
        self._again.clear()
        return max(self.watcher.height, height)

    def _serve_without_chain(self) -> None:
        """A node that no view has given an intent yet serves what the last epoch data on disk say."""
        kept = epoch_data.load(self._outbox)
        waiting = [facts for facts in self.broker.facts() if facts.node_id not in self.broker.intents()]
        if kept is None or not waiting:
            return
        log.info("serving by epoch data on disk", reason="chain_unreachable", height=kept.height)
        self.broker.update(kept.data)
        self.broker.apply(Plan(epoch_data.intents_without_chain(kept, waiting)))

    def look_again(self) -> None:
        """Something other than a block changed what is to be done."""
        self._again.set()

    async def step(self, height: int) -> None:
        """Level-triggered: reads the view and does what is due; a late or doubled event is harmless."""
        if self.view is None or height > self.view.height:
            self._take(await self.reader.view(height))
        view = self.view
        assert view is not None
        self.sender.on_block(view.height)
        if self.watcher.catching_up:
            # What the chain said long ago is nothing to act upon.
            self._serve_without_chain()
            return
        self.broker.update(view.effective)
        epoch_data.keep(self._outbox, view)
        plan = handle_phase_transitions(view, self.broker.facts(), self._done)
        if (opening := self._opening(plan.actions)) is not None:
            # Nodes ask where to begin, so this stands before their intents.
            await self._start_poc(view)
            self._mark(view, opening)
        self.collector.step(view)
        self.broker.apply(plan)
        self.closer.step(view)
        for height_start, action in plan.actions:
            self._perform(view, height_start, action)
        configured = [(node.config, node.enabled) for node in self.broker.nodes.values()]
        self.registrar.step(view, configured)
        for listener in self.listeners:
            listener(view)

    def _take(self, view: ChainView) -> None:
        self.view, self.problem = view, ""
        self.broker.timeline.height = view.height
        self.validator.note_height(view.height)
        self.metrics.chain_height.set(view.height)
        self.metrics.chain_lag.set(max(0, self.watcher.height - view.height))

    @staticmethod
    def _opening(actions: tuple[tuple[int, StageAction], ...]) -> tuple[int, StageAction] | None:
        return next((each for each in actions if each[1] == StageAction.START_POC), None)

    def _perform(self, view: ChainView, height_start: int, action: StageAction) -> None:
        if action == StageAction.VALIDATE_RECEIVED_BATCHES:
            self.validator.begin(view)
            self._watch_validation(height_start)
        elif action == StageAction.LOAD_MODELS_FOR_NEXT_EPOCH:
            load_models_for_next_epoch(self.broker, view)
            prepare_models_for_next_epoch(self.broker, view)
            self._mark(view, (height_start, action))
        due = (height_start, StageAction.SUBMIT_VERDICTS) not in self._done
        in_time = action == StageAction.SUBMIT_VERDICTS or (
            action == StageAction.VALIDATE_RECEIVED_BATCHES and self.validator.is_complete(height_start)
        )
        if due and in_time:
            self._submit_verdicts(view, height_start)

    # what is done once per PoC

    async def _start_poc(self, view: ChainView) -> None:
        assert view.upcoming is not None
        nodes = await self.reader.node_nonces(view.upcoming.height_start)
        own = {
            node_id: each.nonce_next for (who, node_id), each in nodes.items() if who == self.reader.address
        }
        self.collector.open(view, own)
        log.info("PoC", height_start=view.upcoming.height_start, resumed=bool(own))

    def _submit_verdicts(self, view: ChainView, height_start: int) -> None:
        """One message for all: the chain takes a participant's verdict on another once."""
        assert view.heights is not None
        verdicts = self.validator.verdicts(height_start)
        if verdicts:
            message = self.validator.message(height_start, verdicts)
            self.sender.submit(f"verdicts/{height_start}", message, view.heights.validation_end)
            for verdict in verdicts:
                word = poc_pb2.Verdict.Name(verdict.verdict).removeprefix("VERDICT_").lower()
                self.metrics.verdicts.labels(word).inc()
            shown = [json_format.MessageToDict(each) for each in verdicts]
            log.info("verdicts", height_start=height_start, verdicts=json.dumps(shown))
        elif not self.validator.is_complete(height_start):
            return  # the batches are not even read: until the window closes there is still a chance
        self._mark(view, (height_start, StageAction.SUBMIT_VERDICTS))
        self._mark(view, (height_start, StageAction.VALIDATE_RECEIVED_BATCHES))

    def _watch_validation(self, height_start: int) -> None:
        if self._watched == height_start:
            return
        self._watched = height_start

        async def watch() -> None:
            await self.validator.wait_complete()
            self.look_again()

        self._watch = asyncio.create_task(watch(), name="watch validation")

    async def close(self) -> None:
        """Ends what runs in the background."""
        if self._watch:
            self._watch.cancel()
        await self.closer.stop()
        await self.validator.close()

    # what nodes need

    async def init_request(self, puzzle: Puzzle, node_id: str) -> dict[str, object]:
        """The body of /pow/init for one node: puzzle, first nonce, and where results go."""
        stage, view = self.collector.stage, self.view
        record = view.upcoming if view else None
        params = stage.params if stage and stage.height_start == puzzle.height_start else None
        if record is not None and record.height_start == puzzle.height_start:
            params = record.params.poc
        if params is None:
            text = f"the PoC of height {puzzle.height_start} is not what the chain tells of now"
            raise MLNodeError(FailureKind.CHAIN, text)
        return {
            "node_id": node_id,
            "block_hash": puzzle.poc_seed,
            "block_height": puzzle.height_start,
            "public_key": self._public_key,
            "params": poc_params_json(params),
            "first_nonce": self.collector.nonce_next(node_id),
            "url": f"{self._callback_url}/v1/poc-batches",
        }

    def _clients(self) -> Mapping[str, MLNodeClient]:
        return {node_id: node.worker.client for node_id, node in self.broker.nodes.items()}

    def _validating(self, puzzle: Puzzle) -> Mapping[str, MLNodeClient]:
        chosen = validating_nodes(self.broker.intents(), self.broker.ready_for(puzzle))
        return {node_id: self.broker.nodes[node_id].worker.client for node_id in chosen}

    # done-flags

    def _mark(self, view: ChainView, flag: tuple[int, StageAction]) -> None:
        self._done = retained(self._done | {flag}, view)
        self._outbox.remember(DONE_FACT, json.dumps(sorted(self._done)))

    def _load_done(self) -> Done:
        """START_POC is done anew by each process, since what it opens is in memory."""
        flags = json.loads(self._outbox.fact(DONE_FACT) or "[]")
        known = ((int(start), StageAction(action)) for start, action in flags)
        return frozenset(flag for flag in known if flag[1] != StageAction.START_POC)


async def process_new_block_event(orchestrator: Orchestrator, height: int) -> int:
    """ProcessNewBlockEvent: does what follows from a block; the height whose work is done.

    What failed for want of the chain is tried again with the next look, at the newest block then.
    """
    try:
        await orchestrator.step(height)
    except ChainError as error:
        orchestrator.problem = str(error)
        orchestrator.waiting.say(orchestrator.problem, RETRY_S)
        await asyncio.sleep(RETRY_S)
        return min(height - 1, orchestrator.view.height - 1 if orchestrator.view else 0)
    orchestrator.waiting.end()
    return height


def load_models_for_next_epoch(broker: Broker, view: ChainView) -> dict[str, str]:
    """LoadModelsForNextEpoch, at next_epoch_ready: what each node without POC_SLOT loads before V."""
    assert view.next_group is not None
    models = {
        node_id: intent.model_id
        for node_id, intent in broker.intents().items()
        if intent.model_id
        and intent.reason != reasons_pb2.REASON_SERVES_VALIDATION
        and view.effective.model_of(node_id, epochs_pb2.POC_SLOT) is None
    }
    log.info("models for the next epoch", epoch=view.next_group.epoch_index, models=models)
    return models


def prepare_models_for_next_epoch(broker: Broker, view: ChainView) -> dict[str, str]:
    """Asks nodes that serve until V to load ahead what they serve from then on."""
    models = {}
    for facts in broker.facts():
        if (intent := intent_to_prepare(view, facts)) is not None:
            broker.nodes[facts.node_id].worker.prepare(intent)
            models[facts.node_id] = intent.model_id
    return models


def poc_params_json(params: params_pb2.PocParams) -> dict[str, object]:
    """PocParams as the MLNode takes them: what puzzle and verification depend on."""
    names = (field.name for field in params.DESCRIPTOR.fields)
    return {name: getattr(params, name) for name in names if name not in NOT_THE_PUZZLE}
