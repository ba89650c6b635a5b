"""The registry of models, as governance wrote it."""

from __future__ import annotations

from abci_app.kernel.collections import STR, Map
from protocol.gen.evergrid.models.v1.models_pb2 import Model

MODELS: Map[str, Model] = Map("models/registry", STR, Model)

# Models that leave the registry, by id: at how many formations they still count.
RETIRING: Map[str, int] = Map("models/retiring", STR, int)
