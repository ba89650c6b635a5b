"""What each MLNode should do now, and what is due once: pure functions of a chain view and what is done.

Nothing here depends on having seen an earlier block, so one that was missed, doubled or late loses nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from api_node.intents import Intent, NodeStatus, Puzzle
from api_node.maintenance import drain_blocks, in_window
from api_node.view import ChainView, EpochData, StageHeights
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from protocol.model_args import merge_model_args

# Verdicts are sent so many blocks before the last height that takes them, whatever is still missing.
VERDICTS_MARGIN_BLOCKS = 2


class StageAction(StrEnum):
    """What the API node does once in the course of a PoC."""

    START_POC = "start_poc"
    VALIDATE_RECEIVED_BATCHES = "validate_received_batches"
    SUBMIT_VERDICTS = "submit_verdicts"
    LOAD_MODELS_FOR_NEXT_EPOCH = "load_models_for_next_epoch"


Done = frozenset[tuple[int, StageAction]]


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One configured node: its models by preference with local arguments, and the operator's switch."""

    node_id: str
    models: tuple[tuple[str, tuple[str, ...]], ...]
    enabled: bool = True
    # Requests that it works on.
    in_flight: int = 0
    # The operator wants no new requests on it.
    drained: bool = False
    # A test asked for it.
    tested: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The intents of all nodes, and the actions that are due and not done."""

    intents: Mapping[str, Intent] = field(default_factory=dict)
    actions: tuple[tuple[int, StageAction], ...] = ()


def handle_phase_transitions(view: ChainView, nodes: Iterable[NodeFacts], done: Done) -> Plan:
    """The plan for the block after the viewed one."""
    facts = list(nodes)
    intents = {node.node_id: node_intent(view, node) for node in facts}
    intents = _with_validation_beside_serving(view, intents)
    intents = {node.node_id: _in_window(view, node, intents[node.node_id]) for node in facts}
    intents = {node.node_id: _by_operator(view, node, intents[node.node_id]) for node in facts}
    return Plan(intents, tuple(action for action in due_actions(view) if action not in done))


def due_actions(view: ChainView) -> list[tuple[int, StageAction]]:
    """Every action whose time it is, in order."""
    at = view.heights
    if at is None or view.upcoming is None:
        return []
    due = []
    if view.upcoming.poc_seed and at.start <= view.height < at.validation_end:
        due.append(StageAction.START_POC)
    if _validates(view, at):
        due.append(StageAction.VALIDATE_RECEIVED_BATCHES)
        if view.height >= at.validation_end - VERDICTS_MARGIN_BLOCKS:
            due.append(StageAction.SUBMIT_VERDICTS)
    if view.next_group is not None:
        due.append(StageAction.LOAD_MODELS_FOR_NEXT_EPOCH)
    return [(at.start, action) for action in due]


def _validates(view: ChainView, at: StageHeights) -> bool:
    """Whether verdicts sent now would be taken."""
    assert view.upcoming is not None
    seeded = bool(view.upcoming.validation_seed)
    return seeded and at.validation_start <= view.height < at.validation_end


def retained(done: Done, view: ChainView) -> Done:
    """The flags that can still matter: those of the latest two PoCs."""
    starts = sorted({start for start, _ in done})[-2:]
    current = view.upcoming.height_start if view.upcoming else 0
    return frozenset(flag for flag in done if flag[0] in starts or flag[0] == current)


def _in_window(view: ChainView, node: NodeFacts, intent: Intent) -> Intent:
    """Announced maintenance goes before all but the operator's switch."""
    if not node.enabled:
        return intent
    return in_window(
        intent,
        view.windows,
        node.node_id,
        height_next=view.height + 1,
        drain=drain_blocks(view.params),
        in_flight=node.in_flight,
    )


def _by_operator(view: ChainView, node: NodeFacts, intent: Intent) -> Intent:
    """A drained node takes no requests but keeps its place in the PoC; one under test is left to the test."""
    if node.tested and is_free(view, intent):
        return Intent(NodeStatus.MAINTENANCE, reasons_pb2.REASON_UNDER_TEST)
    if node.drained and intent.status == NodeStatus.INFERENCE:
        return replace(intent, admits=False, reason=reasons_pb2.REASON_DRAINING, by_operator=True)
    return intent


def is_free(view: ChainView, intent: Intent) -> bool:
    """Whether the protocol asks nothing of a node now: what its operator does with it harms no PoC."""
    return view.upcoming is None or intent.status in {NodeStatus.STOPPED, NodeStatus.MAINTENANCE}


# the intent of one node


def node_intent(view: ChainView, node: NodeFacts) -> Intent:
    """What one node should do after the viewed block (protocol, section 12)."""
    if not node.enabled:
        return Intent(NodeStatus.STOPPED, reasons_pb2.REASON_ADMIN_DISABLED)
    at = view.heights
    if at is None or view.upcoming is None:
        return intent_of_slot(view.effective, node, epochs_pb2.PRE_POC_SLOT, admits=True)
    holds_slot = view.effective.model_of(node.node_id, epochs_pb2.POC_SLOT) is not None
    if not view.upcoming.poc_seed:
        # One block before the PoC: who will mine takes nothing new and finishes what it began.
        intent = intent_of_slot(view.effective, node, epochs_pb2.PRE_POC_SLOT, admits=holds_slot)
        return intent if holds_slot else _because(intent, reasons_pb2.REASON_DRAINING)
    if holds_slot:
        intent = intent_of_slot(view.effective, node, epochs_pb2.POC_SLOT, admits=True)
        return _because(intent, reasons_pb2.REASON_PRESERVED)
    if view.height >= at.end and view.serves_validation(node.node_id):
        return _serve_again(view, node, at)
    if view.next_group is not None:
        # In the last block of the period a start lands where the former group's PRE_POC_SLOT is in force.
        admits = view.slot_next == epochs_pb2.PRE_POC_SLOT
        intent = intent_of_slot(view.next_group, node, epochs_pb2.PRE_POC_SLOT, admits=admits)
        return intent if admits else _because(intent, reasons_pb2.REASON_STAGE_CHANGE)
    return _mine(view, node, at)


