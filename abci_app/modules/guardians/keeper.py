"""What epochs asks of guardians and has them remember."""

from __future__ import annotations

from itertools import islice, takewhile
from typing import TYPE_CHECKING

from abci_app.modules.guardians import state
from protocol.gen.evergrid.guardians.v1.guardians_pb2 import Decision, Ended
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_NETWORK_MATURE

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


def named(ctx: Context) -> list[str]:
    """The guardians' addresses, sorted; empty: the module is off."""
    return list(state.NAMED.walk(ctx))


def is_active(ctx: Context) -> bool:
    """Whether guardians may still get power: the genesis named some, and they have not ended."""
    return bool(named(ctx)) and state.ENDED.get(ctx) is None


def ended(ctx: Context) -> Ended | None:
    """What ended guardians, or None."""
    return state.ENDED.get(ctx)


def decision_of(ctx: Context, epoch: int) -> Decision | None:
    """The last decision of an epoch, or None."""
    return state.DECISIONS.get(ctx, epoch)


def remember(ctx: Context, decision: Decision) -> None:
    """Keeps an epoch's decision; where the network was mature, guardians have ended for good.

    One that is made again, as after an import, keeps its height.
    """
    before = state.DECISIONS.get(ctx, decision.epoch_index)
    if before is not None and _without_height(before) == _without_height(decision):
        return
    state.DECISIONS.set(ctx, decision.epoch_index, decision)
    if decision.reason != REASON_NETWORK_MATURE:
        return
    state.ENDED.set(
        ctx,
        Ended(epoch_index=decision.epoch_index, height=ctx.height, total_weight=decision.total_weight),
    )
    ctx.emit("guardians_ended", epoch=decision.epoch_index, total_weight=decision.total_weight)


def _without_height(decision: Decision) -> Decision:
    copy = Decision()
    copy.CopyFrom(decision)
    copy.height = 0
    return copy


def forget(ctx: Context, epoch_first: int, budget: int) -> int:
    """Removes decisions of epochs before the first that stays, at most so many; returns how many."""
    past = takewhile(lambda epoch: epoch < epoch_first, state.DECISIONS.keys(ctx))
    found = list(islice(past, max(0, budget)))
    for epoch in found:
        state.DECISIONS.remove(ctx, epoch)
    return len(found)
