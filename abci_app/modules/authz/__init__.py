"""authz: what an account lets another one sign in its name."""

from __future__ import annotations

from abci_app.kernel.module import Module
from abci_app.modules.authz import handlers as _handlers  # noqa: F401 - registers
from abci_app.modules.authz import queries as _queries  # noqa: F401 - registers
from abci_app.modules.authz.genesis import export_genesis, init_genesis, validate_genesis
from abci_app.modules.authz.grants import executed, is_granted, prune
from protocol.gen.cosmos.authz.v1beta1 import genesis_pb2

__all__ = ["MODULE", "executed", "is_granted", "prune"]

MODULE = Module("authz", genesis_pb2.GenesisState, init_genesis, export_genesis, validate_genesis)
