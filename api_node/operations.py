"""When the next stage begins, whether a node may be switched off or tested now: what operators ask. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from api_node.intents import Intent, NodeStatus
from api_node.maintenance import windows_of
from api_node.phases import NodeFacts, mining_refusal
from api_node.view import ChainView, StageHeights, stage_heights
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

# Outside of the PoC period.
INFERENCE = "inference"
PACE_BLOCKS = 30
# A view without a later one for so long, and for so many blocks, tells no more what is.
QUIET_S, QUIET_BLOCKS = 15.0, 5
# With less than so many blocks to the next PoC no test is begun.
TRIAL_BLOCKS_MIN = 3


class Pace:
    """How long blocks take, by those that were seen lately."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, float]] = deque(maxlen=PACE_BLOCKS)

    def note(self, height: int, time_s: float) -> None:
        """A view of this height came at this time of a clock that never goes back."""
        if not self._seen or height > self._seen[-1][0]:
            self._seen.append((height, time_s))

    @property
    def block_s(self) -> float | None:
        """Seconds a block, the median of what was seen; None before the second block."""
        seen = list(self._seen)
        each = [(later - sooner) / (high - low) for (low, sooner), (high, later) in pairwise(seen)]
        return median(each) if each else None

    def quiet_s(self, time_s: float) -> float | None:
        """For how many seconds no block came, where that is longer than it should be; else None."""
        if not self._seen:
            return None
        quiet = time_s - self._seen[-1][1]
        return quiet if quiet > max(QUIET_S, QUIET_BLOCKS * (self.block_s or 0.0)) else None


def stage_table(at: StageHeights) -> list[tuple[str, int]]:
    """The stages of one PoC by their names on the chain, each with its height, in order."""
    return [
        ("pre_poc_scheduling", at.start - 1),
        ("start_of_poc", at.start),
        ("end_of_poc", at.end),
        ("start_of_poc_validation", at.validation_start),
        ("end_of_poc_validation", at.validation_end),
        ("end_of_epoch", at.switch),
    ]


def coming_heights(view: ChainView) -> StageHeights:
    """Those of the PoC under way, or of the next one as it would be by the params now in force."""
    if view.heights is not None:
        return view.heights
    record = epochs_pb2.EpochRecord(height_start=view.state.height_next_poc, params=view.params)
    return stage_heights(record)


@dataclass(frozen=True, slots=True)
class Countdown:
    """The stage that the chain is in, and the next: its height, and how far that is.

    `blocks` is 0 where the next stage is due and waits; `seconds` is None while no pace is known.
    """

    stage: str
    next_stage: str
    height: int
    blocks: int
    seconds: float | None


def countdown(view: ChainView, block_s: float | None) -> Countdown:
    """Where the viewed chain stands, and when it goes on."""
    table = stage_table(coming_heights(view))
    stage = INFERENCE
    if view.upcoming is not None:
        stage = [name for name, height in table if height <= view.height][-1]
    # A stage that waits for others to end, as a large formation, is behind its height.
    name, height = next(((name, each) for name, each in table if each > view.height), table[-1])
    blocks = max(0, height - view.height)
    return Countdown(stage, name, height, blocks, seconds_of(blocks, block_s))


def seconds_of(blocks: int, block_s: float | None) -> float | None:
    """How long so many blocks take; None where nobody knows."""
    return None if block_s is None else round(blocks * block_s, 1)


@dataclass(frozen=True, slots=True)
class SwitchOff:
    """Whether a node may be switched off now, and why.

    `height` is, where it may, that by which it must be back, and where it may not, that from which on it may;
    0: there is none.
    """

    allowed: bool
    reason: reasons_pb2.Reason
    text: str
    height: int = 0


def _yes(reason: reasons_pb2.Reason, text: str, height: int = 0) -> SwitchOff:
    return SwitchOff(allowed=True, reason=reason, text=text, height=height)


def _no(reason: reasons_pb2.Reason, text: str, height: int = 0) -> SwitchOff:
    return SwitchOff(allowed=False, reason=reason, text=text, height=height)


def may_switch_off(view: ChainView, node: NodeFacts, intent: Intent, at_work: int) -> SwitchOff:
    """May the operator switch a node off after the viewed block without a loss?

    `intent` is what the node should do now, `at_work` how many requests and verdicts it works on.
    """
    now = windows_of(view.windows, node.node_id, view.height + 1, view.height + 1)
    if at_work:
        return _no(reasons_pb2.REASON_BUSY, f"it works on {at_work}: {_drain_first(node, intent)}")
    if now:
        end = max(each.height_to for each in now)
        return _yes(reasons_pb2.REASON_MAINTENANCE, "its maintenance is announced", end + 1)
    if not node.enabled:
        return _yes(reasons_pb2.REASON_ADMIN_DISABLED, "it is disabled")
    if view.upcoming is not None:
        return _in_poc(view, node, intent)
    return _at_rest(view, node, intent)


