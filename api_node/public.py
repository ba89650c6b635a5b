"""The public API: OpenAI's chat interface, and what the epoch, prices and participants are."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from api_node.artifact_routes import artifact_routes
from api_node.chat import TransferAgent
from api_node.choices import single_bodies
from api_node.errors import ApiError, unavailable
from api_node.execution import Executor, read_headers
from api_node.http_server import bearer_check, new_app
from api_node.metrics import package_version
from api_node.orchestrator import Orchestrator
from api_node.payloads import PayloadDesk, payload_routes
from api_node.relay import CHAT, COMPLETIONS, ChatCall, Reply
from api_node.settings import Settings
from api_node.view import ChainView
from client.chain import CODE_NOT_FOUND, ChainError
from protocol.gen.cosmos.base.query.v1beta1.pagination_pb2 import PageRequest
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.models.v1 import models_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

PAGE_LIMIT = 1000


def plain(message: Message) -> dict[str, Any]:
    """A message as JSON with the proto's field names; 64-bit numbers as numbers: ours are below 2^53."""
    fields: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return _numbers(message, fields)


def _numbers(message: Message, fields: dict[str, Any]) -> dict[str, Any]:
    for field in message.DESCRIPTOR.fields:
        if field.name not in fields:
            continue
        value = getattr(message, field.name)
        if isinstance(value, Message):
            fields[field.name] = plain(value)
        elif field.message_type is not None:
            fields[field.name] = [plain(each) for each in value]
        elif field.cpp_type in {field.CPPTYPE_INT64, field.CPPTYPE_UINT64}:
            fields[field.name] = value if isinstance(value, int) else list(value)
    return fields


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
    app.include_router(chat_routes(orchestrator, agent, executor, api_keys))
    app.include_router(epoch_routes(orchestrator))
    app.include_router(price_routes(orchestrator))
    app.include_router(payload_routes(desk))
    app.include_router(artifact_routes(orchestrator))
    return app


def _response(reply: Reply) -> Response:
    if reply.events is not None:
        return StreamingResponse(reply.events, media_type="text/event-stream")
    return JSONResponse(reply.body)


def chat_routes(
    orchestrator: Orchestrator, agent: TransferAgent, executor: Executor, api_keys: list[str]
) -> APIRouter:
    """Chat completions for clients, and their execution for other participants."""
    router = APIRouter(prefix="/v1")
    allowed = Depends(bearer_check(lambda: api_keys))

    @router.post("/chat/completions", response_model=None, dependencies=[allowed])
    async def chat_completions(request: Request) -> Response:
        return _response(await agent.complete(await request.body()))

    @router.post("/completions", response_model=None, dependencies=[allowed])
    async def completions(request: Request) -> Response:
        return _response(await agent.complete(await request.body(), COMPLETIONS))

    @router.get("/chat/completions/{inference_id}")
    async def chat_completion(inference_id: str) -> dict[str, Any]:
        request = inference_pb2.QueryInferenceRequest(inference_id=inference_id)
        try:
            answer = await orchestrator.reader.chain.query(request, inference_pb2.QueryInferenceResponse)
        except ChainError as error:
            if error.code == CODE_NOT_FOUND:
                raise ApiError(404, f"the chain knows no inference {inference_id}") from error
            raise _chain_problem(error) from error
        return plain(answer.inference)

    @router.post("/internal/execute", response_model=None)
    async def execute(request: Request) -> Response:
        raw = await request.body()
        shown = read_headers(request.headers)
        call = _handed_over(raw, shown.inference_id)
        try:
            await executor.check(call, shown)
        except ChainError as error:
            raise _chain_problem(error) from error
        return _response(await executor.run_here(call))

    return router


def _handed_over(raw: bytes, inference_id: str) -> ChatCall:
    """The call out of a body; raises ApiError unless it asks for one answer to one prompt."""
    try:
        body = json.loads(raw)
        model_id, stream = body["model"], bool(body.get("stream"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ApiError(400, "the body is no chat request") from error
    if not isinstance(model_id, str):
        raise ApiError(400, "model: a model id is needed")
    if ("messages" in body) == ("prompt" in body) or len(single_bodies(body)) != 1:
        raise ApiError(400, "one answer to one prompt is needed: messages or prompt, n of 1")
    path = CHAT if "messages" in body else COMPLETIONS
    return ChatCall(inference_id, model_id, raw, stream, include_usage=True, path=path)


def _chain_problem(error: ChainError) -> ApiError:
    return unavailable(f"the chain cannot be asked now: {error}", reasons_pb2.REASON_CHAIN_UNREACHABLE)


def current_view(orchestrator: Orchestrator) -> ChainView:
    """The last view; raises ApiError where there is none yet."""
    if orchestrator.view is None:
        raise unavailable(
            f"this node waits for the chain: {orchestrator.problem}", reasons_pb2.REASON_CHAIN_UNREACHABLE
        )
    return orchestrator.view


async def ask(orchestrator: Orchestrator, request: Message, response: type[Message]) -> dict[str, Any]:
    """An answer of the chain at the view's height, as JSON; raises ApiError where there is none."""
    current_view(orchestrator)
    try:
        return plain(await orchestrator.reader.cached(request, response))
    except ChainError as error:
        raise _chain_problem(error) from error


def price_routes(orchestrator: Orchestrator) -> APIRouter:
    """What is charged, now and by what governance and proposals say."""
    router = APIRouter(prefix="/v1")

    @router.get("/pricing")
    async def pricing() -> dict[str, Any]:
        request = inference_pb2.QueryPricingRequest()
        return await ask(orchestrator, request, inference_pb2.QueryPricingResponse)

    @router.get("/governance/pricing")
    async def governance_pricing() -> dict[str, Any]:
        request = inference_pb2.QueryGovernancePricingRequest()
        return await ask(orchestrator, request, inference_pb2.QueryPricingResponse)

    return router


def epoch_routes(orchestrator: Orchestrator) -> APIRouter:
    """Models, epochs, participants, and how this node is."""
    router = APIRouter(prefix="/v1")

    @router.get("/status")
    async def status() -> dict[str, Any]:
        return describe_status(orchestrator)

    @router.get("/models")
    async def models() -> dict[str, Any]:
        return models_body(current_view(orchestrator))

    @router.get("/governance/models")
    async def governance_models() -> dict[str, Any]:
        view = current_view(orchestrator)
        return {"models": [plain(model) for _, model in sorted(view.governance_models.items())]}

    @router.get("/epochs/latest")
    async def epochs_latest() -> dict[str, Any]:
        request = epochs_pb2.QueryEpochInfoRequest()
        info = await ask(orchestrator, request, epochs_pb2.QueryEpochInfoResponse)
        return epoch_body(current_view(orchestrator), info)

    @router.get("/participants")
    async def participants() -> dict[str, Any]:
        return participants_body(current_view(orchestrator), await all_participants(orchestrator))

    return router


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
