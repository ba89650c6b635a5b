"""The life of an epoch: written at S-1, opened at S, formed at E, switched to at V, or dropped."""

from __future__ import annotations

from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from abci_app.modules import hardware
from abci_app.modules.epochs.groups import (
    members,
    params,
    set_group,
    set_member,
    state,
    voting_powers,
)
from abci_app.modules.epochs.rules import extension, quarantine_over
from abci_app.modules.epochs.state import DROPPED, FREE_MESSAGES, GROUPS, MEMBERS, RECORDS, STATE
from abci_app.modules.epochs.validators import mark_validators_changed
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import EpochGroup, EpochRecord
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import (
    PARTICIPANT_STATUS_ACTIVE,
)
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_UNSPECIFIED, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from abci_app.kernel.collections import Map
    from abci_app.kernel.context import Context
    from abci_app.modules.epochs.formation import Formed
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import ValidationWeight


def write_record(ctx: Context) -> EpochRecord:
    """The first act of S-1: the next record, with the params now in force; the PoC after it is then known."""
    now = state(ctx)
    latest = params(ctx)
    record = EpochRecord(index=now.epoch_effective + 1, height_start=now.height_next_poc, params=latest)
    RECORDS.set(ctx, record.index, record)
    now.height_next_poc = record.height_start + latest.epoch.epoch_length
    STATE.set(ctx, now)
    return record


def mark_stage_done(ctx: Context, record: EpochRecord, stage: str) -> None:
    """Sets a stage's flag, so that it runs once."""
    stored = RECORDS.require(ctx, record.index)
    stored.stages_done.append(stage)
    _store(ctx, record, stored)


def open_poc(ctx: Context, record: EpochRecord) -> None:
    """At S: the hash of this block is the seed of every nonce's input; the upcoming group stands empty."""
    stored = RECORDS.require(ctx, record.index)
    stored.poc_seed = ctx.block.hash
    _store(ctx, record, stored)
    set_group(ctx, EpochGroup(epoch_index=record.index))
    ctx.emit("poc_started", epoch=record.index, height=ctx.height)


def set_validation_seed(ctx: Context, record: EpochRecord) -> None:
    """At T: the hash of this block selects samples and validators."""
    stored = RECORDS.require(ctx, record.index)
    stored.validation_seed = ctx.block.hash
    _store(ctx, record, stored)
    ctx.emit("poc_validation_started", epoch=record.index, height=ctx.height)


def set_voters(ctx: Context, record: EpochRecord, count: int, digest: bytes) -> None:
    """At T: what verdicts are checked by, so that none of them has to look at everybody."""
    stored = RECORDS.require(ctx, record.index)
    stored.voters, stored.voters_sha256 = count, digest
    _store(ctx, record, stored)


def store_formed(ctx: Context, formed: Iterable[Formed]) -> None:
    """Writes a group and its subgroups under their keys."""
    for each in formed:
        create_new_epoch_sub_group(ctx, each)


def create_new_epoch_sub_group(ctx: Context, formed: Formed) -> None:
    """Writes one group, or subgroup with its frozen model, and its members one by one."""
    set_group(ctx, formed.group)
    for member in formed.members:
        update_epoch_group_with_new_member(ctx, formed.group, member)


def update_epoch_group_with_new_member(ctx: Context, group: EpochGroup, member: ValidationWeight) -> None:
    """Writes one member with the nodes that it has in the group."""
    set_member(ctx, group.epoch_index, group.model_id, member)


def extension_reason(ctx: Context, record: EpochRecord) -> Reason | None:
    """Why the switch to the group that was just formed must not happen; None where it may.

    The record keeps the numbers that decided it.
    """
    upcoming = list(members(ctx, record.index))
    decision = extension(
        powers=voting_powers(ctx),
        next_powers={each.member_address: each.voting_power for each in upcoming},
        next_weights={each.member_address: each.weight for each in upcoming},
        extensions=state(ctx).extensions,
        params=record.params.epoch,
    )
    stored = RECORDS.require(ctx, record.index)
    stored.effective_power, stored.retained_power = decision.effective_power, decision.retained_power
    stored.extensions = state(ctx).extensions
    _store(ctx, record, stored)
    return decision.reason


