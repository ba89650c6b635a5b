"""poc: batches of nonces per MLNode, verdicts per participant, weights (protocol, section 5)."""

from __future__ import annotations

from abci_app.kernel.module import Module
from abci_app.modules.poc import handlers, queries
from abci_app.modules.poc.explain import explain_weight
from abci_app.modules.poc.genesis import export_genesis, init_genesis, validate_genesis
from abci_app.modules.poc.keeper import (
    calculate_model_power,
    calculate_node_weight,
    get_node_weight,
    get_poc_batches_for_model,
    get_poc_batches_for_node,
)
from abci_app.modules.poc.rules import weight_performed
from abci_app.modules.poc.steps import (
    compute_new_weights,
    cut_preserved,
    decide_outcomes,
    drop_stage,
    freeze_voters,
    prune,
    scale_of,
    unit_changed,
    weigh,
)
from protocol.gen.evergrid.poc.v1.poc_pb2 import GenesisState

__all__ = [
    "MODULE",
    "calculate_model_power",
    "calculate_node_weight",
    "compute_new_weights",
    "cut_preserved",
    "decide_outcomes",
    "drop_stage",
    "explain_weight",
    "freeze_voters",
    "get_node_weight",
    "get_poc_batches_for_model",
    "get_poc_batches_for_node",
    "handlers",
    "prune",
    "queries",
    "scale_of",
    "unit_changed",
    "weigh",
    "weight_performed",
]

MODULE = Module(
    name="poc",
    genesis=GenesisState,
    init_genesis=init_genesis,
    export_genesis=export_genesis,
    validate_genesis=validate_genesis,
)
