"""Models, prices, epochs, participants, batches: what the chain says, for everybody."""

from __future__ import annotations

from base64 import b64decode
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from api_node.chain_json import ask, current_view, plain
from api_node.documents import ERRORS
from api_node.errors import ApiError
from api_node.orchestrator import Orchestrator
from api_node.view import ChainView
from protocol.gen.cosmos.base.query.v1beta1.pagination_pb2 import PageRequest
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.models.v1 import models_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2

PAGE_LIMIT = 1000
EPOCH = Annotated[
    str, Path(pattern="^([0-9]{1,18}|current|latest)$", description="an epoch's index, `current` or `latest`")
]
MODEL_ID = Annotated[str, Path(min_length=1, max_length=256, description="the `id` of a model")]
HEIGHT = Annotated[int, Path(ge=1, lt=2**63, description="S: where the PoC began")]
KEY = Annotated[
    str, Query(max_length=2048, description="next_key of the page before, in base64; empty: the first page")
]
LIMIT = Annotated[int, Query(ge=1, le=PAGE_LIMIT, description="most entries of a page")]


def model_routes(orchestrator: Orchestrator) -> APIRouter:
    """What is served and charged now; what governance and proposals make of it next."""
    router = APIRouter(prefix="/v1", tags=["models"], responses=ERRORS)

    @router.get("/models")
    async def models() -> dict[str, Any]:
        """The models of the effective epoch, in OpenAI's shape and in the network's own."""
        return models_body(current_view(orchestrator))

    @router.get("/models/{model_id:path}")
    async def model(model_id: MODEL_ID) -> dict[str, Any]:
        """One model of the effective epoch, in OpenAI's shape."""
        shown = models_body(current_view(orchestrator))
        for each in shown["data"]:
            if each["id"] == model_id:
                return dict(each)
        text = f"{model_id} is no model of epoch {shown['epoch_index']}"
        raise ApiError(404, text, code="model_not_found")

    @router.get("/governance/models")
    async def governance_models() -> dict[str, Any]:
        """The models of the registry."""
        view = current_view(orchestrator)
        return {"models": [plain(model) for _, model in sorted(view.governance_models.items())]}

    @router.get("/pricing")
    async def pricing() -> dict[str, Any]:
        """The frozen prices of the effective epoch: what is charged."""
        request = inference_pb2.QueryPricingRequest()
        return await ask(orchestrator, request, inference_pb2.QueryPricingResponse)

    @router.get("/governance/pricing")
    async def governance_pricing() -> dict[str, Any]:
        """What the next epoch would charge if it were formed now."""
        request = inference_pb2.QueryGovernancePricingRequest()
        return await ask(orchestrator, request, inference_pb2.QueryPricingResponse)

    return router


def epoch_routes(orchestrator: Orchestrator) -> APIRouter:
    """Epochs, their participants, and what these proved."""
    router = APIRouter(prefix="/v1", tags=["epochs"], responses=ERRORS)

    @router.get("/epochs/{epoch}")
    async def epoch_shown(epoch: EPOCH) -> dict[str, Any]:
        """`current` and `latest`: where the chain stands, with a countdown; a number: that epoch's record."""
        if (index := epoch_index(epoch)) is not None:
            request = epochs_pb2.QueryEpochRecordRequest(epoch_index=index)
            return await ask(orchestrator, request, epochs_pb2.QueryEpochRecordResponse)
        info = await ask(orchestrator, epochs_pb2.QueryEpochInfoRequest(), epochs_pb2.QueryEpochInfoResponse)
        return epoch_body(current_view(orchestrator), info)

    @router.get("/epochs/{epoch}/participants")
    async def epoch_participants(epoch: EPOCH, key: KEY = "", limit: LIMIT = PAGE_LIMIT) -> dict[str, Any]:
        """The members of an epoch's group, with weights, models and nodes."""
        index = epoch_index(epoch)
        request = epochs_pb2.QueryActiveParticipantsRequest(
            epoch_index=index or 0, current=index is None, pagination=page_request(key, limit)
        )
        answer = await ask(orchestrator, request, epochs_pb2.QueryActiveParticipantsResponse)
        found = {"epoch_index": answer["epoch_index"], "active_participants": answer["participants"]}
        return found | next_key(answer)

    @router.get("/participants")
    async def participants() -> dict[str, Any]:
        """All participants of the registry, with weight and voting power in the effective group."""
        return participants_body(current_view(orchestrator), await all_participants(orchestrator))

    @router.get("/poc-batches/{height}")
    async def poc_batches(height: HEIGHT, key: KEY = "", limit: LIMIT = PAGE_LIMIT) -> dict[str, Any]:
        """The batches of nonces of one PoC, without the claims."""
        request = poc_pb2.QueryPocBatchesRequest(
            poc_stage_start_height=height, pagination=page_request(key, limit)
        )
        answer = await ask(orchestrator, request, poc_pb2.QueryPocBatchesResponse)
        return {"poc_stage_start_height": height, "batches": answer["batches"]} | next_key(answer)

    return router


