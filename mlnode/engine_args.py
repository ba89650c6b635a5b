"""What of a model's arguments, written as vLLM flags, the embedded engine heeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ARGS_MAX = 64
ARG_CHARS_MAX = 512


@dataclass(frozen=True, slots=True)
class EngineArgs:
    context_max: int | None = None
    ignored: tuple[str, ...] = ()


def parse_engine_args(args: Sequence[str]) -> EngineArgs:
    """The options that mean something here; the others are named and ignored, since they tune another engine.

    Raises ValueError that names all that is malformed.
    """
    problems = [f"{len(args)} arguments are more than {ARGS_MAX}"] if len(args) > ARGS_MAX else []
    problems += [
        f"argument {i} is longer than {ARG_CHARS_MAX}" for i, a in enumerate(args) if len(a) > ARG_CHARS_MAX
    ]
    problems += [f"argument {i} has control characters" for i, a in enumerate(args) if not a.isprintable()]
    context_max: int | None = None
    ignored = []
    for name, value in _options(args):
        if name != "--max-model-len":
            ignored.append(name)
        elif value.isascii() and value.isdigit() and len(value) < 10 and int(value) > 0:
            context_max = int(value)
        else:
            problems.append(f"--max-model-len {value!r} is no positive integer")
    if problems:
        raise ValueError(f"additional_args: {'; '.join(problems)}")
    return EngineArgs(context_max, tuple(ignored))


def _options(args: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and value of each option, in one spelling: `--a_b=c` and `--a-b c` are the same."""
    rest = list(args)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not equals and rest and not rest[0].startswith("-"):
            value = rest.pop(0)
        yield name.replace("_", "-"), value
