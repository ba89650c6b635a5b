"""Roots and proofs of committed batches, against the vectors of RFC 6962 and its own definition."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.merkle import EMPTY_ROOT, Tree, claim_leaf, is_proved

# The leaves and roots that certificate transparency implementations share as test data.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def root_by_definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word by word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    left, right = root_by_definition(leaves[:split]), root_by_definition(leaves[split:])
    return sha256(b"\1" + left + right).digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_shared_vectors(size: int) -> None:
    assert Tree(LEAVES[:size]).root.hex() == ROOTS[size - 1]


def test_no_leaves_have_the_hash_of_no_bytes() -> None:
    assert Tree([]).root == EMPTY_ROOT == sha256(b"").digest()


@given(st.lists(st.binary(max_size=8), max_size=40))
def test_roots_are_those_of_the_definition(leaves: list[bytes]) -> None:
    assert Tree(leaves).root == root_by_definition(leaves)


@given(st.integers(1, 70), st.data())
def test_every_leaf_is_proved_at_its_place_and_at_no_other(size: int, data: st.DataObject) -> None:
    leaves = [b"%d" % number for number in range(size)]
    tree = Tree(leaves)
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size))

    path = tree.proof(index)

    assert is_proved(tree.root, size, index, leaves[index], path)
    assert is_proved(tree.root, size, other, leaves[index], path) == (other == index)
    assert not is_proved(tree.root, size, index, b"other", path)
    assert not is_proved(tree.root, size, index, leaves[index], [*path, bytes(32)])
    assert not path or not is_proved(tree.root, size, index, leaves[index], path[:-1])


def test_a_leaf_encodes_the_fields_with_their_lengths() -> None:
    assert claim_leaf("a1", 7, -2) == (
        b"\0\0\0\2a1" + b"\0\0\0\x08" + (7).to_bytes(8, "big") + b"\0\0\0\4" + b"\xff\xff\xff\xfe"
    )


def test_a_proof_outside_of_the_tree_is_an_error() -> None:
    with pytest.raises(IndexError, match="leaf 3 of 3"):
        Tree(LEAVES[:3]).proof(3)
