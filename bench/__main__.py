"""Runs all benchmarks, each in a process of its own, and prints one table; all figures go into a JSON file.

`make bench`, or `python -m bench [--quick] [--json PATH] [--only NAME …]`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from abci_app.node.home import COMETBFT_VERSION

ROOT: Final = Path(__file__).resolve().parents[1]
JSON_DEFAULT: Final = ROOT / ".cache" / "bench.json"
SECONDS_MAX: Final = 600.0
LIBRARIES: Final = ("protobuf", "coincurve", "rocksdict", "uvloop", "torch")


@dataclass(frozen=True)
class Part:
    """A benchmark module that prints JSON, with its arguments in full and in quick runs."""

    name: str
    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()


PARTS: Final = (
    Part("comet", (), ("--quick",)),
    Part("chain", (), ("--sizes", "1", "100", "1000", "--repeat", "1")),
    Part("store", ("--keys", "200000"), ("--keys", "20000", "--blocks", "10")),
    Part("abci", ("--scale", "5"), ("--scale", "1")),
    Part("tx", (), ("--rounds", "2", "--txs", "500")),
    Part("gateway", (), ("--quick",)),
    Part("queries", (), ("--quick",)),
    Part(
        "nonces", ("--seconds", "0.5", "--json", "/dev/stdout"), ("--seconds", "0.1", "--json", "/dev/stdout")
    ),
)


@dataclass(frozen=True)
class Row:
    """A line of the table: where its figure stands in the results, and what the Go SDK reached there."""

    title: str
    path: str
    unit: str
    go_sdk: float | None = None


# The Go figures: a minimal chain of Cosmos SDK 0.53 on the same CometBFT line, on two shared cores, with the
# same load (docs/performance.md).
ROWS: Final = (
    Row("bank sends committed through CometBFT", "comet.committed_tx_per_s", "tx/s", 1040),
    Row("CPU of node and chain per send", "comet.cpu_ms_per_tx", "ms", 1.14),
    Row("  of it CometBFT", "comet.cpu_ms_per_tx_node", "ms"),
    Row("  of it the chain", "comet.cpu_ms_per_tx_chain", "ms"),
    Row("CheckTx through RPC, no blocks", "comet.check_tx_per_s", "tx/s", 2656),
    Row("replay by CometBFT into an empty store", "comet.replay_tx_per_s", "tx/s", 2050),
    Row("start, state kept", "comet.start_state_kept_s", "s"),
    Row("CheckTx, application alone", "chain.check_tx_per_s", "tx/s"),
    Row("blocks, signatures known", "chain.finalize_verified_tx_per_s", "tx/s"),
    Row("blocks, signatures not known", "chain.replay_tx_per_s", "tx/s"),
    Row("block of 1000 sends", "chain.block_ms_by_txs.1000", "ms"),
    Row("CPU of a CheckTx", "chain.check_cpu_us", "us"),
    Row("CPU of a send in a block, fitted", "chain.tx_cpu_us_fitted", "us"),
    Row("CPU of a block as such, fitted", "chain.block_cpu_ms_fitted", "ms"),
    Row("ante and send, signature known", "tx.us_per_tx.ante_and_send_deliver_verified", "us"),
    Row("store updates", "store.updates_per_s", "1/s"),
    Row("store updates, with pruning", "store.updates_per_s_with_prune", "1/s"),
    Row("store reads", "store.reads_per_s", "1/s"),
    Row("store proofs", "store.proofs_per_s", "1/s"),
    Row("CheckTx through the ABCI socket, empty application", "abci.check_tx_per_second", "tx/s"),
    Row("signatures verified on all cores", "abci.signatures_per_second", "1/s"),
    Row("chat request at a stand-in for the MLNode", "gateway.p50_ms_direct", "ms"),
    Row("  added by the API node", "gateway.p50_ms_added", "ms"),
    Row("chat requests through the API node", "gateway.requests_per_s_gateway", "1/s"),
    Row("  as a part of those at the MLNode", "gateway.requests_per_s_ratio", "ratio"),
    Row("chat request of 8 tokens at a real MLNode, tiny model", "gateway.real.p50_ms_direct", "ms"),
    Row("  added by the API node", "gateway.real.p50_ms_added", "ms"),
    Row("  requests through the API node", "gateway.real.requests_per_s_gateway", "1/s"),
    Row("  as a part of those at the MLNode", "gateway.real.requests_per_s_ratio", "ratio"),
    Row("nonces generated, preset tiny", "nonces.tiny.generation_per_s", "1/s"),
    Row("nonces generated, preset small", "nonces.small.generation_per_s", "1/s"),
    Row("nonces validated, preset small", "nonces.small.validation_per_s", "1/s"),
)

QUERIES: Final = (("balance", "balance"), ("group", "epoch group of 1,000 nodes"))
ROWS_OF_QUERIES: Final = tuple(
    Row(
        f"{title} over {transport}, clients: {clients}, {at}",
        f"queries.{transport}.{name}.clients_{clients}.{at}_ms",
        "ms",
    )
    for name, title in QUERIES
    for transport in ("rpc", "grpc", "rest")
    for clients in (1, 32)
    for at in ("p50", "p99")
)


def machine() -> dict[str, Any]:
    """The facts without which no figure means anything."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count(),
        "cpu": models[0] if models else platform.machine(),
        "memory_gib": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "cometbft": COMETBFT_VERSION,
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "load_before": round(os.getloadavg()[0], 2),
    }


