"""Checks ICS-23 proofs of the chain's state against an app hash, with nothing but SHA-256.

The two specs are those that Cosmos clients know: IavlSpec for a store's tree, TendermintSpec for the stores
under the app hash. The reader is strict: bytes that an honest node never writes are refused, so that a proof
has one form only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from client.verify_errors import (
    MalformedError,
    NotAbsentError,
    VerifyError,
    WrongKeyError,
    WrongRootError,
    WrongStoreError,
    WrongValueError,
)
from protocol.varint import uvarint

IAVL_OP = "ics23:iavl"
SIMPLE_OP = "ics23:simple"
HASH_BYTES = 32
VARINT = 0
BYTES = 2
MAX_VARINT_BYTES = 10
DEPTH_MAX = 96
# More than a message with the longest path has.
FIELDS_MAX = 128

Entry = tuple[int, int | bytes]
"""A field's number and what it holds."""


class Op(NamedTuple):
    """One link of a proof, as `abci_query` gives it."""

    type: str
    key: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Step:
    """One hash on the way to the root."""

    prefix: bytes
    suffix: bytes

    @property
    def is_left(self) -> bool:
        """Whether the way comes from the left child."""
        return bool(self.suffix)


@dataclass(frozen=True, slots=True)
class Existence:
    """That a key has a value under a root."""

    key: bytes
    value: bytes
    prefix: bytes
    path: tuple[Step, ...]

    def root(self) -> bytes:
        """The root that it leads to."""
        leaf = self.prefix + uvarint(len(self.key)) + self.key + uvarint(HASH_BYTES)
        node = sha256(leaf + sha256(self.value).digest()).digest()
        for step in self.path:
            node = sha256(step.prefix + node + step.suffix).digest()
        return node


@dataclass(frozen=True, slots=True)
class Absence:
    """That a key is not there: its neighbours, either of which is missing at an end."""

    key: bytes
    left: Existence | None
    right: Existence | None


def verify_key(app_hash: bytes, store: str, key: bytes, value: bytes | None, ops: Sequence[Op]) -> None:
    """That the key of a store has the value (None: is absent) under the app hash; raises VerifyError."""
    types = [op.type for op in ops]
    if types == [SIMPLE_OP] and value is None:
        return _verify_store(app_hash, store, None, ops[0])
    if types != [IAVL_OP, SIMPLE_OP]:
        raise MalformedError(
            f"a proof has the links {IAVL_OP} and {SIMPLE_OP}, not {', '.join(types) or 'none'}"
        )
    tree = _read(ops[0], _iavl_step, _iavl_leaf)
    root = _root_of(tree)
    _verify_store(app_hash, store, root, ops[1])
    if ops[0].key != key or tree.key != key:
        raise WrongKeyError(f"the proof is of the key {tree.key!r}, not of {key!r}")
    return _verify_held(tree, value)


def _verify_store(app_hash: bytes, store: str, root: bytes | None, op: Op) -> None:
    proof = _read(op, _simple_step, _simple_leaf)
    name = store.encode()
    if op.key != name or proof.key != name:
        raise WrongStoreError(f"the proof is of the store {proof.key!r}, not of {name!r}")
    if _root_of(proof) != app_hash:
        raise WrongRootError("the proof does not lead to the header's app hash")
    if isinstance(proof, Existence) and root is not None and proof.value != root:
        raise WrongRootError(f"the proof of the key does not lead to the root of the store {store}")
    _verify_held(proof, root)


def _verify_held(proof: Existence | Absence, value: bytes | None) -> None:
    if isinstance(proof, Existence):
        if value is None:
            raise WrongValueError("the proof is of a value, not of absence")
        if proof.value != value:
            raise WrongValueError("the proof is of another value")
        return
    if value is not None:
        raise WrongValueError("the proof is of absence, not of a value")
    _verify_absence(proof)


def _root_of(proof: Existence | Absence) -> bytes:
    if isinstance(proof, Existence):
        return proof.root()
    roots = {side.root() for side in (proof.left, proof.right) if side is not None}
    if len(roots) != 1:
        raise WrongRootError("the two neighbours are not under one root")
    return roots.pop()


def _verify_absence(proof: Absence) -> None:
    left, right = proof.left, proof.right
    if left is not None and not left.key < proof.key:
        raise NotAbsentError("the left neighbour is not left of the key")
    if right is not None and not proof.key < right.key:
        raise NotAbsentError("the right neighbour is not right of the key")
    if left is None or right is None:
        side = left or right
        assert side is not None, "the reader demands a neighbour"
        if any(step.is_left is (left is not None) for step in side.path):
            raise NotAbsentError("the only neighbour is not the last leaf of its side")
    elif not _are_neighbours(left.path, right.path):
        raise NotAbsentError("there is room for leaves between the two neighbours")


def _are_neighbours(left: Sequence[Step], right: Sequence[Step]) -> bool:
    """Whether below their fork one path keeps to the right and the other to the left."""
    same = 0
    while same < min(len(left), len(right)) and left[-1 - same] == right[-1 - same]:
        same += 1
    if same in {len(left), len(right)}:
        return False
    *below_left, fork_left = left[: len(left) - same]
    *below_right, fork_right = right[: len(right) - same]
    parted = fork_left.is_left and not fork_right.is_left
    return (
        parted and not any(step.is_left for step in below_left) and all(step.is_left for step in below_right)
    )


# The shapes of leaves and steps


def _iavl_leaf(prefix: bytes) -> None:
    height, at = read_uvarint(prefix, 0)
    size, at = read_uvarint(prefix, at)
    _, at = read_uvarint(prefix, at)
    if (height, size, at) != (0, 2, len(prefix)):
        raise MalformedError("the leaf of a tree begins with height 0, size 1 and its version")


