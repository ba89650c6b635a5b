"""Re-executes others' inferences that this participant is drawn for, and says what it found in time.

What is due follows from the chain alone: blocks tell of inferences, whose ids are looked up at once; a walk
over all that is not final is made at the start and seldom after, for what no event told of. Every wait has a
reason and the height at which it ends. At that height the executor is judged by what it has shown: who was
paid and shows neither prompt nor answer, or others than those whose hashes it put on chain, has the value 0,
since it would else be enough to show nothing. What fails on this side gives no verdict.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import structlog

from api_node.broker import Broker, Node
from api_node.chain import BlockWatcher, ChainReader
from api_node.metrics import Metrics
from api_node.mlnode_client import refusal_text
from api_node.node_worker import reason_word
from api_node.payload_client import PayloadClient, PayloadError
from api_node.payloads import Payload
from api_node.sender import Sender
from api_node.similarity import Similarity, read_score, similarity
from api_node.view import ChainView
from client.chain import ChainError
from protocol.gen.cosmos.base.query.v1beta1.pagination_pb2 import PageRequest
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

log = structlog.get_logger("api_node.revalidation")

# At once, over all nodes, of which each judges one at a time.
ATTEMPTS_AT_ONCE = 8
# A verdict is decided so many blocks before the last one that takes it.
MARGIN_BLOCKS = 2
# An executor is blamed for what it did not show after so many tries at least.
TRIES_MIN = 2
# How often within a validation window everything is looked through.
WALKS_PER_WINDOW = 4
SCORE_TIMEOUT_S = 300.0
LOOK_RETRY_S = 1.0
SPACING_BLOCKS_MAX = 16
IDS_PER_QUERY = 1000
BLAMED = (
    reasons_pb2.REASON_PAYLOAD_MISSING,
    reasons_pb2.REASON_PAYLOAD_MISMATCH,
    reasons_pb2.REASON_UNREACHABLE,
)


VALID = inference_pb2.VALIDATION_RESULT_VALID
INVALID = inference_pb2.VALIDATION_RESULT_INVALID


class WaitError(Exception):
    """A verdict cannot be given yet, for a reason of the closed list."""

    def __init__(self, reason: reasons_pb2.Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass
class Due:
    """One inference that has to be judged, and what it waits for."""

    inference: inference_pb2.Inference
    sampled: bool
    height_last: int
    reason: reasons_pb2.Reason = reasons_pb2.REASON_UNSPECIFIED
    text: str = ""
    tries: int = 0
    height_next: int = 0
    task: asyncio.Task[None] | None = None
    given: bool = False

    @property
    def height_deadline(self) -> int:
        """Where it is decided, come what may."""
        return self.height_last - MARGIN_BLOCKS


class Revalidator:
    """Finds what is due, and works on a few of them at a time."""

    def __init__(
        self,
        *,
        reader: ChainReader,
        watcher: BlockWatcher,
        broker: Broker,
        sender: Sender,
        payloads: PayloadClient,
        metrics: Metrics,
    ) -> None:
        self._reader = reader
        self._watcher = watcher
        self._broker = broker
        self._sender = sender
        self._payloads = payloads
        self._metrics = metrics
        self._due: dict[str, Due] = {}
        self._view: ChainView | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Semaphore(ATTEMPTS_AT_ONCE)
        self._height_walk = 0
        self._thresholds: dict[tuple[int, str], int] = {}
        self._outcomes: set[asyncio.Task[None]] = set()

    def on_view(self, view: ChainView) -> None:
        """A new block was looked at."""
        self._view = view
        self._news.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            view = self._view
            assert view is not None
            try:
                await self._look(view)
            except ChainError as error:
                log.info("validations wait", reason="chain_unreachable", problem=str(error))
                await asyncio.sleep(LOOK_RETRY_S)
                self._news.set()
            self._forget_late(view.height)
            self._begin(view.height)
            self._metrics.validations_pending.set(sum(not each.given for each in self._due.values()))

    async def close(self) -> None:
        """Ends what is under way; the chain still tells the next process what is due."""
        tasks = [each.task for each in self._due.values() if each.task] + list(self._outcomes)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._payloads.close()

    def describe(self) -> list[dict[str, Any]]:
        """What is due, for the operator."""
        return [
            {
                "inference_id": inference_id,
                "executor": due.inference.executed_by,
                "model_id": due.inference.model_id,
                "sampled": due.sampled,
                "given": due.given,
                "reason": reason_word(due.reason),
                "text": due.text,
                "tries": due.tries,
                "height_deadline": due.height_deadline,
            }
            for inference_id, due in self._due.items()
        ]

    # what is due

    async def _look(self, view: ChainView) -> None:
        touched, self._watcher.touched = self._watcher.touched, set()
        if view.height >= self._height_walk:
            await self._ask([])
            spacing = view.params.inference.validation_window // WALKS_PER_WINDOW
            self._height_walk = view.height + max(1, spacing)
            return
        try:
            for some in _chunks(sorted(touched), IDS_PER_QUERY):
                await self._ask(some)
        except ChainError:
            self._watcher.touched |= touched
            raise

    async def _ask(self, inference_ids: list[str]) -> None:
        request = inference_pb2.QueryPendingValidationsRequest(
            participant=self._reader.address, inference_ids=inference_ids
        )
        answer = await self._reader.chain.query(request, inference_pb2.QueryPendingValidationsResponse)
        for each in answer.pending:
            known = self._due.get(each.inference.inference_id)
            if known is None:
                self._due[each.inference.inference_id] = Due(
                    each.inference, each.sampled, each.height_last, reasons_pb2.REASON_UNSPECIFIED
                )
            else:
                # A dispute opens a second window.
                known.inference, known.height_last = each.inference, each.height_last

    def _forget_late(self, height: int) -> None:
        for inference_id, due in list(self._due.items()):
            if height >= due.height_last and (due.task is None or due.task.done()):
                del self._due[inference_id]
                if not due.given:
                    self._count("failed", reason_word(due.reason) or "late")

    def _begin(self, height: int) -> None:
        """One try a block for each, the most urgent ones first."""
        for due in sorted(self._due.values(), key=lambda each: each.height_last):
            idle = due.task is None or due.task.done()
            if idle and not due.given and height >= due.height_next:
                # Ever more seldom, but in the block that decides.
                later = height + min(2**due.tries, SPACING_BLOCKS_MAX)
                due.height_next = later if height >= due.height_deadline else min(later, due.height_deadline)
                due.task = asyncio.create_task(self._attempt(due), name="revalidation")

    # one try

    async def _attempt(self, due: Due) -> None:
        async with self._room:
            if self._view is None or self._view.height >= due.height_last:
                return
            due.tries += 1
            try:
                await self._give(due, await self._judge(due))
            except WaitError as error:
                self._wait(due, error.reason, str(error))
            except PayloadError as error:
                self._wait(due, error.reason, str(error))
                with contextlib.suppress(ChainError):
                    await self._blame(due)
            except ChainError as error:
                self._wait(due, reasons_pb2.REASON_CHAIN_UNREACHABLE, str(error))
            except Exception:
                # A bug in the judgement of one inference must not stop that of the others.
                log.exception("revalidation failed", inference_id=due.inference.inference_id)
                due.reason, due.text = reasons_pb2.REASON_ENGINE_FAILED, "internal error"

    def _wait(self, due: Due, reason: reasons_pb2.Reason, text: str) -> None:
        due.reason, due.text = reason, text
        log.info(
            "validation waits",
            inference_id=due.inference.inference_id,
            reason=reason_word(reason),
            problem=text,
            by=due.height_deadline,
        )

    async def _blame(self, due: Due) -> None:
        """The value 0 for who has not shown its answer in time, unless its downtime was announced."""
        height = self._view.height if self._view else 0
        late = due.tries >= TRIES_MIN and height >= due.height_deadline
        if due.reason not in BLAMED or not late:
            return
        if await self._payloads.in_maintenance(due.inference.executed_by, height):
            due.reason, due.text = reasons_pb2.REASON_MAINTENANCE, "the executor announced its downtime"
            return
        await self._give(due, Similarity(0, reason_word(due.reason) or ""))

    async def _judge(self, due: Due) -> Similarity:
        inference = due.inference
        self._node(inference.model_id)
        payload = await self._payloads.fetch(inference)
        node = self._node(inference.model_id)
        node.worker.validations += 1
        try:
            async with node.worker.judging:
                body = await self._score(node, inference, payload)
        finally:
            node.worker.validations -= 1
        if body is None:
            return Similarity(0, "impossible_tokens")
        try:
            score = read_score(body)
        except ValueError as error:
            raise WaitError(reasons_pb2.REASON_ENGINE_FAILED, str(error)) from error
        return similarity(score, inference.prompt_token_count, inference.completion_token_count)

    def _node(self, model_id: str) -> Node:
        node = self._broker.node_for_validation(model_id)
        if node is not None:
            return node
        reason = self._broker.why_no_validation(model_id)
        raise WaitError(reason, f"no own node can re-execute {model_id} now")

    async def _score(
        self, node: Node, inference: inference_pb2.Inference, payload: Payload
    ) -> dict[str, Any] | None:
        """The MLNode's judgement; None where it says that these tokens cannot be this answer."""
        asked = {"request": json.loads(payload.prompt), "text": payload.answer}
        asked |= {"token_ids": list(payload.token_ids)}
        url = f"{node.config.inference_url}/chat/completions/score"
        try:
            reply = await self._broker.http.post(url, json=asked, timeout=SCORE_TIMEOUT_S)
            if reply.status_code in {400, 422}:
                log.info("tokens refused", inference_id=inference.inference_id, text=refusal_text(reply))
                return None
            if not reply.is_success:
                busy = reply.status_code in {429, 503}
                reason = reasons_pb2.REASON_BUSY if busy else reasons_pb2.REASON_ENGINE_FAILED
                raise WaitError(reason, f"{node.config.id}: {refusal_text(reply)}")
            body: dict[str, Any] = reply.json()
        except (httpx2.HTTPError, ValueError) as error:
            text = f"{node.config.id}: {type(error).__name__}: {error}".rstrip(": ")
            raise WaitError(reasons_pb2.REASON_ENGINE_FAILED, text) from error
        return body

    async def _threshold(self, inference: inference_pb2.Inference) -> int:
        """The validation_threshold that the inference's epoch froze with its model, in basis points."""
        key = (inference.epoch_index, inference.model_id)
        if key not in self._thresholds:
            request = epochs_pb2.QueryEpochGroupDataRequest(
                epoch_index=key[0], model_id=key[1], pagination=PageRequest(limit=1)
            )
            answer = await self._reader.chain.query(request, epochs_pb2.QueryEpochGroupDataResponse)
            group = answer.epoch_group_data.group
            self._thresholds[key] = group.model_snapshot.validation_threshold
        return self._thresholds[key]

    # verdicts

    async def _give(self, due: Due, found: Similarity) -> None:
        inference = due.inference
        valid = found.value_bps >= await self._threshold(inference)
        word = "valid" if valid else "invalid"
        message = inference_pb2.MsgValidateInference(
            creator=self._reader.address,
            inference_id=inference.inference_id,
            result=VALID if valid else INVALID,
            value_bps=found.value_bps,
        )
        due.given = True
        key = f"validate/{inference.inference_id}"
        log.info(
            "verdict on an inference",
            inference_id=inference.inference_id,
            executor=inference.executed_by,
            result=word,
            value_bps=found.value_bps,
            why=found.why,
        )
        if self._sender.submit(key, message, due.height_last):
            self._count(word, found.why)
            self._follow(key)

    def _follow(self, key: str) -> None:
        async def follow() -> None:
            with contextlib.suppress(KeyError):
                entry = await self._sender.outcome(key)
                if entry.status != "included":
                    self._count("failed", str(entry.status))

        task = asyncio.create_task(follow(), name="verdict's fate")
        self._outcomes.add(task)
        task.add_done_callback(self._outcomes.discard)

    def _count(self, result: str, reason: str) -> None:
        self._metrics.validations.labels(result, reason).inc()


def _chunks(ids: list[str], size: int) -> Iterator[list[str]]:
    return (ids[begin : begin + size] for begin in range(0, len(ids), size))
