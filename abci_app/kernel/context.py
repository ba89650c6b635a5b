"""What a handler may know of the world: one block's facts, the state, gas, and the events that it leaves."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from abci_app.kernel.errors import OutOfGas
from abci_app.kernel.store import Overlay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from abci_app.kernel.store import KV

READ_COST, READ_COST_BYTE = 1000, 3
WRITE_COST, WRITE_COST_BYTE = 2000, 30
DELETE_COST = 1000
ITERATE_COST = 30


class Mode(Enum):
    """On whose behalf a transaction runs."""

    DELIVER = "deliver"
    CHECK = "check"
    RECHECK = "recheck"
    SIMULATE = "simulate"


@dataclass(frozen=True, slots=True)
class Block:
    """The facts of one block that every validator knows alike."""

    chain_id: str
    height: int
    time_ns: int = 0
    hash: bytes = b""
    proposer: bytes = b""


class Gas:
    """Counts what a transaction uses; past the limit it raises OutOfGas.

    limit None: counts without a bound.
    """

    __slots__ = ("limit", "used")

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.used = 0

    def consume(self, amount: int, location: str) -> None:
        """Adds to what was used; raises OutOfGas, naming the location, when it passes the limit."""
        self.used += amount
        if self.limit is not None and self.used > self.limit:
            raise OutOfGas(
                f"out of gas in location: {location}; gasWanted: {self.limit}, gasUsed: {self.used}"
            )


class Event(NamedTuple):
    """A type and its attributes, in order; keys are never empty."""

    type: str
    attributes: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Context:
    """Passed down through every handler and step; `kv` is where state is read and written."""

    block: Block
    kv: KV
    gas: Gas = field(default_factory=Gas)
    mode: Mode = Mode.DELIVER
    events: list[Event] = field(default_factory=list)
    # Is told where, and which, when an error of our own was made into an outcome that all validators share.
    on_bug: Callable[[str, BaseException], None] = lambda _where, _bug: None

    @property
    def height(self) -> int:
        """The height of the block that runs."""
        return self.block.height

    @property
    def chain_id(self) -> str:
        """The id of this chain."""
        return self.block.chain_id

    def emit(self, event_type: str, **attributes: str | int | bool) -> None:
        """Leaves an event; values are written as text, booleans in lower case."""
        written = [(key, _text(value)) for key, value in attributes.items()]
        self.events.append(Event(event_type, tuple(written)))

    @contextmanager
    def branch(self) -> Iterator[Context]:
        """A context whose writes and events join this one when all ends well, and vanish when it raises."""
        overlay = Overlay(self.kv)
        child = Context(self.block, overlay, self.gas, self.mode, on_bug=self.on_bug)
        yield child
        overlay.flush()
        self.events += child.events


def _text(value: str | int) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
