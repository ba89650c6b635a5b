"""The operator's routes: nodes, tests of nodes, announced maintenance, and one picture of it all."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from api_node.broker import Broker, Node
from api_node.callback import NONCES_MAX
from api_node.errors import ApiError
from api_node.node_config import NodeConfig
from api_node.operations import Pace
from api_node.operations_batch import Batch, Operation, emptiness, operation_errors, perform
from api_node.operations_overview import overview
from api_node.operations_trial import TrialRefusedError, Trials
from api_node.orchestrator import Orchestrator
from api_node.outbox import Entry, Status
from api_node.sender import Sender
from api_node.timeline import LIMIT_MAX
from api_node.view import ChainView
from client.chain import ChainError
from protocol.gen.evergrid.maintenance.v1 import maintenance_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

WAIT_S_MAX = 3600.0
LOOK_S = 0.05
Wait = Annotated[float, Query(ge=0, le=WAIT_S_MAX, description="seconds to wait for the end of it")]
NodeId = Annotated[str, Path(max_length=64)]
Change = tuple[list[Operation], list[dict[str, Any]]]


@dataclass
class Desk:
    """What the operator's routes work with. `holds_key`: the participant's own key signs here."""

    orchestrator: Orchestrator
    broker: Broker
    sender: Sender
    trials: Trials
    holds_key: bool
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        self.orchestrator.listeners.append(self._note)

    def _note(self, view: ChainView) -> None:
        """A new view of the chain."""
        self.pace.note(view.height, time.monotonic())
        address = self.orchestrator.reader.address
        weight = view.effective.weights.get(address, 0)
        self.orchestrator.metrics.participant_weight.labels(address).set(weight)

    async def change(self, operations: list[Operation]) -> list[dict[str, Any]]:
        """Does operations in order; raises ApiError that names all that is wrong, nothing being done."""
        view = self.orchestrator.view
        registered = view.governance_models if view else None
        if errors := operation_errors(operations, self.broker.nodes, registered):
            raise ApiError(400, "; ".join(errors), code="invalid")
        done = [await perform(self.broker, each) for each in operations]
        self.orchestrator.look_again()
        return done

    def node(self, node_id: str) -> Node:
        """A node; raises ApiError where there is none."""
        node = self.broker.nodes.get(node_id)
        if node is None:
            raise ApiError(404, f"there is no node {node_id}", code="unknown_node")
        return node

    async def until(self, condition: Callable[[], bool], wait_s: float) -> None:
        """Waits for a condition, but no longer than this."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while not condition():  # noqa: ASYNC110 - what it looks at are counters
                    await asyncio.sleep(LOOK_S)


def node_routes(desk: Desk) -> APIRouter:
    """List, add, many at once; the timeline of each."""
    router = APIRouter(tags=["nodes"])
    broker = desk.broker

    @router.get("/nodes")
    async def nodes() -> list[dict[str, Any]]:
        """Every node: its configuration, what it should do and does, why and since when."""
        return broker.describe()

    @router.post("/nodes", status_code=201)
    async def add_node(config: NodeConfig) -> dict[str, Any]:
        """Adds a node, or changes the one of the same id; in node-config.json too."""
        view = desk.orchestrator.view
        add = Operation(op="add", node=config.model_dump())
        if errors := operation_errors([add], broker.nodes, view.governance_models if view else None):
            text = "; ".join(error.partition(": ")[2] for error in errors)
            raise ApiError(400, text, reason=reasons_pb2.REASON_POLICY_REFUSED, code="unknown_models")
        await desk.change([add])
        return config.model_dump()

    @router.post("/nodes/batch")
    async def batch(batch: Batch) -> dict[str, Any]:
        """Several operations in order. All are checked before the first is done; all errors are named."""
        return {"done": await desk.change(batch.operations)}

    @router.get("/nodes/{node_id}/timeline")
    async def timeline(
        node_id: NodeId,
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 100,
        before: Annotated[int, Query(ge=0, le=2**62, description="only entries of smaller ids")] = 0,
    ) -> dict[str, Any]:
        """What a node was meant to do and did, newest first; of removed nodes too."""
        entries = broker.timeline.entries(node_id, limit, before)
        if not entries:
            desk.node(node_id)
        return {"node_id": node_id, "entries": entries}

    return router


