"""The public API: OpenAI's chat interface, and what the epoch, prices and participants are."""

from __future__ import annotations

import platform
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request

from api_node.artifact_routes import artifact_routes
from api_node.chain_json import plain
from api_node.chat import TransferAgent
from api_node.chat_routes import chat_routes, execute_routes, inference_routes
from api_node.documents import ERRORS, true_document
from api_node.epoch_routes import epoch_routes, model_routes
from api_node.execution import Executor
from api_node.http_server import new_app
from api_node.metrics import SCHEMA_VERSION, package_version
from api_node.orchestrator import Orchestrator
from api_node.payloads import PayloadDesk, payload_routes
from api_node.rate_limit import RateLimit
from api_node.requester import Requesters
from api_node.settings import Settings


def public_app(
    settings: Settings,
    orchestrator: Orchestrator,
    agent: TransferAgent,
    executor: Executor,
    *,
    desk: PayloadDesk,
    api_keys: list[str],
) -> FastAPI:
    """The application of the public port."""
    app = new_app("Evergrid API node", package_version(), settings)
    requesters = Requesters(orchestrator.reader, orchestrator.reader.address)
    limit = RateLimit(api_keys, settings.requests_per_key_per_s)
    queries = RateLimit([], settings.queries_per_address_per_s)

    async def asks_chain(request: Request) -> None:
        queries.check_address(request)

    app.include_router(chat_routes(agent, requesters, limit))
    app.include_router(inference_routes(orchestrator), dependencies=[Depends(asks_chain)])
    app.include_router(model_routes(orchestrator))
    app.include_router(epoch_routes(orchestrator), dependencies=[Depends(asks_chain)])
    app.include_router(status_routes(orchestrator))
    app.include_router(artifact_routes(orchestrator), responses=ERRORS)
    app.include_router(execute_routes(executor))
    app.include_router(payload_routes(desk), responses=ERRORS)
    return true_document(app)


def status_routes(orchestrator: Orchestrator) -> APIRouter:
    """How this node is, and which versions it is made of."""
    router = APIRouter(prefix="/v1", tags=["node"], responses=ERRORS)

    @router.get("/status")
    async def status() -> dict[str, Any]:
        """Whether this node can do its work, and what it waits for."""
        return describe_status(orchestrator)

    @router.get("/versions")
    async def versions() -> dict[str, Any]:
        """What this node speaks and runs."""
        view = orchestrator.view
        return {
            "api_node": package_version(),
            "python": platform.python_version(),
            "metrics_schema": SCHEMA_VERSION,
            "chain_id": view.chain_id if view else None,
            "api": "v1",
        }

    return router


def describe_status(orchestrator: Orchestrator) -> dict[str, Any]:
    """Whether this node can do its work, and what it waits for."""
    view, watcher = orchestrator.view, orchestrator.watcher
    problems = [text for text in (orchestrator.problem, orchestrator.sender.problem) if text]
    if watcher.catching_up:
        problems.append("the chain node is catching up")
    if view is not None and view.participant is None:
        problems.append("the account is no participant yet")
    problems += (
        f"node {node_id} waits for models that are not registered: {', '.join(models)}"
        for node_id, models in sorted(orchestrator.registrar.waiting.items())
    )
    return {
        "status": "waiting" if problems else "ok",
        "waiting_for": problems,
        "participant": orchestrator.reader.address,
        "height": view.height if view else 0,
        "chain_lag_blocks": max(0, watcher.height - view.height) if view else None,
        "epoch_index": view.effective.epoch_index if view else None,
        "messages_waiting": orchestrator.sender.outbox.waiting(),
        "maintenance": [plain(window) for window in view.windows] if view else [],
        "version": package_version(),
    }
