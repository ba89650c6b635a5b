"""What pruning costs a block when epochs are extended again and again: what was proved is dropped each time.

Run `python -m bench.extended`. The network is that of `bench.growth`: nonces by state, and nobody votes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bench.growth import MODELS, NODES, SIZES, Network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.stages import AroundStep


def measure(participants: int, nodes: int, models: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of pruning a block in epochs extended one after another: nonces, and nobody votes."""
    pruning: list[float] = []
    network = Network(participants, nodes, models)
    network.app._around_step = _watch("prune", pruning)  # noqa: SLF001 - what the node sets at its start
    by_round: list[dict[str, float]] = []
    try:
        while len(by_round) <= rounds:
            took = network.block()
            if "start_of_poc" in took.stages:
                network.write_proofs(voted=False)
            if "pre_poc_scheduling" in took.stages:
                by_round.append(
                    {"median": round(statistics.median(pruning), 2), "max": round(max(pruning), 2)}
                )
                pruning.clear()
    finally:
        network.close()
    return {"participants": participants, "nodes": participants * nodes, "prune_ms": by_round[1:]}


def _watch(step: str, took: list[float]) -> AroundStep:
    @contextmanager
    def around(name: str) -> Iterator[None]:
        start = time.thread_time()
        yield
        if name == step:
            took.append((time.thread_time() - start) * 1000)

    return around


def main(argv: list[str] | None = None) -> int:
    """Measures each size and prints what it found."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench.extended")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=7, help="how often the epoch is extended")
    options = parser.parse_args(argv)
    for size in options.sizes:
        sys.stdout.write(json.dumps(measure(size, NODES, MODELS, options.rounds)) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
