"""guardians: bounded power in blocks for named participants while the network is small."""

from __future__ import annotations

from abci_app.kernel.module import Module
from abci_app.modules.guardians import queries
from abci_app.modules.guardians.genesis import export_genesis, init_genesis, validate_genesis
from abci_app.modules.guardians.keeper import decision_of, ended, forget, is_active, named, remember
from abci_app.modules.guardians.rules import block_powers, decide
from protocol.gen.evergrid.guardians.v1.guardians_pb2 import GenesisState

__all__ = [
    "MODULE",
    "block_powers",
    "decide",
    "decision_of",
    "ended",
    "forget",
    "is_active",
    "named",
    "queries",
    "remember",
]

MODULE = Module("guardians", GenesisState, init_genesis, export_genesis, validate_genesis)
