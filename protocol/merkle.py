"""Merkle trees of RFC 6962 with SHA-256, and the leaves that commit to nonces (protocol, section 5)."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from protocol.claims import CLAIM_BYTES
from protocol.draw import encode_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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


def neighbour_of(index: int, size: int) -> int | None:
    """The leaf that is shown beside a sampled one: the next, for the last one the one before; None: alone."""
    if size <= 1:
        return None
    return index + 1 if index + 1 < size else index - 1


class Tree:
    """A tree over leaves in their order; every level is kept, so that proofs are cheap: 64 bytes a leaf."""

    def __init__(self, leaves: Iterable[bytes]) -> None:
        self._levels = [b"".join(map(leaf_hash, leaves))]
        self.size = len(self._levels[0]) // ROOT_BYTES
        while len(self._levels[-1]) > ROOT_BYTES:
            self._levels.append(_above(self._levels[-1]))

    @property
    def root(self) -> bytes:
        """The hash of the whole; of no leaves, that of no bytes."""
        return self._levels[-1] if self.size else EMPTY_ROOT

    def proof(self, index: int) -> list[bytes]:
        """The audit path of a leaf, from below; raises IndexError outside of the tree."""
        if not 0 <= index < self.size:
            raise IndexError(f"leaf {index} of {self.size}")
        path = []
        for level in self._levels[:-1]:
            sibling = (index ^ 1) * ROOT_BYTES
            if sibling < len(level):
                path.append(level[sibling : sibling + ROOT_BYTES])
            index >>= 1
        return path


def _above(level: bytes) -> bytes:
    """The level above one; a last hash without a sibling moves up as it is: what the RFC's split gives."""
    pair = 2 * ROOT_BYTES
    whole = len(level) // pair * pair
    hashes = [sha256(b"\1" + level[at : at + pair]).digest() for at in range(0, whole, pair)]
    return b"".join([*hashes, level[whole:]])


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