def _iavl_step(step: Step, layer: int) -> None:
    height, at = read_uvarint(step.prefix, 0)
    for _ in range(2):
        _, at = read_uvarint(step.prefix, at)
    # Zig-zag: the height of a node is at least the number of steps below it.
    if height % 2 or height // 2 < layer:
        raise MalformedError("a step of a tree is lower than what is below it")
    rest, hashed = step.prefix[at:], bytes([HASH_BYTES])
    left = rest == hashed and step.suffix[:1] == hashed and len(step.suffix) == 1 + HASH_BYTES
    right = rest[:1] == hashed and rest[-1:] == hashed and len(rest) == 2 + HASH_BYTES and not step.suffix
    if not left and not right:
        raise MalformedError("a step of a tree has one other hash beside it, left or right")


def _simple_leaf(prefix: bytes) -> None:
    if prefix != b"\x00":
        raise MalformedError("the leaf of a store begins with a zero byte")


def _simple_step(step: Step, _layer: int) -> None:
    left = step.prefix == b"\x01" and len(step.suffix) == HASH_BYTES
    right = step.prefix[:1] == b"\x01" and len(step.prefix) == 1 + HASH_BYTES and not step.suffix
    if not left and not right:
        raise MalformedError("a step between stores has one other hash beside it, left or right")


# The reader of cosmos.ics23.v1.CommitmentProof


def _read(
    op: Op, check_step: Callable[[Step, int], None], check_leaf: Callable[[bytes], None]
) -> Existence | Absence:
    def existence(raw: bytes) -> Existence:
        key, value, leaf, steps = _parts(raw, {1, 2, 3}, {4})
        ops = [_entry(step, {1: 1}, {2, 3}) for step in steps]
        path = tuple(Step(each[2], each[3]) for each in ops)
        prefix = _entry(leaf, {1: 1, 3: 1, 4: 1}, {5})[5]
        if len(path) > DEPTH_MAX:
            raise MalformedError(f"a proof has at most {DEPTH_MAX} steps")
        check_leaf(prefix)
        for layer, step in enumerate(path, 1):
            check_step(step, layer)
        return Existence(key, value, prefix, path)

    entries = read_fields(op.data)
    if len(entries) != 1 or not isinstance(entries[0][1], bytes) or entries[0][0] not in {1, 2}:
        raise MalformedError("a proof holds either existence or absence")
    number, raw = entries[0]
    assert isinstance(raw, bytes)
    if number == 1:
        return existence(raw)
    found = _entry(raw, {}, {1, 2, 3})
    left, right = (existence(found[side]) if found[side] else None for side in (2, 3))
    if left is None and right is None:
        raise MalformedError("absence has at least one neighbour")
    return Absence(found[1], left, right)


def _parts(raw: bytes, single: set[int], repeated: set[int]) -> tuple[bytes, bytes, bytes, list[bytes]]:
    head = [(number, held) for number, held in read_fields(raw) if number not in repeated]
    rest = [held for number, held in read_fields(raw) if number in repeated]
    found = _checked(head, {}, single)
    if not all(isinstance(held, bytes) for held in rest):
        raise MalformedError("a step is a message")
    return found[1], found[2], found[3], [held for held in rest if isinstance(held, bytes)]


def _entry(raw: bytes, numbers: dict[int, int], texts: set[int]) -> dict[int, bytes]:
    return _checked(read_fields(raw), numbers, texts)


def _checked(entries: Sequence[Entry], numbers: dict[int, int], texts: set[int]) -> dict[int, bytes]:
    """The byte fields of a message (empty where left out) whose number fields have to be as given."""
    found: dict[int, bytes] = dict.fromkeys(texts, b"")
    plain = {number: held for number, held in entries if isinstance(held, int)}
    held_bytes = {number: held for number, held in entries if isinstance(held, bytes)}
    if plain != numbers or not set(held_bytes) <= texts or len(entries) != len(plain) + len(held_bytes):
        raise MalformedError("a message of the proof has fields or hashes that the specs do not know")
    return found | held_bytes


def read_fields(raw: bytes) -> list[Entry]:
    """The fields of a message in the one order and form that honest nodes write; raises MalformedError."""
    entries: list[Entry] = []
    at = last = 0
    while at < len(raw):
        if len(entries) == FIELDS_MAX:
            raise MalformedError(f"a message of the proof has at most {FIELDS_MAX} fields")
        tag, at = read_uvarint(raw, at)
        number, wire = tag >> 3, tag & 7
        if number < max(1, last) or wire not in {VARINT, BYTES}:
            raise MalformedError("fields of a message are out of order, or of a kind that is not used")
        last = number
        length, at = read_uvarint(raw, at)
        if length == 0:
            raise MalformedError("an empty field is left out")
        if wire == VARINT:
            entries.append((number, length))
            continue
        if at + length > len(raw):
            raise MalformedError("a field is longer than its message")
        entries.append((number, raw[at : at + length]))
        at += length
    return entries


def read_uvarint(raw: bytes, at: int) -> tuple[int, int]:
    """The number at a place in its shortest form, and where it ends; raises MalformedError."""
    number = 0
    for index in range(MAX_VARINT_BYTES):
        if at + index >= len(raw):
            break
        byte = raw[at + index]
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if byte == 0 and index > 0:
                break
            return number, at + index + 1
    raise MalformedError("a number is cut off, too long, or not in its shortest form")


__all__ = ["Op", "VerifyError", "read_fields", "uvarint", "verify_key"]
