"""poc: what handlers, steps and queries read alike, and what other modules may ask."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from abci_app.kernel.context import Context
from abci_app.modules import epochs, hardware, models
from abci_app.modules.poc import state
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from protocol.poc_samples import ValidatorDraw, effective_slots

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_NO_WINDOW = (0, -1)


# windows


def batch_window(record: epochs_pb2.EpochRecord | None) -> tuple[int, int]:
    """The heights at which batches are taken, both ends included."""
    if record is None:
        return _NO_WINDOW
    heights = epochs.stage_heights(record.params.epoch, record.height_start)
    return heights.start + 1, heights.batches_end


def validation_window(record: epochs_pb2.EpochRecord | None) -> tuple[int, int]:
    """The heights at which verdicts are taken, both ends included."""
    if record is None:
        return _NO_WINDOW
    heights = epochs.stage_heights(record.params.epoch, record.height_start)
    return heights.validation_start + 1, heights.validation_end


# participants and nodes


def is_invalid(participant: hardware_pb2.Participant | None) -> bool:
    """Whether a participant is INVALID; a switch at the end of its quarantine makes it ACTIVE again."""
    return participant is not None and participant.status == hardware_pb2.PARTICIPANT_STATUS_INVALID


def weighted_nodes(ctx: Context, first: str, last: str) -> Iterator[tuple[str, epochs_pb2.MLNodeInfo]]:
    """(participant, node) of every node with weight in the effective group, even where it serves no model.

    Of the participants between two addresses, as they stood when the formation began.
    """
    epoch = epochs.state(ctx).epoch_effective
    parent = epochs.group(ctx, epoch)
    for model_id in ("", *(parent.sub_group_models if parent is not None else ())):
        for member in epochs.members_at_formation(ctx, epoch, model_id, first, last):
            for node in member.ml_nodes:
                if node.poc_weight:
                    yield member.member_address, node


def holds_poc_slot(ctx: Context, participant: str, node_id: str) -> bool:
    """Whether a node of the effective group serves through the PoC period."""
    epoch = epochs.state(ctx).epoch_effective
    parent = epochs.group(ctx, epoch)
    for model_id in parent.sub_group_models if parent is not None else ():
        member = epochs.member(ctx, epoch, model_id, participant)
        for node in member.ml_nodes if member else ():
            if node.node_id == node_id and has_poc_slot(node):
                return True
    return False


def has_poc_slot(node: epochs_pb2.MLNodeInfo) -> bool:
    """Whether POC_SLOT is true for a node where it stands."""
    return len(node.timeslot_allocation) > epochs_pb2.POC_SLOT and bool(
        node.timeslot_allocation[epochs_pb2.POC_SLOT]
    )


# validators


def slots_of_validator(
    ctx: Context, record: epochs_pb2.EpochRecord, validator: str, participants: Iterable[str]
) -> dict[str, int]:
    """How many slots of each participant a validator drew; empty where all validate all."""
    slots = validation_slots(ctx, record)
    if not slots or not record.validation_seed:
        return {}
    draw = _validator_draw(ctx, record, slots)
    return {participant: draw.slots_of(validator, participant) for participant in participants}


def validation_slots(ctx: Context, record: epochs_pb2.EpochRecord) -> int:
    """How many slots of each participant are drawn in a PoC; 0: all validate all."""
    voters = record.voters if record.voters_sha256 else len(powers_at_validation(ctx, record))
    return effective_slots(record.params.poc.validation_slots, voters)


def voters_digest(powers: Mapping[str, int]) -> bytes:
    """SHA-256 over who may judge, with which power."""
    return sha256("".join(f"{who} {powers[who]}\n" for who in sorted(powers)).encode()).digest()


_DrawKey = tuple[str, int, bytes, int, bytes]
# The draw that was asked for last. Its name tells all that it follows from, so that it is the same draw
# wherever it is made, and replacing it is one step: simulations ask from threads of their own.
_last_draw: list[tuple[_DrawKey, ValidatorDraw]] = []


def _validator_draw(ctx: Context, record: epochs_pb2.EpochRecord, slots: int) -> ValidatorDraw:
    digest = record.voters_sha256 or voters_digest(powers_at_validation(ctx, record))
    key = (ctx.chain_id, record.height_start, record.validation_seed, slots, digest)
    for known, draw in tuple(_last_draw):
        if known == key:
            return draw
    # Not charged: whether a node still has the draw is its own affair, and gas is everybody's.
    powers = powers_at_validation(Context(ctx.block, ctx.kv), record)
    draw = ValidatorDraw(powers.items(), slots, ctx.chain_id, record.height_start, record.validation_seed)
    _last_draw[:] = [(key, draw)]
    return draw


def forget_draw() -> None:
    """As after a restart: the next verdict makes the draw anew."""
    _last_draw.clear()


def powers_at_validation(ctx: Context, record: epochs_pb2.EpochRecord) -> dict[str, int]:
    """The voting powers > 0 as they were at T, by address: all verdicts of a stage must see the same draw."""
    fell_later = set(invalid_since(ctx, validation_window(record)[0]))
    invalid_at_t = {*hardware.invalid_participants(ctx)}.difference(fell_later)
    return {
        member.member_address: member.voting_power
        for member in epochs.members(ctx, epochs.state(ctx).epoch_effective)
        if member.voting_power and member.member_address not in invalid_at_t
    }


def invalid_since(ctx: Context, height: int) -> list[str]:
    """The participants that became INVALID at a height or later, by address."""
    found = []
    for address in hardware.invalid_participants(ctx):
        participant = hardware.get_participant(ctx, address)
        assert participant is not None, f"{address} is INVALID but no participant"
        if participant.height_invalid >= height:
            found.append(address)
    return found


def add_to_tally(tally: poc_pb2.PocTally, validation: poc_pb2.PocValidation, sign: int) -> None:
    """Counts a validation into a tally, or with sign -1 out of it."""
    if validation.verdict == poc_pb2.VERDICT_HONEST:
        tally.honest_power += sign * validation.voting_power
        tally.honest_slots += sign * validation.slots
    elif validation.verdict == poc_pb2.VERDICT_FRAUD:
        tally.fraud_power += sign * validation.voting_power
        tally.fraud_slots += sign * validation.slots
    else:
        tally.abstained += sign


# what was proved


def get_poc_batches_for_node(
    ctx: Context, height_start: int, participant: str, node_id: str
) -> list[poc_pb2.PocBatch]:
    """The batches of one node in the PoC that began at a height, by their first nonce."""
    return list(state.BATCHES.values(ctx, (height_start, participant, node_id)))


def get_poc_batches_for_model(ctx: Context, height_start: int, model_id: str) -> list[poc_pb2.PocBatch]:
    """The batches of all nodes that serve a model by today's assignment, by participant, node and nonce."""
    assigned = set(_nodes_serving(ctx, model_id))
    return [
        batch
        for batch in state.BATCHES.values(ctx, (height_start,))
        if (batch.participant, batch.node_id) in assigned
    ]


