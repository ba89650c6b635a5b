"""A whole orchestrator whose chain and nodes are what a test says: blocks, posts, restarts, in any order.

Its queue and its leaves are real and on disk, and so are all its decisions; only sockets are left out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from google.protobuf.message import Message

from api_node.broker import Broker
from api_node.intents import Intent, Puzzle
from api_node.metrics import Metrics
from api_node.mlnode_client import NodeReport
from api_node.node_config import parse_nodes
from api_node.orchestrator import Orchestrator, process_new_block_event
from api_node.outbox import Outbox
from api_node.poc_artifacts import ArtifactStore
from api_node.poc_batches import BatchCollector, BatchRefusedError, Generated
from api_node.registration import Registrar
from api_node.sender import Sender
from api_node.settings import Settings
from api_node.view import ChainView
from client.chain import AsyncChainClient
from protocol.claims import encode_claims
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from tests.api_node.mlnodes import claim_of
from tests.api_node.views import ALICE, BOB, S_FIRST, Placed, X, Y, group, seed_of, view_at
from tests.chain import key_of

KEY = key_of("alice")
BOB_KEY = b"\x02" + b"b" * 32
BOB_NONCES = 30
# Far beyond what any event takes.
REST_S = 10.0
CALLBACKS = "http://127.0.0.1:9100"


def claims(height_start: int, public_key: str, node_id: str, nonces: range | list[int]) -> list[int]:
    """What any honest node finds."""
    return [claim_of(seed_of(height_start).hex(), public_key, node_id, nonce) for nonce in nonces]


@dataclass
class Script:
    """The chain's life, and which nonces each node has found in each PoC and nobody has taken."""

    views: Callable[[int], ChainView]
    untaken: dict[tuple[int, str], list[tuple[int, int]]] = field(default_factory=dict)
    prepared: set[tuple[str, str]] = field(default_factory=set)


class Reader:
    """The chain's answers at a height."""

    def __init__(self, script: Script) -> None:
        self.address = ALICE
        self.chain = self
        self._script = script

    async def view(self, height: int = 0) -> ChainView:
        return self._script.views(height)

    async def node_nonces(self, _start: int) -> dict[tuple[str, str], poc_pb2.NodeNonces]:
        return {}

    async def participant(self, address: str) -> hardware_pb2.Participant:
        return hardware_pb2.Participant(address=address, url="http://bob.test", public_key=BOB_KEY)

    async def poc_batches(self, start: int, participant: str) -> list[poc_pb2.PocBatch]:
        found = claims(start, BOB_KEY.hex(), "b1", range(BOB_NONCES))
        batch = poc_pb2.PocBatch(participant=participant, node_id="b1", nonce_count=BOB_NONCES)
        batch.claims = encode_claims(found)
        return [batch]

    async def query(self, request: Message, response: type[Message], _height: int = 0) -> Message:
        answer: Any = response()
        if isinstance(request, poc_pb2.QueryPocVotersRequest):
            for address in sorted((ALICE, BOB)):
                answer.voters.add(address=address, voting_power=10)
        else:
            for place, address in enumerate((ALICE, BOB)):
                answer.tallies.add(participant=address, place=place)
        return answer  # type: ignore[no-any-return]


class Node:
    """An MLNode behind its client: it re-computes at once and says what nobody has taken yet."""

    def __init__(self, life: Life, config: Any) -> None:
        self.node = config
        self._life = life

    async def report(self) -> NodeReport:
        left = [spans for (_, node_id), spans in self._life.script.untaken.items() if node_id == self.node.id]
        unsent = sum(count for spans in left for _, count in spans)
        return NodeReport(state="POW", pow_status="VALIDATING", nonces_unsent=unsent)

    async def pow_validate(self, body: dict[str, Any]) -> None:
        found = claims(body["block_height"], body["public_key"], body["node_id"], body["nonces"])
        self._life.orchestrator.validator.on_validated(body["request_id"], body["nonces"], found)

    async def inference_prepare(self, model_id: str, *_: object) -> bool:
        self._life.script.prepared.add((self.node.id, model_id))
        return True


