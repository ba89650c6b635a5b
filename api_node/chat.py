"""The transfer agent's role: takes a request, finds who may serve it, records its start, hands it over."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
import structlog

from api_node.broker import Broker
from api_node.choices import merged, single_bodies
from api_node.errors import ApiError, unavailable
from api_node.execution import Executor, signed_headers
from api_node.maintenance import drain_blocks, routable
from api_node.metrics import Metrics
from api_node.node_worker import reason_word
from api_node.orchestrator import Orchestrator
from api_node.payloads import Payload, PayloadStore
from api_node.relay import CHAT, COMPLETIONS, ChatCall, Outcome, Reply, canonical, relay
from api_node.sender import Sender
from api_node.settings import Settings
from client.chain import CODE_NOT_FOUND, ChainError
from client.keys import Key
from protocol.gen.cosmos.bank.v1beta1 import query_pb2 as bank_query
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.maintenance.v1 import maintenance_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from protocol.requests import own_inference_id

log = structlog.get_logger("api_node.chat")

EXECUTORS_TRIED_MAX = 3
# An estimate that is never too low: every byte a token, and what a template adds.
TOKENS_PER_MESSAGE = 16
CHOICES_MAX = 16
# OpenAI's default of /v1/completions.
COMPLETION_TOKENS_DEFAULT = 16
RETRYABLE = (502, 503)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A client's request for one choice, as far as routing and paying need it."""

    body: dict[str, Any]
    model_id: str
    stream: bool
    include_usage: bool
    max_tokens: int
    prompt_tokens: int
    # Choices that its prompt has, and all those that are paid from the same account at the same time.
    n: int = 1
    siblings: int = 1

    @property
    def path(self) -> str:
        """What of /v1 an executor is asked for."""
        return CHAT if "messages" in self.body else COMPLETIONS


def read_request(raw: bytes, max_tokens_default: int, path: str = CHAT) -> list[ChatRequest]:
    """One request for each choice out of a body; raises ApiError that names all that is wrong with it."""
    try:
        body = json.loads(raw)
        canonical(body)  # half of a surrogate pair is JSON, but no text
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise ApiError(400, "the body is no JSON object")
    if errors := [*_request_errors(body), *_prompt_errors(body, path)]:
        raise ApiError(400, "; ".join(errors))
    asked = body.get("max_completion_tokens") or body.get("max_tokens")
    options = body.get("stream_options") or {}
    bodies = single_bodies(body)
    if len(bodies) > CHOICES_MAX:
        raise ApiError(400, f"n: {len(bodies)} choices are more than {CHOICES_MAX}")
    return [
        ChatRequest(
            body=single,
            model_id=body["model"],
            stream=bool(body.get("stream")),
            include_usage=bool(options.get("include_usage")),
            max_tokens=asked or (max_tokens_default if path == CHAT else COMPLETION_TOKENS_DEFAULT),
            prompt_tokens=prompt_tokens_estimate(single),
            n=body.get("n") or 1,
            siblings=len(bodies),
        )
        for single in bodies
    ]


def _request_errors(body: dict[str, Any]) -> Iterator[str]:
    if not isinstance(body.get("model"), str) or not body["model"]:
        yield "model: a model id is needed"
    for name in ("max_tokens", "max_completion_tokens", "n"):
        value = body.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            yield f"{name}: a whole number above 0 is needed"
    if isinstance(body.get("n"), int) and body["n"] > CHOICES_MAX:
        yield f"n: at most {CHOICES_MAX} choices"
    if body.get("best_of") not in (None, body.get("n") or 1):
        yield "best_of: all choices are returned, so it must equal n"
    if not isinstance(body.get("stream"), bool | None):
        yield "stream: true or false is needed"
    if not isinstance(body.get("stream_options"), dict | None):
        yield "stream_options: an object is needed"


def _prompt_errors(body: dict[str, Any], path: str) -> Iterator[str]:
    """Which of `messages` and `prompt` is there decides what an executor is asked, so it must be one."""
    if path == CHAT:
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
            yield "messages: a list of at least one message is needed"
        if "prompt" in body:
            yield "prompt: it belongs to /v1/completions"
        return
    prompt = body.get("prompt")
    many = prompt if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else [prompt]
    if not all(isinstance(one, str) or _is_tokens(one) for one in many):
        yield "prompt: a text, a list of tokens, or a list of either is needed"
    if "messages" in body:
        yield "messages: they belong to /v1/chat/completions"


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(each) is int for each in value)


