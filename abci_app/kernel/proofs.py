"""The root over all stores, and proofs that any ICS-23 verifier accepts (IavlSpec, then TendermintSpec).

A proof has two links: "ics23:iavl" leads from key and value to the root of the store's tree, "ics23:simple"
from there to the app hash. A store without keys has no root, so its one link says that no store of its name
is under the app hash. The messages of cosmos.ics23.v1 are few and fixed, so they are encoded by hand.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from abci_app.kernel.nodes import (
    EMPTY_ROOT,
    Fetch,
    Node,
    descend,
    inner_prefix,
    leaf_prefix,
    ref_version,
    walk,
)
from protocol.varint import uvarint

IAVL_OP = "ics23:iavl"
SIMPLE_OP = "ics23:simple"

# LeafOp: sha256 over prefix, length and key as it is, length and sha256 of the value.
_SHA256_KEY_LENGTHS = b"\x08\x01\x18\x01\x20\x01"
# InnerOp: sha256.
_SHA256 = b"\x08\x01"

Step = tuple[bytes, bytes]
"""What stands before and after the child's hash in the parent's."""


class ProofUnavailable(Exception):
    """Nothing can be proved of the key: its store is unknown or bulk, or no store has any key."""


@dataclass(frozen=True)
class ProofOp:
    """One link of a proof; `data` is an encoded cosmos.ics23.v1.CommitmentProof."""

    type: str
    key: bytes
    data: bytes


def simple_root(roots: Mapping[str, bytes]) -> bytes:
    """The app hash: an RFC 6962 tree over (store name, sha256 of the store's root), in order of the names.

    A store without keys is no leaf: a module that is off, or new by an upgrade, changes nothing.
    """
    return _merkle([_simple_leaf(name, roots[name]) for name in _filled(roots)])


def prove_store(roots: Mapping[str, bytes], name: str) -> ProofOp:
    """The proof that the named store has its root under the app hash."""
    return ProofOp(SIMPLE_OP, name.encode(), _field(1, _store_existence(roots, name)))


def prove_no_store(roots: Mapping[str, bytes], name: str) -> ProofOp:
    """The proof by its neighbours that no store of the name has keys; ProofUnavailable where none has any."""
    names = _filled(roots)
    if not names:
        raise ProofUnavailable(f"no store has any key, so that the one of {name} cannot be shown to be empty")
    # Store names sort as their bytes do: both are ASCII.
    at = bisect_left(names, name)
    absence = _field(1, name.encode())
    if at > 0:
        absence += _field(2, _store_existence(roots, names[at - 1]))
    if at < len(names):
        absence += _field(3, _store_existence(roots, names[at]))
    return ProofOp(SIMPLE_OP, name.encode(), _field(2, absence))


def _store_existence(roots: Mapping[str, bytes], name: str) -> bytes:
    names = _filled(roots)
    steps = _merkle_steps([_simple_leaf(each, roots[each]) for each in names], names.index(name))
    return _existence(name.encode(), roots[name], b"\x00", steps)


def _filled(roots: Mapping[str, bytes]) -> list[str]:
    return sorted(name for name, root in roots.items() if root != EMPTY_ROOT)


def prove_key(root: Node, key: bytes, fetch: Fetch) -> ProofOp:
    """The proof of the key's value in one tree, or of its absence by its two neighbours."""
    leaf = descend(root, key, fetch)[-1]
    if leaf.key == key:
        return ProofOp(IAVL_OP, key, _field(1, _tree_existence(root, key, fetch)))
    absence = _field(1, key)
    for number, start, end, reverse in ((2, b"", key, True), (3, key, None, False)):
        for neighbour, _ in walk(root, start, end, fetch, reverse=reverse):
            absence += _field(number, _tree_existence(root, neighbour, fetch))
            break
    return ProofOp(IAVL_OP, key, _field(2, absence))


def _tree_existence(root: Node, key: bytes, fetch: Fetch) -> bytes:
    path = descend(root, key, fetch)
    leaf = path.pop()
    steps = []
    for node in reversed(path):
        prefix = inner_prefix(node.height, node.size, ref_version(node.ref))
        if key < node.key:
            steps.append((prefix + b"\x20", b"\x20" + node.right.hash))
        else:
            steps.append((prefix + b"\x20" + node.left.hash + b"\x20", b""))
    return _existence(key, leaf.value, leaf_prefix(ref_version(leaf.ref)), steps)


def _existence(key: bytes, value: bytes, prefix: bytes, steps: Sequence[Step]) -> bytes:
    """An ExistenceProof: key, value, leaf and the path from the leaf to the root."""
    leaf = _SHA256_KEY_LENGTHS + _field(5, prefix)
    path = b"".join(_field(4, _SHA256 + _field(2, before) + _field(3, after)) for before, after in steps)
    return _field(1, key) + _field(2, value) + _field(3, leaf) + path


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field; empty ones are left out, as proto3 has it."""
    return uvarint(number << 3 | 2) + uvarint(len(content)) + content if content else b""


def _simple_leaf(name: str, root: bytes) -> bytes:
    encoded = name.encode()
    return sha256(b"\x00" + uvarint(len(encoded)) + encoded + b"\x20" + sha256(root).digest()).digest()


def _split(count: int) -> int:
    """The largest power of two below the count."""
    return 1 << (count - 1).bit_length() - 1


def _merkle(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    cut = _split(len(leaves))
    return sha256(b"\x01" + _merkle(leaves[:cut]) + _merkle(leaves[cut:])).digest()


def _merkle_steps(leaves: Sequence[bytes], index: int) -> list[Step]:
    if len(leaves) == 1:
        return []
    cut = _split(len(leaves))
    if index < cut:
        return [*_merkle_steps(leaves[:cut], index), (b"\x01", _merkle(leaves[cut:]))]
    return [*_merkle_steps(leaves[cut:], index - cut), (b"\x01" + _merkle(leaves[:cut]), b"")]
