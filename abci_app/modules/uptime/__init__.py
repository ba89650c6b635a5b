"""uptime: who keeps serving through a Proof of Compute, and throughput around it (protocol, section 6)."""

from __future__ import annotations

from abci_app.kernel.module import Module
from abci_app.modules.uptime import queries
from abci_app.modules.uptime.explain import explain_slot
from abci_app.modules.uptime.genesis import export_genesis, init_genesis
from abci_app.modules.uptime.performance_steps import (
    begin_throughput_validation,
    validate_throughput_performance,
)
from abci_app.modules.uptime.steps import (
    assign_poc_slots,
    measure_model_throughput_for_blocks,
    prune,
    remember_preserved,
    remember_preserved_behind,
    set_expected_poc_throughput,
    set_expected_throughput,
    set_real_poc_throughput,
    set_real_pre_poc_throughput,
    set_real_throughput,
)
from protocol.gen.evergrid.uptime.v1.uptime_pb2 import GenesisState

__all__ = [
    "MODULE",
    "assign_poc_slots",
    "begin_throughput_validation",
    "explain_slot",
    "measure_model_throughput_for_blocks",
    "prune",
    "queries",
    "remember_preserved",
    "remember_preserved_behind",
    "set_expected_poc_throughput",
    "set_expected_throughput",
    "set_real_poc_throughput",
    "set_real_pre_poc_throughput",
    "set_real_throughput",
    "validate_throughput_performance",
]

MODULE = Module(name="uptime", genesis=GenesisState, init_genesis=init_genesis, export_genesis=export_genesis)