class Life:
    """One participant's API node, from process to process on the same disk."""

    def __init__(self, home: Path, script: Script) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.script = script
        self._home = home
        self._begin()

    def _begin(self) -> None:
        metrics, self.outbox = Metrics(), Outbox(self._home / "outbox.sqlite")
        self.store = ArtifactStore(self._home / "artifacts.sqlite")
        sender = Sender(AsyncChainClient("http://127.0.0.1:1"), KEY, self.outbox, metrics)
        reader: Any = Reader(self.script)
        entries: list[dict[str, Any]] = [
            {"id": name, "host": "127.0.0.1", "inference_port": 5000, "poc_port": 8080, "models": {X: {}}}
            for name in ("n1", "n2")
        ]

        async def init_request(_puzzle: Puzzle, _node_id: str) -> dict[str, object]:
            raise AssertionError("no worker runs")

        settings = Settings(home=self._home, node_config=self._home / "node-config.json")
        self.broker = Broker(settings, parse_nodes(entries), init_request, self.outbox, metrics=metrics)
        for node in self.broker.nodes.values():
            node.worker.client = Node(self, node.config)  # type: ignore[assignment]
        able: Any = lambda _puzzle: set(self.broker.nodes)  # noqa: E731
        self.broker.ready_for = able  # type: ignore[method-assign]
        watcher: Any = SimpleNamespace(height=0, catching_up=False)
        self.orchestrator = Orchestrator(
            watcher=watcher,
            reader=reader,
            broker=self.broker,
            collector=BatchCollector(sender, metrics, ALICE, KEY.public, self.store),
            registrar=Registrar(sender, ALICE, "http://alice.test:9000", None),
            sender=sender,
            metrics=metrics,
            callback_url=CALLBACKS,
            public_key=KEY.public,
        )

    async def block(self, height: int) -> None:
        """An event of a block, however late, and all that comes of it."""
        self.orchestrator.watcher.height = max(self.orchestrator.watcher.height, height)
        await process_new_block_event(self.orchestrator, height)
        await self._settle()
        await process_new_block_event(self.orchestrator, height)
        assert not self.orchestrator.problem

    async def _settle(self) -> None:
        """Until nothing is left to do before the next event."""
        end = time.monotonic() + REST_S
        while time.monotonic() < end:
            # What threads do for it takes its time.
            await asyncio.sleep(0.0005)
            if not self._is_busy():
                return
        raise AssertionError("it does not come to rest")

    def _is_busy(self) -> bool:
        view, validator = self.orchestrator.view, self.orchestrator.validator
        at = view.heights if view else None
        if view is None or at is None:
            return False
        running = validator._round
        validating = running is not None and at.validation_start <= view.height < at.validation_end
        if validating and running is not None and not running.complete.is_set():
            return True
        if not at.end <= view.height < at.batches_end:
            return False
        return any(
            not self.script.untaken.get((at.start, node_id))
            and self.outbox.get(f"poc_root/{at.start}/{node_id}") is None
            for node_id in self.store.nodes(at.start)
        )

    def post(self, start: int, node_id: str, first: int, count: int) -> bool:
        """A node's callback; false where it is refused, so that the node posts it again."""
        nonces = list(range(first, first + count))
        batch = Generated(
            node_id=node_id,
            block_hash=seed_of(start).hex(),
            block_height=start,
            public_key=KEY.public.hex(),
            nonces=nonces,
            claims=claims(start, KEY.public.hex(), node_id, nonces),
        )
        try:
            self.orchestrator.collector.take(batch, list(self.broker.nodes))
        except BatchRefusedError:
            return False
        left = self.script.untaken.get((start, node_id), [])
        self.script.untaken[start, node_id] = [span for span in left if span[0] > first]
        return True

    async def restart(self) -> None:
        """The process ends and another one begins."""
        await self.end()
        self._begin()

    async def end(self) -> None:
        """The process ends; nothing is sent or noted any more."""
        await self.orchestrator.close()
        await self.broker.close()
        self.outbox.close()
        self.store.close()

    def effects(self) -> dict[str, bytes]:
        """Every message to the chain by its key."""
        rows = self.outbox._db.execute("SELECT key, body FROM messages ORDER BY key")
        return {str(key): bytes(body) for key, body in rows}

    def intents(self) -> dict[str, Intent]:
        """What nodes should do in the end."""
        return self.broker.intents()


def views(*, committed: bool) -> Callable[[int], ChainView]:
    """Two PoCs: both nodes mine in the first; n1 serves through the second, then both get another model."""
    second = S_FIRST + 30
    ruling = (Placed("n1", X, poc_slot=True), Placed("n2", X))
    later = (Placed("n1", Y, poc_slot=True), Placed("n2", Y))

    def at(height: int) -> ChainView:
        view = view_at(height, (), later if height >= second + 15 else ruling)
        if view.next_group is not None and height >= second:
            view = replace(view, next_group=group(2, later))
        if view.upcoming is not None:
            upcoming = epochs_pb2.EpochRecord()
            upcoming.CopyFrom(view.upcoming)
            upcoming.params.poc.inline_batches = not committed
            upcoming.params.poc.committed_batches = committed
            view = replace(view, upcoming=upcoming)
        return view

    return at
