"""An AVL tree with values in its leaves, whose versions have the root hashes of cosmos/iavl 1.x.

A committed node never changes its meaning: a `Tree` copies what it changes, so that any number of next
versions can be grown from one root, and thrown away.
"""

from __future__ import annotations

from hashlib import sha256

from abci_app.kernel.nodes import (
    INNER_RECORD,
    LEAF_RECORD,
    SMALL,
    UNLOADED,
    UVARINT,
    ZIGZAG,
    Fetch,
    Node,
    load,
    zigzag,
)
from protocol.varint import uvarint


class Tree:
    """One store's next version, grown out of a committed root (None: empty) that it leaves as it is."""

    def __init__(self, root: Node | None, fetch: Fetch) -> None:
        self.root = root
        self.orphans: list[bytes] = []
        self.loaded = 0
        self._fetch = fetch

    def set(self, key: bytes, value: bytes) -> None:
        """Puts a new leaf in the place of the key's old one, or beside its neighbour."""
        leaf = Node(key, 0, 1, value)
        if self.root is None:
            self.root = leaf
            return
        path: list[Node] = []
        held = False
        self.root = node = self._own(self.root)
        while node.height > 0:
            path.append(node)
            if key < node.key:
                child = node.left
            else:
                child = node.right
                # An inner node's key is that of a leaf, so the leaf below need not be loaded to be compared.
                held = held or key == node.key
            if child.ref:
                if held and node.height == 1:
                    self._replace(path, child, leaf)
                    return
                child = self._own(child)
                if key < node.key:
                    node.left = child
                else:
                    node.right = child
            node = child
        if node.key == key:
            self._replace(path, node, leaf)
        else:
            self._insert(path, node, leaf)

    def remove(self, key: bytes) -> bool:
        """Takes the key's leaf away; False, and nothing changed, where there is none."""
        if self.root is None or not self._holds(key):
            return False
        self.root, _ = self._remove(self.root, key)
        return True

    def seal(self, version: int, prefix: bytes = b"") -> list[tuple[bytes, bytes]]:
        """Hashes and names all new nodes; returns (prefix + ref, record) of each, children before parents."""
        records: list[tuple[bytes, bytes]] = []
        if self.root is not None and not self.root.ref:
            _seal(self.root, prefix, version.to_bytes(8, "big"), zigzag(version), records)
        return records

    def _own(self, node: Node) -> Node:
        """A new inner node, the same or one like it; a leaf as it is, since an earlier height may keep it."""
        if node.height == UNLOADED:
            self._load(node)
        if not node.ref or node.height == 0:
            return node
        self.orphans.append(node.ref)
        copy = Node(node.key, node.height, node.size)
        copy.left, copy.right = node.left, node.right
        return copy

    def _load(self, node: Node) -> Node:
        if node.height == UNLOADED:
            load(node, self._fetch)
            # Values are read from the flat state, so the tree in memory does without them.
            node.value = b""
            self.loaded += 1
        return node

    def _replace(self, path: list[Node], old: Node, leaf: Node) -> None:
        if old.ref:
            self.orphans.append(old.ref)
        if old.height == UNLOADED:
            # Each orphan counts as a loaded node that leaves memory.
            self.loaded += 1
        if not path:
            self.root = leaf
        elif leaf.key < path[-1].key:
            path[-1].left = leaf
        else:
            path[-1].right = leaf

    def _insert(self, path: list[Node], neighbour: Node, leaf: Node) -> None:
        """Joins the two leaves under a new inner node and restores the balance above it."""
        left, right = (leaf, neighbour) if leaf.key < neighbour.key else (neighbour, leaf)
        child = Node(right.key, 1, 2)
        child.left, child.right = left, right
        for parent in reversed(path):
            if leaf.key < parent.key:
                parent.left = child
            else:
                parent.right = child
            parent.size += 1
            # Only a parent that grows can have lost its balance; the sibling is not even loaded otherwise.
            if child.height >= parent.height:
                parent.height = child.height + 1
                child = self._balance(parent)
            else:
                child = parent
        self.root = child

    def _holds(self, key: bytes) -> bool:
        node = self.root
        assert node is not None
        while self._load(node).height > 0:
            node = node.left if key < node.key else node.right
        return node.key == key

    def _remove(self, node: Node, key: bytes) -> tuple[Node | None, bytes | None]:
        """The subtree without the key that it holds, and its new smallest key where that one went."""
        if node.height == 0:
            if node.ref:
                self.orphans.append(node.ref)
            return None, None
        node = self._own(node)
        if key < node.key:
            left, smallest = self._remove(self._load(node.left), key)
            if left is None:
                return node.right, node.key
            node.left = left
            return self._settle(node), smallest
        right, smallest = self._remove(self._load(node.right), key)
        if right is None:
            return node.left, None
        node.right = right
        if smallest is not None:
            node.key = smallest
        return self._settle(node), None

    def _settle(self, node: Node) -> Node:
        self._measure(node)
        return self._balance(node)

    def _measure(self, node: Node) -> None:
        left, right = self._load(node.left), self._load(node.right)
        node.size = left.size + right.size
        node.height = 1 + max(left.height, right.height)

    def _lean(self, node: Node) -> int:
        return self._load(node.left).height - self._load(node.right).height

    def _balance(self, node: Node) -> Node:
        lean = self._lean(node)
        if lean > 1:
            if self._lean(node.left) < 0:
                node.left = self._rotate_left(node.left)
            return self._rotate_right(node)
        if lean < -1:
            if self._lean(node.right) > 0:
                node.right = self._rotate_right(node.right)
            return self._rotate_left(node)
        return node

    def _rotate_right(self, node: Node) -> Node:
        node, top = self._own(node), self._own(node.left)
        node.left, top.right = top.right, node
        self._measure(node)
        self._measure(top)
        return top

    def _rotate_left(self, node: Node) -> Node:
        node, top = self._own(node), self._own(node.right)
        node.right, top.left = top.left, node
        self._measure(node)
        self._measure(top)
        return top


def _seal(
    node: Node, prefix: bytes, version: bytes, version_zigzag: bytes, records: list[tuple[bytes, bytes]]
) -> None:
    """Hashes, names and records a new node after its new descendants; written flat, being the hot path."""
    key = node.key
    if node.height == 0:
        value, key_length = node.value, len(key)
        length = UVARINT[key_length] if key_length < SMALL else uvarint(key_length)
        digest = sha256(
            b"\x00\x02" + version_zigzag + length + key + b"\x20" + sha256(value).digest()
        ).digest()
        record = LEAF_RECORD.pack(0, key_length) + key + value
        node.value = b""
    else:
        left, right, size = node.left, node.right, node.size
        if not left.ref:
            _seal(left, prefix, version, version_zigzag, records)
        if not right.ref:
            _seal(right, prefix, version, version_zigzag, records)
        size_zigzag = ZIGZAG[size] if size < SMALL else zigzag(size)
        left_hash, right_hash = left.hash, right.hash
        digest = sha256(
            ZIGZAG[node.height] + size_zigzag + version_zigzag + b"\x20" + left_hash + b"\x20" + right_hash
        ).digest()
        record = INNER_RECORD.pack(node.height, size, left.ref, left_hash, right.ref, right_hash) + key
    node.hash = digest
    node.ref = ref = version + len(records).to_bytes(4, "big")
    records.append((prefix + ref, record))
