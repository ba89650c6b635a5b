"""The formation of the next group, in chunks over as many blocks as it needs.

At E the votes are decided and everything that the group is made of is frozen; then each block goes through so
many nodes. A network of up to `NODES_PER_BLOCK` nodes is formed and published in block E itself. One write
publishes a group, and until then nobody reads what stands of it: V waits for that. A group that is refused is
cleared in chunks as well, and no other stage runs before that is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import collateral, epochs, hardware, inference, models, poc, uptime
from protocol.gen.evergrid.epochs.v1 import epochs_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

    from abci_app.kernel.context import Context

# What one block does of a formation: a participant, a node, a member and a vote are one each. Consensus: all
# nodes must cut alike, so it changes only with an upgrade.
NODES_PER_BLOCK = 3_000

OVER = pb.FORMATION_PHASE_UNSPECIFIED


def begin(ctx: Context, record: pb.EpochRecord) -> tuple[pb.Formation, int]:
    """At E: decides every vote; returns the formation, and what is left of the block's budget for it."""
    votes = poc.decide_outcomes(ctx, record)
    uptime.begin_throughput_validation(ctx, record)
    under_way = epochs.begin_formation(ctx, record)
    changed = poc.unit_changed(ctx, record)
    under_way.phase = pb.FORMATION_PHASE_SCALE if changed else pb.FORMATION_PHASE_MEMBERS
    return under_way, NODES_PER_BLOCK - votes


def go_on(ctx: Context, under_way: pb.Formation, budget: int) -> None:
    """Forms for a budget, and leaves the rest to the next block."""
    while under_way.phase != OVER and budget > 0:
        budget -= _PHASES[under_way.phase](ctx, under_way, budget)
    if under_way.phase == OVER:
        epochs.end_formation(ctx)
    else:
        epochs.leave_formation(ctx, under_way)


def finish(ctx: Context) -> None:
    """Takes a formation that is under way to its end; for who needs a whole state and makes no block."""
    while (under_way := epochs.formation(ctx)) is not None:
        go_on(ctx, under_way, NODES_PER_BLOCK)


# The phases. Each does its part for at most the budget, says what it used, and where it is over turns to the
# next one.


def _turn_to(under_way: pb.Formation, phase: pb.FormationPhase) -> None:
    under_way.phase, under_way.cursor, under_way.cursor_model = phase, "", ""


def _record(ctx: Context, under_way: pb.Formation) -> pb.EpochRecord:
    record = epochs.record(ctx, under_way.epoch_index)
    assert record is not None, f"epoch {under_way.epoch_index} is formed without a record"
    return record


def _next_entries(ctx: Context, under_way: pb.Formation, budget: int) -> tuple[list[hardware.Entry], int]:
    """The next participants as they stood at E, and how much of the budget they are; none: all are done."""
    entries = hardware.registry_entries(ctx, under_way.cursor, budget)
    if entries:
        under_way.cursor = entries[-1].participant.address
    return entries, sum(1 + len(each.nodes) for each in entries)


def _scale(ctx: Context, under_way: pb.Formation, budget: int) -> int:
    entries, used = _next_entries(ctx, under_way, budget)
    new, old = poc.scale_of(ctx, _record(ctx, under_way), entries)
    new += int.from_bytes(under_way.scale_new, "big")
    old += int.from_bytes(under_way.scale_old, "big")
    under_way.scale_new, under_way.scale_old = _big_endian(new), _big_endian(old)
    if not entries:
        under_way.scaled = old > 0
        _turn_to(under_way, pb.FORMATION_PHASE_MEMBERS)
    return used


def _big_endian(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _members(ctx: Context, under_way: pb.Formation, budget: int) -> int:
    record = _record(ctx, under_way)
    entries, used = _next_entries(ctx, under_way, budget)
    scaled = (1, 1)
    if under_way.scaled:
        scaled = (int.from_bytes(under_way.scale_new, "big"), int.from_bytes(under_way.scale_old, "big"))
    active = poc.weigh(ctx, record, entries, scaled)
    active = uptime.validate_throughput_performance(ctx, record, active)
    epochs.add_members(ctx, under_way, entries, active)
    if not entries:
        _turn_to(under_way, pb.FORMATION_PHASE_SWEEP)
    return used


def _sweep(ctx: Context, under_way: pb.Formation, budget: int) -> int:
    used = epochs.sweep_unserved(ctx, under_way, budget)
    if used < budget:
        _turn_to(under_way, pb.FORMATION_PHASE_COVER)
    return used


def _cover(ctx: Context, under_way: pb.Formation, budget: int) -> int:
    used, is_over = collateral.apply_collateral(ctx, _record(ctx, under_way), under_way, budget)
    if is_over:
        _turn_to(under_way, pb.FORMATION_PHASE_POWERS)
    return used


def _powers(ctx: Context, under_way: pb.Formation, budget: int) -> int:
    used = epochs.set_powers(ctx, _record(ctx, under_way), under_way, budget)
    if used < budget:
        _turn_to(under_way, pb.FORMATION_PHASE_DECIDE)
    return used


def _decide(ctx: Context, under_way: pb.Formation, _budget: int) -> int:
    """Writes the heads, and decides whether this group may rule."""
    record = _record(ctx, under_way)
    epochs.write_heads(ctx, record, under_way)
    reason = epochs.extension_reason(ctx, record)
    if reason is None:
        _turn_to(under_way, pb.FORMATION_PHASE_REMEMBER)
    else:
        poc.drop_stage(ctx, record.height_start)
        epochs.extend_epoch(ctx, record, reason)
        _turn_to(under_way, pb.FORMATION_PHASE_CLEAR_MEMBERS)
    return 0


def _remember(ctx: Context, under_way: pb.Formation, budget: int) -> int:
    record = _record(ctx, under_way)
    used, under_way.cursor = uptime.remember_preserved_behind(ctx, record, under_way.cursor, budget)
    if used < budget:
        on_next_epoch_ready(ctx, record)
        _turn_to(under_way, OVER)
    return used


def on_next_epoch_ready(ctx: Context, record: pb.EpochRecord) -> None:
    """Completes the group and publishes it, so that API nodes load its models."""
    uptime.set_expected_throughput(ctx, record)
    inference.freeze_price(ctx, record)
    models.on_formation(ctx)
    epochs.publish_group(ctx, record)


def _clear_members(ctx: Context, under_way: pb.Formation, budget: int) -> int:
    used = epochs.clear_members(ctx, under_way, budget)
    if used < budget:
        _turn_to(under_way, pb.FORMATION_PHASE_CLEAR_SLOTS)
    return used


def _clear_slots(ctx: Context, under_way: pb.Formation, budget: int) -> int:
    used = epochs.clear_poc_slots(ctx, under_way, budget)
    if used < budget:
        _turn_to(under_way, OVER)
    return used


_PHASES: dict[pb.FormationPhase, Callable[[Context, pb.Formation, int], int]] = {
    pb.FORMATION_PHASE_SCALE: _scale,
    pb.FORMATION_PHASE_MEMBERS: _members,
    pb.FORMATION_PHASE_SWEEP: _sweep,
    pb.FORMATION_PHASE_COVER: _cover,
    pb.FORMATION_PHASE_POWERS: _powers,
    pb.FORMATION_PHASE_DECIDE: _decide,
    pb.FORMATION_PHASE_REMEMBER: _remember,
    pb.FORMATION_PHASE_CLEAR_MEMBERS: _clear_members,
    pb.FORMATION_PHASE_CLEAR_SLOTS: _clear_slots,
}
