"""Sentences of the protocol's section 5 on committed batches: what a sampled leaf must show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api_node.poc_artifacts import Leaf, Leaves
from api_node.poc_fetch import Commitment, ShownLeaf, ShownSample, proved_claim

HONEST = Leaves("gpu", [3, 5, 9, 12, 20], [10, -20, 30, -40, 50])
# The same work, with two nonces in the wrong order.
SWAPPED = Leaves("gpu", [3, 9, 5, 12, 20], [10, 30, -20, -40, 50])


def commitment(leaves: Leaves) -> Commitment:
    return Commitment(leaves.node_id, leaves.tree.root, leaves.nonces)


def shown(leaf: Leaf) -> ShownLeaf:
    path = [each.hex() for each in leaf.path]
    return ShownLeaf(index=leaf.index, nonce=leaf.nonce, claim=leaf.claim, path=path)


def sample(leaves: Leaves, index: int) -> ShownSample:
    leaf, beside = leaves.with_neighbour(index)
    return ShownSample(leaf=shown(leaf), neighbour=shown(beside) if beside is not None else None)


@pytest.mark.parametrize("index", range(5))
def test_a_leaf_shown_with_the_one_beside_it_proves_its_claim(index: int) -> None:
    """A leaf is shown with its proof and with the leaf beside it."""
    assert proved_claim(commitment(HONEST), index, sample(HONEST, index)) == HONEST.claims[index]


@pytest.mark.parametrize(
    ("leaf", "neighbour"),
    [
        (replace(HONEST.leaf(1), claim=-21), HONEST.with_neighbour(1)[1]),
        (replace(HONEST.leaf(1), nonce=6), HONEST.with_neighbour(1)[1]),
        (HONEST.leaf(2), HONEST.with_neighbour(2)[1]),
        (HONEST.leaf(1), None),
        (HONEST.leaf(1), HONEST.leaf(1)),
    ],
    ids=["another claim", "another nonce", "another leaf", "no neighbour", "itself as neighbour"],
)
def test_a_leaf_that_is_not_proved_is_a_mismatch(leaf: Leaf, neighbour: Leaf | None) -> None:
    """A sampled leaf that is not proved under the root is a mismatch."""
    other = shown(neighbour) if neighbour is not None else None

    assert proved_claim(commitment(HONEST), 1, ShownSample(leaf=shown(leaf), neighbour=other)) is None


def test_a_leaf_out_of_order_with_its_neighbour_is_a_mismatch() -> None:
    """A sampled leaf out of order with its neighbour is a mismatch."""
    found = [proved_claim(commitment(SWAPPED), index, sample(SWAPPED, index)) for index in range(5)]

    assert found == [10, None, -20, -40, 50]