def _serve_again(view: ChainView, node: NodeFacts, at: StageHeights) -> Intent:
    """Its model until the switch, and beside it, at low priority, the samples of others while they count."""
    assert view.upcoming is not None
    intent = intent_of_slot(view.effective, node, epochs_pb2.PRE_POC_SLOT, admits=True)
    puzzle = Puzzle(at.start, view.upcoming.poc_seed.hex()) if view.height < at.validation_end else None
    again = replace(intent, puzzle=puzzle, height_deadline=at.validation_end if puzzle else 0)
    return _because(again, reasons_pb2.REASON_SERVES_VALIDATION)


def _mine(view: ChainView, node: NodeFacts, at: StageHeights) -> Intent:
    assert view.upcoming is not None
    puzzle = Puzzle(at.start, view.upcoming.poc_seed.hex())
    refusal = mining_refusal(view, node.node_id, at)
    if refusal == reasons_pb2.REASON_UNSPECIFIED and view.height < at.end:
        return Intent(
            NodeStatus.POC_GENERATE, reasons_pb2.REASON_STAGE_CHANGE, puzzle=puzzle, height_deadline=at.end
        )
    return Intent(NodeStatus.POC_VALIDATE, refusal, puzzle=puzzle, height_deadline=at.validation_end)


def mining_refusal(view: ChainView, node_id: str, at: StageHeights) -> reasons_pb2.Reason:
    """Why the chain would not take this node's nonces; UNSPECIFIED where it would."""
    participant, registered = view.participant, view.registered.get(node_id)
    if participant is None:
        return reasons_pb2.REASON_UNKNOWN_PARTICIPANT
    if not participant.validator_key:
        return reasons_pb2.REASON_NO_CONSENSUS_KEY
    if not participant.public_key:
        return reasons_pb2.REASON_NO_PUBLIC_KEY
    if registered is None:
        return reasons_pb2.REASON_UNKNOWN_NODE
    if registered.height_registered > at.start:
        return reasons_pb2.REASON_NODE_TOO_NEW
    if registered.node.status == hardware_pb2.ML_NODE_STATUS_DISABLED:
        return reasons_pb2.REASON_NODE_DISABLED
    return reasons_pb2.REASON_UNSPECIFIED


def _because(intent: Intent, reason: reasons_pb2.Reason) -> Intent:
    return replace(intent, reason=reason) if intent.status == NodeStatus.INFERENCE else intent


def intent_of_slot(data: EpochData, node: NodeFacts, slot: epochs_pb2.TimeSlot, *, admits: bool) -> Intent:
    """Serves the model of the slot; configured ones only while there is no epoch data at all."""
    local = dict(node.models)
    model_id = data.model_of(node.node_id, slot)
    if model_id is not None:
        model = data.models[model_id]
        args = merge_model_args(list(model.model_args), list(local.get(model_id, ())))
        return Intent(
            NodeStatus.INFERENCE,
            model_id=model_id,
            args=tuple(args),
            hf_repo=model.hf_repo,
            hf_commit=model.hf_commit,
            admits=admits,
        )
    if data.models:
        return Intent(NodeStatus.STOPPED, reasons_pb2.REASON_NOT_SERVING)
    model_id, own_args = node.models[0]
    args = merge_model_args([], list(own_args))
    return Intent(NodeStatus.INFERENCE, reasons_pb2.REASON_NO_EPOCH_DATA, model_id, tuple(args))


def intent_to_prepare(view: ChainView, node: NodeFacts) -> Intent | None:
    """What a node that serves until V serves from then on, if that is another model."""
    now = view.effective.model_of(node.node_id, epochs_pb2.POC_SLOT)
    if view.next_group is None or now is None or not node.enabled:
        return None
    intent = intent_of_slot(view.next_group, node, epochs_pb2.PRE_POC_SLOT, admits=False)
    return intent if intent.status == NodeStatus.INFERENCE and intent.model_id != now else None


def _with_validation_beside_serving(view: ChainView, intents: dict[str, Intent]) -> dict[str, Intent]:
    """Where every node serves through the PoC, they also re-compute samples, at low priority."""
    at = view.heights
    if at is None or view.upcoming is None or not view.upcoming.poc_seed:
        return intents
    if not at.start <= view.height < at.validation_end:
        return intents
    if any(intent.puzzle for intent in intents.values()):
        return intents
    puzzle = Puzzle(at.start, view.upcoming.poc_seed.hex())
    return {
        node_id: replace(intent, puzzle=puzzle, height_deadline=at.switch)
        if intent.status == NodeStatus.INFERENCE
        else intent
        for node_id, intent in intents.items()
    }


def validating_nodes(intents: Mapping[str, Intent], ready: Collection[str]) -> list[str]:
    """The nodes that re-compute samples: those that are ready for the puzzle, non-serving ones first."""
    able = [node_id for node_id, intent in intents.items() if intent.puzzle and node_id in ready]
    idle = [node_id for node_id in able if intents[node_id].status != NodeStatus.INFERENCE]
    return sorted(idle or able)
