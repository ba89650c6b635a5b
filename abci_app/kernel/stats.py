"""What a store's directory holds, by collection; a running node is not disturbed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from abci_app.kernel.backend import FLAT
from abci_app.kernel.disk import read_records
from abci_app.kernel.records import LATEST

# What lies beside the latest values, by the first byte of its record.
HISTORY: Final = {b"n": "tree nodes", b"o": "obsolete nodes", b"u": "undo", b"r": "roots", b"m": "metadata"}


@dataclass(slots=True)
class Size:
    """Records and their bytes, keys and values together."""

    keys: int = 0
    size_bytes: int = 0

    def add(self, key: bytes, value: bytes) -> None:
        self.keys += 1
        self.size_bytes += len(key) + len(value)


@dataclass(slots=True)
class StateStats:
    """Sizes by collection (store/name), of the latest values, and of what is kept of their history."""

    height: int = 0
    collections: dict[str, Size] = field(default_factory=dict)
    history: dict[str, Size] = field(default_factory=dict)

    def total(self) -> Size:
        """All latest values together."""
        sizes = self.collections.values()
        return Size(sum(each.keys for each in sizes), sum(each.size_bytes for each in sizes))


def state_stats(path: Path) -> StateStats:
    """Walks every record of the directory at this moment; the state's own size says how long it takes."""
    found = StateStats()
    for key, value in read_records(path):
        if key.startswith(FLAT):
            name = b"/".join(key[1:].split(b"/", 2)[:2]).decode()
            found.collections.setdefault(name, Size()).add(key[1:], value)
        elif key == LATEST:
            found.height = int.from_bytes(value, "big")
        else:
            kind = HISTORY.get(key[:1], "other")
            found.history.setdefault(kind, Size()).add(key, value)
    return found
