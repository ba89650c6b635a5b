"""Proofs of a small state, the same on every run; `python -m tests.conformance.proof_vectors` writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from abci_app.kernel.store import MemoryStore, Store

FILE = Path(__file__).parent / "data" / "ics23_proofs.json"
STORES = ["alone", "auth", "bank", "epochs", "none", "poc", "uptime", "~bulk"]
ABSENT = [
    b"bank/!",
    b"bank/003",
    b"bank/031",
    b"bank/zzz",
    b"alone/a",
    b"alone/z",
    b"uptime/a",
    b"none/at/all",
]
PRESENT = [
    b"bank/000",
    b"bank/062",
    b"bank/118",
    b"alone/only",
    b"epochs/\x00\xff",
    b"poc/deep/" + b"k" * 200,
]


def a_store() -> Store:
    """A store of five heights: many keys, one key, none, and removals."""
    store = MemoryStore(STORES)
    for height in range(1, 6):
        changes: dict[bytes, bytes | None] = {
            b"bank/%03d" % (n * 2): b"value %d of %d" % (n, height) for n in range(height * 9 - 9, 60)
        }
        changes[b"bank/030"] = None if height == 4 else b"thirty"
        changes |= {b"alone/only": b"%d" % height, b"poc/deep/" + b"k" * 200: b"v" * 1000}
        changes |= {b"epochs/\x00\xff": bytes([height]), b"~bulk/a": b"beside"}
        store.commit(store.stage(changes, height), height)
    return store


def vector(store: Store, height: int, key: bytes) -> dict[str, Any]:
    """What a verifier of one key is given, as JSON with hex."""
    name, _, rest = key.partition(b"/")
    with store.at(height) as view:
        value, app_hash = view.get(key), view.app_hash
    return {
        "app_hash": app_hash.hex(),
        "store": name.decode(),
        "key": rest.hex(),
        "value": None if value is None else value.hex(),
        "ops": [
            {"type": op.type, "key": op.key.hex(), "data": op.data.hex()} for op in store.prove(height, key)
        ],
    }


def vectors() -> list[dict[str, Any]]:
    """Of each key at an early and at the last height."""
    store = a_store()
    return [vector(store, height, key) for height in (1, 5) for key in [*PRESENT, *ABSENT]]


if __name__ == "__main__":
    FILE.write_text("[\n" + ",\n".join(json.dumps(each) for each in vectors()) + "\n]\n")