def switch_routes(desk: Desk) -> APIRouter:
    """Remove, enable, disable, drain one node."""
    router = APIRouter(tags=["nodes"])

    @router.delete("/nodes/{node_id}")
    async def remove_node(node_id: NodeId) -> dict[str, Any]:
        """Forgets a node, and takes it out of the chain's registry."""
        return await one("remove", node_id)

    @router.post("/nodes/{node_id}/enable")
    async def enable(node_id: NodeId) -> dict[str, Any]:
        """Uses a node again, after a disable or a drain."""
        return await one("enable", node_id)

    @router.post("/nodes/{node_id}/disable")
    async def disable(node_id: NodeId) -> dict[str, Any]:
        """Stops a node at once and leaves it out of the next Proof of Compute."""
        return await one("disable", node_id)

    @router.post("/nodes/{node_id}/drain")
    async def drain(node_id: NodeId, wait_s: Wait = 0) -> dict[str, Any]:
        """Gives a node no new requests; `empty`: what ran has ended. It keeps its place in the PoC."""
        answer = await one("drain", node_id)
        await desk.until(lambda: bool(emptiness(desk.broker, node_id)["empty"]), wait_s)
        return answer | emptiness(desk.broker, node_id)

    async def one(operation: str, node_id: str) -> dict[str, Any]:
        desk.node(node_id)
        (answer,) = await desk.change([Operation(op=operation, node_id=node_id)])
        return answer

    return router


class TrialRequest(BaseModel):
    """`model` empty: the node's first registered one."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(max_length=200)] = ""


def trial_routes(desk: Desk) -> APIRouter:
    """Tests of nodes before they are needed."""
    router = APIRouter(tags=["tests"])

    @router.post("/nodes/{node_id}/test")
    async def test_node(
        node_id: NodeId, response: Response, request: TrialRequest | None = None, wait_s: Wait = 0
    ) -> dict[str, Any]:
        """Reaches a node, downloads, loads, infers, generates nonces: pass, or why not, each with its time.

        202 while it runs; 409 with the reason where the node is busy with a stage or takes requests.
        """
        desk.node(node_id)
        try:
            trial = desk.trials.begin(node_id, request.model if request else "")
        except TrialRefusedError as error:
            raise ApiError(409, str(error), code="busy") from error
        await desk.until(trial.done.is_set, wait_s)
        response.status_code = 200 if trial.done.is_set() else 202
        return trial.describe()

    @router.get("/nodes/{node_id}/test")
    async def last_test(node_id: NodeId, wait_s: Wait = 0) -> dict[str, Any]:
        """The test of a node that runs, or its last one."""
        trial = desk.trials.last.get(node_id)
        if trial is None:
            desk.node(node_id)
            raise ApiError(404, f"node {node_id} was not tested since this API node started", code="no_test")
        await desk.until(trial.done.is_set, wait_s)
        return trial.describe()

    return router


class Announcement(BaseModel):
    """Both heights included; `node_id` empty: all nodes."""

    model_config = ConfigDict(extra="forbid")

    node_id: Annotated[str, Field(max_length=64)] = ""
    height_from: Annotated[int, Field(ge=1, lt=2**63)]
    height_to: Annotated[int, Field(ge=1, lt=2**63)]


def maintenance_routes(desk: Desk) -> APIRouter:
    """Announced downtime."""
    router = APIRouter(tags=["maintenance"])

    @router.get("/maintenance")
    async def windows() -> dict[str, Any]:
        """Announced windows that are not over, the credit, and between which heights a window may lie now."""
        return await maintenance_body(desk)

    @router.post("/maintenance", status_code=202)
    async def announce(announcement: Announcement, response: Response, wait_s: Wait = 0) -> dict[str, Any]:
        """Announces a window with the participant's key, where this API node holds it.

        Else 409 says what to run where the key is. 200: it is in a block; 400: the chain refused it.
        """
        who, node_id = desk.orchestrator.reader.address, announcement.node_id
        heights = (announcement.height_from, announcement.height_to)
        if not desk.holds_key:
            raise ApiError(
                409, f"this API node does not hold the key: {announce_command(who, node_id, *heights)}"
            )
        if node_id:
            desk.node(node_id)
        message = maintenance_pb2.MsgAnnounceMaintenance(
            creator=who, node_id=node_id, height_from=heights[0], height_to=heights[1]
        )
        key = f"maintenance/{node_id}/{heights[0]}/{heights[1]}"
        desk.sender.submit(key, message, heights[0], retry=True)
        await desk.until(lambda: _settled(desk.sender.outbox.get(key)), wait_s)
        return _outcome(response, key, desk.sender.outbox.get(key))

    return router


def announce_command(participant: str, node_id: str, height_from: int, height_to: int) -> str:
    """What the operator runs where the participant's key is."""
    node = f" --node-id {node_id}" if node_id else ""
    words = f"evergrid tx maintenance announce {height_from} {height_to}{node} --from {participant}"
    return f"run `{words}` where it is"