def prompt_tokens_estimate(body: Mapping[str, Any]) -> int:
    """An upper bound of a prompt's tokens; the escrow that is too much comes back."""
    prompt = body.get("prompt")
    if isinstance(prompt, list):
        return len(prompt) + TOKENS_PER_MESSAGE
    if isinstance(prompt, str):
        return len(prompt.encode(errors="replace")) + TOKENS_PER_MESSAGE
    # Everything that a template may write into the prompt counts, tools too.
    shown = [*body["messages"], *(body.get("tools") or ()), *(body.get("functions") or ())]
    sizes = (len(json.dumps(each, ensure_ascii=False).encode(errors="replace")) for each in shown)
    return sum(sizes) + TOKENS_PER_MESSAGE * (len(shown) + 1)


def executor_body(request: ChatRequest, max_tokens: int) -> bytes:
    """The canonical body that the executor gets: the limit is explicit, and a stream ends with its usage."""
    body = {name: value for name, value in request.body.items() if name != "max_completion_tokens"}
    body["max_tokens"] = max_tokens
    # So that the answer can be re-executed, by this node too.
    body["return_token_ids"] = True
    if request.stream:
        body["stream_options"] = {"include_usage": True}
    else:
        body.pop("stream_options", None)
    return canonical(body)


def weighted_order(
    executors: Sequence[inference_pb2.Executor], rng: random.Random
) -> list[inference_pb2.Executor]:
    """Executors in an order drawn by throughput, so that load follows capability."""
    left, order = list(executors), []
    while left:
        chosen = rng.choices(left, [max(1, each.throughput) for each in left])[0]
        order.append(chosen)
        left.remove(chosen)
    return order


