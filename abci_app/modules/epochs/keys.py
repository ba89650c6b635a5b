"""Consensus keys that were given up and that a group still has: they stay their former holder's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import hardware
from abci_app.modules.epochs.groups import member, state
from abci_app.modules.epochs.state import VALIDATORS

if TYPE_CHECKING:
    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.hardware.v1.hardware_pb2 import RetiredKey


def prune_given_up_keys(ctx: Context, budget: int) -> int:
    """`hardware.prune`, but for keys with which somebody may make blocks now or from the next switch on."""
    return hardware.prune(ctx, budget, lambda retired: _in_use(ctx, retired))


def _in_use(ctx: Context, retired: RetiredKey) -> bool:
    if VALIDATORS.has(ctx, retired.validator_key):
        return True
    effective = state(ctx).epoch_effective
    places = [member(ctx, epoch, "", retired.participant) for epoch in (effective, effective + 1)]
    return any(each is not None and each.validator_key == retired.validator_key for each in places)