def get_node_weight(
    ctx: Context, height_start: int, participant: str, node_id: str
) -> epochs_pb2.NodeWeight | None:
    """A node's weight by the PoC that began at a height, with its source; None where it has none to tell.

    Until the PoC is decided this is the number of its nonces so far, with no source.
    """
    if decided := state.WEIGHTS.get(ctx, (height_start, participant, node_id)):
        return epochs_pb2.NodeWeight(
            node_id=node_id,
            poc_weight=decided.poc_weight,
            weight_source=decided.weight_source,
            unproved=decided.unproved,
        )
    nonces = state.NODES.get(ctx, (height_start, participant, node_id))
    if nonces is None:
        return None
    return epochs_pb2.NodeWeight(
        node_id=node_id, poc_weight=nonces.nonces_total, weight_source=reasons_pb2.REASON_UNSPECIFIED
    )


def calculate_node_weight(ctx: Context, height_start: int, participant: str, node_id: str) -> int:
    """A node's weight by the PoC that began at a height; 0 where the PoC says nothing of it."""
    weight = get_node_weight(ctx, height_start, participant, node_id)
    return weight.poc_weight if weight else 0


def calculate_model_power(ctx: Context, height_start: int, model_id: str) -> int:
    """The weight, by one PoC, of all nodes that serve a model by today's assignment."""
    return sum(
        calculate_node_weight(ctx, height_start, participant, node_id)
        for participant, node_id in _nodes_serving(ctx, model_id)
    )


def _nodes_serving(ctx: Context, model_id: str) -> list[tuple[str, str]]:
    registered = {model.id for model in models.models_for_formation(ctx)}
    return [
        (each.participant, each.node.node_id)
        for each in hardware.get_nodes_for_model(ctx, model_id)
        if hardware.assigned_model(each.node.models, registered) == model_id
    ]


def with_claims(ctx: Context, key: state.BatchKey, batch: poc_pb2.PocBatch) -> poc_pb2.PocBatch:
    """A batch with its claims, and its nonces where they are not dense, as far as they are still kept."""
    whole = poc_pb2.PocBatch()
    whole.CopyFrom(batch)
    whole.claims = state.CLAIMS.get(ctx, key) or b""
    if batch.nonces_sha256:
        whole.nonces = state.NONCES.get(ctx, key) or b""
    return whole
