"""Merkle trees of RFC 6962 with SHA-256, and the leaves that commit to nonces (protocol, section 5)."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from protocol.claims import CLAIM_BYTES
from protocol.draw import encode_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def claim_leaf(node_id: str, nonce: int, claim: int) -> bytes:
    """The leaf of one nonce; the claim, in 1e-6, as 4 bytes. Raises OverflowError when one does not fit."""
    return encode_fields(node_id, nonce, claim.to_bytes(CLAIM_BYTES, "big", signed=True))


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf, which no inner node can have."""
    return sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


class Tree:
    """A tree over leaves in their order; every level is kept, so that proofs are cheap."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.size = len(leaves)
        self._levels = [[leaf_hash(leaf) for leaf in leaves]]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            level = [node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)]
            # The last one without a sibling moves up as it is: just what the RFC's split gives.
            self._levels.append(level + below[len(below) & ~1 :])

    @property
    def root(self) -> bytes:
        """The hash of the whole; of no leaves, that of no bytes."""
        return self._levels[-1][0] if self.size else EMPTY_ROOT

    def proof(self, index: int) -> list[bytes]:
        """The audit path of a leaf, from below; raises IndexError outside of the tree."""
        if not 0 <= index < self.size:
            raise IndexError(f"leaf {index} of {self.size}")
        path = []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                path.append(level[sibling])
            index >>= 1
        return path


def is_proved(root: bytes, size: int, index: int, leaf: bytes, path: Sequence[bytes]) -> bool:
    """Whether the leaf stands at this place of the tree of this size and root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf_hash(leaf)
    for sibling in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            found = node_hash(found, sibling)
        place >>= 1
        last >>= 1
    return last == 0 and found == root