def _settled(entry: Entry | None) -> bool:
    return entry is None or entry.status not in {Status.PENDING, Status.SENT}


def _outcome(response: Response, key: str, entry: Entry | None) -> dict[str, Any]:
    """What became of a message; raises ApiError where the chain refused it."""
    if entry is not None and entry.status in {Status.FAILED, Status.EXPIRED}:
        raise ApiError(400, f"the chain did not take it: {entry.log}", code="refused")
    included = entry is not None and entry.status == Status.INCLUDED
    response.status_code = 200 if included else 202
    shown = {"key": key, "status": str(entry.status) if entry else "unknown"}
    return shown | {"tx_hash": entry.tx_hash if entry else "", "height": entry.height if entry else 0}


async def maintenance_body(desk: Desk) -> dict[str, Any]:
    """Windows and credit at the last view's height; raises ApiError where the chain cannot be asked."""
    view, address = desk.orchestrator.view, desk.orchestrator.reader.address
    if view is None:
        text = f"this node waits for the chain: {desk.orchestrator.problem}"
        raise ApiError(503, text, reason=reasons_pb2.REASON_CHAIN_UNREACHABLE, retry_after_s=2)
    request = maintenance_pb2.QueryCreditRequest(participant=address)
    try:
        answer = await desk.orchestrator.reader.cached(request, maintenance_pb2.QueryCreditResponse)
    except ChainError as error:
        text = f"the chain cannot be asked now: {error}"
        reason = reasons_pb2.REASON_CHAIN_UNREACHABLE
        raise ApiError(503, text, reason=reason, retry_after_s=2) from error
    shown = [
        {"node_id": each.node_id, "height_from": each.height_from, "height_to": each.height_to}
        for each in view.windows
    ]
    return {
        "height": view.height,
        "windows": shown,
        "credit_blocks": answer.credit.blocks,
        "height_first": answer.height_first,
        "height_last": answer.height_last,
        "announced_here": desk.holds_key,
    }


def overview_routes(desk: Desk) -> APIRouter:
    """One picture for people and scripts."""
    router = APIRouter(tags=["status"])

    @router.get("/overview")
    async def show() -> dict[str, Any]:
        """Chain, countdown to the next stage, every node, and whether each may be switched off now."""
        return overview(desk.orchestrator, desk.broker, desk.pace)

    return router


class TrialBatch(BaseModel):
    """What a node posts in a test; the claims are counted alone."""

    model_config = ConfigDict(extra="ignore")

    block_hash: str
    nonces: Annotated[list[Annotated[int, Field(ge=0, lt=2**64, strict=True)]], Field(max_length=NONCES_MAX)]
    dist: Annotated[list[Annotated[int, Field(strict=True)]], Field(max_length=NONCES_MAX)]


def add_trial_callback(app: FastAPI, trials: Trials, *dependencies: Any) -> None:
    """Where nodes post the nonces of their tests."""

    @app.post("/v1/tests/{node_id}/generated", dependencies=list(dependencies))
    async def generated(node_id: NodeId, batch: TrialBatch) -> dict[str, Any]:
        """Nonces of a test. Those of a test that is over are acknowledged: they are not to come again."""
        try:
            used = trials.take(node_id, batch.block_hash, batch.nonces, len(batch.dist))
        except ValueError as error:
            raise ApiError(400, str(error)) from error
        return {"status": "OK", "used": used}
