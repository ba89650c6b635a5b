"""Follows new blocks and reads one consistent view of the chain for each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from typing import Any, TypeVar

import structlog
from google.protobuf.message import Message
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from api_node.view import ChainView, EpochData
from client.chain import CODE_NOT_FOUND, AsyncChainClient, ChainError
from protocol.gen.cosmos.base.query.v1beta1.pagination_pb2 import PageRequest
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.maintenance.v1 import maintenance_pb2
from protocol.gen.evergrid.models.v1 import models_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2

log = structlog.get_logger("api_node.chain")

R = TypeVar("R", bound=Message)

PAGE_LIMIT = 1000
# Batches with claims are large: a page of them stays within what an RPC answer should carry.
PAGE_LIMIT_CLAIMS = 20
RECONNECT_MAX_S = 5.0
POLL_OFTEN_S = 0.5
SAID_AGAIN_S = 60.0
INFERENCE_EVENTS = frozenset({"inference_started", "inference_finished", "inference_validation"})
# Who takes none of them still finds all by polling.
TOUCHED_MAX = 10_000
# Of one height; a height may last where the chain stands still.
ANSWERS_MAX = 1_000
SUBSCRIBE = json.dumps(
    {"jsonrpc": "2.0", "method": "subscribe", "id": 1, "params": {"query": "tm.event='NewBlock'"}}
)


def height_of_event(text: str | bytes) -> int | None:
    """The height that a message of the subscription tells of; None where it tells of none."""
    try:
        block = json.loads(text)["result"]["data"]["value"]["block"]
        return int(block["header"]["height"])
    except (ValueError, KeyError, TypeError):
        return None


def inferences_of_event(text: str | bytes) -> set[str]:
    """The ids of the inferences that a block's transactions opened, finished or judged; empty where none."""
    try:
        results = json.loads(text)["result"]["data"]["value"]["result_finalize_block"]["tx_results"] or ()
        return {
            attribute["value"]
            for result in results
            for event in result.get("events") or ()
            if event["type"] in INFERENCE_EVENTS
            for attribute in event["attributes"]
            if attribute["key"] == "inference_id"
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()


class Waiting:
    """Says that the chain is waited for: once for each problem, and again after a while."""

    def __init__(self) -> None:
        self._problem, self._said_at = "", 0.0

    def say(self, problem: str, retry_s: float) -> None:
        """It is asked again in `retry_s`, which may be twice a second."""
        now = time.monotonic()
        if problem == self._problem and now < self._said_at + SAID_AGAIN_S:
            return
        self._problem, self._said_at = problem, now
        log.info("waiting for the chain", reason="chain_unreachable", problem=problem, retry_s=retry_s)

    def end(self) -> None:
        """It has answered."""
        self._problem = ""


class BlockWatcher:
    """Announces the newest height: by websocket, and by polling where that is silent. Heights never fall."""

    def __init__(self, chain: AsyncChainClient, poll_interval_s: float) -> None:
        self.height = 0
        self.catching_up = False
        self.connected = False
        # Inferences that blocks told of since somebody took them.
        self.touched: set[str] = set()
        self._chain = chain
        self._waiting = Waiting()
        self._poll_interval_s = poll_interval_s
        self._news = asyncio.Event()
        self._seen = asyncio.Event()

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._subscribe())
            tasks.create_task(self._poll())

    async def newer_than(self, height: int) -> int:
        """The newest height, as soon as it is above the given one."""
        while self.height <= height:
            self._news.clear()
            await self._news.wait()
        return self.height

    def announce(self, height: int) -> None:
        """A height was seen; one that is not new changes nothing."""
        self._seen.set()
        if height > self.height:
            self.height = height
            self._news.set()

    async def _subscribe(self) -> None:
        url = self._chain.url.replace("http", "ws", 1).rstrip("/") + "/websocket"
        wait_s = 0.25
        while True:
            try:
                async with connect(url, max_size=None, open_timeout=5, proxy=None) as socket:
                    await socket.send(SUBSCRIBE)
                    self.connected, wait_s = True, 0.25
                    await self._ask()
                    async for text in socket:
                        if (height := height_of_event(text)) is not None:
                            if len(self.touched) < TOUCHED_MAX:
                                self.touched |= inferences_of_event(text)
                            self.announce(height)
            except (OSError, WebSocketException, TimeoutError) as error:
                if self.connected:
                    log.info("subscription lost, polling", problem=str(error))
            self.connected = False
            await asyncio.sleep(wait_s * random.uniform(0.7, 1.3))  # noqa: S311
            wait_s = min(2 * wait_s, RECONNECT_MAX_S)

    async def _poll(self) -> None:
        while True:
            self._seen.clear()
            often = not self.connected or self.catching_up
            if often:
                await asyncio.sleep(min(POLL_OFTEN_S, self._poll_interval_s))
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._seen.wait(), self._poll_interval_s)
                    continue
            await self._ask()

    async def _ask(self) -> None:
        try:
            info = (await self._chain.status())["sync_info"]
        except ChainError as error:
            self._waiting.say(str(error), min(POLL_OFTEN_S, self._poll_interval_s))
            return
        self._waiting.end()
        self.catching_up = bool(info.get("catching_up"))
        self.announce(int(info["latest_block_height"]))


