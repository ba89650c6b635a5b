"""When a node's nonces are sent that were held back: once nothing more of them comes, and always in time.

An MLNode says in GET /state how many nonces no callback has taken yet. Once it has stopped generating and
says none, waiting gains nothing. Where it says nothing, what there is goes in the last blocks of the window.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from api_node.mlnode_client import MLNodeClient, MLNodeError, NodeReport
from api_node.poc_batches import BatchCollector
from api_node.view import ChainView

log = structlog.get_logger("api_node.poc_closing")

POLL_S = 0.2
# A transaction that is sent so many blocks before the window's last one has two blocks to get into.
MARGIN_BLOCKS = 2
# Then so much time is left for posts that are on their way.
QUIET_S = 0.5


@dataclass(frozen=True, slots=True)
class Closing:
    """Where one node stands. `quiet_s`: how long nothing has come of it, since the margin began at most."""

    height: int
    height_end: int
    height_last: int
    is_drained: bool
    quiet_s: float = 0.0


def is_drained(report: NodeReport) -> bool:
    """Whether nothing more comes of what a node has generated."""
    return report.pow_status != "GENERATING" and report.nonces_unsent == 0


def may_close(at: Closing) -> bool:
    """Whether the nonces of a node are to be sent now. Pure."""
    if not at.height_end <= at.height < at.height_last:
        return False
    if at.is_drained or at.height >= at.height_last - 1:
        return True
    return at.height >= at.height_last - MARGIN_BLOCKS and at.quiet_s >= QUIET_S


class BatchCloser:
    """Watches the nodes between the end of the generation and the last block that takes batches."""

    def __init__(self, collector: BatchCollector, clients: Callable[[], Mapping[str, MLNodeClient]]) -> None:
        self._collector = collector
        self._clients = clients
        self._view: ChainView | None = None
        self._task: asyncio.Task[None] | None = None

    def step(self, view: ChainView) -> None:
        """One block's worth; begins to watch where there is something to wait for."""
        self._view = view
        if self._is_open() and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._watch(), name="close batches")

    async def stop(self) -> None:
        """Ends the watch; what is not closed is closed by the next process."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _is_open(self) -> bool:
        """Whether batches that are sent now can be in time, and the generation is over."""
        view, stage = self._view, self._collector.stage
        at = view.heights if view else None
        if view is None or at is None or stage is None or at.start != stage.height_start:
            return False
        return stage.params.committed_batches and at.end <= view.height < at.batches_end

    async def _watch(self) -> None:
        nodes: dict[str, asyncio.Task[None]] = {}
        try:
            while self._is_open():
                for node_id in self._collector.held_back():
                    if node_id not in nodes:
                        nodes[node_id] = asyncio.create_task(self._close(node_id))
                await asyncio.sleep(POLL_S)
        finally:
            for task in nodes.values():
                task.cancel()

    async def _close(self, node_id: str) -> None:
        """One node, which waits for no other one."""
        came, changed = self._collector.nonce_next(node_id), time.monotonic()
        while self._is_open():
            report = await self._report(node_id)
            now = self._collector.nonce_next(node_id)
            if now != came or not self._in_margin():
                came, changed = now, time.monotonic()
            if may_close(self._closing(report, time.monotonic() - changed)):
                try:
                    await self._collector.close(node_id)
                except Exception:
                    # A bug in the nonces of one node must not hold up those of the others.
                    log.exception("nonces not sent", node_id=node_id)
                return
            await asyncio.sleep(POLL_S)

    async def _report(self, node_id: str) -> NodeReport | None:
        """What the node says of itself, no later than the next look; None where it says nothing."""
        client = self._clients().get(node_id)
        if client is None:
            return None
        try:
            async with asyncio.timeout(QUIET_S):
                return await client.report()
        except (MLNodeError, TimeoutError) as error:
            log.info("a node does not say whether more nonces come", node_id=node_id, problem=str(error))
            return None

    def _in_margin(self) -> bool:
        at = self._view.heights if self._view else None
        return (
            at is not None and self._view is not None and self._view.height >= at.batches_end - MARGIN_BLOCKS
        )

    def _closing(self, report: NodeReport | None, quiet_s: float) -> Closing:
        assert self._view is not None and self._view.heights is not None
        at = self._view.heights
        drained = report is not None and is_drained(report)
        return Closing(self._view.height, at.end, at.batches_end, drained, quiet_s)
