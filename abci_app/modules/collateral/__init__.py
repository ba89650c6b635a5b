"""collateral: deposits that weight may need and that misdeeds reduce; off unless the genesis turns it on."""

from __future__ import annotations

from abci_app.kernel.module import Module
from abci_app.modules.collateral import handlers, queries
from abci_app.modules.collateral.explain import explain_cover
from abci_app.modules.collateral.genesis import export_genesis, init_genesis, validate_genesis
from abci_app.modules.collateral.keeper import (
    ACCOUNT,
    deposit_of,
    invalidate,
    is_on,
    obligations,
    totals,
    unbonding_of,
)
from abci_app.modules.collateral.steps import apply_collateral, charge_downtime, end_block, prune
from protocol.gen.evergrid.collateral.v1.collateral_pb2 import GenesisState

__all__ = [
    "ACCOUNT",
    "MODULE",
    "apply_collateral",
    "charge_downtime",
    "deposit_of",
    "end_block",
    "explain_cover",
    "handlers",
    "invalidate",
    "is_on",
    "obligations",
    "prune",
    "queries",
    "totals",
    "unbonding_of",
]

# Its account comes into being with the module, so that a chain without it has none.
MODULE = Module("collateral", GenesisState, init_genesis, export_genesis, validate_genesis)
