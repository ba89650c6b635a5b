"""What the three tests make of honest and of cheap work, from measured differences; and what cheating earns.

A run draws the governed sample from measured differences of the same nonces. Cheap claims are compared with a
verifier that computes in the network's dtype; honest ones with another computation of the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.poc.correlations import all_shortcuts
from bench.poc.samples import KEY, NODE, SEEDS, SIZES, Values, batch_of, batches, values
from bench.poc.shortcuts import PlainNet, cost, z_of
from mlnode.pow import PocParams, log10_binomial_tail

NONCES = {"tiny": 4_000, "small": 4_000}
MIXES = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
HONEST_RUNS = 1_000_000
CAUGHT = ("int8 all", "int8 last half", "int8 last quarter", "fp8 all", "fp8 last half", "fp8 last quarter")


@dataclass(frozen=True, slots=True)
class ThreeTests:
    """The three tests as arrays: as `mlnode.pow.verify`, for many samples at once."""

    epsilon: float
    noise: float
    limit: float
    mismatches_fraud: int

    @classmethod
    def of(cls, params: PocParams) -> ThreeTests:
        rate = params.mismatch_rate / 1e6
        fraud = next(
            n
            for n in range(params.sample_size + 1)
            if log10_binomial_tail(n, params.sample_size, rate) < params.fraud_threshold_log10
        )
        return cls(params.epsilon / 1e6, params.noise / 1e6, params.mean_square_limit / 1e3, fraud)

    def fraud(self, differences: NDArray[Any]) -> NDArray[np.bool_]:
        """One verdict a row."""
        within = np.abs(differences) <= self.epsilon
        squares = np.where(within, differences, 0.0) ** 2
        mean_square = squares.sum(-1) / np.maximum(1, within.sum(-1)) / self.noise**2
        many = (~within).sum(-1) >= self.mismatches_fraud
        return np.asarray(many | (mean_square > self.limit))


def fraud_share(  # noqa: PLR0917 - a formula's symbols
    tests: ThreeTests,
    cheap: Values,
    honest: Values,
    mix: float,
    runs: int,
    sample: int,
    draw: np.random.Generator,
) -> float:
    """Of runs in which `mix` of the claims are cheap."""
    caught, done = 0, 0
    while done < runs:
        step = min(20_000, runs - done)
        found = honest[draw.integers(len(honest), size=(step, sample), dtype=np.int32)]
        if mix > 0:
            others = cheap[draw.integers(len(cheap), size=(step, sample), dtype=np.int32)]
            found = np.where(draw.random((step, sample), dtype=np.float32) < mix, others, found)
        caught += int(tests.fraud(found).sum())
        done += step
    return caught / runs


@lru_cache
def cheap_z(size: str, count: int) -> dict[str, Values]:
    """z by each shortcut, of the nonces that `samples` has in other ways."""
    params = SIZES[size]
    net = PlainNet(params, SEEDS[0])
    found: dict[str, Values] = {}
    for shortcut in all_shortcuts(params.n_layers):
        parts = []
        with torch.inference_mode():
            for nonces in batches(count, batch_of(params)):
                inputs, signs = net.inputs_and_signs(KEY, NODE, list(nonces))
                parts.append(z_of(net.logits(inputs, shortcut), signs).double().numpy())
        net.drop_cache()
        found[shortcut.name] = np.concatenate(parts)
    return found


def honest_differences(size: str, dtype: str) -> Values:
    """Of the pair of computations that lie furthest apart."""
    count = 100_000 if size == "tiny" else 10_000
    if dtype == "float16":
        pairs = [("float16", "float32"), ("float16", "float16 attention written out")]
    else:
        pairs = [("float32", "float32 written out"), ("float32", "float64")]
    found = [values(size, a, count) - values(size, b, count) for a, b in pairs]
    return max(found, key=lambda differences: float(np.mean(differences**2)))


def measure(
    size: str, dtype: str, params: PocParams, *, runs: int = 1_000, honest_runs: int = HONEST_RUNS
) -> dict[str, Any]:
    draw = np.random.default_rng(5)
    tests = ThreeTests.of(params)
    honest = honest_differences(size, dtype)
    verifier = values(size, dtype, 100_000 if size == "tiny" else 10_000)[: NONCES[size]]
    rows = []
    for name, z in cheap_z(size, NONCES[size]).items():
        rows.append(_row(params, tests, name, z - verifier, honest, runs, draw))
    sample = params.sample_size
    failed = fraud_share(tests, honest, honest, 0, honest_runs, sample, draw)
    return {
        "dtype": dtype,
        "noise": params.noise,
        "epsilon": params.epsilon,
        "mean_square_limit": params.mean_square_limit,
        "mismatches_fraud": tests.mismatches_fraud,
        "nonces": NONCES[size],
        "runs": runs,
        "honest_runs": honest_runs,
        "honest_failed": round(failed * honest_runs),
        "honest_mean_square": float(np.mean(honest**2) / tests.noise**2),
        "rows": rows,
    }


def _row(  # noqa: PLR0917
    params: PocParams,
    tests: ThreeTests,
    name: str,
    differences: Values,
    honest: Values,
    runs: int,
    draw: np.random.Generator,
) -> dict[str, Any]:
    """Detection when all claims are cheap, and the best mixture of cheap and honest ones."""
    shortcut = next(each for each in all_shortcuts(params.n_layers) if each.name == name)
    share = cost(params, shortcut)
    best = {"advantage": 1.0, "mix": 0.0, "passed": 1.0}
    for mix in MIXES:
        passed = 1 - fraud_share(tests, differences, honest, mix, runs, params.sample_size, draw)
        advantage = passed / (1 - mix * (1 - share))
        if advantage > best["advantage"]:
            best = {"advantage": advantage, "mix": mix, "passed": passed}
    all_caught = round(runs * fraud_share(tests, differences, honest, 1.0, runs, params.sample_size, draw))
    sd = float(np.sqrt(np.mean(np.minimum(np.abs(differences), 3) ** 2)))
    return {"name": name, "cost": share, "sd": sd, "caught": all_caught, "best": best}
