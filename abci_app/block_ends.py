"""What a block does before and after its transactions."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from abci_app import stages, upgrades
from abci_app.modules import (
    auth,
    authz,
    collateral,
    epochs,
    feegrant,
    gov,
    hardware,
    inference,
    maintenance,
    poc,
    rewards,
    uptime,
)
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from abci_app.kernel.context import Context

PRUNE_BUDGET = 500
PRUNED: tuple[tuple[str, Callable[[Context, int], int]], ...] = (
    ("poc", poc.prune),
    ("uptime", uptime.prune),
    ("inference", inference.prune),
    ("rewards", rewards.prune),
    ("epochs", epochs.prune),
    ("guardians", epochs.prune_guardians),
    ("hardware", epochs.prune_given_up_keys),
    ("authz", authz.prune),
    ("feegrant", feegrant.prune),
    ("auth", auth.prune),
    ("maintenance", maintenance.prune),
    ("collateral", collateral.prune),
)


def begin_block(ctx: Context, misbehaviour: Iterable[bytes]) -> None:
    """A planned upgrade first; whoever misbehaved in consensus (20-byte addresses) loses its power now."""
    upgrades.run_due(ctx)
    for consensus_address in sorted(misbehaviour):
        participant = hardware.participant_by_consensus_address(ctx, consensus_address)
        if participant is not None:
            collateral.invalidate(ctx, participant.address, reasons_pb2.REASON_MISBEHAVIOUR)


def end_block(ctx: Context, around_step: stages.AroundStep = nullcontext) -> tuple[tuple[str, int], ...]:
    """What follows a block's transactions; returns how many entries pruning removed from each module.

    An exception here is our own bug and stops the node.
    """
    with around_step("close_inferences"):
        inference.close_due(ctx)
    stages.run_due(ctx, around_step)
    with around_step("end_proposals"):
        gov.end_block(ctx)
    with around_step("pay_settlements"):
        rewards.pay_settlements(ctx)
    with around_step("collateral"):
        collateral.end_block(ctx, inference.availability_bps)
    with around_step("prune"):
        return _prune(ctx)


def _prune(ctx: Context) -> tuple[tuple[str, int], ...]:
    budget, removed = PRUNE_BUDGET, []
    for name, prune in PRUNED:
        count = prune(ctx, budget)
        budget -= count
        removed.append((name, count))
    return tuple(removed)