class TransferAgent:
    """Serves clients on this participant's own account."""

    def __init__(
        self,
        *,
        settings: Settings,
        orchestrator: Orchestrator,
        broker: Broker,
        executor: Executor,
        sender: Sender,
        key: Key,
        address: str,
        metrics: Metrics,
        payloads: PayloadStore,
    ) -> None:
        self._payloads = payloads
        self._windows_at = -1
        self._windows_known: list[maintenance_pb2.MaintenanceWindow] = []
        self._settings = settings
        self._orchestrator = orchestrator
        self._reader = orchestrator.reader
        self._broker = broker
        self._executor = executor
        self._sender = sender
        self._key = key
        self._address = address
        self._metrics = metrics
        self._rng = random.Random()  # noqa: S311 - it spreads load, nothing depends on its secrecy
        self._peers = httpx2.AsyncClient(
            timeout=settings.request_timeout_s, follow_redirects=False, trust_env=False
        )

    async def close(self) -> None:
        """Closes the connections to other participants."""
        await self._peers.aclose()

    async def complete(self, raw: bytes, path: str = CHAT) -> Reply:
        """Answers one request, or raises ApiError."""
        started, model, outcome, reason = time.monotonic(), "unknown", "ok", ""
        try:
            requests = read_request(raw, self._settings.max_tokens_default, path)
            executors = await self._executors(requests[0].model_id)
            model = requests[0].model_id
            reply = await self._serve_all(requests, executors)
            self._metrics.ttft_seconds.observe(time.monotonic() - started)
        except ApiError as error:
            outcome, reason = str(error.status), error.reason
            raise
        except ChainError as error:
            outcome, reason = "503", "chain_unreachable"
            raise unavailable(
                f"the chain cannot be asked now: {error}", reasons_pb2.REASON_CHAIN_UNREACHABLE
            ) from error
        finally:
            self._metrics.requests.labels(model, outcome, reason).inc()
            self._metrics.request_seconds.observe(time.monotonic() - started)
        return reply

    async def _executors(self, model_id: str) -> list[inference_pb2.Executor]:
        view = self._orchestrator.view
        if view is None:
            raise unavailable(
                f"this node waits for the chain: {self._orchestrator.problem}",
                reasons_pb2.REASON_CHAIN_UNREACHABLE,
            )
        if not view.effective.models:
            raise unavailable("no epoch with models has begun yet", reasons_pb2.REASON_NO_EPOCH_DATA)
        request = inference_pb2.QueryExecutorsRequest(model_id=model_id)
        try:
            answer = await self._reader.cached(request, inference_pb2.QueryExecutorsResponse)
        except ChainError as error:
            if error.code != CODE_NOT_FOUND:
                raise
            served = ", ".join(sorted(view.effective.models))
            text = f"{model_id} is no model of epoch {view.effective.epoch_index}; those are {served}"
            raise ApiError(404, text, code="model_not_found") from error
        return routable(answer.executors, await self._windows(), view.height + 1, drain_blocks(view.params))

    async def _windows(self) -> list[maintenance_pb2.MaintenanceWindow]:
        """What all participants have announced, asked once for each height."""
        height = self._reader.height
        if self._windows_at != height:
            self._windows_known = await self._reader.windows(height=height)
            self._windows_at = height
        return self._windows_known

    async def _serve_all(
        self, requests: Sequence[ChatRequest], executors: list[inference_pb2.Executor]
    ) -> Reply:
        """All choices side by side; where one fails the client gets its error."""
        tasks = [asyncio.create_task(self._serve(request, executors)) for request in requests]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        replies = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            replies.append(result)
        return merged(replies, requests[0].n)

    async def _serve(self, request: ChatRequest, executors: list[inference_pb2.Executor]) -> Reply:
        if not executors:
            raise self._nobody(request.model_id, reasons_pb2.REASON_NO_SLOT_IN_FORCE)
        max_tokens = await self._affordable(request)
        raw = executor_body(request, max_tokens)
        own = next((each for each in executors if each.participant == self._address), None)
        others = [each for each in executors if each.participant != self._address and each.url]
        reason, tried = reasons_pb2.REASON_UNSPECIFIED, 0
        if own is not None:
            node = self._executor.lock(request.model_id, list(own.node_ids))
            if node is not None:
                tried += 1
                call = self._call(request, raw, self._address, max_tokens)
                try:
                    return await self._executor.run_on(node, call)
                except ApiError as error:
                    reason = self._after(error, call)
            else:
                reason = self._broker.why_not(request.model_id, list(own.node_ids))
        for other in weighted_order(others, self._rng)[: EXECUTORS_TRIED_MAX - tried]:
            call = self._call(request, raw, other.participant, max_tokens)
            try:
                return await self._hand_over(call, other)
            except ApiError as error:
                reason = self._after(error, call)
        raise self._nobody(request.model_id, reason)

    def _after(self, error: ApiError, call: ChatCall) -> reasons_pb2.Reason:
        """An executor refused before the first byte: take the start back and try another; or give up."""
        self._sender.withdraw(f"start/{call.inference_id}")
        log.info("executor refused", inference_id=call.inference_id, status=error.status, text=error.message)
        if error.status not in RETRYABLE:
            raise error
        return reasons_pb2.REASON_BUSY if error.status == 503 else reasons_pb2.REASON_UNREACHABLE

    def _nobody(self, model_id: str, reason: reasons_pb2.Reason) -> ApiError:
        return unavailable(f"nobody can serve {model_id} now: {reason_word(reason)}", reason)

    async def _affordable(self, request: ChatRequest) -> int:
        """max_tokens, cut to what this account's balance can hold in escrow; raises ApiError at nothing."""
        pricing = await self._reader.cached(
            inference_pb2.QueryPricingRequest(), inference_pb2.QueryPricingResponse
        )
        price = next((each.price_per_token for each in pricing.models if each.id == request.model_id), 0)
        if not price:
            return request.max_tokens
        balance = await self._reader.cached(
            bank_query.QueryBalanceRequest(address=self._address, denom=self._settings.denom),
            bank_query.QueryBalanceResponse,
        )
        tokens = int(balance.balance.amount or "0") // price // request.siblings - request.prompt_tokens
        if tokens < 1:
            text = (
                f"this node's account holds {balance.balance.amount or 0} {self._settings.denom}, which does "
                f"not pay for the prompt at {price} a token"
            )
            raise ApiError(402, text, code="insufficient_funds")
        return min(request.max_tokens, tokens)

    def _call(self, request: ChatRequest, raw: bytes, executor: str, max_tokens: int) -> ChatCall:
        """A new inference, whose start is on its way to the chain."""
        view = self._orchestrator.view
        assert view is not None, "executors were read by a view"
        inference_id = own_inference_id(self._address, f"chatcmpl-{uuid.uuid4().hex}")
        call = ChatCall(
            inference_id, request.model_id, raw, request.stream, request.include_usage, request.path
        )
        message = inference_pb2.MsgStartInference(
            creator=self._address,
            inference_id=inference_id,
            model_id=request.model_id,
            executor=executor,
            prompt_hash=call.prompt_hash,
            prompt_token_count=request.prompt_tokens,
            max_tokens=max_tokens,
        )
        deadline = view.height + view.params.inference.expiration
        self._sender.submit(f"start/{inference_id}", message, deadline)
        return call

    async def _hand_over(self, call: ChatCall, executor: inference_pb2.Executor) -> Reply:
        def on_end(outcome: Outcome | None) -> None:
            view = self._orchestrator.view
            if outcome is not None and view is not None:
                payload = Payload(call.raw, outcome.text, outcome.token_ids)
                self._payloads.keep(call.inference_id, payload, view)
            log.info(
                "handed over",
                inference_id=call.inference_id,
                executor=executor.participant,
                tokens=outcome.completion_tokens if outcome else None,
            )

        url = f"{executor.url.rstrip('/')}/v1/internal/execute"
        headers = signed_headers(call, self._key, executor.participant, self._address)
        return await relay(
            self._peers,
            url,
            call,
            headers=headers,
            timeout_s=self._settings.request_timeout_s,
            on_end=on_end,
        )
