"""Nodes of a store's tree: their hashes (as in cosmos/iavl 1.x), their records, and ways down to them.

A node is created by one height, its version. It is kept under its ref: version, then number within the
version. Nodes are loaded when they are met, and each is checked against the hash that its parent holds of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import sha256
from struct import Struct

from protocol.varint import uvarint

EMPTY_ROOT = sha256(b"").digest()
NO_REF = b""
UNLOADED = -1
REF_BYTES = 12

# Height, size, then ref and hash of both children; the key is the rest.
INNER_RECORD = Struct(">BQ12s32s12s32s")
# Height (0) and the length of the key; key and value are the rest.
LEAF_RECORD = Struct(">BI")

Fetch = Callable[[bytes], bytes]
"""The record of a ref; raises StoreCorrupt where there is none."""


class StoreCorrupt(Exception):
    """What lies on disk is not what was committed."""


class Node:
    """A leaf (height 0) or an inner node, whose key is the smallest of its right subtree.

    Where height is UNLOADED only `ref` and `hash` are known; leaves have no `left` and `right`. A node
    without a ref is new: it belongs to one Tree, which may change it.
    """

    __slots__ = ("hash", "height", "key", "left", "ref", "right", "size", "value")

    left: Node
    right: Node

    def __init__(self, key: bytes, height: int, size: int, value: bytes = b"") -> None:
        self.key = key
        self.height = height
        self.size = size
        self.value = value
        self.ref = NO_REF
        self.hash = b""


def zigzag(number: int) -> bytes:
    """The number (>= 0) as a signed varint."""
    return uvarint(number << 1)


# Most sizes and lengths are small.
SMALL = 4096
ZIGZAG = tuple(zigzag(number) for number in range(SMALL))
UVARINT = tuple(uvarint(number) for number in range(SMALL))


def unloaded(ref: bytes, node_hash: bytes) -> Node:
    """A committed node of which only the name and the hash are known."""
    node = Node(b"", UNLOADED, 0)
    node.ref, node.hash = ref, node_hash
    return node


def ref_version(ref: bytes) -> int:
    """The height in which the node was created."""
    return int.from_bytes(ref[:8], "big")


# A walk meets the same versions again and again.
_zigzag_version = lru_cache(maxsize=SMALL)(zigzag)


def inner_prefix(height: int, size: int, version: int) -> bytes:
    """What stands before the children's hashes in the hash of an inner node."""
    return ZIGZAG[height] + (ZIGZAG[size] if size < SMALL else zigzag(size)) + _zigzag_version(version)


def leaf_prefix(version: int) -> bytes:
    """What stands before the key in the hash of a leaf: height 0, size 1, version."""
    return b"\x00\x02" + _zigzag_version(version)


def leaf_hash(version: int, key: bytes, value: bytes) -> bytes:
    """The hash of a leaf; key and hashed value have their length before them."""
    length = UVARINT[len(key)] if len(key) < SMALL else uvarint(len(key))
    return sha256(leaf_prefix(version) + length + key + b"\x20" + sha256(value).digest()).digest()


def inner_hash(prefix: bytes, left: bytes, right: bytes) -> bytes:
    """The hash of an inner node over its children's hashes."""
    return sha256(prefix + b"\x20" + left + b"\x20" + right).digest()


def leaf_of_record(record: bytes) -> tuple[bytes, bytes] | None:
    """Key and value, where the record is that of a leaf."""
    if record[0] != 0:
        return None
    _, key_length = LEAF_RECORD.unpack_from(record)
    value_at = LEAF_RECORD.size + key_length
    return record[LEAF_RECORD.size : value_at], record[value_at:]


def load(node: Node, fetch: Fetch) -> None:
    """Fills an unloaded node from its record, after checking the record against the node's hash."""
    record = fetch(node.ref)
    version = ref_version(node.ref)
    leaf = leaf_of_record(record)
    if leaf is None:
        height, size, left_ref, left, right_ref, right = INNER_RECORD.unpack_from(record)
        if inner_hash(inner_prefix(height, size, version), left, right) != node.hash:
            raise StoreCorrupt(f"the inner node {node.ref.hex()} does not have its hash")
        node.key, node.size = record[INNER_RECORD.size :], size
        node.left, node.right = unloaded(left_ref, left), unloaded(right_ref, right)
        node.height = height
        return
    key, value = leaf
    if leaf_hash(version, key, value) != node.hash:
        raise StoreCorrupt(f"the leaf {node.ref.hex()} does not have its hash")
    node.key, node.value, node.size = key, value, 1
    node.height = 0


def trim_to(roots: list[Node], nodes_max: int) -> int:
    """Unloads committed nodes from the leaves up until at most `nodes_max` stay; returns how many do."""
    levels: list[int] = []
    for root in roots:
        _count_levels(root, 0, levels)
    kept = depth = 0
    while depth < len(levels) and kept + levels[depth] <= nodes_max:
        kept += levels[depth]
        depth += 1
    for root in roots:
        _unload_below(root, depth)
    return kept


def _count_levels(node: Node, depth: int, levels: list[int]) -> None:
    if node.height == UNLOADED:
        return
    if depth == len(levels):
        levels.append(0)
    levels[depth] += 1
    if node.height > 0:
        _count_levels(node.left, depth + 1, levels)
        _count_levels(node.right, depth + 1, levels)


def _unload_below(node: Node, depth: int) -> None:
    if node.height == UNLOADED:
        return
    if depth > 0:
        if node.height > 0:
            _unload_below(node.left, depth - 1)
            _unload_below(node.right, depth - 1)
        return
    if node.height > 0:
        del node.left, node.right
    node.key = node.value = b""
    node.height = UNLOADED


def descend(root: Node, key: bytes, fetch: Fetch) -> list[Node]:
    """The nodes from the root to the leaf at which the key stands or would stand."""
    path = [root]
    node = root
    while True:
        if node.height == UNLOADED:
            load(node, fetch)
        if node.height == 0:
            return path
        node = node.left if key < node.key else node.right
        path.append(node)


def walk(
    root: Node, start: bytes, end: bytes | None, fetch: Fetch, *, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """The leaves with start <= key < end (None: to the last), by key; holds one path of nodes at a time."""
    stack = [root]
    while stack:
        node = stack.pop()
        if node.height == UNLOADED:
            load(node, fetch)
        if node.height == 0:
            if start <= node.key and (end is None or node.key < end):
                yield node.key, node.value
            continue
        children = []
        if start < node.key:
            children.append(node.left)
        if end is None or node.key < end:
            children.append(node.right)
        stack.extend(children if reverse else reversed(children))
