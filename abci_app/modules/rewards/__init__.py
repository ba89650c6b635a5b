"""rewards: emission, coverage bonus, settlement (protocol, section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.module import Module
from abci_app.modules import auth, bank
from abci_app.modules.epochs.param_checks import SUPPLY_MAX
from abci_app.modules.rewards import queries, state
from abci_app.modules.rewards.explain import explain_reward
from abci_app.modules.rewards.steps import (
    get_participant_model_coverage,
    get_settle_amount,
    get_settle_amounts,
    pay_settlements,
    prune,
    settle_epoch,
    unpaid_total,
)
from protocol.gen.evergrid.rewards.v1.rewards_pb2 import GenesisState

if TYPE_CHECKING:
    from abci_app.kernel.context import Context

__all__ = [
    "MODULE",
    "explain_reward",
    "get_participant_model_coverage",
    "get_settle_amount",
    "get_settle_amounts",
    "pay_settlements",
    "prune",
    "queries",
    "settle_epoch",
    "unpaid_total",
]


def _init_genesis(ctx: Context, genesis: GenesisState) -> None:
    """Raises ValueError where amounts could pass 64 bits; this is the first module that sees all of them."""
    denom = auth.fee_params(ctx).denom
    given = bank.supply(ctx, denom) - genesis.emission.minted_total
    if given > SUPPLY_MAX:
        raise ValueError(f"the genesis gives {given}{denom}, more than {SUPPLY_MAX}")
    if genesis.HasField("emission"):
        state.EMISSION.set(ctx, genesis.emission)
    for settlement in genesis.settlements:
        state.SETTLEMENTS.set(ctx, settlement.epoch_index, settlement)
    for amount in genesis.amounts:
        key = (amount.epoch_index, amount.participant)
        state.AMOUNTS.set(ctx, key, amount)
        if amount.total and not amount.height_paid:
            state.UNPAID.add(ctx, key)


def _export_genesis(ctx: Context) -> GenesisState:
    return GenesisState(
        emission=state.EMISSION.get(ctx),
        settlements=state.SETTLEMENTS.values(ctx),
        amounts=state.AMOUNTS.values(ctx),
    )


MODULE = Module(
    name="rewards",
    genesis=GenesisState,
    init_genesis=_init_genesis,
    export_genesis=_export_genesis,
)
