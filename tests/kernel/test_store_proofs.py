"""Proofs of the store, checked by a small verifier that knows only ICS-23, on messages of cosmpy."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cosmpy.protos.cosmos.ics23.v1 import proofs_pb2
from hypothesis import given
from hypothesis import strategies as st

from abci_app.kernel.store import DiskStore, HeightNotRetained, MemoryStore, ProofOp, ProofUnavailable, Store

STORES = ["auth", "bank", "epochs", "poc", "uptime", "~bulk"]

Proof = Any
"""A message of cosmos.ics23.v1, made by classes without types."""


# the verifier: after the text of ICS-23, with the two specs that Cosmos chains use


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def root_of(proof: Proof, *, iavl: bool) -> bytes:
    """The root that an existence proof leads to; asserts that it keeps to the spec."""
    leaf = proof.leaf
    assert (leaf.hash, leaf.prehash_key, leaf.prehash_value, leaf.length) == (1, 0, 1, 1)
    assert leaf.prefix[:1] == b"\x00"
    assert iavl or leaf.prefix == b"\x00"
    hashed = sha256(proof.value).digest()
    node = sha256(leaf.prefix + varint(len(proof.key)) + proof.key + b"\x20" + hashed).digest()
    for step in proof.path:
        assert step.hash == 1
        assert not step.prefix.startswith(b"\x00"), "an inner node that could pose as a leaf"
        head_min, head_max, child = (4, 12, 33) if iavl else (1, 1, 32)
        assert head_min <= len(step.prefix) <= head_max + child
        assert len(step.suffix) % child == 0
        node = sha256(step.prefix + node + step.suffix).digest()
    return node


def is_left(step: Proof) -> bool:
    return bool(step.suffix)


def is_leftmost(path: Any) -> bool:
    return all(is_left(step) for step in path)


def is_rightmost(path: Any) -> bool:
    return not any(is_left(step) for step in path)


def are_neighbours(left: Proof, right: Proof) -> bool:
    """Whether no leaf can stand between the two: below the fork one path keeps right and the other left."""
    left_path, right_path = list(left.path), list(right.path)
    while (left_path[-1].prefix, left_path[-1].suffix) == (right_path[-1].prefix, right_path[-1].suffix):
        left_path.pop()
        right_path.pop()
    left_fork, right_fork = left_path.pop(), right_path.pop()
    return (
        is_left(left_fork) and not is_left(right_fork) and is_rightmost(left_path) and is_leftmost(right_path)
    )


def verify(ops: list[ProofOp], app_hash: bytes, key: bytes, value: bytes | None) -> bool:
    """Whether the two links prove the value (None: the absence) of the full key under the app hash."""
    name, rest = key.split(b"/", 1)
    tree_op, store_op = ops
    assert (tree_op.type, store_op.type) == ("ics23:iavl", "ics23:simple")
    assert (tree_op.key, store_op.key) == (rest, name)
    tree, store = (proofs_pb2.CommitmentProof.FromString(op.data) for op in ops)
    root = store.exist.value
    if store.exist.key != name or root_of(store.exist, iavl=False) != app_hash:
        return False
    if value is not None:
        proved = (tree.exist.key, tree.exist.value) == (rest, value)
        return proved and root_of(tree.exist, iavl=True) == root
    absence = tree.nonexist
    sides = [absence.left if absence.HasField("left") else None]
    sides.append(absence.right if absence.HasField("right") else None)
    left, right = sides
    if tree.HasField("exist") or any(side and root_of(side, iavl=True) != root for side in sides):
        return False
    if (left and not left.key < rest) or (right and not rest < right.key):
        return False
    if left and right:
        return are_neighbours(left, right)
    return is_rightmost(left.path) if left else right is not None and is_leftmost(right.path)


# the promises


def commit(store: Store, changes: dict[bytes, bytes | None]) -> None:
    height = store.version + 1
    store.commit(store.stage(changes, height), height)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with DiskStore(tmp_path, STORES, nodes_cached=10) as made:
        for block in range(5):
            changes: dict[bytes, bytes | None] = {
                b"bank/%03d" % (n * 2): b"value %d" % block for n in range(block * 10, 60)
            }
            commit(made, {**changes, b"poc/only": b"%d" % block, b"bank/004": None if block == 3 else b"4"})
        yield made


def test_every_value_of_every_kept_height_is_proved_under_its_app_hash(store: Store) -> None:
    proved = 0

    for height in range(1, 6):
        with store.at(height) as view:
            for key, value in view.iterate(b"", b"~"):
                assert verify(store.prove(height, key), view.app_hash, key, value)
                proved += 1

    assert proved > 250


def test_every_absent_key_is_proved_absent_between_or_beside_its_neighbours(store: Store) -> None:
    absent = [b"bank/%03d" % (n * 2 + 1) for n in range(61)] + [b"bank/!", b"bank/zzz", b"poc/a", b"poc/z"]

    for key in absent:
        assert store.get(key) is None
        assert verify(store.prove(5, key), store.app_hash, key, None)
    with store.at(4) as view:
        assert verify(store.prove(4, b"bank/004"), view.app_hash, b"bank/004", None)


def test_a_proof_holds_for_no_other_value_key_height_or_store(store: Store) -> None:
    key, value = b"bank/118", b"value 4"
    ops = store.prove(5, key)
    assert verify(ops, store.app_hash, key, value)

    with store.at(4) as view:
        earlier = view.app_hash
    assert not verify(ops, store.app_hash, key, b"value 5")
    assert not verify(ops, store.app_hash, key, None)
    assert not verify(ops, earlier, key, value)
    absent = store.prove(5, b"bank/117")
    assert not verify(absent, earlier, b"bank/117", None)
    foreign = [ProofOp(ops[0].type, b"only", ops[0].data), store.prove(5, b"poc/only")[1]]
    assert not verify(foreign, store.app_hash, b"poc/only", value)


@given(st.sets(st.binary(min_size=1, max_size=2), min_size=1, max_size=40), st.binary(min_size=1, max_size=2))
def test_presence_or_absence_of_any_key_is_provable(present: set[bytes], asked: bytes) -> None:
    store = MemoryStore(STORES)
    commit(store, {b"epochs/" + key: b"v" + key for key in present})
    key = b"epochs/" + asked

    ops = store.prove(1, key)

    assert verify(ops, store.app_hash, key, store.get(key))


@pytest.mark.parametrize("key", [b"~bulk/a", b"mint/a", b"bank", b"bank/"])
def test_what_cannot_be_proved_is_refused_in_words(store: Store, key: bytes) -> None:
    with pytest.raises(ProofUnavailable, match="not a key of a store"):
        store.prove(5, key)


@pytest.mark.parametrize("name", ["auth", "epochs", "uptime"])
def test_a_store_without_keys_is_proved_to_be_none_by_the_names_beside_its_own(
    store: Store, name: str
) -> None:
    (op,) = store.prove(5, f"{name}/a".encode())

    absence = proofs_pb2.CommitmentProof.FromString(op.data).nonexist
    beside = [side for side in (absence.left, absence.right) if side.key]
    assert (op.type, op.key) == ("ics23:simple", name.encode())
    assert all(root_of(side, iavl=False) == store.app_hash for side in beside)
    before, after = (b"bank", b"poc") if name == "epochs" else (b"", b"bank")
    if name == "uptime":
        before, after = b"poc", b""
    assert (absence.left.key, absence.right.key) == (before, after)


def test_where_no_store_has_a_key_nothing_can_be_proved() -> None:
    store = MemoryStore(STORES)
    commit(store, {b"~bulk/a": b"1"})

    with pytest.raises(ProofUnavailable, match="no store has any key"):
        store.prove(1, b"auth/a")


def test_a_height_that_is_not_kept_proves_nothing(store: Store) -> None:
    store.prune(3, 10_000)

    with pytest.raises(HeightNotRetained, match="3 to 5 are kept"):
        store.prove(2, b"bank/000")
