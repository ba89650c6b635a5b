"""The operator's API, on loopback and with a token; and /metrics, on a port of its own."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Response, params
from prometheus_client import CONTENT_TYPE_LATEST

from api_node.broker import Broker, UnknownModelsError, register_node
from api_node.errors import ApiError
from api_node.http_server import bearer_check, new_app
from api_node.metrics import Metrics, package_version
from api_node.node_config import NodeConfig
from api_node.node_worker import reason_word
from api_node.orchestrator import Orchestrator
from api_node.public import describe_status
from api_node.revalidation import Revalidator
from api_node.sender import Sender
from api_node.settings import Settings, read_secret
from protocol.gen.evergrid.reasons.v1 import reasons_pb2


def admin_token(settings: Settings) -> str:
    """The token in its file; it is made at the first start."""
    path: Path = settings.admin_token_file or settings.home / "admin_token"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    return read_secret(path)


def admin_app(
    settings: Settings,
    orchestrator: Orchestrator,
    broker: Broker,
    sender: Sender,
    *,
    revalidator: Revalidator,
    token: str,
) -> FastAPI:
    """The application of the admin port."""
    app = new_app("Evergrid API node: admin", package_version(), settings)
    allowed = Depends(bearer_check(lambda: [token]))
    router = APIRouter(prefix="/admin/v1", dependencies=[allowed])

    @router.get("/nodes")
    async def nodes() -> list[dict[str, Any]]:
        return broker.describe()

    @router.post("/nodes", status_code=201)
    async def add_node(config: NodeConfig) -> dict[str, Any]:
        try:
            register_node(broker, config, orchestrator.view)
        except UnknownModelsError as error:
            raise ApiError(
                400, str(error), reason=reasons_pb2.REASON_POLICY_REFUSED, code="unknown_models"
            ) from error
        orchestrator.look_again()
        return config.model_dump()

    @router.delete("/nodes/{node_id}")
    async def remove_node(node_id: str) -> dict[str, Any]:
        if not await broker.remove_node(node_id):
            raise _unknown(node_id)
        orchestrator.look_again()
        return {"message": "node removed", "node_id": node_id}

    @router.post("/nodes/{node_id}/enable")
    async def enable(node_id: str) -> dict[str, Any]:
        return switch(node_id, enabled=True)

    @router.post("/nodes/{node_id}/disable")
    async def disable(node_id: str) -> dict[str, Any]:
        return switch(node_id, enabled=False)

    def switch(node_id: str, *, enabled: bool) -> dict[str, Any]:
        if not broker.enable(node_id, enabled=enabled):
            raise _unknown(node_id)
        orchestrator.look_again()
        return {"message": f"node {'enabled' if enabled else 'disabled'}", "node_id": node_id}

    app.include_router(router)
    app.include_router(observation_routes(orchestrator, sender, revalidator, allowed))
    return app


def observation_routes(
    orchestrator: Orchestrator, sender: Sender, revalidator: Revalidator, allowed: params.Depends
) -> APIRouter:
    """What an operator may look at."""
    router = APIRouter(prefix="/admin/v1", dependencies=[allowed])

    @router.get("/transactions")
    async def transactions() -> list[dict[str, Any]]:
        return [
            {"key": entry.key, "type": entry.type, "status": str(entry.status), "tx_hash": entry.tx_hash}
            | {"height_deadline": entry.height_deadline, "attempts": entry.attempts}
            for entry in sender.outbox.open_entries()
        ]

    @router.get("/validations")
    async def validations() -> list[dict[str, Any]]:
        return revalidator.describe()

    @router.get("/status")
    async def status() -> dict[str, Any]:
        return describe_status(orchestrator)

    return router


def _unknown(node_id: str) -> ApiError:
    word = reason_word(reasons_pb2.REASON_UNKNOWN_NODE)
    return ApiError(404, f"there is no node {node_id}", code=word or "")


def metrics_app(settings: Settings, metrics: Metrics, broker: Broker) -> FastAPI:
    """The application of the metrics port."""
    app = new_app("Evergrid API node: metrics", package_version(), settings)

    @app.get("/metrics")
    async def scrape() -> Response:
        broker.show_metrics()
        return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)

    return app
