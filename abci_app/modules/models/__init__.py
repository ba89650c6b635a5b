"""models: the governance registry of models, written by passed proposals alone (protocol, section 3)."""

from __future__ import annotations

from abci_app.kernel.module import Module
from abci_app.modules.models import handlers, queries
from abci_app.modules.models.genesis import export_genesis, init_genesis, validate_genesis
from abci_app.modules.models.registry import (
    get_governance_model,
    get_governance_models,
    is_valid_governance_model,
    models_for_formation,
    on_formation,
)
from protocol.gen.evergrid.models.v1.models_pb2 import GenesisState

MODULE = Module("models", GenesisState, init_genesis, export_genesis, validate_genesis)

__all__ = [
    "MODULE",
    "get_governance_model",
    "get_governance_models",
    "handlers",
    "is_valid_governance_model",
    "models_for_formation",
    "on_formation",
    "queries",
]
