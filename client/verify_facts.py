"""What can be proved of the chain's state, and under which key of which store it lies.

Keys are part of the protocol: a collection's name, a slash, and the parts of the key in order: numbers as 8
bytes, big-endian; text up to a zero byte. Values are messages in protobuf; amounts are big-endian numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from client.registry import to_json
from client.verify_errors import MalformedError
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import (
    EpochGroup,
    EpochRecord,
    TimeSlot,
    ValidationWeight,
)
from protocol.gen.evergrid.models.v1.models_pb2 import Model
from protocol.gen.evergrid.rewards.v1.rewards_pb2 import EpochSettlement, SettleAmount

if TYPE_CHECKING:
    from google.protobuf.message import Message

U64_MAX: Final = 2**64 - 1
DENOM: Final = "nevg"
FACTS: Final[dict[str, Fact]] = {}


@dataclass(frozen=True, slots=True)
class Fact:
    """A kind of fact: the names of its arguments, where it lies, and how its value is shown."""

    kind: str
    args: tuple[str, ...]
    optional: tuple[str, ...]
    store: str
    key: Callable[[Sequence[str]], bytes]
    show: Callable[[bytes, Sequence[str]], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Question:
    """One fact that somebody wants proved."""

    kind: str
    args: tuple[str, ...]

    @property
    def fact(self) -> Fact:
        """Its kind; raises MalformedError for one that is not known, or a wrong number of arguments."""
        fact = FACTS.get(self.kind)
        if fact is None:
            raise MalformedError(f"nothing is known of {self.kind!r}: ask for one of {', '.join(FACTS)}")
        if not len(fact.args) <= len(self.args) <= len(fact.args) + len(fact.optional):
            names = " ".join([*fact.args, *(f"[{name}]" for name in fact.optional)])
            raise MalformedError(f"{self.kind} takes {names}")
        return fact

    @property
    def store(self) -> str:
        return self.fact.store

    @property
    def key(self) -> bytes:
        """The key within the store; raises MalformedError for arguments that make none."""
        return self.fact.key(self.args)

    def show(self, value: bytes) -> dict[str, Any] | None:
        """What the value says, None where it says nothing of what was asked; raises MalformedError."""
        try:
            return self.fact.show(value, self.args)
        except DecodeError as error:
            raise MalformedError(f"the value of {self.kind} does not decode") from error

    def __str__(self) -> str:
        return " ".join((self.kind, *self.args))


def u64(text: str) -> bytes:
    """A number as a part of a key; raises MalformedError."""
    if not (text.isascii() and text.isdecimal()) or int(text) > U64_MAX:
        raise MalformedError(f"{text!r} is no number from 0 to {U64_MAX}")
    return int(text).to_bytes(8, "big")


def string(text: str) -> bytes:
    """Text as a part of a key; raises MalformedError."""
    if "\0" in text:
        raise MalformedError("text in a key holds no zero byte")
    return text.encode() + b"\0"


def _read(kind: type[Message]) -> Callable[[bytes, Sequence[str]], dict[str, Any]]:
    return lambda value, _args: to_json(kind.FromString(value))


def _epoch_key(args: Sequence[str]) -> bytes:
    if len(args) == 1:
        return b"records/" + u64(args[0])
    return _group_key(args)


def _show_epoch(value: bytes, args: Sequence[str]) -> dict[str, Any] | None:
    if len(args) == 1:
        return to_json(EpochRecord.FromString(value))
    group = EpochGroup.FromString(value)
    return to_json(group.model_snapshot) if group.HasField("model_snapshot") else None


def _group_key(args: Sequence[str]) -> bytes:
    return b"groups/" + u64(args[0]) + string(args[1] if len(args) > 1 else "")


def _weight_key(args: Sequence[str]) -> bytes:
    return b"members/" + u64(args[0]) + string(args[2] if len(args) > 2 else "") + string(args[1])


def _slot_key(args: Sequence[str]) -> bytes:
    return b"members/" + u64(args[0]) + string(args[1]) + string(args[2])


def _show_slot(value: bytes, args: Sequence[str]) -> dict[str, Any] | None:
    """The node's slots and weight out of its owner's membership."""
    for node in ValidationWeight.FromString(value).ml_nodes:
        if node.node_id == args[3]:
            names = [name.lower() for name in TimeSlot.keys()]  # noqa: SIM118 - an enum's wrapper
            slots = dict(zip(names, node.timeslot_allocation, strict=False))
            return {"slots": slots, **to_json(node)}
    return None


def _balance_key(args: Sequence[str]) -> bytes:
    return b"balances/" + string(args[0]) + string(args[1] if len(args) > 1 else DENOM)


def _show_balance(value: bytes, args: Sequence[str]) -> dict[str, Any]:
    denom = args[1] if len(args) > 1 else DENOM
    return {"denom": denom, "amount": str(int.from_bytes(value, "big"))}


for _fact in (
    Fact(
        "model",
        ("MODEL_ID",),
        (),
        "models",
        lambda args: b"registry/" + string(args[0]),
        _read(Model),
    ),
    Fact(
        "epoch",
        ("EPOCH",),
        ("MODEL_ID",),
        "epochs",
        _epoch_key,
        _show_epoch,
    ),
    Fact(
        "group",
        ("EPOCH",),
        ("MODEL_ID",),
        "epochs",
        _group_key,
        _read(EpochGroup),
    ),
    Fact(
        "slot",
        ("EPOCH", "MODEL_ID", "PARTICIPANT", "NODE_ID"),
        (),
        "epochs",
        _slot_key,
        _show_slot,
    ),
    Fact(
        "weight",
        ("EPOCH", "PARTICIPANT"),
        ("MODEL_ID",),
        "epochs",
        _weight_key,
        _read(ValidationWeight),
    ),
    Fact(
        "settlement",
        ("EPOCH",),
        (),
        "rewards",
        lambda args: b"settlements/" + u64(args[0]),
        _read(EpochSettlement),
    ),
    Fact(
        "reward",
        ("EPOCH", "PARTICIPANT"),
        (),
        "rewards",
        lambda args: b"amounts/" + u64(args[0]) + string(args[1]),
        _read(SettleAmount),
    ),
    Fact(
        "balance",
        ("ADDRESS",),
        ("DENOM",),
        "bank",
        _balance_key,
        _show_balance,
    ),
):
    FACTS[_fact.kind] = _fact