def epoch_index(text: str) -> int | None:
    """The number that a path names; None for the effective epoch. Raises ApiError."""
    if not text.isdigit():
        return None
    if int(text) >= 2**53:
        raise ApiError(404, f"there is no epoch {text}", code="not_found")
    return int(text)


def page_request(key: str, limit: int) -> PageRequest:
    """The page that a query asks for; raises ApiError where its key is none."""
    try:
        return PageRequest(key=b64decode(key, validate=True), limit=limit)
    except ValueError as error:
        raise ApiError(400, f"key: it is no base64: {error}") from error


def next_key(answer: dict[str, Any]) -> dict[str, Any]:
    """Where the next page begins; empty on the last one."""
    return {"next_key": (answer.get("pagination") or {}).get("next_key", "")}


def models_body(view: ChainView) -> dict[str, Any]:
    """The epoch's models, in OpenAI's shape and in the network's own, side by side."""
    ordered = [model for _, model in sorted(view.effective.models.items())]
    return {"object": "list", "data": [_openai_model(model) for model in ordered]} | {
        "models": [plain(model) for model in ordered],
        "epoch_index": view.effective.epoch_index,
    }


def _openai_model(model: models_pb2.Model) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": 0, "owned_by": "evergrid"}


def epoch_body(view: ChainView, info: dict[str, Any]) -> dict[str, Any]:
    """Where the chain stands, with a countdown."""
    stages = {stage["stage"]: stage["height"] for stage in info["stages"]}
    ahead = sorted(height for height in stages.values() if height > view.height)
    return {
        "block_height": view.height,
        "latest_epoch": {
            "index": view.effective.epoch_index,
            "poc_start_block_height": view.effective_record.height_start,
        },
        "phase": info["stage"],
        "slot_in_force": info["slot_in_force"],
        "epoch_stages": stages,
        "blocks_to_next_stage": ahead[0] - view.height if ahead else None,
        "epoch_params": info["effective"]["params"]["epoch"],
    }


async def all_participants(orchestrator: Orchestrator) -> list[dict[str, Any]]:
    """Every participant of the registry, however many pages they are."""
    found: list[dict[str, Any]] = []
    page_key = b""
    while True:
        request = hardware_pb2.QueryParticipantsRequest(
            pagination=PageRequest(key=page_key, limit=PAGE_LIMIT)
        )
        answer = await ask(orchestrator, request, hardware_pb2.QueryParticipantsResponse)
        found += answer["participants"]
        page_key = b64decode(answer["pagination"]["next_key"])
        if not page_key:
            return found


def participants_body(view: ChainView, found: list[dict[str, Any]]) -> dict[str, Any]:
    """All participants, with their weight and power in the effective group."""
    data = view.effective
    return {
        "block_height": view.height,
        "participants": [
            {
                "id": each["address"],
                "url": each["url"],
                "status": each["status"],
                "weight": data.weights.get(each["address"], 0),
                "voting_power": data.voting_powers.get(each["address"], 0),
            }
            for each in found
        ],
    }
