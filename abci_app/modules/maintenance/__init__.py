"""maintenance: announced downtime, and the one answer to whether a miss is excused by it."""

from __future__ import annotations

from abci_app.kernel.module import Module
from abci_app.modules.maintenance import handlers, queries
from abci_app.modules.maintenance.genesis import export_genesis, init_genesis, validate_genesis
from abci_app.modules.maintenance.rules import is_down
from abci_app.modules.maintenance.windows import down_between, earn, is_exempt, prune
from protocol.gen.evergrid.maintenance.v1.maintenance_pb2 import GenesisState

__all__ = ["MODULE", "down_between", "earn", "handlers", "is_down", "is_exempt", "prune", "queries"]

MODULE = Module("maintenance", GenesisState, init_genesis, export_genesis, validate_genesis)
