"""feegrant: fees that one account pays for another."""

from __future__ import annotations

from abci_app.kernel.module import Module
from abci_app.modules.feegrant import handlers as _handlers  # noqa: F401 - registers
from abci_app.modules.feegrant import queries as _queries  # noqa: F401 - registers
from abci_app.modules.feegrant.allowances import payer_of, prune
from abci_app.modules.feegrant.genesis import export_genesis, init_genesis, validate_genesis
from protocol.gen.cosmos.feegrant.v1beta1 import genesis_pb2

__all__ = ["MODULE", "payer_of", "prune"]

MODULE = Module("feegrant", genesis_pb2.GenesisState, init_genesis, export_genesis, validate_genesis)
