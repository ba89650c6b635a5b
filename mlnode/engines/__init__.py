"""Engines: ways to serve a model. To add one, add a file here whose `ENGINE` is a subclass of `Engine`."""

from __future__ import annotations

import importlib
import pkgutil

from mlnode.engines.base import Engine, Host

NOT_ENGINES = ("base", "openai_server", "vllm_scores")


def engine_names() -> list[str]:
    """What `--engine` may be."""
    return [module.name for module in pkgutil.iter_modules(__path__) if module.name not in NOT_ENGINES]


def make_engine(host: Host) -> Engine:
    """The engine that the settings name; ValueError names all that is wrong with its options."""
    name = host.settings.engine
    if name not in engine_names():
        raise ValueError(f"engine: {name} is none of {', '.join(engine_names())}")
    engine: type[Engine] = importlib.import_module(f"mlnode.engines.{name}").ENGINE
    return engine.create(host)