def run_part(part: Part, *, quick: bool) -> dict[str, Any]:
    """The JSON that a benchmark prints; raises CalledProcessError with what it said when it fails."""
    command = [sys.executable, "-m", f"bench.{part.name}", *(part.quick if quick else part.arguments)]
    done = subprocess.run(command, cwd=ROOT, check=True, timeout=SECONDS_MAX, stdout=subprocess.PIPE)
    # Some print a table behind it.
    found, _ = json.JSONDecoder().raw_decode(done.stdout.decode())
    if "rows" in found:
        found |= {row["preset"]: row for row in found.pop("rows")}
    return dict(found)


def figure(results: dict[str, Any], path: str) -> float | None:
    """What stands at a dotted path, None where it was not measured."""
    value: Any = results
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, int | float) else None


def table(results: dict[str, Any]) -> Table:
    """What was measured, beside the Go SDK's figures where there are any."""
    out = Table("figure", "value", "unit", "Go SDK", "value / Go SDK")
    for column in (1, 3, 4):
        out.columns[column].justify = "right"
    for row in (*ROWS, *ROWS_OF_QUERIES):
        value = figure(results, row.path)
        if value is not None:
            go_sdk, ratio = (f"{row.go_sdk:,}", f"{value / row.go_sdk:.2f}") if row.go_sdk else ("", "")
            out.add_row(row.title, f"{value:,}", row.unit, go_sdk, ratio)
    return out


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test, in which no figure means much")
    parser.add_argument("--json", type=Path, default=JSON_DEFAULT, help="where all figures go")
    parser.add_argument("--only", nargs="+", choices=[part.name for part in PARTS], help="these alone")
    options = parser.parse_args(argv)
    facts = machine()
    results: dict[str, Any] = {"machine": facts, "quick": options.quick}
    errors = Console(stderr=True)
    for part in PARTS:
        if options.only and part.name not in options.only:
            continue
        started = time.perf_counter()
        with errors.status(f"{part.name} …"):
            results[part.name] = run_part(part, quick=options.quick)
        errors.print(f"{part.name}: {time.perf_counter() - started:.0f} s")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=2) + "\n")
    print(f"{facts['cores']} cores ({facts['cpu']}), Python {facts['python']}, load {facts['load_before']}")
    Console(width=100 if not sys.stdout.isatty() else None).print(table(results))
    print(f"all figures: {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
