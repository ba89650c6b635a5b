"""The next group under construction: written in chunks, under keys that nobody reads until it is published.

What it is made of is frozen at E: the registry, the models and the effective group as they stood then.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from abci_app.kernel.fixed import U64_MAX
from abci_app.modules import hardware, models
from abci_app.modules.epochs.formation import Candidate, add_to_totals, form_members, group_heads
from abci_app.modules.epochs.groups import group, members, set_group, set_member, state
from abci_app.modules.epochs.rules import power_limit
from abci_app.modules.epochs.state import FORMATION, MEMBERS, MEMBERS_KEPT, RECORDS, STATE
from abci_app.modules.epochs.validators import clear_slots, without_slots
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import POC_SLOT, Formation, FormationTotals
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import PARTICIPANT_STATUS_INVALID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import ActiveParticipant, EpochRecord


# under way


def formation(ctx: Context) -> Formation | None:
    """The formation that an earlier block began and did not end."""
    return FORMATION.get(ctx)


def begin_formation(ctx: Context, record: EpochRecord) -> Formation:
    """At E: what is to be formed, with the models that count."""
    return Formation(
        epoch_index=record.index,
        height=ctx.height,
        height_start=record.height_start,
        models=models.models_for_formation(ctx),
    )


def leave_formation(ctx: Context, under_way: Formation) -> None:
    """At the end of a block: the next one goes on, with the registry as it stands now."""
    if FORMATION.get(ctx) is None:
        hardware.freeze(ctx)
    FORMATION.set(ctx, under_way)


def end_formation(ctx: Context) -> None:
    """Nothing is under way any more; a PoC whose S has passed comes as soon as it can, and whole."""
    if FORMATION.get(ctx) is None:
        return
    FORMATION.remove(ctx)
    MEMBERS_KEPT.clear(ctx)
    hardware.thaw(ctx)
    now = state(ctx)
    # The next block may write its record, or has to switch first.
    free = ctx.height + (1 if RECORDS.get(ctx, now.epoch_effective + 1) is None else 2)
    if now.height_next_poc < free + 1:
        now.height_next_poc = free + 1
        STATE.set(ctx, now)


# its parts, each for some participants at a time; a budget is a number of members


def add_members(
    ctx: Context,
    under_way: Formation,
    entries: Sequence[hardware.Entry],
    active: Sequence[ActiveParticipant],
) -> None:
    """Writes the members of the group and its subgroups who are among these participants and have weight."""
    formed = form_members(_candidates(entries, active), under_way.models)
    totals = {each.model_id: each for each in under_way.totals}
    add_to_totals(totals, formed)
    del under_way.totals[:]
    under_way.totals.extend(totals[model_id] for model_id in sorted(totals))
    for model_id in formed:
        for each in formed[model_id]:
            set_member(ctx, under_way.epoch_index, model_id, each)


def _candidates(entries: Sequence[hardware.Entry], active: Sequence[ActiveParticipant]) -> list[Candidate]:
    """Participants that are not INVALID, with those of their nodes that are still in the registry."""
    known = {each.participant.address: each for each in entries}
    candidates = []
    for each in active:
        entry = known.get(each.address)
        if entry is None or entry.participant.status == PARTICIPANT_STATUS_INVALID:
            continue
        registered = {node.node.node_id: node for node in entry.nodes}
        nodes = tuple((registered[n.node_id], n) for n in each.ml_nodes if n.node_id in registered)
        candidates.append(Candidate(entry.participant, nodes))
    return candidates


def sweep_unserved(ctx: Context, under_way: Formation, budget: int) -> int:
    """Removes members of subgroups whose model no node serves; less than the budget: none is left."""
    removed = 0
    for total in under_way.totals:
        if total.model_id and total.members and not total.served:
            left = budget - removed
            removed += MEMBERS.clear(ctx, (under_way.epoch_index, total.model_id), left)
    return removed


def set_powers(ctx: Context, record: EpochRecord, under_way: Formation, budget: int) -> int:
    """Caps the weights of the next members to voting powers; less than the budget: none is left."""
    if not under_way.cursor:
        weights = (each.weight for each in members(ctx, record.index) if each.validator_key)
        positive = [weight for weight in weights if weight > 0]
        under_way.power_limit = power_limit(positive, record.params.epoch.max_individual_power_bps)
    parent = next((each for each in under_way.totals if not each.model_id), FormationTotals())
    chunk = list(islice(members(ctx, record.index, after=under_way.cursor), budget))
    for each in chunk:
        # Without a consensus key nobody can make blocks: no power, and no part in the cap.
        each.voting_power = min(each.weight, under_way.power_limit) if each.validator_key else 0
        parent.voting_power = min(parent.voting_power + each.voting_power, U64_MAX)
        set_member(ctx, record.index, "", each)
    under_way.cursor = chunk[-1].member_address if chunk else under_way.cursor
    return len(chunk)


def write_heads(ctx: Context, record: EpochRecord, under_way: Formation) -> None:
    """Writes the heads of the group and its subgroups; who became INVALID since E has no slots in it."""
    totals = {each.model_id: each for each in under_way.totals}
    add_to_totals(totals, {"": (), **{model.id: () for model in under_way.models}})
    heads = group_heads(record.index, under_way.height, under_way.models, totals)
    effective = group(ctx, state(ctx).epoch_effective)
    heads[0].unit_of_compute_price = effective.unit_of_compute_price if effective is not None else 0
    for head in heads:
        set_group(ctx, head)
    for address in list(hardware.invalid_participants(ctx)):
        clear_slots(ctx, record.index, address)


def form_upcoming_group(ctx: Context, record: EpochRecord, active: Sequence[ActiveParticipant]) -> None:
    """Freezes registry and participants into the next group and its subgroups, all at once."""
    whole = begin_formation(ctx, record)
    add_members(ctx, whole, hardware.registry_entries(ctx), active)
    everyone = sum(each.members for each in whole.totals) + 1
    sweep_unserved(ctx, whole, everyone)
    set_powers(ctx, record, whole, everyone)
    write_heads(ctx, record, whole)


# a refused group


def clear_members(ctx: Context, under_way: Formation, budget: int) -> int:
    """Removes members of the refused group; less than the budget: none is left."""
    return MEMBERS.clear(ctx, (under_way.epoch_index,), budget)


def clear_poc_slots(ctx: Context, under_way: Formation, budget: int) -> int:
    """Takes POC_SLOT from members of the effective group; less than the budget: none is left."""
    epoch = state(ctx).epoch_effective
    parent = group(ctx, epoch)
    done = 0
    for model_id in parent.sub_group_models if parent is not None else ():
        if model_id < under_way.cursor_model:
            continue
        after = under_way.cursor if model_id == under_way.cursor_model else ""
        chunk = list(islice(members(ctx, epoch, model_id, after=after), budget - done))
        for each in chunk:
            if without_slots(each, POC_SLOT):
                set_member(ctx, epoch, model_id, each)
            under_way.cursor_model, under_way.cursor = model_id, each.member_address
        done += len(chunk)
        if done >= budget:
            break
    return done
