"""Who makes blocks: the powers of the effective group, as differences to the set last given to CometBFT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import guardians, hardware
from abci_app.modules.epochs.groups import (
    effective_record,
    group,
    keep_members_as_they_stand,
    member,
    members,
    oldest_retained,
    set_member,
    state,
    voting_powers,
)
from abci_app.modules.epochs.rules import scale_powers, validator_updates
from abci_app.modules.epochs.state import ALL, CHANGED, VALIDATORS, VALIDATORS_DUE
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import PRE_POC_SLOT
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import PARTICIPANT_STATUS_INVALID
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import ValidationWeight
    from protocol.gen.evergrid.guardians.v1.guardians_pb2 import Decision


def invalidate(ctx: Context, address: str, reason: Reason) -> None:
    """Makes a participant INVALID now: it loses its slots, and its power unless the set would be empty."""
    participant = hardware.get_participant(ctx, address)
    assert participant is not None, f"{address} is not a participant"
    if participant.status == PARTICIPANT_STATUS_INVALID:
        return
    epoch = state(ctx).epoch_effective
    hardware.set_status(ctx, address, PARTICIPANT_STATUS_INVALID, reason, epoch)
    keep_members_as_they_stand(ctx, address)
    for each in (epoch, epoch + 1):
        clear_slots(ctx, each, address)
    mark_validators_changed(ctx)
    word = Reason.Name(reason).removeprefix("REASON_").lower()
    ctx.emit("participant_invalidated", participant=address, reason=word, epoch=epoch)


def clear_slots(ctx: Context, epoch: int, address: str) -> None:
    """Takes all slots from every node of a member of a group."""
    parent = group(ctx, epoch)
    for model_id in parent.sub_group_models if parent is not None else ():
        found = member(ctx, epoch, model_id, address)
        if found is not None and without_slots(found, PRE_POC_SLOT):
            set_member(ctx, epoch, model_id, found)


def without_slots(changed: ValidationWeight, first: int) -> bool:
    """Takes the slots from `first` on from every node of a member; False where none was held."""
    held = [node for node in changed.ml_nodes if any(node.timeslot_allocation[first:])]
    for node in held:
        node.timeslot_allocation[first:] = [False] * len(node.timeslot_allocation[first:])
    return bool(held)


def mark_validators_changed(ctx: Context) -> None:
    """Has this block's end compare the validators with those last given."""
    if VALIDATORS_DUE.get(ctx) is None:
        VALIDATORS_DUE.set(ctx, CHANGED)


def adopt_validators(ctx: Context, validators: Iterable[tuple[bytes, int]]) -> None:
    """Takes over a set that CometBFT has from elsewhere (its genesis file), so that a switch replaces it."""
    for key, power in validators:
        VALIDATORS.set(ctx, key, power)


def take_validator_updates(ctx: Context) -> list[tuple[bytes, int]]:
    """The difference to the set last given, by key, where something changed; after genesis the whole set."""
    due = VALIDATORS_DUE.get(ctx)
    if due is None:
        return []
    VALIDATORS_DUE.remove(ctx)
    last = dict(VALIDATORS.walk(ctx))
    if not voting_powers(ctx):
        _stand_again(ctx)
    # Without a valid member the set stays as it was: CometBFT halts on an empty one.
    powers = scale_powers(_powers_by_key(ctx)) or last
    updates = validator_updates(last, powers)
    for key, power in updates:
        if power:
            VALIDATORS.set(ctx, key, power)
        else:
            VALIDATORS.remove(ctx, key)
    return list(powers.items()) if due == ALL else updates


def _powers_by_key(ctx: Context) -> dict[bytes, int]:
    powers = _block_powers(ctx)
    parent_members = members(ctx, state(ctx).epoch_effective)
    return {
        each.validator_key: powers[each.member_address]
        for each in parent_members
        if each.member_address in powers
    }


def _stand_again(ctx: Context) -> None:
    """Gives a group that fell before the switch to it its votes back: without any no group could follow."""
    for each in list(members(ctx, state(ctx).epoch_effective)):
        if each.voting_power:
            VALIDATORS.set(ctx, each.validator_key, each.voting_power)


def _block_powers(ctx: Context) -> dict[str, int]:
    """The voting powers, with what guardians have in blocks alone on top of theirs."""
    powers = voting_powers(ctx)
    if not guardians.is_active(ctx):
        return powers
    decision = decide_guardians(ctx)
    guardians.remember(ctx, decision)
    return guardians.block_powers(powers, decision)


def decide_guardians(ctx: Context) -> Decision:
    """What guardians get in the effective epoch as the group stands now; INVALID ones get nothing."""
    epoch = state(ctx).epoch_effective
    parent = group(ctx, epoch)
    standing = [who for who in guardians.named(ctx) if not _is_invalid(ctx, who)]
    decision = guardians.decide(
        voting_powers(ctx),
        standing,
        parent.total_weight if parent is not None else 0,
        effective_record(ctx).params.guardians,
    )
    decision.epoch_index, decision.height = epoch, ctx.height
    return decision


def _is_invalid(ctx: Context, address: str) -> bool:
    participant = hardware.get_participant(ctx, address)
    return participant is not None and participant.status == PARTICIPANT_STATUS_INVALID


def prune_guardians(ctx: Context, budget: int) -> int:
    """Forgets decisions on guardians out of retention, at most so many; returns how many."""
    return guardians.forget(ctx, oldest_retained(ctx), budget)
