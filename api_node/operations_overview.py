"""One picture of the chain and all nodes at one moment, as operators look at it again and again."""

from __future__ import annotations

import time
from typing import Any

from api_node.broker import Broker, Node
from api_node.intents import Intent, NodeStatus
from api_node.node_worker import reason_word
from api_node.operations import (
    Pace,
    SwitchOff,
    all_may_switch_off,
    countdown,
    may_switch_off,
    seconds_of,
)
from api_node.operations_batch import at_work
from api_node.orchestrator import Orchestrator
from api_node.view import ChainView
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

# Where nothing is known yet, nothing is asked of a node.
AT_REST = Intent(NodeStatus.UNKNOWN)


def overview(orchestrator: Orchestrator, broker: Broker, pace: Pace) -> dict[str, Any]:
    """The chain, the countdown, every node, and whether all of them may be switched off now."""
    view, block_s = orchestrator.view, pace.block_s
    quiet_s = pace.quiet_s(time.monotonic())
    answers = switch_off_answers(view, broker) if view else {}
    shown = all_may_switch_off(sorted(answers.items())) if view else None
    return {
        "participant": orchestrator.reader.address,
        "chain": _chain(orchestrator, block_s, quiet_s),
        "switch_off": _switch_off(view, shown, block_s, quiet_s),
        "nodes": [
            _node(orchestrator, node, answers.get(node_id), block_s, quiet_s)
            for node_id, node in sorted(broker.nodes.items())
        ],
    }


def switch_off_answers(view: ChainView, broker: Broker) -> dict[str, SwitchOff]:
    """By node id."""
    return {
        node_id: may_switch_off(view, node.facts, node.worker.intent or AT_REST, at_work(broker, node_id))
        for node_id, node in broker.nodes.items()
    }


def _chain(orchestrator: Orchestrator, block_s: float | None, quiet_s: float | None) -> dict[str, Any]:
    view, watcher = orchestrator.view, orchestrator.watcher
    shown: dict[str, Any] = {
        "chain_id": view.chain_id if view else None,
        "height": view.height if view else 0,
        "lag_blocks": max(0, watcher.height - view.height) if view else None,
        "catching_up": watcher.catching_up,
        "problem": orchestrator.problem or (_quiet_words(quiet_s) if quiet_s is not None else ""),
        "block_s": round(block_s, 3) if block_s is not None else None,
        "epoch": view.effective.epoch_index if view else None,
        "stage": None,
        "slot": None,
        "next": None,
    }
    if view is not None:
        count = countdown(view, block_s)
        following = {"stage": count.next_stage, "height": count.height, "blocks": count.blocks}
        shown["stage"], shown["next"] = count.stage, following | {"seconds": count.seconds}
        shown["slot"] = epochs_pb2.TimeSlot.Name(view.slot_at(view.height))
    return shown


def _quiet_words(quiet_s: float) -> str:
    return f"no new block for {quiet_s:.0f} s"


def _switch_off(
    view: ChainView | None, found: SwitchOff | None, block_s: float | None, quiet_s: float | None
) -> dict[str, Any]:
    """An answer; a yes by what was long ago is none, since the next PoC may have begun."""
    if view is None or found is None:
        return _unknown("there is no view of the chain")
    if found.allowed and quiet_s is not None and found.reason != reasons_pb2.REASON_ADMIN_DISABLED:
        return _unknown(f"{_quiet_words(quiet_s)}; it might at height {view.height}: {found.text}")
    return {
        "allowed": found.allowed,
        "reason": reason_word(found.reason),
        "text": found.text,
        "deadline": deadline(view, found.height, block_s),
    }


def _unknown(why: str) -> dict[str, Any]:
    return {"allowed": None, "reason": None, "text": f"nobody knows: {why}", "deadline": None}


def deadline(view: ChainView | None, height: int, block_s: float | None) -> dict[str, Any] | None:
    """A height with how far it is, in blocks and seconds; None where there is none."""
    if view is None or not height:
        return None
    blocks = max(0, height - view.height)
    return {"height": height, "blocks": blocks, "seconds": seconds_of(blocks, block_s)}


def _node(
    orchestrator: Orchestrator,
    node: Node,
    answer: SwitchOff | None,
    block_s: float | None,
    quiet_s: float | None,
) -> dict[str, Any]:
    view, worker = orchestrator.view, node.worker
    intent, current = worker.intent or AT_REST, worker.current
    reason = current.reason or intent.reason
    infos = node.epoch_ml_nodes or {}
    return {
        "node_id": node.config.id,
        "state": str(current.status),
        "intended_state": str(intent.status),
        "reason": reason_word(reason),
        "intended_reason": reason_word(intent.reason),
        "text": current.text,
        "since": current.since,
        "time_in_state_s": round(max(0.0, time.time() - current.since), 1),
        "deadline": deadline(view, intent.height_deadline, block_s),
        "model": current.model_id or intent.model_id,
        "slots": sorted({slot for info in infos.values() for slot in _slots(info)}),
        "weight": sum(info.poc_weight for info in infos.values()),
        "requests": worker.lock_count,
        "validations": worker.validations,
        "max_concurrent": node.config.max_concurrent,
        "admits": intent.admits,
        "enabled": node.enabled,
        "drained": node.drained,
        "tested": node.tested,
        "nonces": _nonces(orchestrator, node.config.id),
        "switch_off": _switch_off(view, answer, block_s, quiet_s),
    }


def _slots(info: epochs_pb2.MLNodeInfo) -> list[str]:
    return [epochs_pb2.TimeSlot.Name(slot) for slot, held in enumerate(info.timeslot_allocation) if held]


def _nonces(orchestrator: Orchestrator, node_id: str) -> int | None:
    """How far a node has come in the PoC under way; None outside of one."""
    view, stage = orchestrator.view, orchestrator.collector.stage
    if view is None or view.upcoming is None or stage is None:
        return None
    if stage.height_start != view.upcoming.height_start:
        return None
    return orchestrator.collector.nonce_next(node_id)
