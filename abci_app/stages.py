"""The stages of an epoch as one table: which stage begins at which height, and what the chain then does.

Stages run after the transactions of their block. A stage runs in the first block whose height is at or past
its own and whose flag is unset, in the table's order, so no height can skip or repeat one.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from abci_app import formation
from abci_app.modules import collateral, epochs, inference, poc, rewards, uptime

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import EpochRecord

    # What the node puts around each named step; a step neither sees it nor depends on it.
    AroundStep = Callable[[str], AbstractContextManager[object]]


def end_of_poc_stage(ctx: Context, record: EpochRecord) -> None:
    """Tells the workers to stop generating."""
    ctx.emit("poc_ended", epoch=record.index, height=ctx.height)


def on_set_new_validators_stage(ctx: Context, record: EpochRecord) -> None:
    """Decides the votes, and forms the next group as far as this block's budget goes."""
    under_way, budget = formation.begin(ctx, record)
    formation.go_on(ctx, under_way, budget)


def charge_downtime(ctx: Context, record: EpochRecord) -> None:
    """Has collateral be charged for the downtime of the ending epoch."""
    collateral.charge_downtime(ctx, record, inference.availability_bps)


@dataclass(frozen=True, slots=True)
class Stage:
    """One row: its name, when it begins (of the record's heights), and its steps in order."""

    name: str
    height: Callable[[epochs.StageHeights], int]
    steps: tuple[Callable[[Context, EpochRecord], None], ...]


PRE_POC = "pre_poc_scheduling"

TABLE: tuple[Stage, ...] = (
    Stage(
        PRE_POC,
        lambda at: at.pre_poc,
        (
            uptime.set_real_pre_poc_throughput,
            uptime.set_expected_poc_throughput,
            uptime.assign_poc_slots,
        ),
    ),
    Stage("start_of_poc", lambda at: at.start, (epochs.open_poc,)),
    Stage("end_of_poc", lambda at: at.end, (end_of_poc_stage,)),
    Stage(
        "start_of_poc_validation",
        lambda at: at.validation_start,
        (epochs.set_validation_seed, poc.freeze_voters),
    ),
    Stage(
        "end_of_poc_validation",
        lambda at: at.validation_end,
        (uptime.set_real_poc_throughput, on_set_new_validators_stage),
    ),
    Stage(
        "end_of_epoch",
        lambda at: at.switch,
        (inference.count_good_epochs, charge_downtime, rewards.settle_epoch, epochs.switch_epoch),
    ),
)


def run_due(ctx: Context, around_step: AroundStep = nullcontext) -> None:
    """Runs every stage that is due and not done, each of its steps within `around_step` of the step's name.

    The record of the next epoch is written as the first act of all.
    """
    if (under_way := epochs.formation(ctx)) is not None:
        # No stage runs before the formation is over: not the switch, nor the next draw behind an extension.
        with around_step(formation.go_on.__name__):
            formation.go_on(ctx, under_way, formation.NODES_PER_BLOCK)
        return
    if epochs.upcoming_record(ctx) is None and ctx.height >= epochs.state(ctx).height_next_poc - 1:
        epochs.write_record(ctx)
    for stage in TABLE:
        # Read anew each time: a step may have dropped the record.
        record = epochs.upcoming_record(ctx)
        if record is None or epochs.formation(ctx) is not None:
            return
        heights = epochs.stage_heights(record.params.epoch, record.height_start)
        if stage.name in record.stages_done or ctx.height < stage.height(heights):
            continue
        epochs.mark_stage_done(ctx, record, stage.name)
        for step in stage.steps:
            with around_step(step.__name__):
                step(ctx, _current(ctx, record.index))


def _current(ctx: Context, index: int) -> EpochRecord:
    """The record as the steps before have left it."""
    record = epochs.record(ctx, index)
    assert record is not None, f"epoch {index} has no record"
    return record
