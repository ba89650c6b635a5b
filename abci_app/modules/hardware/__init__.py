"""hardware: participants and the MLNodes that they declare (protocol, section 4)."""

from __future__ import annotations

from abci_app.kernel.module import Module
from abci_app.modules.hardware import handlers, queries
from abci_app.modules.hardware.frozen import Entry, freeze, registry_entries, thaw
from abci_app.modules.hardware.genesis import DEFAULT_PARAMS, export_genesis, init_genesis, validate_genesis
from abci_app.modules.hardware.registry import (
    all_nodes,
    get_node,
    get_nodes_for_model,
    get_participant,
    get_validated_hardware_nodes,
    invalid_participants,
    nodes_by_participant,
    nodes_of,
    params,
    participant_by_consensus_address,
    participants,
    prune,
    set_status,
)
from abci_app.modules.hardware.rules import assigned_model
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import GenesisState

MODULE = Module("hardware", GenesisState, init_genesis, export_genesis, validate_genesis)

__all__ = [
    "DEFAULT_PARAMS",
    "MODULE",
    "Entry",
    "all_nodes",
    "assigned_model",
    "freeze",
    "get_node",
    "get_nodes_for_model",
    "get_participant",
    "get_validated_hardware_nodes",
    "handlers",
    "invalid_participants",
    "nodes_by_participant",
    "nodes_of",
    "params",
    "participant_by_consensus_address",
    "participants",
    "prune",
    "queries",
    "registry_entries",
    "set_status",
    "thaw",
]
