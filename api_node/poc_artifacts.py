"""Leaves of committed batches: kept on disk from the callback that brings them until the verdicts are in.

A node's leaves are one run of rising nonces. Once they are committed to, nothing is added to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from threading import Lock

from api_node.database import open_database
from protocol.claims import decode_claims, decode_nonces, encode_claims, encode_nonces
from protocol.merkle import Tree, claim_leaf, neighbour_of

_SCHEMA = """
CREATE TABLE IF NOT EXISTS pieces (
    height_start INTEGER NOT NULL, node_id TEXT NOT NULL, nonces BLOB NOT NULL, claims BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS pieces_node ON pieces (height_start, node_id);
CREATE TABLE IF NOT EXISTS closed (
    height_start INTEGER NOT NULL, node_id TEXT NOT NULL, root BLOB NOT NULL,
    PRIMARY KEY (height_start, node_id)
);
"""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf with its audit path, from below."""

    index: int
    nonce: int
    claim: int
    path: Sequence[bytes]


@dataclass(frozen=True)
class Leaves:
    """What one node found in one PoC, by rising nonce; claims in 1e-6."""

    node_id: str
    nonces: Sequence[int]
    claims: Sequence[int]
    _tree: list[Tree] = field(default_factory=list, repr=False, compare=False)
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @property
    def tree(self) -> Tree:
        """The tree over them, built once."""
        with self._lock:
            if not self._tree:
                pairs = zip(self.nonces, self.claims, strict=True)
                self._tree.append(Tree(claim_leaf(self.node_id, *pair) for pair in pairs))
        return self._tree[0]

    def leaf(self, index: int) -> Leaf:
        """One leaf; raises IndexError where there is none."""
        path = self.tree.proof(index)
        return Leaf(index, self.nonces[index], self.claims[index], path)

    def with_neighbour(self, index: int) -> tuple[Leaf, Leaf | None]:
        """A leaf and the one that shows that they are in order; raises IndexError where there is none."""
        beside = neighbour_of(index, len(self.nonces))
        return self.leaf(index), None if beside is None else self.leaf(beside)


class ArtifactStore:
    """One SQLite file; each call is one durable step."""

    def __init__(self, path: Path | str) -> None:
        # What is acknowledged to an MLNode is nowhere else.
        self._db = open_database(path, _SCHEMA, synchronous="FULL")
        self._leaves: dict[tuple[int, str], Leaves] = {}

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def add(self, height_start: int, node_id: str, nonces: Sequence[int], claims: Sequence[int]) -> None:
        """Keeps rising nonces, all above those that are kept."""
        values = (height_start, node_id, encode_nonces(nonces), encode_claims(claims))
        self._db.execute("INSERT INTO pieces VALUES (?, ?, ?, ?)", values)

    def nodes(self, height_start: int) -> list[str]:
        """The nodes of which something is kept, sorted."""
        query = "SELECT DISTINCT node_id FROM pieces WHERE height_start = ? ORDER BY node_id"
        return [str(node_id) for (node_id,) in self._db.execute(query, (height_start,))]

    def nonce_next(self, height_start: int, node_id: str) -> int:
        """The nonce after the last one that is kept; 0 where none is."""
        query = "SELECT nonces FROM pieces WHERE height_start = ? AND node_id = ? ORDER BY rowid DESC LIMIT 1"
        row = self._db.execute(query, (height_start, node_id)).fetchone()
        return decode_nonces(row[0])[-1] + 1 if row else 0

    def kept(self, height_start: int, node_id: str) -> tuple[list[int], list[int]]:
        """Nonces and claims, in their order."""
        query = "SELECT nonces, claims FROM pieces WHERE height_start = ? AND node_id = ? ORDER BY rowid"
        nonces: list[int] = []
        claims: list[int] = []
        for raw_nonces, raw_claims in self._db.execute(query, (height_start, node_id)):
            nonces += decode_nonces(raw_nonces)
            claims += decode_claims(raw_claims)
        return nonces, claims

    def commit(self, height_start: int, leaves: Leaves) -> bytes:
        """Fixes a node's leaves, and drops what is kept beside them; the root."""
        root = leaves.tree.root
        self._db.execute("BEGIN")
        where = (height_start, leaves.node_id)
        self._db.execute("DELETE FROM pieces WHERE height_start = ? AND node_id = ?", where)
        self.add(height_start, leaves.node_id, leaves.nonces, leaves.claims)
        self._db.execute("INSERT INTO closed VALUES (?, ?, ?)", (*where, root))
        self._db.execute("COMMIT")
        self._leaves[where] = leaves
        return root

    def root(self, height_start: int, node_id: str) -> bytes | None:
        """What a node's leaves were committed to with; None where they are not."""
        query = "SELECT root FROM closed WHERE height_start = ? AND node_id = ?"
        row = self._db.execute(query, (height_start, node_id)).fetchone()
        return bytes(row[0]) if row else None

    def committed(self, height_start: int, node_id: str) -> Leaves | None:
        """A node's leaves, once they are fixed."""
        key = (height_start, node_id)
        if key not in self._leaves:
            if self.root(*key) is None:
                return None
            self._leaves[key] = Leaves(node_id, *self.kept(*key))
        return self._leaves[key]

    def prune(self, height_start: int) -> None:
        """Forgets every PoC but the one that began at this height; 0: every one."""
        self._db.execute("DELETE FROM pieces WHERE height_start <> ?", (height_start,))
        self._db.execute("DELETE FROM closed WHERE height_start <> ?", (height_start,))
        self._leaves = {key: leaves for key, leaves in self._leaves.items() if key[0] == height_start}


def longest_run(
    nonces: Sequence[int], claims: Sequence[int], count_max: int, *, dense: bool
) -> tuple[Sequence[int], Sequence[int]]:
    """The most nonces that one commitment can hold; without gaps if `dense`."""
    begins = [0, *(at for at, (low, high) in enumerate(pairwise(nonces), 1) if dense and high != low + 1)]
    spans = list(pairwise([*begins, len(nonces)]))
    first, last = max(spans, key=_length)
    last = min(last, first + count_max)
    return nonces[first:last], claims[first:last]


def _length(span: Iterable[int]) -> int:
    first, last = span
    return last - first
