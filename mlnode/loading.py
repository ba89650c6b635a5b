"""A model on its way into memory: read, warmed up, and shown to answer soundly."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mlnode.batch import check_batches
from mlnode.model import Model, load_model
from mlnode.wire import Message


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model that lies in memory for the next `model_load` that asks for it."""

    key: tuple[Any, ...]
    model: Model
    token_bytes: int

    @staticmethod
    def key_of(request: Message) -> tuple[Any, ...]:
        return (request["folder"], request["dtype"], request["context_max"])


def load_and_warm_up(request: Message, device: torch.device) -> tuple[Prepared, dict[str, float]]:
    """The model that a request names, which answers soundly in batches, and the seconds of each phase."""
    started = time.monotonic()
    model = load_model(Path(request["folder"]), request["dtype"], request["context_max"], device)
    loaded = time.monotonic()
    # The first pass through each kernel is slow; nobody should wait for it.
    token_bytes = check_batches(model.network)
    phases = {"weights": loaded - started, "warm_up": time.monotonic() - loaded}
    return Prepared(Prepared.key_of(request), model, token_bytes), phases
