"""gov: proposals, and what a passed one may do with the voice of the gov account."""

from __future__ import annotations

from abci_app.kernel.module import Module
from abci_app.modules.gov import handlers as _handlers  # noqa: F401 - registers
from abci_app.modules.gov import queries as _queries  # noqa: F401 - registers
from abci_app.modules.gov.deposits import GOV, GOV_ADDRESS
from abci_app.modules.gov.genesis import default_params, export_genesis, init_genesis, validate_genesis
from abci_app.modules.gov.messages import run_messages
from abci_app.modules.gov.steps import end_block
from protocol.gen.cosmos.gov.v1 import genesis_pb2

__all__ = ["GOV_ADDRESS", "MODULE", "default_params", "end_block", "run_messages"]

MODULE = Module(
    "gov",
    genesis_pb2.GenesisState,
    init_genesis,
    export_genesis,
    validate_genesis,
    accounts=(GOV,),
)
