"""Strict reading of protobuf bytes, as Cosmos ADR-027 and ADR-020 have it.

protobuf's own parser is lenient: it keeps unknown fields, takes padded varints and lets a later field win
over an earlier one. What is signed and paid for must have one meaning, so this walk refuses all that first.
Order of fields and explicit default values are left to the sender: real wallets write both ways.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from google.protobuf.descriptor import FieldDescriptor

from abci_app.kernel.errors import TxParseError
from protocol.gen.google.protobuf.duration_pb2 import Duration
from protocol.gen.google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

# Messages within messages, an Any counting twice: itself and its content.
DEPTH_MAX: Final = 32

# How a field's value is checked; the wire type is part of its tag.
VARINT64, VARINT32, SIGNED32, BOOL, FIXED64, FIXED32, BYTES, MESSAGE, ANY, PACKED = range(10)

# The sender chose it, and an error's text should not be as long as a block.
TYPE_URL_SHOWN: Final = 200

_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
_SCALARS: Final = {
    FieldDescriptor.TYPE_UINT64: (VARINT64, _VARINT),
    FieldDescriptor.TYPE_INT64: (VARINT64, _VARINT),
    FieldDescriptor.TYPE_SINT64: (VARINT64, _VARINT),
    FieldDescriptor.TYPE_UINT32: (VARINT32, _VARINT),
    FieldDescriptor.TYPE_SINT32: (VARINT32, _VARINT),
    FieldDescriptor.TYPE_INT32: (SIGNED32, _VARINT),
    FieldDescriptor.TYPE_ENUM: (SIGNED32, _VARINT),
    FieldDescriptor.TYPE_BOOL: (BOOL, _VARINT),
    FieldDescriptor.TYPE_FIXED64: (FIXED64, _I64),
    FieldDescriptor.TYPE_SFIXED64: (FIXED64, _I64),
    FieldDescriptor.TYPE_DOUBLE: (FIXED64, _I64),
    FieldDescriptor.TYPE_FIXED32: (FIXED32, _I32),
    FieldDescriptor.TYPE_SFIXED32: (FIXED32, _I32),
    FieldDescriptor.TYPE_FLOAT: (FIXED32, _I32),
    FieldDescriptor.TYPE_STRING: (BYTES, _LEN),
    FieldDescriptor.TYPE_BYTES: (BYTES, _LEN),
}
# Content that nobody here understands, and that the chain refuses or passes over as a whole.
_OPAQUE: Final = frozenset(
    [
        "cosmos.tx.v1beta1.TxBody.extension_options",
        "cosmos.tx.v1beta1.TxBody.non_critical_extension_options",
    ]
)
_ANY: Final = "google.protobuf.Any"
# What protobuf's JSON can write, in seconds.
_TIMESTAMPS: Final = range(-62_135_596_800, 253_402_300_799 + 1)
_DURATION_MAX: Final = 315_576_000_000
_NANOS: Final = 10**9
# A padded varint ends in a zero byte after a continued one; one of 64 bits has at most 9 continued bytes,
# then 0 or 1.
_PADDED_OR_TOO_BIG: Final = re.compile(rb"[\x80-\xff]\x00|[\x80-\xff]{9}[\x02-\xff]")


class _Rule(NamedTuple):
    kind: int
    bit: int  # of a field that may stand once, shared by the members of a oneof; 0: repeated
    table: Table | None
    scalar: int  # within a packed field


class Table:
    """What may stand in one message type, by tag (field number and wire type)."""

    __slots__ = ("is_time", "lenient", "name", "numbers", "rules")

    def __init__(self, name: str) -> None:
        self.name = name
        self.rules: dict[int, _Rule] = {}
        self.numbers: frozenset[int] = frozenset()
        # Whether unknown fields of numbers with bit 11 set are passed over; of TxBody alone.
        self.lenient = name == "cosmos.tx.v1beta1.TxBody"
        self.is_time = name in {Timestamp.DESCRIPTOR.full_name, Duration.DESCRIPTOR.full_name}


_TABLES: dict[str, Table] = {}


def table_of(message: type[Message]) -> Table:
    """The table of a message type, made once."""
    descriptor = cast("Descriptor", message.DESCRIPTOR)
    found = _TABLES.get(descriptor.full_name)
    if found is None:
        made: dict[str, Table] = {}
        found = _make(descriptor, made)
        # Published when all are whole: queries decode on other threads.
        _TABLES.update(made)
    return found


def _make(descriptor: Descriptor, made: dict[str, Table]) -> Table:
    found = _TABLES.get(descriptor.full_name) or made.get(descriptor.full_name)
    if found is not None:
        return found
    table = made[descriptor.full_name] = Table(descriptor.full_name)
    table.numbers = frozenset(field.number for field in descriptor.fields)
    for index, field in enumerate(descriptor.fields):
        oneof = field.containing_oneof
        shared = index if oneof is None else oneof.fields[0].index
        repeated = cast("Any", field).label == FieldDescriptor.LABEL_REPEATED
        bit = 0 if repeated else 1 << shared
        table.rules.update(_rules_of(field, bit, made))
    return table


def _rules_of(field: FieldDescriptor, bit: int, made: dict[str, Table]) -> dict[int, _Rule]:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        inner = cast("Descriptor", field.message_type)
        kind, table = MESSAGE, _make(inner, made)
        if inner.full_name == _ANY:
            kind = MESSAGE if field.full_name in _OPAQUE else ANY
        return {field.number << 3 | _LEN: _Rule(kind, bit, table, 0)}
    kind, wire = _SCALARS[field.type]  # no groups: proto3 has none
    rules = {field.number << 3 | wire: _Rule(kind, bit, None, 0)}
    if not bit and wire != _LEN:
        rules[field.number << 3 | _LEN] = _Rule(PACKED, 0, None, kind)
    return rules


class Walker:
    """Checks messages; `resolve` gives the message of a type URL that may stand in an Any, or None."""

    def __init__(self, resolve: Callable[[str], type[Message] | None]) -> None:
        self._resolve = resolve
        self._resolved: dict[bytes, Table] = {}

    def check(self, raw: bytes, message: type[Message]) -> None:
        """Raises TxParseError with the first reason why the bytes are no strict encoding of the message."""
        table = _TABLES.get(message.DESCRIPTOR.full_name) or table_of(message)
        try:
            self._message(raw, 0, len(raw), table, DEPTH_MAX)
        except IndexError:
            raise TxParseError(f"{table.name}: unexpected end of the bytes") from None

    def _message(self, raw: bytes, at: int, end: int, table: Table, depth: int) -> None:  # noqa: C901, PLR0912 - one flat loop, since every transaction passes it
        # An Any takes two at once, so it can step over zero.
        if depth <= 0:
            raise TxParseError(f"messages are nested deeper than {DEPTH_MAX}")
        rules, seen = table.rules, 0
        while at < end:
            tag = raw[at]
            at += 1
            if tag > 0x7F:
                tag, at = varint(raw, at - 1, table.name)
            rule = rules.get(tag)
            if rule is None:
                rule = _unknown(table, tag)
            kind, bit, sub, scalar = rule
            if bit:
                if seen & bit:
                    raise TxParseError(f"{table.name}: field {tag >> 3} stands twice")
                seen |= bit
            if kind < FIXED64:
                value = raw[at]
                at += 1
                if value > 0x7F:
                    value, at = varint(raw, at - 1, table.name)
                if kind != VARINT64 and not _in_range(kind, value):
                    raise TxParseError(f"{table.name}: field {tag >> 3} is out of range: {value}")
                continue
            if kind == FIXED64:
                at += 8
                continue
            if kind == FIXED32:
                at += 4
                continue
            size = raw[at]
            at += 1
            if size > 0x7F:
                size, at = varint(raw, at - 1, table.name)
            stop = at + size
            if stop > end:
                raise TxParseError(f"{table.name}: field {tag >> 3} is longer than its message")
            if kind == MESSAGE:
                assert sub is not None
                self._message(raw, at, stop, sub, depth - 1)
                if sub.is_time:
                    _check_time(raw[at:stop], sub.name)
            elif kind == ANY:
                self._any(raw, at, stop, depth - 1)
            elif kind == PACKED:
                _check_packed(raw[at:stop], scalar, table.name, tag >> 3)
            at = stop
        if at != end:
            raise TxParseError(f"{table.name}: unexpected end of the bytes")

    def _any(self, raw: bytes, at: int, end: int, depth: int) -> None:
        """An Any: its two fields, and its content as the type that it names."""
        parts: dict[int, tuple[int, int]] = {}
        while at < end:
            tag, size = raw[at], raw[at + 1]
            at += 2
            if tag not in {0x0A, 0x12}:
                raise TxParseError(f"{_ANY}: unknown field or wrong wire type: tag {tag}")
            if tag in parts:
                raise TxParseError(f"{_ANY}: field {tag >> 3} stands twice")
            if size > 0x7F:
                size, at = varint(raw, at - 1, _ANY)
            parts[tag] = (at, at + size)
            at += size
        if at != end:
            raise TxParseError(f"{_ANY}: unexpected end of the bytes")
        first, last = parts.get(0x0A, (end, end))
        type_url = raw[first:last]
        table = self._resolved.get(type_url) or self._find(type_url)
        first, last = parts.get(0x12, (end, end))
        self._message(raw, first, last, table, depth - 1)

    def _find(self, type_url: bytes) -> Table:
        text = type_url.decode("utf-8", "replace")
        message = self._resolve(text)
        if message is None:
            raise TxParseError(f"unable to resolve type URL {text[:TYPE_URL_SHOWN]}")
        table = self._resolved[type_url] = table_of(message)
        return table


def _check_time(raw: bytes, name: str) -> None:
    """A point or span of time that JSON can write: answers with transactions hold it for everybody."""
    time: Timestamp | Duration
    if name == Timestamp.DESCRIPTOR.full_name:
        time = Timestamp.FromString(raw)
        fits = time.seconds in _TIMESTAMPS and 0 <= time.nanos < _NANOS
    else:
        time = Duration.FromString(raw)
        same_sign = time.seconds * time.nanos >= 0
        fits = same_sign and abs(time.seconds) <= _DURATION_MAX and abs(time.nanos) < _NANOS
    if not fits:
        raise TxParseError(f"{name}: out of range: {time.seconds} s and {time.nanos} ns")


def varint(raw: bytes, at: int, name: str) -> tuple[int, int]:
    """The varint at `at`, and where it ends; raises TxParseError where it is padded or above 64 bits."""
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise TxParseError(f"{name}: a varint is longer than 10 bytes")
    if byte == 0 and shift:
        raise TxParseError(f"{name}: a varint is not minimal")
    if value >> 64:
        raise TxParseError(f"{name}: a varint is above 64 bits")
    return value, at


def _in_range(kind: int, value: int) -> bool:
    if kind == BOOL:
        return value < 2
    if kind == VARINT32:
        return value < 1 << 32
    return value < 1 << 31 or value >= (1 << 64) - (1 << 31)


def _unknown(table: Table, tag: int) -> _Rule:
    number, wire = tag >> 3, tag & 7
    if number in table.numbers:
        raise TxParseError(f"{table.name}: field {number} has the wrong wire type {wire}")
    if table.lenient and number >> 10 & 1 and number < 1 << 29 and wire in {_VARINT, _I64, _LEN, _I32}:
        kind = {_VARINT: VARINT64, _I64: FIXED64, _LEN: BYTES, _I32: FIXED32}[wire]
        return _Rule(kind, 0, None, 0)
    raise TxParseError(f"{table.name}: unknown field {number} of wire type {wire}")


def _check_packed(raw: bytes, kind: int, name: str, number: int) -> None:
    if kind in {FIXED64, FIXED32}:
        if len(raw) % (8 if kind == FIXED64 else 4):
            raise TxParseError(f"{name}: field {number} ends within a number")
        return
    if (raw and raw[-1] > 0x7F) or _PADDED_OR_TOO_BIG.search(raw):
        raise TxParseError(f"{name}: field {number} has a varint that is padded, cut off or above 64 bits")
    if kind == VARINT64:
        return
    at = 0
    while at < len(raw):
        value, at = varint(raw, at, name)
        if not _in_range(kind, value):
            raise TxParseError(f"{name}: field {number} is out of range: {value}")
