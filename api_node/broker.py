"""The MLNodes of this participant: what each should do, what it does, and which may take a request."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import structlog

from api_node.intents import Intent, NodeStatus, Puzzle
from api_node.metrics import Metrics
from api_node.mlnode_client import MLNodeClient
from api_node.node_config import NodeConfig, save_nodes
from api_node.node_worker import InitRequest, NodeWorker, reason_word
from api_node.outbox import Outbox
from api_node.phases import NodeFacts, Plan
from api_node.settings import Settings
from api_node.timeline import Timeline
from api_node.view import ChainView, EpochData
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.models.v1 import models_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

log = structlog.get_logger("api_node.broker")

STATES = tuple(str(status) for status in NodeStatus)
AWAY = (reasons_pb2.REASON_MAINTENANCE, reasons_pb2.REASON_DRAINING, reasons_pb2.REASON_ADMIN_DISABLED)
DISABLED_FACT = "nodes_disabled"
DRAINED_FACT = "nodes_drained"


class UnknownModelsError(ValueError):
    """A node declares models that governance has not registered; all of them are named."""


def unknown_models(node: NodeConfig, registered: Collection[str]) -> list[str]:
    """The declared models that are not in the registry, sorted."""
    return sorted(model_id for model_id in node.models if model_id not in registered)


@dataclass
class Node:
    """One configured node, its worker, and its share of the epoch data."""

    config: NodeConfig
    worker: NodeWorker
    enabled: bool = True
    # The operator's wish that it takes no new requests; it keeps its place in the PoC.
    drained: bool = False
    # Whether a test has it for itself.
    tested: bool = False
    # EpochModels and EpochMLNodes: by model id, of the effective group.
    epoch_models: dict[str, models_pb2.Model] | None = None
    epoch_ml_nodes: dict[str, epochs_pb2.MLNodeInfo] | None = None

    @property
    def facts(self) -> NodeFacts:
        """What decisions need of it."""
        models = tuple((model_id, tuple(model.args)) for model_id, model in self.config.models.items())
        return NodeFacts(
            self.config.id,
            models,
            self.enabled,
            self.worker.lock_count,
            drained=self.drained,
            tested=self.tested,
        )


def update_node_with_epoch_data(node: Node, data: EpochData) -> None:
    """UpdateNodeWithEpochData: a node's EpochModels and EpochMLNodes, from one group read at one height."""
    infos = dict(data.ml_nodes.get(node.config.id, {}))
    node.epoch_ml_nodes = infos
    node.epoch_models = {model_id: data.models[model_id] for model_id in infos}


def inference_up_node_command(node: Node, intent: Intent) -> None:
    """InferenceUpNodeCommand, or another job: for INFERENCE the model of the slot, with merged arguments.

    The worker does it, and repeats it until it is so.
    """
    node.worker.intend(intent)


def register_node(broker: Broker, config: NodeConfig, view: ChainView | None) -> None:
    """RegisterNode at runtime; raises UnknownModelsError that names every model which the registry lacks."""
    if view is not None and (unknown := unknown_models(config, view.governance_models)):
        raise UnknownModelsError(f"node {config.id}: models not registered: {', '.join(unknown)}")
    broker.put(config)


