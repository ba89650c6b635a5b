"""Typed state: a module's declarations of its collections are the schema of its part of the store.

A key in the store is the collection's name, which begins with the store's name, a slash, and the encoded
key. Encodings keep the order of what they encode, so a walk goes by number, and text by its UTF-8 bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from abci_app.kernel.context import (
    DELETE_COST,
    ITERATE_COST,
    READ_COST,
    READ_COST_BYTE,
    WRITE_COST,
    WRITE_COST_BYTE,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

    from abci_app.kernel.context import Context

K = TypeVar("K")
V = TypeVar("V")


class KeyPart(Protocol):
    """How one part of a key is written; `read` returns the value and where the next part begins."""

    def write(self, value: Any) -> bytes: ...

    def read(self, raw: bytes, at: int) -> tuple[Any, int]: ...


class _U64:
    def write(self, value: int) -> bytes:
        return value.to_bytes(8, "big")

    def read(self, raw: bytes, at: int) -> tuple[int, int]:
        return int.from_bytes(raw[at : at + 8], "big"), at + 8


class _Str:
    """Text up to a zero byte, which no text may hold."""

    def write(self, value: str) -> bytes:
        raw = value.encode()
        assert b"\0" not in raw, "text in a key may not hold a zero byte"
        return raw + b"\0"

    def read(self, raw: bytes, at: int) -> tuple[str, int]:
        end = raw.index(b"\0", at)
        return raw[at:end].decode(), end + 1


class _Bytes:
    """Raw bytes after their one-byte length: ordered among equals in length only."""

    def write(self, value: bytes) -> bytes:
        return len(value).to_bytes(1, "big") + value

    def read(self, raw: bytes, at: int) -> tuple[bytes, int]:
        end = at + 1 + raw[at]
        return raw[at + 1 : end], end


U64: KeyPart = _U64()
STR: KeyPart = _Str()
BYTES: KeyPart = _Bytes()


class _ValueCodec(Protocol[V]):
    def write(self, value: V) -> bytes: ...

    def read(self, raw: bytes) -> V: ...


class _Proto:
    def __init__(self, message: type[Message]) -> None:
        self.message = message

    def write(self, value: Message) -> bytes:
        return value.SerializeToString(deterministic=True)

    def read(self, raw: bytes) -> Message:
        return self.message.FromString(raw)


class _Int:
    """A number >= 0 of any size, big-endian, in as few bytes as it needs."""

    def write(self, value: int) -> bytes:
        return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")

    def read(self, raw: bytes) -> int:
        return int.from_bytes(raw, "big")


class _Text:
    def write(self, value: str) -> bytes:
        return value.encode()

    def read(self, raw: bytes) -> str:
        return raw.decode()


class _Raw:
    def write(self, value: bytes) -> bytes:
        return value

    def read(self, raw: bytes) -> bytes:
        return raw


_PLAIN: dict[type, _ValueCodec[Any]] = {int: _Int(), str: _Text(), bytes: _Raw()}

NAMES: dict[str, object] = {}  # every collection by its name: the schema, in the order of declaration


def _declare(name: str, collection: object) -> bytes:
    store, slash, rest = name.partition("/")
    assert store and slash and rest, f"a collection is named store/collection, not {name}"
    assert name not in NAMES, f"the collection {name} is declared twice"
    NAMES[name] = collection
    return name.encode() + b"/"


class Map(Generic[K, V]):
    """A table of the state. Keys are one value or a tuple; values are messages, int (>= 0), str or bytes."""

    def __init__(self, name: str, key: KeyPart | tuple[KeyPart, ...], value: type[V]) -> None:
        self.name = name
        self.prefix = _declare(name, self)
        self._single = not isinstance(key, tuple)
        self._parts = key if isinstance(key, tuple) else (key,)
        self._writers = tuple(part.write for part in self._parts)
        self._codec = cast("_ValueCodec[V]", _PLAIN.get(value) or _Proto(cast("type[Message]", value)))

    def key_bytes(self, key: K) -> bytes:
        """The full key in the store."""
        if self._single:
            return self.prefix + self._writers[0](key)
        raw = self.prefix
        for write, value in zip(self._writers, cast("tuple[Any, ...]", key), strict=True):
            raw += write(value)
        return raw

    def get(self, ctx: Context, key: K) -> V | None:
        """The value, or None."""
        raw = ctx.kv.get(self.key_bytes(key))
        ctx.gas.consume(READ_COST + READ_COST_BYTE * len(raw or b""), self.name)
        return None if raw is None else self._codec.read(raw)

    def require(self, ctx: Context, key: K) -> V:
        """The value of a key that our own invariants say is there."""
        value = self.get(ctx, key)
        assert value is not None, f"{self.name} has no {key}"
        return value

    def has(self, ctx: Context, key: K) -> bool:
        """Whether the key is there."""
        ctx.gas.consume(READ_COST, self.name)
        return ctx.kv.get(self.key_bytes(key)) is not None

    def set(self, ctx: Context, key: K, value: V) -> None:
        """Writes the value."""
        raw = self._codec.write(value)
        ctx.gas.consume(WRITE_COST + WRITE_COST_BYTE * len(raw), self.name)
        ctx.kv.set(self.key_bytes(key), raw)

    def remove(self, ctx: Context, key: K) -> None:
        """Removes the key; nothing happens where it is not there."""
        ctx.gas.consume(DELETE_COST, self.name)
        ctx.kv.delete(self.key_bytes(key))

    def walk(
        self, ctx: Context, prefix: tuple[Any, ...] = (), *, start: K | None = None, reverse: bool = False
    ) -> Iterator[tuple[K, V]]:
        """Keys and values in key order: of the keys whose first parts are the prefix, from `start` on.

        With reverse, from the end down to `start`.
        """
        head = self.prefix + b"".join(p.write(v) for p, v in zip(self._parts, prefix, strict=False))
        first = head if start is None else max(head, self.key_bytes(start))
        for raw_key, raw in ctx.kv.iterate(first, _after(head), reverse=reverse):
            ctx.gas.consume(ITERATE_COST + READ_COST_BYTE * len(raw), self.name)
            yield self._read_key(raw_key), self._codec.read(raw)

    def keys(self, ctx: Context, prefix: tuple[Any, ...] = ()) -> Iterator[K]:
        """The keys that `walk` would go through."""
        return (key for key, _ in self.walk(ctx, prefix))

    def values(self, ctx: Context, prefix: tuple[Any, ...] = (), *, start: K | None = None) -> Iterator[V]:
        """The values that `walk` would go through."""
        read, consume, name = self._codec.read, ctx.gas.consume, self.name
        head = self.prefix + b"".join(p.write(v) for p, v in zip(self._parts, prefix, strict=False))
        first = head if start is None else max(head, self.key_bytes(start))
        for _, raw in ctx.kv.iterate(first, _after(head)):
            consume(ITERATE_COST + READ_COST_BYTE * len(raw), name)
            yield read(raw)

    def clear(self, ctx: Context, prefix: tuple[Any, ...] = (), budget: int | None = None) -> int:
        """Removes the keys under a prefix, at most `budget` of them; returns how many."""
        removed = 0
        for key in self.keys(ctx, prefix):
            if budget is not None and removed >= budget:
                break
            self.remove(ctx, key)
            removed += 1
        return removed

    def _read_key(self, raw: bytes) -> K:
        at, values = len(self.prefix), []
        for part in self._parts:
            value, at = part.read(raw, at)
            values.append(value)
        return cast("K", values[0] if self._single else tuple(values))


class Item(Generic[V]):
    """One value of the state."""

    def __init__(self, name: str, value: type[V]) -> None:
        self.name = name
        self.key = _declare(name, self)
        self._codec = cast("_ValueCodec[V]", _PLAIN.get(value) or _Proto(cast("type[Message]", value)))

    def get(self, ctx: Context) -> V | None:
        """The value, or None."""
        raw = ctx.kv.get(self.key)
        ctx.gas.consume(READ_COST + READ_COST_BYTE * len(raw or b""), self.name)
        return None if raw is None else self._codec.read(raw)

    def require(self, ctx: Context) -> V:
        """The value that our own invariants say is there."""
        value = self.get(ctx)
        assert value is not None, f"{self.name} is not set"
        return value

    def set(self, ctx: Context, value: V) -> None:
        """Writes the value."""
        raw = self._codec.write(value)
        ctx.gas.consume(WRITE_COST + WRITE_COST_BYTE * len(raw), self.name)
        ctx.kv.set(self.key, raw)

    def remove(self, ctx: Context) -> None:
        """Removes the value."""
        ctx.gas.consume(DELETE_COST, self.name)
        ctx.kv.delete(self.key)


class Sequence:
    """A counter."""

    def __init__(self, name: str, first: int = 0) -> None:
        self._item: Item[int] = Item(name, int)
        self._first = first

    def next(self, ctx: Context) -> int:
        """The number in turn; the counter goes on by one."""
        value = self.peek(ctx)
        self._item.set(ctx, value + 1)
        return value

    def peek(self, ctx: Context) -> int:
        """The number that `next` would give."""
        value = self._item.get(ctx)
        return self._first if value is None else value

    def set(self, ctx: Context, value: int) -> None:
        """Puts the counter at a number."""
        self._item.set(ctx, value)


class KeySet(Generic[K]):
    """A set of keys."""

    def __init__(self, name: str, key: KeyPart | tuple[KeyPart, ...]) -> None:
        self._map: Map[K, bytes] = Map(name, key, bytes)

    def add(self, ctx: Context, key: K) -> None:
        """Puts a key in."""
        self._map.set(ctx, key, b"\x01")

    def has(self, ctx: Context, key: K) -> bool:
        """Whether the key is in."""
        return self._map.has(ctx, key)

    def remove(self, ctx: Context, key: K) -> None:
        """Takes a key out."""
        self._map.remove(ctx, key)

    def walk(self, ctx: Context, prefix: tuple[Any, ...] = ()) -> Iterator[K]:
        """The keys under a prefix, in order."""
        return self._map.keys(ctx, prefix)


def _after(prefix: bytes) -> bytes:
    """The first key that no key with this prefix reaches."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,))
