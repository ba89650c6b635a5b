"""Which slot is in force at a height, and which nodes serve then: every decision about serving asks here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules.epochs.rules import PocPeriod, serves_between, slots_between, stage_heights
from abci_app.modules.epochs.state import DROPPED, RECORDS, STATE

if TYPE_CHECKING:
    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import EpochGroup, MLNodeInfo, TimeSlot, ValidationWeight


def slot_in_force(ctx: Context, height: int) -> TimeSlot:
    """The slot in force at a height since the record before the effective one."""
    return slots_in_force(ctx, height, height)[0]


def slots_in_force(ctx: Context, height_from: int, height_to: int) -> list[TimeSlot]:
    """The slots in force at some height of a range, both ends included, sorted."""
    periods = [(period.first, period.last) for period in _poc_periods(ctx)]
    return slots_between(height_from, height_to, periods)


def serving_nodes(
    ctx: Context, subgroup: EpochGroup, member: ValidationWeight, height_from: int, height_to: int
) -> list[MLNodeInfo]:
    """The nodes of a subgroup's member that serve at some height of a range, both ends included.

    By the slot in force, and, where `serve_during_validation` is on, by the memory that the epoch froze.
    """
    periods, v_ram = _poc_periods(ctx), subgroup.model_snapshot.v_ram
    return [node for node in member.ml_nodes if serves_between(node, v_ram, height_from, height_to, periods)]


def _poc_periods(ctx: Context) -> list[PocPeriod]:
    """The PoC periods of the records that are near."""
    now = STATE.require(ctx)
    periods = []
    for each in (RECORDS.get(ctx, now.epoch_effective), RECORDS.get(ctx, now.epoch_effective + 1)):
        if each is not None and each.height_start > 0:
            heights = stage_heights(each.params.epoch, each.height_start)
            periods.append(PocPeriod(heights.start, heights.switch - 1, heights.end, each.params.uptime))
    dropped = DROPPED.get(ctx)
    if dropped is not None:
        heights = stage_heights(dropped.params.epoch, dropped.height_start)
        periods.append(PocPeriod(heights.start, heights.validation_end, heights.end, dropped.params.uptime))
    return periods