class Broker:
    """Keeps one worker per node and gives requests to the least loaded node that may serve."""

    def __init__(
        self,
        settings: Settings,
        nodes: Iterable[NodeConfig],
        init_request: InitRequest,
        outbox: Outbox,
        *,
        metrics: Metrics,
        token: str | None = None,
        timeline: Timeline | None = None,
    ) -> None:
        self._settings = settings
        self.timeline = timeline or Timeline()
        self._init_request = init_request
        self._outbox = outbox
        self._metrics = metrics
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx2.AsyncClient(
            timeout=settings.request_timeout_s,
            headers=headers,
            follow_redirects=False,
            trust_env=False,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=64),
        )
        self._disabled: set[str] = set(json.loads(outbox.fact(DISABLED_FACT) or "[]"))
        self._drained: set[str] = set(json.loads(outbox.fact(DRAINED_FACT) or "[]"))
        # Told of the model for which there is room again.
        self.released: Callable[[str], object] = lambda _model_id: None
        self.nodes: dict[str, Node] = {}
        for config in nodes:
            self._add(config)

    def start(self) -> None:
        """Starts every node's worker."""
        for node in self.nodes.values():
            node.worker.start()

    async def close(self) -> None:
        """Ends the workers; the nodes keep doing what they do."""
        for node in self.nodes.values():
            await node.worker.close()
        await self.http.aclose()
        self.timeline.close()

    # the configured nodes

    def put(self, config: NodeConfig) -> None:
        """Adds or changes a node, in the operator's file too."""
        former = self.nodes.get(config.id)
        node = self._add(config)
        if former is not None:
            former.worker.replace_node(config, node.worker.client)
            node.worker = former.worker
        else:
            node.worker.start()
        self._save()

    async def remove_node(self, node_id: str) -> bool:
        """Forgets a node and asks it to stop; false where there is none."""
        node = self.nodes.pop(node_id, None)
        if node is None:
            return False
        self._save()
        await node.worker.close()
        self._metrics.forget_node(node_id, STATES)
        return True

    def enable(self, node_id: str, *, enabled: bool) -> bool:
        """The operator's switch, which ends a drain too; false where there is no such node."""
        node = self.nodes.get(node_id)
        if node is None:
            return False
        node.enabled = enabled
        (self._disabled.discard if enabled else self._disabled.add)(node_id)
        self._outbox.remember(DISABLED_FACT, json.dumps(sorted(self._disabled)))
        self.drain(node_id, drained=False)
        return True

    def drain(self, node_id: str, *, drained: bool = True) -> bool:
        """Whether a node takes no new requests; false where there is no such node."""
        node = self.nodes.get(node_id)
        if node is None:
            return False
        node.drained = drained
        (self._drained.add if drained else self._drained.discard)(node_id)
        self._outbox.remember(DRAINED_FACT, json.dumps(sorted(self._drained)))
        return True

    def _add(self, config: NodeConfig) -> Node:
        client = MLNodeClient(
            config,
            self.http,
            timeout_s=self._settings.node_timeout_s,
            load_timeout_s=self._settings.load_timeout_s,
        )
        worker = NodeWorker(config, client, self._init_request, self._metrics, self.timeline)
        node = Node(config, worker, config.id not in self._disabled, drained=config.id in self._drained)
        self.nodes[config.id] = node
        return node

    def _save(self) -> None:
        path: Path = self._settings.node_config
        save_nodes(path, (node.config for node in self.nodes.values()))

    # epoch data and intents

    def update(self, data: EpochData) -> None:
        """Gives every node its share of one group."""
        for node in self.nodes.values():
            update_node_with_epoch_data(node, data)
        self._metrics.snapshot_epoch.set(data.epoch_index)

    def facts(self) -> list[NodeFacts]:
        """All nodes, as decisions take them."""
        return [node.facts for node in self.nodes.values()]

    def apply(self, plan: Plan) -> None:
        """Gives each node its intent."""
        for node_id, intent in plan.intents.items():
            if node_id in self.nodes:
                inference_up_node_command(self.nodes[node_id], intent)

    def intents(self) -> dict[str, Intent]:
        """What each node should do now."""
        workers = ((node_id, node.worker) for node_id, node in self.nodes.items())
        return {node_id: worker.intent for node_id, worker in workers if worker.intent is not None}

    def ready_for(self, puzzle: Puzzle) -> set[str]:
        """The nodes that can re-compute nonces of a puzzle now."""
        return {node_id for node_id, node in self.nodes.items() if node.worker.holds_puzzle == puzzle}

    # requests

    def lock_available_node(self, model_id: str, serving: Collection[str]) -> Node | None:
        """The least loaded of these nodes that serves the model now; the caller releases it."""
        able = [
            node
            for node_id, node in self.nodes.items()
            if node_id in serving and self._can_take(node, model_id)
        ]
        if not able:
            return None
        chosen = min(able, key=lambda node: node.worker.lock_count / node.config.max_concurrent)
        chosen.worker.lock_count += 1
        return chosen

    def release_node(self, node: Node) -> None:
        """A request has ended: there is room for another one."""
        node.worker.lock_count -= 1
        if node.worker.serves:
            self.released(node.worker.serves)

    @staticmethod
    def _can_take(node: Node, model_id: str) -> bool:
        worker = node.worker
        return (
            worker.serves == model_id
            and worker.intent is not None
            and worker.intent.admits
            and worker.intent.model_id == model_id
            and worker.lock_count < node.config.max_concurrent
        )

    def node_for_validation(self, model_id: str) -> Node | None:
        """The idlest node that serves the model and has room for users; a node that drains takes nothing."""

        def load(node: Node) -> tuple[int, float]:
            return (node.worker.validations, node.worker.lock_count / node.config.max_concurrent)

        able = (node for node in self.nodes.values() if self._can_take(node, model_id))
        return min(able, key=load, default=None)

    def why_no_validation(self, model_id: str) -> reasons_pb2.Reason:
        """Why no node re-executes an answer of the model now."""
        serving = any(node.worker.serves == model_id for node in self.nodes.values())
        return reasons_pb2.REASON_BUSY if serving else reasons_pb2.REASON_NOT_SERVING

    def why_not(self, model_id: str, serving: Collection[str]) -> reasons_pb2.Reason:
        """Why no node takes a request for the model now."""
        nodes = [node for node_id, node in self.nodes.items() if node_id in serving]
        if not nodes:
            return reasons_pb2.REASON_NO_SLOT_IN_FORCE
        if any(node.worker.serves == model_id and self._is_full(node) for node in nodes):
            return reasons_pb2.REASON_BUSY
        going = [node.worker.intent.reason for node in nodes if node.worker.intent]
        if away := [reason for reason in going if reason in AWAY]:
            return away[0]
        failed = [node.worker.current.reason for node in nodes if self._has_failed(node)]
        return failed[0] if failed else reasons_pb2.REASON_MODEL_LOADING

    @staticmethod
    def _is_full(node: Node) -> bool:
        return node.worker.lock_count >= node.config.max_concurrent

    @staticmethod
    def _has_failed(node: Node) -> bool:
        return node.worker.current.status == NodeStatus.FAILED

    @property
    def in_flight(self) -> int:
        """Requests that nodes work on."""
        return sum(node.worker.lock_count for node in self.nodes.values())

    @property
    def metrics(self) -> Metrics:
        """Where what happens to nodes is counted."""
        return self._metrics

    # for people

    def describe(self) -> list[dict[str, Any]]:
        """Every node with its intended and its current state, for the admin API."""
        return [self._describe(node) for node in self.nodes.values()]

    @staticmethod
    def _describe(node: Node) -> dict[str, Any]:
        intent, current = node.worker.intent, node.worker.current
        infos = node.epoch_ml_nodes or {}
        return {
            "node": node.config.model_dump(),
            "state": {
                "enabled": node.enabled,
                "drained": node.drained,
                "empty": not node.worker.lock_count,
                "tested": node.tested,
                "intended_status": str(intent.status) if intent else None,
                "intended_model": intent.model_id if intent else None,
                "intended_reason": reason_word(intent.reason) if intent else None,
                "intended_since": node.worker.intended_since,
                "height_deadline": intent.height_deadline if intent else 0,
                "admits": bool(intent and intent.admits),
                "current_status": str(current.status),
                "current_model": current.model_id,
                "reason": reason_word(current.reason),
                "text": current.text,
                "since": current.since,
                "deadline": current.deadline,
                "command": current.command,
                "lock_count": node.worker.lock_count,
                "epoch_models": sorted(node.epoch_models or {}),
                "timeslot_allocation": {
                    model_id: list(info.timeslot_allocation) for model_id, info in sorted(infos.items())
                },
                "poc_weight": {model_id: info.poc_weight for model_id, info in sorted(infos.items())},
            },
        }

    def show_metrics(self) -> None:
        """Sets the gauges of all nodes."""
        now = time.time()
        for node_id, node in self.nodes.items():
            current = node.worker.current
            self._metrics.show_node(node_id, str(current.status), STATES, max(0.0, now - current.since))
            deadline = node.worker.intent.height_deadline if node.worker.intent else 0
            self._metrics.node_deadline.labels(node_id).set(deadline)
            self._metrics.show_load(
                node_id,
                requests=node.worker.lock_count,
                as_intended=node.worker.intent is not None and node.worker.reached.is_set(),
            )
