"""/v1/poc-artifacts: what own nodes committed to, leaf by leaf, for those who validate it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query

from api_node.errors import ApiError
from api_node.orchestrator import Orchestrator
from api_node.poc_artifacts import Leaf, Leaves
from api_node.poc_batches import BatchCollector
from api_node.poc_fetch import INDICES_MAX

RETRY_AFTER_S = 5
NODE_ID_LENGTH_MAX = 64


def artifact_routes(orchestrator: Orchestrator) -> APIRouter:
    """Leaves with proofs, for everybody: the chain holds the root that they are proved against."""
    router = APIRouter(prefix="/v1")

    @router.get("/poc-artifacts")
    async def poc_artifacts(
        poc_stage_start_height: Annotated[int, Query(ge=1, lt=2**63, description="S of the PoC under way")],
        node_id: Annotated[str, Query(min_length=1, max_length=NODE_ID_LENGTH_MAX)],
        index: Annotated[
            list[Annotated[int, Query(ge=0, lt=2**63)]],
            Query(min_length=1, max_length=INDICES_MAX, description="places of leaves, from 0"),
        ],
    ) -> dict[str, Any]:
        """Leaves of one node's committed batch, each with the leaf beside it and both audit paths.

        They are served from the block that holds the commitment until the end of the validation.
        """
        collector = orchestrator.collector
        leaves = committed_leaves(collector, poc_stage_start_height, node_id)
        beyond = [place for place in index if place >= len(leaves.nonces)]
        if beyond:
            count = len(leaves.nonces)
            raise ApiError(400, f"node {node_id!r} committed to {count} leaves: there is no leaf {beyond}")
        # The tree is built again after a restart, which takes a while where there are many.
        tree = await asyncio.to_thread(getattr, leaves, "tree")
        return {
            "poc_stage_start_height": poc_stage_start_height,
            "node_id": node_id,
            "root": tree.root.hex(),
            "count": len(leaves.nonces),
            "samples": [_sample(leaves, place) for place in index],
        }

    return router


def committed_leaves(collector: BatchCollector, height_start: int, node_id: str) -> Leaves:
    """The leaves that may be shown; raises ApiError that says why there are none."""
    nodes = collector.store.nodes(height_start)
    if not nodes:
        text = (
            f"no leaves are kept of a PoC that began at height {height_start}: they go when it is validated"
        )
        raise ApiError(404, text, code="not_found")
    if node_id not in nodes:
        text = f"no leaves are kept of node {node_id!r} in the PoC of height {height_start}"
        raise ApiError(404, text, code="not_found")
    leaves = collector.store.committed(height_start, node_id)
    if leaves is None or not collector.is_on_chain(height_start, node_id):
        # Nothing is shown that might still become another commitment.
        text = f"node {node_id!r} has no commitment on chain in the PoC of height {height_start}"
        raise ApiError(409, text, code="not_committed", retry_after_s=RETRY_AFTER_S)
    return leaves


def _sample(leaves: Leaves, index: int) -> dict[str, Any]:
    leaf, beside = leaves.with_neighbour(index)
    return {"leaf": _shown(leaf), "neighbour": _shown(beside) if beside else None}


def _shown(leaf: Leaf) -> dict[str, Any]:
    path = [each.hex() for each in leaf.path]
    return {"index": leaf.index, "nonce": leaf.nonce, "claim": leaf.claim, "path": path}
