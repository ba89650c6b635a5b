"""Announced downtime: when a node drains, when it is left alone, and whom others do not ask. Pure.

A window begins at a height, and what began before it must be finished, or it counts as missed. So nodes take
nothing new for some blocks before; every API node derives the same number of blocks from the epoch's params,
and routes around who is about to go down.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from api_node.intents import Intent, NodeStatus
from protocol.gen.evergrid.epochs.v1 import params_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.maintenance.v1 import maintenance_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

# The part of a request's life that is left to what was begun before a window.
EXPIRATION_PARTS = 4


def drain_blocks(params: params_pb2.Params) -> int:
    """For how many blocks before a window nothing new is begun."""
    return max(1, params.inference.expiration // EXPIRATION_PARTS)


def windows_of(
    windows: Iterable[maintenance_pb2.MaintenanceWindow], node_id: str, height_from: int, height_to: int
) -> list[maintenance_pb2.MaintenanceWindow]:
    """The windows of a participant that a node is in at some height of a range, earliest first."""
    found = [
        each
        for each in windows
        if each.node_id in {"", node_id} and each.height_from <= height_to and each.height_to >= height_from
    ]
    return sorted(found, key=lambda each: (each.height_from, each.height_to))


def in_window(
    intent: Intent,
    windows: Sequence[maintenance_pb2.MaintenanceWindow],
    node_id: str,
    *,
    height_next: int,
    drain: int,
    in_flight: int,
) -> Intent:
    """What becomes of an intent by the windows of its node: as it is, draining, or left alone.

    A node that still works on requests when its window begins has as many blocks again to finish them.
    """
    now = windows_of(windows, node_id, height_next, height_next)
    if now:
        first = now[0].height_from
        if in_flight and intent.status == NodeStatus.INFERENCE and height_next < first + drain:
            return _draining(intent, first + drain)
        end = max(each.height_to for each in now)
        return Intent(NodeStatus.MAINTENANCE, reasons_pb2.REASON_MAINTENANCE, height_deadline=end)
    soon = windows_of(windows, node_id, height_next, height_next + drain)
    if soon and intent.status == NodeStatus.INFERENCE:
        return _draining(intent, soon[0].height_from)
    return intent


def _draining(intent: Intent, height_deadline: int) -> Intent:
    return replace(intent, admits=False, reason=reasons_pb2.REASON_DRAINING, height_deadline=height_deadline)


def routable(
    executors: Iterable[inference_pb2.Executor],
    windows: Collection[maintenance_pb2.MaintenanceWindow],
    height_next: int,
    drain: int,
) -> list[inference_pb2.Executor]:
    """Executors without the nodes that are in a window or about to be; those without any other are left out.

    Their throughput is cut by as many nodes as they lack, since the chain tells the sum alone.
    """
    found = []
    for executor in executors:
        own = [each for each in windows if each.participant == executor.participant]
        left = [
            node_id
            for node_id in executor.node_ids
            if not windows_of(own, node_id, height_next, height_next + drain)
        ]
        if len(left) == len(executor.node_ids):
            found.append(executor)
        elif left:
            throughput = executor.throughput * len(left) // len(executor.node_ids)
            found.append(
                inference_pb2.Executor(
                    participant=executor.participant, url=executor.url, throughput=throughput, node_ids=left
                )
            )
    return found
