"""collateral: why a member's weight is less than its nodes proved: decided again from what it looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.fixed import BPS
from abci_app.kernel.trace import source, step
from abci_app.modules import epochs
from abci_app.modules.collateral import rules, state
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_COLLATERAL_SHORT, REASON_UNSPECIFIED

if TYPE_CHECKING:
    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.explain.v1.explain_pb2 import Step


def explain_cover(ctx: Context, epoch: int, participant: str) -> Step | None:
    """The step from proved to covered weight; None where weight in the epoch needed no collateral."""
    record = epochs.record(ctx, epoch)
    looked_at = state.WEIGHTS.get(ctx, (epoch, participant))
    if record is None or looked_at is None:
        return None
    params = record.params.collateral
    again = rules.cover(looked_at.proved, int(looked_at.deposit), params)
    assert again.weight == looked_at.weight, "the rule gives what it gave"
    short = again.weight < looked_at.proved
    verdict = f"its weight counts as {again.weight}" if short else "all of it counts"
    return step(
        "collateral",
        f"of the participant's weight of {looked_at.proved}, {again.base} needs no collateral "
        f"({params.base_weight_bps} of {BPS}), and its deposit of {looked_at.deposit} nevg covers "
        f"{again.covered} at {params.collateral_per_weight} each: {verdict}",
        source(state.WEIGHTS, (epoch, participant), looked_at.height),
        source(state.DEPOSITS, (participant,), looked_at.height),
        reason=REASON_COLLATERAL_SHORT if short else REASON_UNSPECIFIED,
        proved_weight=looked_at.proved,
        base=again.base,
        deposit=looked_at.deposit,
        collateral_per_weight=params.collateral_per_weight,
        covered=again.covered,
        weight=again.weight,
    )
