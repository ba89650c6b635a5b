"""The tree against the formulas, against what cosmos/iavl answers, and under its own invariants."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.kernel.iavl import Tree
from abci_app.kernel.nodes import EMPTY_ROOT, UNLOADED, Node, StoreCorrupt, load, trim_to, unloaded, walk
from abci_app.kernel.proofs import prove_key

SCENARIOS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "vectors" / "iavl.json").read_text())

Change = tuple[bytes, bytes | None]


class Versions:
    """Trees of successive heights with their records, as the store keeps them."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}
        self.root: Node | None = None
        self.height = 0
        self.orphans: list[bytes] = []

    def apply(self, changes: list[Change]) -> bytes:
        self.height += 1
        tree = Tree(self.root, self.fetch)
        for key, value in changes:
            if value is None:
                tree.remove(key)
            else:
                tree.set(key, value)
        self.records.update(tree.seal(self.height))
        self.root, self.orphans = tree.root, tree.orphans
        return self.root.hash if self.root else EMPTY_ROOT

    def fetch(self, ref: bytes) -> bytes:
        return self.records[ref]

    def forget(self) -> None:
        """Leaves only the root's name and hash, as after a restart."""
        if self.root is not None:
            self.root = unloaded(self.root.ref, self.root.hash)

    def items(self, *, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        if self.root is None:
            return []
        return list(walk(unloaded(self.root.ref, self.root.hash), b"", None, self.fetch, reverse=reverse))


def changes_of(version: dict[str, Any]) -> list[Change]:
    return [
        (bytes.fromhex(op["key"]), None if op["value"] is None else bytes.fromhex(op["value"]))
        for op in version["ops"]
    ]


# the formulas


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert Versions().apply([]) == sha256(b"").digest()


def test_one_leaf_is_hashed_with_height_0_size_1_its_version_and_lengths() -> None:
    root = Versions().apply([(b"k", b"v")])

    # Signed varints are doubled: height 0, size 1, version 1; then lengths as they are.
    assert root == sha256(bytes([0, 2, 2, 1]) + b"k" + bytes([32]) + sha256(b"v").digest()).digest()


def test_two_leaves_stand_under_an_inner_node_of_height_1_and_size_2() -> None:
    versions = Versions()
    versions.apply([(b"a", b"1")])

    root = versions.apply([(b"b", b"2")])

    # The leaf of the first version keeps it; leaf and inner node of the second have that one.
    left = sha256(bytes([0, 2, 2, 1]) + b"a" + bytes([32]) + sha256(b"1").digest()).digest()
    right = sha256(bytes([0, 2, 4, 1]) + b"b" + bytes([32]) + sha256(b"2").digest()).digest()
    assert root == sha256(bytes([2, 4, 4, 32]) + left + bytes([32]) + right).digest()


def test_a_version_above_63_takes_two_bytes() -> None:
    versions = Versions()
    versions.height = 299

    root = versions.apply([(b"k", b"v")])

    # 300 doubled is 600 = 4 * 128 + 88.
    head = bytes([0, 2, 88 | 0x80, 4, 1])
    assert root == sha256(head + b"k" + bytes([32]) + sha256(b"v").digest()).digest()


# cosmos/iavl


@pytest.mark.parametrize("restart_every", [1, 3, 1000])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_roots_sizes_and_heights_are_those_of_cosmos_iavl(
    scenario: dict[str, Any], restart_every: int
) -> None:
    versions = Versions()

    for number, version in enumerate(scenario["versions"]):
        if number % restart_every == 0:
            versions.forget()
        root = versions.apply(changes_of(version))

        assert root.hex() == version["root"]
        if versions.root is not None:
            if versions.root.height == UNLOADED:
                load(versions.root, versions.fetch)
            assert (versions.root.size, versions.root.height) == (version["size"], version["height"])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_proofs_are_byte_for_byte_those_of_cosmos_iavl(scenario: dict[str, Any]) -> None:
    versions = Versions()
    compared = 0

    for version in scenario["versions"]:
        versions.apply(changes_of(version))
        for proof in version["proofs"]:
            assert versions.root is not None
            root = unloaded(versions.root.ref, versions.root.hash)
            op = prove_key(root, bytes.fromhex(proof["key"]), versions.fetch)
            assert op.data.hex() == proof["data"]
            compared += 1

    assert compared > len(scenario["versions"]) // 2


# invariants

keys = st.binary(min_size=1, max_size=2)
change = st.tuples(keys, st.none() | st.binary(max_size=4))


def is_balanced_and_keyed(node: Node, fetch: Callable[[bytes], bytes]) -> bool:
    if node.height == UNLOADED:
        load(node, fetch)
    if node.height == 0:
        return True
    sides = (node.left, node.right)
    held = all(is_balanced_and_keyed(side, fetch) for side in sides)
    left, right = node.left, node.right
    return (
        held
        and abs(left.height - right.height) <= 1
        and node.height == 1 + max(left.height, right.height)
        and node.size == left.size + right.size
        and node.key == next(walk(right, b"", None, fetch, reverse=False))[0]
    )


@given(st.lists(st.lists(change, max_size=30), max_size=6))
def test_the_tree_holds_what_a_dict_holds_in_order_and_in_balance(blocks: list[list[Change]]) -> None:
    versions = Versions()
    model: dict[bytes, bytes] = {}

    for block in blocks:
        versions.apply(block)
        for key, value in block:
            if value is None:
                model.pop(key, None)
            else:
                model[key] = value

        assert versions.items() == sorted(model.items())
        assert versions.items(reverse=True) == sorted(model.items(), reverse=True)
        if versions.root is not None:
            assert is_balanced_and_keyed(versions.root, versions.fetch)


@given(st.lists(st.lists(change, max_size=30), max_size=6), st.integers(0, 20))
def test_what_is_unloaded_or_kept_in_memory_changes_no_hash(
    blocks: list[list[Change]], kept_max: int
) -> None:
    warm, trimmed = Versions(), Versions()

    for block in blocks:
        if trimmed.root is not None:
            assert trim_to([trimmed.root], kept_max) <= kept_max

        assert trimmed.apply(block) == warm.apply(block)


@given(st.lists(st.lists(change, max_size=30), min_size=1, max_size=6))
def test_orphans_are_exactly_the_nodes_that_left_the_tree(blocks: list[list[Change]]) -> None:
    def refs(versions: Versions) -> set[bytes]:
        found: set[bytes] = set()
        stack = [versions.root] if versions.root is not None else []
        while stack:
            node = stack.pop()
            if node.height == UNLOADED:
                load(node, versions.fetch)
            found.add(node.ref)
            if node.height > 0:
                stack += [node.left, node.right]
        return found

    versions = Versions()
    for block in blocks:
        before = refs(versions)
        versions.apply(block)

        assert sorted(versions.orphans) == sorted(before - refs(versions))


def test_growing_a_next_version_leaves_the_committed_one_as_it_is() -> None:
    versions = Versions()
    versions.apply([(bytes([n]), b"v") for n in range(40)])
    root, root_hash = versions.root, versions.apply([])
    tree = Tree(root, versions.fetch)

    for n in range(0, 60, 3):
        tree.set(bytes([n]), b"w")
        tree.remove(bytes([n + 1]))
    tree.seal(3)

    assert tree.root is not None
    assert tree.root.hash != root_hash
    assert versions.items() == [(bytes([n]), b"v") for n in range(40)]
    assert versions.apply([]) == root_hash


def test_a_changed_leaf_is_found_out_when_it_is_loaded() -> None:
    versions = Versions()
    versions.apply([(bytes([n]), b"value") for n in range(8)])
    spoiled = 0

    for ref, record in list(versions.records.items()):
        versions.records[ref] = record[:-1] + bytes([record[-1] ^ 1])
        if record[0] == 0:
            with pytest.raises(StoreCorrupt, match=ref.hex()):
                versions.items()
            spoiled += 1
        versions.records[ref] = record

    assert spoiled == 8
