"""Measures the chain's store on disk: updates and reads per second. Prints JSON.

`python -m bench.store [--keys 200000] [--changed 1000] [--blocks 40] [--window 20]`
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

from abci_app.kernel.store import DiskStore

VALUE_BYTES = 60
SET_UP_KEYS = 20_000
PRUNE_BUDGET = 20_000


def key_of(number: int) -> bytes:
    """A key of 24 bytes and more, spread over the whole tree."""
    return b"bank/" + (number * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big") + number.to_bytes(12, "big")


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def fill(store: DiskStore, keys: int, rng: random.Random) -> float:
    """Commits the keys in large blocks; returns keys per second."""

    def blocks() -> None:
        for first in range(0, keys, SET_UP_KEYS):
            numbers = range(first, min(first + SET_UP_KEYS, keys))
            changes = {key_of(number): rng.randbytes(VALUE_BYTES) for number in numbers}
            commit(store, changes)

    return keys / seconds(blocks)


def commit(store: DiskStore, changes: dict[bytes, bytes | None] | dict[bytes, bytes]) -> None:
    height = store.version + 1
    store.commit(store.stage(dict(changes), height), height, {"results": b"\x00" * 200})


def measure_blocks(store: DiskStore, options: argparse.Namespace, rng: random.Random) -> dict[str, Any]:
    """Blocks of updates and new keys, each staged, committed with sync, and pruned to the window."""
    stage, write, prune = [], [], []
    next_key = options.keys
    for _ in range(options.blocks):
        fresh = options.changed * options.new_percent // 100
        numbers = rng.sample(range(options.keys), options.changed - fresh)
        numbers += range(next_key, next_key + fresh)
        next_key += fresh
        changes: dict[bytes, bytes | None] = {key_of(n): rng.randbytes(VALUE_BYTES) for n in numbers}
        height = store.version + 1
        start = time.perf_counter()
        staged = store.stage(changes, height)
        middle = time.perf_counter()
        store.commit(staged, height, {"results": b"\x00" * 200})
        end = time.perf_counter()
        stage.append(middle - start)
        write.append(end - middle)
        prune.append(seconds(lambda: store.prune(store.version - options.window, PRUNE_BUDGET)))
    blocks = [sum(each) for each in zip(stage, write, strict=True)]
    pruned = [sum(each) for each in zip(blocks, prune, strict=True)]
    return {
        "updates_per_s": round(options.changed * options.blocks / sum(blocks)),
        "updates_per_s_with_prune": round(options.changed * options.blocks / sum(pruned)),
        "block_ms_p50": round(statistics.median(blocks) * 1000, 1),
        "block_ms_max": round(max(blocks) * 1000, 1),
        "stage_ms_p50": round(statistics.median(stage) * 1000, 1),
        "commit_ms_p50": round(statistics.median(write) * 1000, 1),
        "prune_ms_p50": round(statistics.median(prune) * 1000, 1),
    }


def measure_reads(store: DiskStore, options: argparse.Namespace, rng: random.Random) -> dict[str, Any]:
    """Random reads of present and missing keys, a walk over all, reads and proofs of a kept height."""
    hits = [key_of(rng.randrange(options.keys)) for _ in range(100_000)]
    misses = [key_of(2**40 + number) for number in range(100_000)]
    old_height = max(store.height_lowest, store.version - 5)
    with store.at(old_height) as view:
        old_s = seconds(lambda: [view.get(key) for key in hits[:2000]])
    prove_s = seconds(lambda: [store.prove(store.version, key) for key in hits[:1000]])
    walk_s = seconds(lambda: sum(1 for _ in store.iterate(b"bank/", b"bank0")))
    return {
        "reads_per_s": round(len(hits) / seconds(lambda: [store.get(key) for key in hits])),
        "missing_reads_per_s": round(len(misses) / seconds(lambda: [store.get(key) for key in misses])),
        "walked_keys_per_s": round(options.keys / walk_s),
        "reads_at_old_height_per_s": round(2000 / old_s),
        "proofs_per_s": round(1000 / prove_s),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="updates and reads per second of the store on disk")
    parser.add_argument("--keys", type=int, default=200_000, help="keys before the measurement")
    parser.add_argument("--changed", type=int, default=1000, help="keys changed per block")
    parser.add_argument("--new-percent", type=int, default=10, help="share of changed keys that are new")
    parser.add_argument("--blocks", type=int, default=40, help="blocks measured")
    parser.add_argument("--window", type=int, default=20, help="heights kept")
    parser.add_argument("--nodes-cached", type=int, default=1 << 19, help="tree nodes kept as objects")
    options = parser.parse_args()
    rng = random.Random(1)  # noqa: S311 - load, not secrets
    stores = ["auth", "bank", "poc", "~batches"]
    with tempfile.TemporaryDirectory() as home:
        with DiskStore(home, stores, nodes_cached=options.nodes_cached) as store:
            filled = fill(store, options.keys, rng)
        # Opened anew, so that nodes come from disk at first, as after a restart.
        with DiskStore(home, stores, nodes_cached=options.nodes_cached) as store:
            open_s = seconds(lambda: commit(store, {key_of(n): b"w" for n in range(0, options.keys, 5)}))
            # What the cold block made obsolete is no part of a usual block's pruning.
            store.prune(store.version, 10**9)
            measure_blocks(store, argparse.Namespace(**vars(options) | {"blocks": options.window}), rng)
            gc.freeze()
            report = {
                "benchmark": "store",
                "keys": options.keys,
                "changed_per_block": options.changed,
                "new_percent": options.new_percent,
                "blocks": options.blocks,
                "fill_keys_per_s": round(filled),
                "cold_updates_per_s": round(options.keys / 5 / open_s),
                **measure_blocks(store, options, rng),
                **measure_reads(store, options, rng),
            }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