class ChainReader:
    """Queries with a cache per height, and the view that decisions stand on."""

    def __init__(self, chain: AsyncChainClient, address: str) -> None:
        self.chain = chain
        self.address = address
        self._chain_id = ""
        self._height = 0
        self._cache: dict[tuple[str, bytes], Any] = {}
        self._groups: dict[tuple[object, ...], EpochData] = {}

    @property
    def height(self) -> int:
        """That of the last view."""
        return self._height

    async def chain_id(self) -> str:
        """The chain's name, asked once."""
        if not self._chain_id:
            self._chain_id = (await self.chain.status())["node_info"]["network"]
        return self._chain_id

    async def cached(self, request: Message, response: type[R]) -> R:
        """The answer at the height of the last view, asked once for each height."""
        key = (request.DESCRIPTOR.full_name, request.SerializeToString(deterministic=True))
        height = self._height
        if key not in self._cache:
            answer = await self.chain.query(request, response, height)
            if height != self._height:
                return answer
            if len(self._cache) >= ANSWERS_MAX:
                self._cache.clear()
            self._cache[key] = answer
        found = self._cache[key]
        assert isinstance(found, response)
        return found

    async def view(self, height: int = 0) -> ChainView:
        """Everything that decisions need, all at one height; raises ChainError where it cannot be had."""
        chain_id = await self.chain_id()
        info, at = await self.chain.query_at(
            epochs_pb2.QueryEpochInfoRequest(), epochs_pb2.QueryEpochInfoResponse, height
        )
        upcoming = info.upcoming if info.HasField("upcoming") else None
        # The group's slots are drawn at S-1 and cleared by an extension; nothing else changes it.
        drawn = bool(upcoming and upcoming.stages_done)
        key = (info.effective.index, drawn, info.state.extensions)
        effective, governance, participant, registered, next_group, windows = await asyncio.gather(
            self._epoch_data(info.effective.index, key, at),
            self._governance_models(at),
            self._participant(at),
            self._registered(at),
            self._next_group(upcoming, at),
            self.windows(self.address, at),
        )
        self._height, self._cache = at, {}
        return ChainView(
            chain_id=chain_id,
            height=at,
            state=info.state,
            effective_record=info.effective,
            effective=effective,
            upcoming=upcoming,
            next_group=next_group,
            participant=participant,
            registered=registered,
            governance_models=governance,
            windows=windows,
        )

    # parts of a view

    async def _next_group(self, upcoming: epochs_pb2.EpochRecord | None, height: int) -> EpochData | None:
        if upcoming is None or not upcoming.height_ready:
            return None
        key = (upcoming.index, "upcoming", upcoming.height_ready)
        return await self._epoch_data(upcoming.index, key, height)

    async def _epoch_data(self, epoch: int, key: tuple[object, ...], height: int) -> EpochData:
        """One group, parent and subgroups at one height; kept until its key changes."""
        if key not in self._groups:
            data = await self._read_group(epoch, height)
            self._groups = {kept: self._groups[kept] for kept in list(self._groups)[-2:]} | {key: data}
        return self._groups[key]

    async def _read_group(self, epoch: int, height: int) -> EpochData:
        parent, members = await self._group(epoch, "", height)
        subgroups = [await self._group(epoch, model_id, height) for model_id in parent.sub_group_models]
        ml_nodes: dict[str, dict[str, epochs_pb2.MLNodeInfo]] = {}
        for group, its_members in subgroups:
            own = (member for member in its_members if member.member_address == self.address)
            for member in own:
                for node in member.ml_nodes:
                    ml_nodes.setdefault(node.node_id, {})[group.model_id] = node
        return EpochData(
            epoch_index=epoch,
            models={group.model_id: group.model_snapshot for group, _ in subgroups},
            ml_nodes=ml_nodes,
            voting_powers={m.member_address: m.voting_power for m in members if m.voting_power},
            weights={member.member_address: member.weight for member in members},
        )

    async def _group(
        self, epoch: int, model_id: str, height: int
    ) -> tuple[epochs_pb2.EpochGroup, list[epochs_pb2.ValidationWeight]]:
        members: list[epochs_pb2.ValidationWeight] = []
        page_key = b""
        while True:
            request = epochs_pb2.QueryEpochGroupDataRequest(
                epoch_index=epoch,
                model_id=model_id,
                pagination=PageRequest(key=page_key, limit=PAGE_LIMIT),
            )
            answer = await self.chain.query(request, epochs_pb2.QueryEpochGroupDataResponse, height)
            members += answer.epoch_group_data.validation_weights
            page_key = answer.pagination.next_key
            if not page_key:
                return answer.epoch_group_data.group, members

    async def _governance_models(self, height: int) -> dict[str, models_pb2.Model]:
        found: dict[str, models_pb2.Model] = {}
        page_key = b""
        while True:
            request = models_pb2.QueryGovernanceModelsRequest(
                pagination=PageRequest(key=page_key, limit=PAGE_LIMIT)
            )
            answer = await self.chain.query(request, models_pb2.QueryGovernanceModelsResponse, height)
            found |= {model.id: model for model in answer.models}
            page_key = answer.pagination.next_key
            if not page_key:
                return found

    async def _participant(self, height: int) -> hardware_pb2.Participant | None:
        return await self.participant(self.address, height)

    async def participant(self, address: str, height: int = 0) -> hardware_pb2.Participant | None:
        """A participant, or None where the account is none."""
        request = hardware_pb2.QueryParticipantRequest(address=address)
        answer = await self._or_none(request, hardware_pb2.QueryParticipantResponse, height)
        return answer.participant if answer else None

    async def windows(
        self, participant: str = "", height: int = 0
    ) -> list[maintenance_pb2.MaintenanceWindow]:
        """The announced windows of a participant, or of all, that are not over at a height."""
        found: list[maintenance_pb2.MaintenanceWindow] = []
        page_key = b""
        while True:
            request = maintenance_pb2.QueryWindowsRequest(
                participant=participant, pagination=PageRequest(key=page_key, limit=PAGE_LIMIT)
            )
            answer = await self.chain.query(request, maintenance_pb2.QueryWindowsResponse, height)
            found += (each for each in answer.windows if each.height_to > height)
            page_key = answer.pagination.next_key
            if not page_key:
                return found

    async def _registered(self, height: int) -> dict[str, hardware_pb2.RegisteredNode]:
        request = hardware_pb2.QueryHardwareNodesRequest(participant=self.address)
        answer = await self._or_none(request, hardware_pb2.QueryHardwareNodesResponse, height)
        return {each.node.node_id: each for each in answer.nodes} if answer else {}

    async def _or_none(self, request: Message, response: type[R], height: int) -> R | None:
        try:
            return await self.chain.query(request, response, height)
        except ChainError as error:
            if error.code == CODE_NOT_FOUND:
                return None
            raise

    # Proof of Compute

    async def node_nonces(self, height_start: int) -> dict[tuple[str, str], poc_pb2.NodeNonces]:
        """What each node submitted in one PoC, by (participant, node_id)."""
        request = poc_pb2.QueryNodeNoncesRequest(poc_stage_start_height=height_start)
        answer = await self.chain.query(request, poc_pb2.QueryNodeNoncesResponse)
        return {(each.participant, each.node_id): each for each in answer.nodes}

    async def poc_batches(self, height_start: int, participant: str) -> list[poc_pb2.PocBatch]:
        """The batches of a participant, with claims."""
        batches: list[poc_pb2.PocBatch] = []
        page_key = b""
        while True:
            request = poc_pb2.QueryPocBatchesRequest(
                poc_stage_start_height=height_start,
                participant=participant,
                with_claims=True,
                pagination=PageRequest(key=page_key, limit=PAGE_LIMIT_CLAIMS),
            )
            answer = await self.chain.query(request, poc_pb2.QueryPocBatchesResponse)
            batches += answer.batches
            page_key = answer.pagination.next_key
            if not page_key:
                return batches
