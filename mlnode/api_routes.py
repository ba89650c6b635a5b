"""/api/v1: how an API node steers this MLNode."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from mlnode.node import Node
from mlnode.schemas import InferenceUp, InitRequest, ProofBatch

OK = {"status": "OK"}
DETAIL = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/json": {"schema": DETAIL}}}
    for status, text in {
        400: "what is wrong with the request, all of it",
        401: "the bearer token is missing or wrong",
        404: "the node has no such model",
        408: "the body did not come in time",
        409: "the node does something that excludes it; the text says what ends that",
        413: "the body is too large",
        422: "what is malformed in the request, all of it",
        429: "too much waits already; Retry-After says when to come again",
        500: "it failed",
        502: "what it needs of another server failed",
        503: "the compute process is not ready; Retry-After says when to come again",
        504: "there was no answer in time",
    }.items()
}


def api_routes(node: Node) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["control"], responses=ERRORS)

    @router.get("/state")
    async def state() -> dict[str, Any]:
        return node.describe()

    @router.post("/stop")
    async def stop() -> dict[str, Any]:
        await node.stop()
        return OK

    @router.post("/inference/up")
    async def inference_up(request: InferenceUp) -> dict[str, Any]:
        await node.inference_up(request)
        return OK

    @router.post("/inference/prepare")
    async def inference_prepare(request: InferenceUp) -> dict[str, Any]:
        prepared = await node.inference_prepare(request)
        return OK | {"loaded": prepared.loaded, "reason": prepared.reason}

    @router.post("/inference/down")
    async def inference_down() -> dict[str, Any]:
        await node.inference_down()
        return OK

    router.include_router(_pow_routes(node))
    return router


def _pow_routes(node: Node) -> APIRouter:
    router = APIRouter(prefix="/pow")

    def ok_with_pow() -> dict[str, Any]:
        return OK | {"pow_status": node.pow.describe()}

    @router.get("/status")
    async def pow_status() -> dict[str, Any]:
        return node.pow.describe()

    @router.post("/init")
    async def pow_init(request: InitRequest) -> dict[str, Any]:
        await node.pow_init(request, None)
        return ok_with_pow()

    @router.post("/init/generate")
    async def pow_init_generate(request: InitRequest) -> dict[str, Any]:
        await node.pow_init(request, "generate")
        return ok_with_pow()

    @router.post("/init/validate")
    async def pow_init_validate(request: InitRequest) -> dict[str, Any]:
        await node.pow_init(request, "validate")
        return ok_with_pow()

    @router.post("/phase/generate")
    async def pow_phase_generate() -> dict[str, Any]:
        await node.pow_phase("generate")
        return ok_with_pow()

    @router.post("/phase/validate")
    async def pow_phase_validate() -> dict[str, Any]:
        await node.pow_phase("validate")
        return ok_with_pow()

    @router.post("/validate")
    async def pow_validate(batch: ProofBatch) -> None:
        await node.validate(batch)

    @router.post("/stop")
    async def pow_stop() -> dict[str, Any]:
        await node.pow_stop()
        return ok_with_pow()

    return router
