"""Where MLNodes post what they found: nonces, and verdicts on samples."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel, ConfigDict, Field

from api_node.broker import Broker
from api_node.errors import ApiError, unavailable
from api_node.http_server import bearer_check, new_app
from api_node.metrics import package_version
from api_node.orchestrator import Orchestrator
from api_node.poc_batches import BatchRefusedError, Generated
from api_node.settings import Settings
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

NONCES_MAX = 100_000
# About a block: the first view of the chain is there soon after a start.
RETRY_AFTER_S = 1

Nonces = Annotated[list[Annotated[int, Field(ge=0, lt=2**64, strict=True)]], Field(max_length=NONCES_MAX)]


class ProofBatch(BaseModel):
    model_config = ConfigDict(extra="ignore")

    node_id: str
    public_key: str
    block_hash: str
    block_height: int
    nonces: Nonces


class GeneratedBatch(ProofBatch):
    """`dist` are claims in 1e-6."""

    dist: Annotated[list[Annotated[int, Field(strict=True)]], Field(max_length=NONCES_MAX)]


class ValidatedBatch(ProofBatch):
    """`dist` is what the node computed; None where it could not."""

    dist: Annotated[list[float | int | None], Field(max_length=NONCES_MAX)]
    request_id: str | None = None
    verdict: str = ""
    error: str | None = None


def callback_app(
    settings: Settings, orchestrator: Orchestrator, broker: Broker, token: str | None
) -> FastAPI:
    """The application of the callback port."""
    app = new_app("Evergrid API node: callbacks", package_version(), settings)
    router = APIRouter(
        prefix="/v1/poc-batches", dependencies=[Depends(bearer_check(lambda: [token] if token else []))]
    )

    @router.post("/generated")
    async def generated(batch: GeneratedBatch) -> dict[str, Any]:
        if _is_starting(orchestrator):
            raise unavailable(
                "the PoC under way is not known yet", reasons_pb2.REASON_UNSPECIFIED, RETRY_AFTER_S
            )
        try:
            taken = orchestrator.collector.take(
                Generated(
                    node_id=batch.node_id,
                    block_hash=batch.block_hash,
                    block_height=batch.block_height,
                    public_key=batch.public_key,
                    nonces=batch.nonces,
                    claims=batch.dist,
                ),
                list(broker.nodes),
            )
        except BatchRefusedError as error:
            raise ApiError(400, str(error)) from error
        return {"status": "OK", "nonces": taken}

    @router.post("/validated")
    async def validated(batch: ValidatedBatch) -> dict[str, Any]:
        if batch.request_id is None:
            raise ApiError(400, "request_id is missing")
        validator = orchestrator.validator
        if batch.error is not None or batch.verdict == "error":
            validator.on_error(batch.request_id)
            return {"status": "OK", "used": False}
        # An answer that nobody waits for any more is acknowledged too: it is not to be sent again.
        return {
            "status": "OK",
            "used": validator.on_validated(batch.request_id, batch.nonces, batch.dist),
        }

    app.include_router(router)
    return app


def _is_starting(orchestrator: Orchestrator) -> bool:
    """Whether no PoC is opened for want of a current view, so that nonces are neither taken nor refused."""
    view = orchestrator.view
    if orchestrator.collector.stage is not None:
        return False
    if view is None or orchestrator.watcher.catching_up:
        return True
    # The view is there and the PoC is being opened from what the chain has of it.
    at = view.heights
    seeded = view.upcoming is not None and bool(view.upcoming.poc_seed)
    return seeded and at is not None and view.height < at.validation_end
