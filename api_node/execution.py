"""The executor's role: runs a request on an own node and records its finish. Also who may ask for it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

from api_node.broker import Broker, Node
from api_node.errors import ApiError, unavailable
from api_node.node_worker import reason_word
from api_node.orchestrator import Orchestrator
from api_node.payloads import Payload, PayloadStore
from api_node.peers import is_answering
from api_node.relay import ChatCall, Outcome, Reply, canonical, relay
from api_node.sender import Sender
from api_node.signatures import AGE_MAX_NS, is_signed_by, request_keys
from client.keys import Key
from protocol.draw import digest
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.requests import reserved_for

# An MLNode that computes answers for its state within this.
LOOK_TIMEOUT_S = 5.0
EXECUTE_DOMAIN = "evergrid/execute/1"
HEADERS = ("X-Inference-Id", "X-Transfer-Address", "X-Timestamp", "X-TA-Signature")


def execute_digest(
    prompt_hash: str, inference_id: str, timestamp_ns: int, transfer: str, executor: str
) -> bytes:
    """What a transfer agent signs when it hands a request to an executor."""
    return digest(EXECUTE_DOMAIN, prompt_hash, inference_id, timestamp_ns, transfer, executor)


def signed_headers(call: ChatCall, key: Key, executor: str, transfer: str = "") -> dict[str, str]:
    """The headers of a request to another participant's API node; by default of the key's account."""
    transfer = transfer or key.address
    timestamp = time.time_ns()
    signed = execute_digest(call.prompt_hash, call.inference_id, timestamp, transfer, executor)
    signature = base64.b64encode(key.sign_digest(signed)).decode()
    return dict(zip(HEADERS, (call.inference_id, transfer, str(timestamp), signature), strict=True))


@dataclass(frozen=True, slots=True)
class ExecuteHeaders:
    """What a transfer agent says of a request, not checked yet."""

    inference_id: str
    transfer: str
    timestamp_ns: int
    signature: bytes


def read_headers(headers: Mapping[str, str]) -> ExecuteHeaders:
    """The headers of a handed-over request; raises ApiError that names those that are missing or wrong."""
    if missing := [name for name in HEADERS if not headers.get(name)]:
        raise ApiError(401, f"headers are missing: {', '.join(missing)}")
    inference_id, transfer, stamp, signature = (headers[name] for name in HEADERS)
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 20):
        raise ApiError(401, "X-Timestamp is no number of nanoseconds")
    try:
        return ExecuteHeaders(inference_id, transfer, int(stamp), base64.b64decode(signature, validate=True))
    except ValueError as error:
        raise ApiError(401, f"the headers cannot be read: {error}") from error


def node_body(call: ChatCall) -> bytes:
    """The body that an MLNode gets: with it the node tells its tokens, by id and in number."""
    body = json.loads(call.raw)
    told: dict[str, object] = {"return_token_ids": True}
    if call.stream:
        told |= {"stream_options": {"include_usage": True}}
    if all(body.get(name) == value for name, value in told.items()):
        return call.raw
    return canonical(body | told)


class Executor:
    """Runs requests on own nodes."""

    def __init__(
        self,
        orchestrator: Orchestrator,
        broker: Broker,
        sender: Sender,
        address: str,
        *,
        timeout_s: float,
        first_byte_timeout_s: float | None = None,
        payloads: PayloadStore,
    ) -> None:
        self._payloads = payloads
        self._orchestrator = orchestrator
        self._broker = broker
        self._sender = sender
        self._address = address
        self._timeout_s = timeout_s
        self._first_byte_timeout_s = first_byte_timeout_s
        self._seen: dict[str, int] = {}

    async def check(self, call: ChatCall, shown: ExecuteHeaders) -> None:
        """Raises ApiError unless a participant signed this very request for this executor, just now, once."""
        now = time.time_ns()
        if abs(now - shown.timestamp_ns) > AGE_MAX_NS:
            raise ApiError(401, "X-Timestamp is more than a minute away: compare the clocks")
        agent = await self._orchestrator.reader.participant(shown.transfer)
        if agent is None:
            raise ApiError(403, f"{shown.transfer} is no participant")
        signed = execute_digest(
            call.prompt_hash, shown.inference_id, shown.timestamp_ns, shown.transfer, self._address
        )
        if not any(is_signed_by(each, signed, shown.signature) for each in request_keys(agent)):
            raise ApiError(401, f"the signature is not that of {shown.transfer} over this request")
        if reserved_for(shown.inference_id) != shown.transfer:
            # Anyone else could start an inference under it first, and this node would be paid for that one.
            raise ApiError(
                403, f"X-Inference-Id is not one of {shown.transfer}, which begin with it and a colon"
            )
        self._seen = {key: at for key, at in self._seen.items() if now - at < 2 * AGE_MAX_NS}
        if self._seen.setdefault(shown.inference_id, now) != now:
            raise ApiError(409, f"inference {shown.inference_id} was taken already")

    def lock(self, model_id: str, serving: list[str]) -> Node | None:
        """An own node for the model, among those whose slot is in force."""
        return self._broker.lock_available_node(model_id, serving)

    async def run_here(self, call: ChatCall) -> Reply:
        """Runs a handed-over request on an own node whose slot is in force; raises ApiError."""
        view = self._orchestrator.view
        own = self._serving(call.model_id)
        node = self.lock(call.model_id, own)
        if view is None or node is None:
            reason = self._broker.why_not(call.model_id, own)
            raise unavailable(f"{call.model_id} cannot be served here now: {reason_word(reason)}", reason)
        return await self.run_on(node, call)

    def _serving(self, model_id: str) -> list[str]:
        """Own nodes whose slot for the model is in force now, or was within the grace."""
        view = self._orchestrator.view
        if view is None:
            return []
        first = view.height + 1 - view.params.inference.slot_grace
        slots = {view.slot_at(height) for height in range(first, view.height + 2)}
        return [
            node_id
            for node_id in view.effective.ml_nodes
            if any(view.effective.model_of(node_id, slot) == model_id for slot in slots)
        ]

    async def run_on(self, node: Node, call: ChatCall) -> Reply:
        """Runs a request on a locked node, which is released at the end."""

        def on_end(outcome: Outcome | None) -> None:
            self._broker.release_node(node)
            if outcome is not None:
                self._record_finish(call, outcome)
            else:
                node.worker.wake()

        async def is_alive() -> bool:
            return await is_answering(self._broker.http, f"{node.config.poc_url}/state", LOOK_TIMEOUT_S)

        url = f"{node.config.inference_url}/{call.path}"
        return await relay(
            self._broker.http,
            url,
            call,
            headers={},
            timeout_s=self._timeout_s,
            on_end=on_end,
            content=node_body(call),
            first_byte_timeout_s=self._first_byte_timeout_s,
            is_alive=is_alive,
        )

    def _record_finish(self, call: ChatCall, outcome: Outcome) -> None:
        view = self._orchestrator.view
        assert view is not None, "a node was locked by a view"
        # Before the chain is told of it: validators may ask from then on.
        self._payloads.keep(call.inference_id, Payload(call.raw, outcome.text, outcome.token_ids), view)
        message = inference_pb2.MsgFinishInference(
            creator=self._address,
            inference_id=call.inference_id,
            model_id=call.model_id,
            response_hash=outcome.response_hash,
            prompt_token_count=outcome.prompt_tokens,
            completion_token_count=outcome.completion_tokens,
        )
        deadline = view.height + view.params.inference.expiration
        self._sender.submit(f"finish/{call.inference_id}", message, deadline)
