"""/v1/chat/completions and /v1/completions: for clients, and their execution for other participants."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from api_node.chain_json import chain_problem, plain
from api_node.chat import TransferAgent
from api_node.choices import single_bodies
from api_node.documents import ERRORS, INFERENCE_ID, answers_of, body_of
from api_node.errors import ApiError
from api_node.execution import Executor, read_headers
from api_node.orchestrator import Orchestrator
from api_node.rate_limit import RateLimit
from api_node.relay import CHAT, COMPLETIONS, ChatCall, Reply
from api_node.requester import Requesters, is_signed
from api_node.start import Payer
from client.chain import CODE_NOT_FOUND, ChainError
from protocol.gen.evergrid.inference.v1 import inference_pb2


def response_of(reply: Reply) -> Response:
    """A reply as an HTTP response."""
    if reply.events is not None:
        return StreamingResponse(reply.events, media_type="text/event-stream")
    return JSONResponse(reply.body)


def chat_routes(agent: TransferAgent, requesters: Requesters, limit: RateLimit) -> APIRouter:
    """What OpenAI's clients ask for: with an API key, or signed by the account that pays."""
    router = APIRouter(prefix="/v1", tags=["openai"], responses=ERRORS)

    async def payer(request: Request) -> Payer | None:
        try:
            return await admitted(request)
        except ApiError as error:
            agent.refuse(error)
            raise

    async def admitted(request: Request) -> Payer | None:
        if not is_signed(request.headers):
            limit.check_key(request)
            return None
        limit.check_address(request)
        try:
            pays = await requesters.check(await request.body(), request.headers)
        except ChainError as error:
            raise chain_problem(error) from error
        limit.check_requester(pays.address)
        return pays

    who = Depends(payer)

    @router.post(
        "/chat/completions", response_model=None, openapi_extra=body_of(CHAT), responses=answers_of(CHAT)
    )
    async def chat_completions(request: Request, pays: Payer | None = who) -> Response:
        """A chat completion, whole or as server-sent events."""
        return response_of(await agent.complete(await request.body(), CHAT, pays))

    @router.post(
        "/completions",
        response_model=None,
        openapi_extra=body_of(COMPLETIONS),
        responses=answers_of(COMPLETIONS),
    )
    async def completions(request: Request, pays: Payer | None = who) -> Response:
        """The continuation of a text, whole or as server-sent events."""
        return response_of(await agent.complete(await request.body(), COMPLETIONS, pays))

    return router


def inference_routes(orchestrator: Orchestrator) -> APIRouter:
    """What the chain knows of an answer."""
    router = APIRouter(prefix="/v1", tags=["chain"], responses=ERRORS)

    @router.get("/chat/completions/{inference_id}")
    async def chat_completion(inference_id: INFERENCE_ID) -> dict[str, Any]:
        """The chain's record of an inference: who paid, who executed it, what it cost."""
        request = inference_pb2.QueryInferenceRequest(inference_id=inference_id)
        try:
            answer = await orchestrator.reader.chain.query(request, inference_pb2.QueryInferenceResponse)
        except ChainError as error:
            if error.code == CODE_NOT_FOUND:
                raise ApiError(
                    404, f"the chain knows no inference {inference_id}", code="not_found"
                ) from error
            raise chain_problem(error) from error
        return plain(answer.inference)

    return router


def execute_routes(executor: Executor) -> APIRouter:
    """What transfer agents of other participants hand over."""
    router = APIRouter(prefix="/v1/internal", tags=["between API nodes"], responses=ERRORS)

    @router.post("/execute", response_model=None, openapi_extra=body_of(None), responses=answers_of(None))
    async def execute(request: Request) -> Response:
        """Executes a request that a participant signed for this executor, once."""
        raw = await request.body()
        shown = read_headers(request.headers)
        call = handed_over(raw, shown.inference_id)
        try:
            await executor.check(call, shown)
        except ChainError as error:
            raise chain_problem(error) from error
        return response_of(await executor.run_here(call))

    return router


def handed_over(raw: bytes, inference_id: str) -> ChatCall:
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
