"""What of a model's arguments, which are vLLM's flags, the embedded engine heeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.model_args import argument_errors, parse

HEEDED = ("--dtype", "--max-model-len")


@dataclass(frozen=True, slots=True)
class EngineArgs:
    context_max: int | None
    dtype: str | None
    ignored: tuple[str, ...]


def parse_engine_args(args: Sequence[str]) -> EngineArgs:
    """The options that mean something here; other allowed ones are ignored, since they tune another engine.

    Raises ValueError that names all that is malformed or not allowed.
    """
    if errors := argument_errors(args):
        raise ValueError(f"additional_args: {'; '.join(errors)}")
    options = dict(parse(args))
    context = options.get("--max-model-len")
    return EngineArgs(
        context_max=int(context) if context else None,
        dtype=options.get("--dtype"),
        ignored=tuple(option for option in options if option not in HEEDED),
    )