def _drain_first(node: NodeFacts, intent: Intent) -> str:
    if intent.status == NodeStatus.INFERENCE and not intent.admits:
        return "it takes nothing new and finishes"
    return f"drain it first (evergrid node drain {node.node_id})"


def _at_rest(view: ChainView, node: NodeFacts, intent: Intent) -> SwitchOff:
    """Between V and S-1 of the next PoC."""
    start = view.state.height_next_poc
    serves = view.effective.model_of(node.node_id, epochs_pb2.PRE_POC_SLOT)
    back = "it must be back when the next PoC begins, or it has no weight in the epoch after"
    if serves is None:
        if node.node_id not in view.registered:
            return _yes(reasons_pb2.REASON_UNKNOWN_NODE, "the chain does not know it yet")
        return _yes(reasons_pb2.REASON_NOT_SERVING, f"it serves nothing in this epoch; {back}", start)
    if intent.admits:
        text = f"it takes requests for {serves}: {_drain_first(node, intent)}"
        return _no(reasons_pb2.REASON_UNSPECIFIED, text)
    return _yes(intent.reason, f"it is drained and empty; {back}", start)


def _in_poc(view: ChainView, node: NodeFacts, intent: Intent) -> SwitchOff:
    """Between S-1 and V."""
    at = coming_heights(view)
    if (model_id := view.effective.model_of(node.node_id, epochs_pb2.POC_SLOT)) is not None:
        text = f"it holds POC_SLOT: it serves {model_id} through the PoC and keeps its weight by that"
        return _no(reasons_pb2.REASON_HOLDS_POC_SLOT, text, at.switch)
    if intent.admits:
        text = f"it serves {intent.model_id} again until the switch"
        return _no(reasons_pb2.REASON_SERVES_VALIDATION, text, at.switch)
    refusal = mining_refusal(view, node.node_id, at)
    if refusal != reasons_pb2.REASON_UNSPECIFIED:
        return _yes(refusal, "the chain would not take its nonces in this PoC")
    if view.height < at.validation_end:
        mines = view.height < at.end
        text = "it is to mine: its nonces are its weight" if mines else "it re-computes samples of others"
        return _no(reasons_pb2.REASON_STAGE_CHANGE, text, at.validation_end)
    again = view.next_group
    if again is None:
        text = "the next group is being formed"
        return _no(reasons_pb2.REASON_STAGE_CHANGE, text)
    model_id = again.model_of(node.node_id, epochs_pb2.PRE_POC_SLOT)
    if model_id is None:
        return _yes(reasons_pb2.REASON_NOT_SERVING, "it serves nothing in the next epoch")
    text = f"it loads {model_id}, which it serves from the switch on"
    return _no(reasons_pb2.REASON_MODEL_LOADING, text, at.switch)


def all_may_switch_off(answers: Iterable[tuple[str, SwitchOff]]) -> SwitchOff:
    """For all nodes together: the first `no`, else the earliest height by which one must be back."""
    given = list(answers)
    refused = [(node_id, each) for node_id, each in given if not each.allowed]
    if refused:
        node_id, first = refused[0]
        height = max(each.height for _, each in refused)
        if not all(each.height for _, each in refused):
            height = 0
        return _no(first.reason, f"{node_id}: {first.text}", height)
    heights = [each.height for _, each in given if each.height]
    text = "no node is in use" if given else "there are no nodes"
    return _yes(reasons_pb2.REASON_UNSPECIFIED, text, min(heights, default=0))


def trial_refusal(view: ChainView | None, node: NodeFacts, intent: Intent | None, at_work: int) -> str:
    """Why a node cannot be tested now; empty where it can. A test takes the node for itself for a while."""
    if view is None or intent is None:
        return "this API node has no view of the chain yet"
    if node.tested:
        return "it is being tested already"
    if at_work:
        return f"it works on {at_work}: {_drain_first(node, intent)}"
    if view.upcoming is not None and intent.status not in {NodeStatus.STOPPED, NodeStatus.MAINTENANCE}:
        stage = countdown(view, None).stage
        at = coming_heights(view)
        return f"it is busy with the stage {stage}: it can be tested from height {at.switch} on"
    serves = view.effective.model_of(node.node_id, epochs_pb2.PRE_POC_SLOT)
    if node.enabled and serves is not None and intent.admits:
        return f"it takes requests for {serves}: {_drain_first(node, intent)}"
    if node.enabled and view.state.height_next_poc - view.height <= TRIAL_BLOCKS_MIN:
        blocks = view.state.height_next_poc - view.height
        return f"the next PoC begins in {blocks} blocks: test it behind it, or disable it first"
    return ""