def extend_epoch(ctx: Context, record: EpochRecord, reason: Reason) -> None:
    """Drops the record and the heads of its group; weights, counters and epoch index stay.

    Its members and the POC_SLOTs of the effective group are cleared behind it (`clear_members`,
    `clear_poc_slots`).
    """
    now = state(ctx)
    dropped = RECORDS.require(ctx, record.index)
    dropped.extended, dropped.extension_reason = True, reason
    DROPPED.set(ctx, dropped)
    RECORDS.remove(ctx, record.index)
    GROUPS.clear(ctx, (record.index,))
    record.CopyFrom(dropped)
    now.extensions += 1
    STATE.set(ctx, now)
    ctx.emit(
        "epoch_extended",
        reason=Reason.Name(reason).removeprefix("REASON_").lower(),
        epoch=now.epoch_effective,
        height=ctx.height,
        extensions=now.extensions,
        height_next_poc=now.height_next_poc,
    )


def publish_group(ctx: Context, record: EpochRecord) -> None:
    """The one write that makes the next group visible as a whole."""
    stored = RECORDS.require(ctx, record.index)
    stored.height_ready = ctx.height
    _store(ctx, record, stored)
    ctx.emit("next_epoch_ready", epoch=record.index, height=ctx.height)


def switch_epoch(ctx: Context, record: EpochRecord) -> None:
    """At V: the upcoming group becomes effective; its powers are given to CometBFT with this block."""
    now = state(ctx)
    assert record.index == now.epoch_effective + 1, (
        f"epoch {record.index} does not follow {now.epoch_effective}"
    )
    stored = RECORDS.require(ctx, record.index)
    stored.height_switched = ctx.height
    _store(ctx, record, stored)
    now.epoch_effective, now.height_effective, now.extensions = record.index, ctx.height, 0
    STATE.set(ctx, now)
    _end_quarantines(ctx, stored)
    mark_validators_changed(ctx)
    ctx.emit("epoch_started", epoch=record.index, height=ctx.height)


def _end_quarantines(ctx: Context, record: EpochRecord) -> None:
    for address in list(hardware.invalid_participants(ctx)):
        participant = hardware.get_participant(ctx, address)
        assert participant is not None, f"{address} is INVALID but no participant"
        if quarantine_over(
            participant.epoch_invalid,
            record.index,
            record.params.epoch.quarantine_epochs,
            member=MEMBERS.has(ctx, (record.index, "", address)),
        ):
            hardware.set_status(ctx, address, PARTICIPANT_STATUS_ACTIVE, REASON_UNSPECIFIED, 0)
            ctx.emit("quarantine_ended", participant=address, epoch=record.index)


def prune(ctx: Context, budget: int) -> int:
    """Forgets epochs before the retained ones, at most so many entries; returns how many."""
    effective = state(ctx).epoch_effective
    retained = effective - params(ctx).epoch.retention_epochs
    removed = _forget(ctx, FREE_MESSAGES, effective, budget)
    # Members go before their group, groups before their record.
    removed += _forget(ctx, MEMBERS, retained, budget - removed)
    removed += _forget(ctx, GROUPS, retained, budget - removed)
    past = list(
        islice(takewhile(lambda index: index < retained, RECORDS.keys(ctx)), max(0, budget - removed))
    )
    for index in past:
        RECORDS.remove(ctx, index)
    return removed + len(past)


def _forget(ctx: Context, collection: Map[Any, Any], epoch_first: int, budget: int) -> int:
    """Removes the entries of epochs before the first that stays, at most so many; returns how many."""
    past = list(islice(takewhile(lambda key: key[0] < epoch_first, collection.keys(ctx)), max(0, budget)))
    for key in past:
        collection.remove(ctx, key)
    return len(past)


def _store(ctx: Context, record: EpochRecord, stored: EpochRecord) -> None:
    """Writes a record; the caller's copy of it stays the same as the state's."""
    RECORDS.set(ctx, stored.index, stored)
    record.CopyFrom(stored)
