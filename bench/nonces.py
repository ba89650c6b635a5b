"""Nonces per second: generation for one node, and merged validation of samples of many participants.

The two are timed in turns and medians are reported, so that a busy machine bends their ratio little.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mlnode.pow import PRESETS, Item, PocParams, Puzzle

SEED = bytes(range(32))
PARTICIPANT_COUNT = 20


def public_key(index: int) -> bytes:
    return b"\x02" + index.to_bytes(32, "big")


def samples(count: int) -> list[Item]:
    """Nonces as validators draw them: scattered, of many participants, one after another."""
    return [(public_key(i % PARTICIPANT_COUNT), f"node-{i % 3}", i * 7919 % 100_003) for i in range(count)]


def rate(compute: Callable[[], object], nonce_count: int, seconds: float) -> float:
    """Nonces per second of whole calls over at least `seconds`."""
    calls, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        compute()
        calls += 1
    return calls * nonce_count / elapsed


def measure(preset: str, params: PocParams, device: str, threads: int, seconds: float) -> dict[str, Any]:
    start = time.perf_counter()
    with Puzzle(params, SEED, device, threads) as puzzle:
        build_s = time.perf_counter() - start
        count = 4 * puzzle.batch_size
        items = samples(count)

        def generate() -> object:
            return puzzle.generate(public_key(0), "node-0", 0, count)

        def validate() -> object:
            return puzzle.claims(items)

        generate(), validate()
        rounds = [(rate(generate, count, seconds), rate(validate, count, seconds)) for _ in range(5)]
        generation, validation = (statistics.median(side) for side in zip(*rounds, strict=True))
        return {
            "preset": preset,
            "dtype": params.dtype,
            "device": device,
            "threads": threads,
            "weight_count": params.weight_count,
            "batch_size": puzzle.batch_size,
            "build_s": round(build_s, 3),
            "generation_per_s": round(generation, 1),
            "validation_per_s": round(validation, 1),
            "validation_share": round(statistics.median(v / g for g, v in rounds), 3),
        }


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["| " + " | ".join(rows[0]) + " |", "| " + " | ".join("---" for _ in rows[0]) + " |"]
    lines += ["| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure nonces per second.")
    parser.add_argument("--preset", nargs="+", default=["tiny", "small"], choices=sorted(PRESETS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--seconds", type=float, default=1.0, help="per round; there are five")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    args = parser.parse_args()
    device, dtype = ("cuda", "float16") if torch.cuda.is_available() else ("cpu", "float32")
    rows = [
        measure(preset, PRESETS[preset].with_dtype(dtype), device, threads, args.seconds)
        for preset in args.preset
        for threads in args.threads
    ]
    if args.json:
        args.json.write_text(json.dumps({"bench": "nonces", "rows": rows}, indent=2) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
