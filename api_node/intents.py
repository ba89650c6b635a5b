"""What a node may be meant to do, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from protocol.gen.evergrid.reasons.v1 import reasons_pb2


class NodeStatus(StrEnum):
    """What an MLNode is meant to do, or does."""

    UNKNOWN = "unknown"
    STOPPED = "stopped"
    INFERENCE = "inference"
    POC_GENERATE = "poc_generate"
    POC_VALIDATE = "poc_validate"
    # Left alone, since its operator announced that it is down.
    MAINTENANCE = "maintenance"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Puzzle:
    """The PoC of one stage, as an MLNode needs it."""

    height_start: int
    poc_seed: str


@dataclass(frozen=True, slots=True)
class Intent:
    """What one node should do, and why. `admits`: whether new requests may be given to it."""

    status: NodeStatus
    reason: reasons_pb2.Reason = reasons_pb2.REASON_UNSPECIFIED
    model_id: str = ""
    args: tuple[str, ...] = ()
    # Where the registry says that the model's files are, at which commit.
    hf_repo: str = ""
    hf_commit: str = ""
    # In POC_GENERATE and POC_VALIDATE; beside INFERENCE where a serving node also re-computes.
    puzzle: Puzzle | None = None
    admits: bool = False
    # The height by which it must be so, 0: none.
    height_deadline: int = 0
    # Whether its operator wants it so, where the reason alone does not say it.
    by_operator: bool = False
