"""`make bench-poc` (rates, switches), `make bench-poc-claims` (every claim of proof of compute, its page).

`python -m bench.poc rates | memory [--minutes M] | claims [--only PART …] [--quick] | report`. Rates and
memory print tables, and keep them in `docs/bench-poc-rates.json` and `docs/bench-poc-memory.json`. Claims
take an hour on one core and are kept in `docs/proof-of-compute.json`, part by part; the report turns them
into `docs/proof-of-compute.md` and its plots.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bench.__main__ import machine
from bench.poc import (
    acceptance,
    agreement,
    correlations,
    lottery,
    report,
    samples,
    speed,
    stages,
    surrogates,
    verdicts,
)
from mlnode.pow import PRESETS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
RESULTS = DOCS / "proof-of-compute.json"

# Sizes: full, quick.
VALUES = {"tiny": (100_000, 2_000), "small": (10_000, 200)}


def _correlations(*, quick: bool) -> dict[str, Any]:
    found = {
        "tiny": correlations.measure("tiny", 500 if quick else None),
        "small": correlations.measure("small", 32 if quick else 600),
    }
    if not quick:
        found["wide"] = correlations.measure("wide", 24, samples.SEEDS[:1])
    return found


def _surrogates(*, quick: bool) -> dict[str, Any]:
    sizes = ("tiny",) if quick else ("tiny", "small")
    return {size: surrogates.measure(size, 5.0 if quick else 30.0) for size in sizes}


def _agreement(*, quick: bool) -> dict[str, Any]:
    for size, counts in VALUES.items():
        for way in samples.ways(samples.SIZES[size], samples.SEEDS[0]):
            slow = way == "float16 batch 5"
            samples.values(size, way, counts[quick] // 10 if slow and not quick else counts[quick])
    if not quick:
        for way in ("float64", "float32", "float16"):
            samples.values("wide", way, 64)
    return {size: agreement.measure(size) for size in ("tiny", "small", "wide")}


def _acceptance(*, quick: bool) -> dict[str, Any]:
    counts = {"tiny": 2_000, "small": 200} if quick else {"tiny": 100_000, "small": 20_000}
    return {size: acceptance.measure(size, count) for size, count in counts.items()}


def _verdicts(*, quick: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for size in ("tiny", "small"):
        for dtype in ("float16", "float32"):
            params = PRESETS[size].with_dtype(dtype)
            runs, honest_runs = (100, 10_000) if quick else (1_000, verdicts.HONEST_RUNS)
            found[f"{size} {dtype}"] = verdicts.measure(
                size, dtype, params, runs=runs, honest_runs=honest_runs
            )
    return found


def _speed(*, quick: bool) -> dict[str, Any]:
    return speed.measure(quick=quick)


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "agreement": _agreement,
    "correlations": _correlations,
    "surrogates": _surrogates,
    "acceptance": _acceptance,
    "verdicts": _verdicts,
    "speed": _speed,
}


def claims(only: list[str], path: Path, *, quick: bool) -> None:
    results = json.loads(path.read_text()) if path.exists() else {}
    for name in only or list(PARTS):
        started = time.monotonic()
        results[name] = PARTS[name](quick=quick)
        if name == "correlations":
            results["lottery"] = {size: lottery.rows(results[name][size]) for size in results[name]}
        results["machine"] = machine() | {"torch_threads": torch.get_num_threads()}
        path.write_text(json.dumps(results, indent=1) + "\n")
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)


def rates(path: Path, *, quick: bool) -> None:
    """Rates by preset, dtype and device, and the seconds of switches of a real node."""
    found: dict[str, Any] = {"machine": machine()}
    found |= speed.measure(quick=quick)
    found |= {"switches": stages.switches(1 if quick else 5, "tiny" if quick else "small")}
    _keep(path, found)
    print(report.speed_table(found))
    print()
    print(_table(found["switches"]["rows"]))


def memory(path: Path, minutes: float) -> None:
    """Resident memory of a node's two processes over alternating stages."""
    found = {"machine": machine()} | stages.memory(minutes)
    _keep(path, found)
    print(f"{found['rounds']} rounds in {minutes:g} minutes")
    print(_table([{"process": name} | found[name] for name in stages.PROCESSES]))


def _table(rows: list[dict[str, Any]]) -> str:
    return report.table(list(rows[0]), [list(row.values()) for row in rows])


def _keep(path: Path, found: dict[str, Any]) -> None:
    path.write_text(json.dumps(found, indent=1) + "\n")


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.poc", description=__doc__)
    parser.add_argument("what", choices=["rates", "memory", "claims", "report"])
    parser.add_argument(
        "--only", nargs="+", choices=list(PARTS), default=[], help="these parts of the claims"
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test, in which no figure means much")
    parser.add_argument("--minutes", type=float, default=20.0, help="of memory")
    parser.add_argument("--json", type=Path, help="where results lie, if not in docs")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    if options.what == "rates":
        rates(options.json or DOCS / "bench-poc-rates.json", quick=options.quick)
    elif options.what == "memory":
        memory(options.json or DOCS / "bench-poc-memory.json", options.minutes)
    elif options.what == "claims":
        claims(options.only, options.json or RESULTS, quick=options.quick)
    if options.what == "report" or (options.what == "claims" and options.json in (None, RESULTS)):
        report.write(json.loads((options.json or RESULTS).read_text()), DOCS)


if __name__ == "__main__":
    main(sys.argv[1:])
