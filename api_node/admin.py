"""The operator's API, on loopback and with a token; and /metrics, on a port of its own."""

from __future__ import annotations

import os
import secrets as random_secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from api_node.broker import Broker
from api_node.federation import Federation
from api_node.http_server import bearer_check, new_app
from api_node.logs import clean
from api_node.metrics import Metrics, package_version
from api_node.operations_routes import (
    Desk,
    maintenance_routes,
    node_routes,
    overview_routes,
    switch_routes,
    trial_routes,
)
from api_node.orchestrator import Orchestrator
from api_node.public import describe_status
from api_node.revalidation import Revalidator
from api_node.sender import Sender
from api_node.settings import Settings, read_secret

ERROR_SCHEMA = {"type": "object", "properties": {"error": {"type": "object"}}, "required": ["error"]}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/json": {"schema": ERROR_SCHEMA}}}
    for status, text in {
        400: "what is wrong with the request, all of it; nothing was done",
        401: "the admin token is missing or wrong",
        404: "there is no such node",
        409: "it cannot be done now, and why",
        503: "there is no view of the chain yet; Retry-After says when to come again",
    }.items()
}


def admin_token(settings: Settings) -> str:
    """The token in its file; it is made at the first start."""
    path: Path = settings.admin_token_file or settings.home / "admin_token"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(random_secrets.token_urlsafe(32) + "\n")
    return read_secret(path)


class CleanResponse(JSONResponse):
    """JSON without secrets, whatever a node or the chain said."""

    secrets: tuple[str, ...] = ()

    def render(self, content: Any) -> bytes:
        return super().render(clean(content, self.secrets))


def admin_app(
    settings: Settings, desk: Desk, *, revalidator: Revalidator, token: str, secrets: Sequence[str]
) -> FastAPI:
    """The application of the admin port. None of `secrets` is ever in an answer."""
    app = new_app("Evergrid API node: admin", package_version(), settings)
    answer = type("AdminResponse", (CleanResponse,), {"secrets": tuple(secrets)})
    router = APIRouter(
        prefix="/admin/v1",
        dependencies=[Depends(bearer_check(lambda: [token]))],
        default_response_class=answer,
        responses=ERRORS,
    )
    for part in (
        node_routes(desk),
        switch_routes(desk),
        trial_routes(desk),
        maintenance_routes(desk),
        overview_routes(desk),
        observation_routes(desk.orchestrator, desk.sender, revalidator),
    ):
        router.include_router(part)
    app.include_router(router)
    return app


def observation_routes(orchestrator: Orchestrator, sender: Sender, revalidator: Revalidator) -> APIRouter:
    """What an operator may look at."""
    router = APIRouter(tags=["status"])

    @router.get("/transactions")
    async def transactions() -> list[dict[str, Any]]:
        """Messages that are in no block yet, oldest first, with the height by which they must be."""
        return [
            {"key": entry.key, "type": entry.type, "status": str(entry.status), "tx_hash": entry.tx_hash}
            | {"height_deadline": entry.height_deadline, "attempts": entry.attempts}
            for entry in sender.outbox.open_entries()
        ]

    @router.get("/validations")
    async def validations() -> list[dict[str, Any]]:
        """Inferences of others that wait for this participant's verdict."""
        return revalidator.describe()

    @router.get("/status")
    async def status() -> dict[str, Any]:
        """Whether this node can do its work, and what it waits for."""
        return describe_status(orchestrator)

    return router


def metrics_app(settings: Settings, metrics: Metrics, broker: Broker) -> FastAPI:
    """The application of the metrics port: its own, and at /v1/mlnodes/metrics those of its MLNodes."""
    app = new_app("Evergrid API node: metrics", package_version(), settings)
    federation = Federation(broker)

    @app.get("/v1/mlnodes/metrics")
    async def mlnodes() -> Response:
        return Response(await federation.render(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/metrics")
    async def scrape() -> Response:
        broker.show_metrics()
        return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)

    return app
