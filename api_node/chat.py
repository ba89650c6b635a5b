"""The transfer agent's role: takes a request, sees that it is paid for, has it executed."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import httpx2
import structlog

from api_node.broker import Node
from api_node.chat_request import ChatRequest, executor_body, read_request
from api_node.choices import merged
from api_node.errors import ApiError, ExecutorFailedError, unavailable
from api_node.execution import Executor, signed_headers
from api_node.metrics import Metrics
from api_node.orchestrator import Orchestrator
from api_node.payloads import Payload, PayloadStore
from api_node.peers import is_answering
from api_node.purse import LatestAnswers, Purse
from api_node.relay import CHAT, ChatCall, Outcome, Reply, relay
from api_node.routing import PROBE_TIMEOUT_S, Router
from api_node.sender import Sender
from api_node.settings import Settings
from api_node.start import Payer, Start
from api_node.view import ChainView
from client.chain import ChainError
from client.keys import Key
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from protocol.requests import own_inference_id

log = structlog.get_logger("api_node.chat")


@dataclass(frozen=True, slots=True)
class _Job:
    """One choice that is paid for: what is executed, and by whom it is asked."""

    request: ChatRequest
    raw: bytes
    max_tokens: int
    escrow: int
    payer: Payer
    # Under which the escrow is held from the moment at which it was found to be there.
    hold_id: str


class TransferAgent:
    """Serves clients on this participant's own account, and requesters on theirs."""

    def __init__(
        self,
        *,
        settings: Settings,
        orchestrator: Orchestrator,
        executor: Executor,
        sender: Sender,
        key: Key,
        address: str,
        metrics: Metrics,
        payloads: PayloadStore,
        peers: httpx2.AsyncClient,
    ) -> None:
        self._settings = settings
        self._orchestrator = orchestrator
        self._executor = executor
        self._sender = sender
        self._key = key
        self._address = address
        self._metrics = metrics
        self._payloads = payloads
        self._peers = peers
        answers = LatestAnswers(orchestrator.reader)
        self.purse = Purse(answers, sender.outbox, settings.denom)
        self.router = Router(
            settings=settings,
            orchestrator=orchestrator,
            broker=orchestrator.broker,
            answers=answers,
            peers=peers,
            metrics=metrics,
        )

    async def close(self) -> None:
        """Closes the connections to other participants."""
        await self.router.close()
        await self._peers.aclose()

    def on_view(self, view: ChainView) -> None:
        """The chain went on."""
        self.purse.on_height(view.height)
        self.router.on_view(view)

    async def complete(self, raw: bytes, path: str = CHAT, payer: Payer | None = None) -> Reply:
        """Answers one request, or raises ApiError. Without a payer this node's own account pays."""
        watch = _Watch(self._metrics)
        try:
            requests = read_request(raw, self._settings.max_tokens_default, path, signed=payer is not None)
            # Only models of the epoch are a label: this refuses all others.
            await self.router.executors(requests[0].model_id)
            watch.model_id = requests[0].model_id
            reply = await self._serve_all(await self._paid(requests, raw, payer or Payer(self._address)))
        except ApiError as error:
            watch.end(str(error.status), error.code)
            raise
        except ChainError as error:
            watch.end("503", "chain_unreachable")
            raise unavailable(
                f"the chain cannot be asked now: {error}", reasons_pb2.REASON_CHAIN_UNREACHABLE
            ) from error
        except BaseException:
            watch.end("500", "internal")
            raise
        return watch.reply(reply)

    def refuse(self, error: ApiError) -> None:
        """Counts a request that is not let in."""
        _Watch(self._metrics).end(str(error.status), error.code)

    # who pays

    async def _paid(self, requests: Sequence[ChatRequest], raw: bytes, payer: Payer) -> list[_Job]:
        """The choices, within what the payer can hold in escrow; raises ApiError where that is nothing."""
        price = await self.purse.price(requests[0].model_id)
        free = await self.purse.free(payer.address) if price else 0
        share = free // price // len(requests) if price else 0
        jobs = []
        for request in requests:
            left, needed = share - request.prompt_tokens, request.max_tokens if payer.is_requester else 1
            if price and left < needed:
                tokens = (request.prompt_tokens + needed) * len(requests)
                raise self.purse.too_little(payer.address, free, price, tokens)
            most = min(request.max_tokens, left) if price else request.max_tokens
            # A signed body goes on as it is: its hash is what was signed.
            body = raw if payer.is_requester else executor_body(request, most)
            escrow = (request.prompt_tokens + most) * price
            jobs.append(_Job(request, body, most, escrow, payer, uuid.uuid4().hex))
        # Nothing is awaited since the balance was read: who comes at the same time finds less.
        for job in jobs:
            self.purse.hold(job.hold_id, payer.address, job.escrow)
        return jobs

    # execution

    async def _serve_all(self, jobs: Sequence[_Job]) -> Reply:
        """All choices side by side; where one fails the client gets its error."""
        tasks = [asyncio.create_task(self._serve(job)) for job in jobs]
        try:
            results = await asyncio.gather(*tasks, return_exceptions=True)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        finally:
            for job in jobs:
                self.purse.let_go(job.hold_id)
        replies = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            replies.append(result)
        return merged(replies, jobs[0].request.n)

    async def _serve(self, job: _Job) -> Reply:
        async def attempt(executor: inference_pb2.Executor, node: Node | None) -> Reply:
            return await self._attempt(job, executor, node)

        return await self.router.serve(job.request.model_id, attempt)

    async def _attempt(self, job: _Job, executor: inference_pb2.Executor, node: Node | None) -> Reply:
        """One executor's reply, its start sent; a start that nobody answered is taken back."""
        call = ChatCall(
            own_inference_id(self._address, f"chatcmpl-{uuid.uuid4().hex}"),
            job.request.model_id,
            job.raw,
            job.request.stream,
            job.request.include_usage,
            job.request.path,
        )
        start = self._start(job, call, executor.participant)
        start.begin()
        try:
            if node is not None:
                reply = await self._executor.run_on(node, call)
            else:
                reply = await self._hand_over(call, executor)
        except ExecutorFailedError as error:
            if not start.take_back() and job.payer.is_requester:
                text = f"{error.message}; what was signed is used up: sign the request anew"
                raise ApiError(502, text, code=error.code, retry_after_s=0) from error
            raise
        except BaseException:
            start.take_back()
            raise
        start.submit()
        return reply

    def _start(self, job: _Job, call: ChatCall, executor: str) -> Start:
        view = self._orchestrator.view
        assert view is not None, "executors were read by a view"
        payer = job.payer
        message = inference_pb2.MsgStartInference(
            creator=self._address,
            inference_id=call.inference_id,
            model_id=call.model_id,
            executor=executor,
            prompt_hash=call.prompt_hash,
            prompt_token_count=job.request.prompt_tokens,
            max_tokens=job.max_tokens,
            requested_by=payer.address if payer.is_requester else "",
            request_timestamp=payer.timestamp_ns,
            requester_signature=payer.signature,
        )
        deadline = view.height + view.params.inference.expiration
        return Start(self._sender, self.purse, message, deadline, job.hold_id)

    async def _hand_over(self, call: ChatCall, executor: inference_pb2.Executor) -> Reply:
        def on_end(outcome: Outcome | None) -> None:
            view = self._orchestrator.view
            if outcome is not None and view is not None:
                payload = Payload(call.raw, outcome.text, outcome.token_ids)
                self._payloads.keep(call.inference_id, payload, view, is_copy=True)
            log.info(
                "handed over",
                inference_id=call.inference_id,
                executor=executor.participant,
                tokens=outcome.completion_tokens if outcome else None,
            )

        async def is_alive() -> bool:
            return await is_answering(self._peers, f"{executor.url.rstrip('/')}/v1/status", PROBE_TIMEOUT_S)

        url = f"{executor.url.rstrip('/')}/v1/internal/execute"
        headers = signed_headers(call, self._key, executor.participant, self._address)
        return await relay(
            self._peers,
            url,
            call,
            headers=headers,
            timeout_s=self._settings.request_timeout_s,
            on_end=on_end,
            first_byte_timeout_s=self._settings.first_byte_timeout_s,
            is_alive=is_alive,
        )


class _Watch:
    """Measures one request from its arrival to the last byte of its answer."""

    def __init__(self, metrics: Metrics) -> None:
        self.model_id = "unknown"
        self._metrics = metrics
        self._started = time.monotonic()

    def end(self, outcome: str, reason: str = "") -> None:
        """The request is over."""
        self._metrics.requests.labels(self.model_id, outcome, reason).inc()
        self._metrics.request_seconds.observe(time.monotonic() - self._started)

    def reply(self, reply: Reply) -> Reply:
        """The reply, measured to its end."""
        self._metrics.ttft_seconds.observe(time.monotonic() - self._started)
        if reply.events is None:
            self.end("ok")
            return reply
        return Reply(events=self._events(reply.events))

    async def _events(self, events: AsyncIterator[str]) -> AsyncIterator[str]:
        outcome = ("client_left", "")
        try:
            async for event in events:
                if event.startswith('data: {"error"'):
                    outcome = ("broken", "engine_failed")
                yield event
            outcome = ("ok", "") if outcome[0] == "client_left" else outcome
        finally:
            self.end(*outcome)
