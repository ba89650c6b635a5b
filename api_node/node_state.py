"""What one MLNode does, and the one command that brings it nearer to what it should do. Pure."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum

from api_node.intents import Intent, NodeStatus, Puzzle
from api_node.mlnode_client import NodeReport
from protocol.gen.evergrid.reasons.v1 import reasons_pb2


class Command(StrEnum):
    """What a worker can ask of its MLNode."""

    STOP = "stop"
    INFERENCE_DOWN = "inference_down"
    INFERENCE_UP = "inference_up"
    POW_STOP = "pow_stop"
    POW_GENERATE = "pow_generate"
    POW_VALIDATE = "pow_validate"


@dataclass(frozen=True, slots=True)
class Current:
    """What a node does, since when, and why it is not what it should be.

    `deadline`, in seconds of the clock, 0: none, is when the command that runs is given up, or, after a
    failure, when it is tried again. Neither it nor `command` makes another state.
    """

    status: NodeStatus = NodeStatus.UNKNOWN
    model_id: str = ""
    puzzle: Puzzle | None = None
    reason: reasons_pb2.Reason = reasons_pb2.REASON_UNSPECIFIED
    text: str = ""
    since: float = field(default_factory=time.time)
    deadline: float = 0.0
    command: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """What a node was asked to serve: an equal one is not asked for again, any other one is."""

    model_id: str
    args: tuple[str, ...] = ()
    hf_repo: str = ""
    hf_commit: str = ""

    @classmethod
    def of(cls, intent: Intent) -> Served:
        """That of an intent."""
        return cls(intent.model_id, intent.args, intent.hf_repo, intent.hf_commit)


def target(intent: Intent) -> tuple[object, ...]:
    """What of an intent the node itself must do: intents of one target are one intent to it."""
    return (intent.status, Served.of(intent), intent.puzzle)


def next_command(intent: Intent, report: NodeReport, served: Served | None) -> Command | None:
    """The one command that brings a node nearer to its intent; None where it is there.

    `served` is what this process asked the node to serve, None where it does not know.
    """
    if intent.status == NodeStatus.INFERENCE:
        return _toward_inference(intent, report, served)
    if intent.status == NodeStatus.STOPPED:
        return None if report.state == "STOPPED" else Command.STOP
    if intent.status == NodeStatus.POC_GENERATE:
        if _holds(report, intent.puzzle) and report.pow_status == "GENERATING":
            return None
        return Command.INFERENCE_DOWN if report.state == "INFERENCE" else Command.POW_GENERATE
    if _holds(report, intent.puzzle) and report.pow_status in {"VALIDATING", "IDLE"}:
        return None
    return Command.POW_VALIDATE


def _toward_inference(intent: Intent, report: NodeReport, served: Served | None) -> Command | None:
    loaded = report.pow_status != "NOT_LOADED"
    if loaded and (report.pow_status == "GENERATING" or not _holds(report, intent.puzzle)):
        return Command.POW_STOP
    if report.model != intent.model_id or served != Served.of(intent):
        return Command.INFERENCE_UP
    if intent.puzzle and not loaded:
        return Command.POW_VALIDATE
    return None


def _holds(report: NodeReport, puzzle: Puzzle | None) -> bool:
    return puzzle is not None and (report.pow_seed, report.pow_height) == (
        puzzle.poc_seed,
        puzzle.height_start,
    )


def status_of(report: NodeReport) -> NodeStatus:
    """The state that a report tells of."""
    if report.state == "INFERENCE":
        return NodeStatus.INFERENCE
    if report.state == "STOPPED":
        return NodeStatus.STOPPED
    return NodeStatus.POC_GENERATE if report.pow_status == "GENERATING" else NodeStatus.POC_VALIDATE
