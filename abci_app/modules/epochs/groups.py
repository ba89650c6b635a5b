"""What other modules may ask of records and groups, and write into groups."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from abci_app.modules import hardware
from abci_app.modules.epochs.state import (
    DROPPED,
    FORMATION,
    FREE_MESSAGES,
    GROUPS,
    MEMBERS,
    MEMBERS_KEPT,
    PARAMS,
    RECORDS,
    STATE,
    VALIDATORS,
)
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import PARTICIPANT_STATUS_INVALID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import (
        EpochGroup,
        EpochRecord,
        EpochState,
        ValidationWeight,
    )
    from protocol.gen.evergrid.epochs.v1.params_pb2 import Params
    from protocol.gen.evergrid.models.v1.models_pb2 import Model


def params(ctx: Context) -> Params:
    """The latest params; the next record copies them. What is bound to an epoch reads its record's copy."""
    return PARAMS.require(ctx)


def state(ctx: Context) -> EpochState:
    """What rules now and what comes next."""
    return STATE.require(ctx)


def record(ctx: Context, index: int) -> EpochRecord | None:
    """The record of an epoch, or None where there is none, or none any more."""
    return RECORDS.get(ctx, index)


def effective_record(ctx: Context) -> EpochRecord:
    """The record of the epoch that rules."""
    return RECORDS.require(ctx, state(ctx).epoch_effective)


def upcoming_record(ctx: Context) -> EpochRecord | None:
    """The record of the epoch that is being made: from S-1 to V, or until it is dropped."""
    return RECORDS.get(ctx, state(ctx).epoch_effective + 1)


def dropped_record(ctx: Context) -> EpochRecord | None:
    """The record that the last extension dropped."""
    return DROPPED.get(ctx)


def record_of_poc(ctx: Context, index: int) -> EpochRecord | None:
    """The record of the last PoC that was to make an epoch, also where an extension dropped it; or None."""
    found = RECORDS.get(ctx, index)
    dropped = DROPPED.get(ctx)
    if found is None and dropped is not None and dropped.index == index:
        return dropped
    return found


def oldest_retained(ctx: Context) -> int:
    """The first epoch whose group and record are still kept."""
    return max(0, state(ctx).epoch_effective - params(ctx).epoch.retention_epochs)


def group(ctx: Context, epoch: int, model_id: str = "") -> EpochGroup | None:
    """The head of a group, or None; the parent without a model id. It stands before it is published."""
    return GROUPS.get(ctx, (epoch, model_id)) if "\0" not in model_id else None


def get_epoch_model(ctx: Context, epoch: int, model_id: str) -> Model | None:
    """A model as an epoch froze it, or None where the epoch has no subgroup of it."""
    found = group(ctx, epoch, model_id) if model_id else None
    return found.model_snapshot if found is not None else None


def set_group(ctx: Context, changed: EpochGroup) -> None:
    """Writes the head of a group."""
    GROUPS.set(ctx, (changed.epoch_index, changed.model_id), changed)


def members(ctx: Context, epoch: int, model_id: str = "", *, after: str = "") -> Iterator[ValidationWeight]:
    """The members of a group, by address; of those behind an address alone, where one is given."""
    start = (epoch, model_id, after + "\x01") if after else None
    return MEMBERS.values(ctx, (epoch, model_id), start=start)


def member(ctx: Context, epoch: int, model_id: str, address: str) -> ValidationWeight | None:
    """One member of a group, or None."""
    if "\0" in model_id + address:
        return None
    return MEMBERS.get(ctx, (epoch, model_id, address))


def set_member(ctx: Context, epoch: int, model_id: str, changed: ValidationWeight) -> None:
    """Writes a member of a group."""
    MEMBERS.set(ctx, (epoch, model_id, changed.member_address), changed)


def keep_members_as_they_stand(ctx: Context, address: str) -> None:
    """Called before a member of the effective group changes: a formation under way reads it as it was."""
    if FORMATION.get(ctx) is None:
        return
    epoch = state(ctx).epoch_effective
    for model_id in ("", *(each.model_id for each in subgroups(ctx, epoch))):
        standing = member(ctx, epoch, model_id, address)
        if standing is not None and not MEMBERS_KEPT.has(ctx, (model_id, address)):
            MEMBERS_KEPT.set(ctx, (model_id, address), standing)


def members_at_formation(
    ctx: Context, epoch: int, model_id: str, first: str, last: str
) -> Iterator[ValidationWeight]:
    """The members of a group between two addresses, as they stood when the formation under way began."""
    kept = dict(MEMBERS_KEPT.walk(ctx, (model_id,)))
    for standing in MEMBERS.values(ctx, (epoch, model_id), start=(epoch, model_id, first)):
        if standing.member_address > last:
            return
        yield kept.get((model_id, standing.member_address), standing)


def is_published(ctx: Context, epoch: int) -> bool:
    """Whether readers may see the group of an epoch: one write makes the whole of it visible."""
    if epoch <= state(ctx).epoch_effective:
        return GROUPS.has(ctx, (epoch, ""))
    upcoming = RECORDS.get(ctx, epoch)
    return upcoming is not None and upcoming.height_ready > 0


def subgroups(ctx: Context, epoch: int) -> list[EpochGroup]:
    """The heads of an epoch's subgroups, by model id."""
    parent = GROUPS.get(ctx, (epoch, ""))
    ids = parent.sub_group_models if parent is not None else ()
    return [GROUPS.require(ctx, (epoch, model_id)) for model_id in ids]


def voting_powers(ctx: Context) -> dict[str, int]:
    """The voting powers > 0 of the effective group without INVALID members, by address.

    Where all are INVALID, those whose power CometBFT keeps have their votes too: else no group could follow.
    """
    return {each.member_address: each.voting_power for each in _voters(ctx)}


def voting_power(ctx: Context, address: str) -> int:
    """One participant's part of `voting_powers`, without a look at all of them."""
    found = member(ctx, state(ctx).epoch_effective, "", address)
    if found is None or not found.voting_power:
        return 0
    participant = hardware.get_participant(ctx, address)
    if participant is None or participant.status != PARTICIPANT_STATUS_INVALID:
        return found.voting_power
    first = next(_voters(ctx), None)
    none_stands = first is not None and first.member_address in {*hardware.invalid_participants(ctx)}
    return found.voting_power if none_stands and VALIDATORS.has(ctx, found.validator_key) else 0


def is_only_voter(ctx: Context, address: str) -> bool:
    """Whether nobody but a participant has a vote."""
    return [each.member_address for each in islice(_voters(ctx), 2)] == [address]


def _voters(ctx: Context) -> Iterator[ValidationWeight]:
    """The members of the effective group who have a vote, by address; read as far as they are asked for."""
    invalid = {*hardware.invalid_participants(ctx)}
    epoch, standing = state(ctx).epoch_effective, False
    for each in members(ctx, epoch):
        if each.voting_power and each.member_address not in invalid:
            standing = True
            yield each
    if not standing:
        for each in members(ctx, epoch):
            if each.voting_power and VALIDATORS.has(ctx, each.validator_key):
                yield each


def free_message(ctx: Context, address: str) -> bool:
    """Counts a message that a participant sends without a fee; False for others, and once all are used up."""
    if hardware.get_participant(ctx, address) is None:
        return False
    current = effective_record(ctx)
    used = FREE_MESSAGES.get(ctx, (current.index, address)) or 0
    if used >= current.params.epoch.free_messages_per_epoch:
        return False
    FREE_MESSAGES.set(ctx, (current.index, address), used + 1)
    return True
