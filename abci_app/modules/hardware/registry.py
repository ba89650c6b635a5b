"""What other modules may ask of participants and nodes, and tell of them."""

from __future__ import annotations

from itertools import islice, takewhile
from typing import TYPE_CHECKING

from abci_app.modules import models
from abci_app.modules.hardware.frozen import keep_as_it_stands
from abci_app.modules.hardware.state import (
    INVALID,
    KEY_HOLDERS,
    NODES,
    NODES_BY_MODEL,
    PARAMS,
    PARTICIPANTS,
    RETIRED_AT,
    RETIRED_KEYS,
)
from abci_app.modules.hardware.writes import review_retired
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import (
    PARTICIPANT_STATUS_INVALID,
    Params,
    Participant,
    ParticipantStatus,
    RegisteredNode,
)
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_UNSPECIFIED, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.hardware.v1.hardware_pb2 import RetiredKey


def params(ctx: Context) -> Params:
    """The module's params."""
    return PARAMS.require(ctx)


def get_participant(ctx: Context, address: str) -> Participant | None:
    """A participant, or None."""
    return PARTICIPANTS.get(ctx, address) if "\0" not in address else None


def participants(ctx: Context) -> Iterator[Participant]:
    """Every participant, by address."""
    return PARTICIPANTS.values(ctx)


def invalid_participants(ctx: Context) -> Iterator[str]:
    """The addresses of those that are INVALID, in order."""
    return INVALID.walk(ctx)


def set_status(ctx: Context, address: str, status: ParticipantStatus, reason: Reason, epoch: int) -> None:
    """Sets a participant's status; reason and epoch are kept of an INVALID one, and forgotten of others."""
    keep_as_it_stands(ctx, address)
    participant = PARTICIPANTS.require(ctx, address)
    participant.status = status
    if status == PARTICIPANT_STATUS_INVALID:
        participant.status_reason, participant.epoch_invalid = reason, epoch
        participant.height_invalid = ctx.height
        INVALID.add(ctx, address)
    else:
        participant.status_reason, participant.epoch_invalid = REASON_UNSPECIFIED, 0
        participant.height_invalid = 0
        INVALID.remove(ctx, address)
    PARTICIPANTS.set(ctx, address, participant)


def participant_by_consensus_address(ctx: Context, consensus_address: bytes) -> Participant | None:
    """Who holds, or held within evidence age, the consensus key with this 20-byte address."""
    holder = KEY_HOLDERS.get(ctx, consensus_address)
    if holder is None:
        retired = RETIRED_KEYS.get(ctx, consensus_address)
        holder = retired.participant if retired is not None else None
    return PARTICIPANTS.require(ctx, holder) if holder is not None else None


def get_node(ctx: Context, address: str, node_id: str) -> RegisteredNode | None:
    """A declared node, or None."""
    return NODES.get(ctx, (address, node_id)) if "\0" not in address + node_id else None


def all_nodes(ctx: Context) -> Iterator[RegisteredNode]:
    """Every declared node, by participant and node_id."""
    return NODES.values(ctx)


def nodes_by_participant(ctx: Context) -> dict[str, list[RegisteredNode]]:
    """`nodes_of` of everyone who has any, by address, in one walk."""
    found: dict[str, list[RegisteredNode]] = {}
    for each in NODES.values(ctx):
        found.setdefault(each.participant, []).append(each)
    for nodes in found.values():
        nodes.sort(key=lambda each: each.sequence)
    return found


def nodes_of(ctx: Context, address: str) -> list[RegisteredNode]:
    """A participant's declared nodes, in the order in which they were added."""
    return in_order(NODES.values(ctx, (address,))) if "\0" not in address else []


def get_nodes_for_model(ctx: Context, model_id: str) -> list[RegisteredNode]:
    """The declared nodes that support a model, by participant, then in the order in which they were added."""
    if "\0" in model_id:
        return []
    keys = list(NODES_BY_MODEL.walk(ctx, (model_id,)))
    return in_order(NODES.require(ctx, (address, node_id)) for _, address, node_id in keys)


def get_validated_hardware_nodes(ctx: Context, participant: str = "") -> list[RegisteredNode]:
    """The declared nodes, of one participant or of all, whose models are all in the registry."""
    registered = {model.id for model in models.get_governance_models(ctx)}
    nodes = nodes_of(ctx, participant) if participant else in_order(NODES.values(ctx))
    return [each for each in nodes if all(model_id in registered for model_id in each.node.models)]


def in_order(nodes: Iterable[RegisteredNode]) -> list[RegisteredNode]:
    """Nodes by participant, then in the order in which they were added."""
    return sorted(nodes, key=lambda each: (each.participant, each.sequence))


def prune(ctx: Context, budget: int, in_use: Callable[[RetiredKey], bool]) -> int:
    """Forgets given-up keys an evidence age after their last use, at most so many; returns how many."""
    oldest = ctx.height - params(ctx).evidence_age
    due = takewhile(lambda entry: entry[0] < oldest, RETIRED_AT.walk(ctx))
    addresses = [address for _, address in islice(due, max(0, budget))]
    for address in addresses:
        review_retired(ctx, address, in_use=in_use(RETIRED_KEYS.require(ctx, address)))
    return len(addresses)
