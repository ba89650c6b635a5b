"""How many nonces pass z_target where not every nonce counts, against what the definition says."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np

from bench.poc.samples import SIZES, values

RATES_BPS = (100, 500, 2_000, 5_000)
BETA_BELOW_VOCAB = 256


def sphere_tail(z: float, vocab: int) -> float:
    """P(sqrt(V) cos > z), uniform on the sphere: I_{1-c^2}((V-1)/2, 1/2) / 2, by quadrature."""
    grid = np.linspace(-1, 1, 200_001)
    log_density = (vocab - 3) / 2 * np.log1p(-(np.clip(grid, -1 + 1e-12, 1 - 1e-12) ** 2))
    density = np.exp(log_density - log_density.max())
    return float(density[grid > z / math.sqrt(vocab)].sum() / density.sum())


def expected(z_target: int, vocab: int) -> float:
    z = z_target / 1e6
    return sphere_tail(z, vocab) if vocab < BETA_BELOW_VOCAB else 1 - NormalDist().cdf(z)


def measure(size: str, count: int) -> dict[str, Any]:
    z = values(size, "float32", count)
    rows = []
    for bps in RATES_BPS:
        z_target = round(NormalDist().inv_cdf(1 - bps / 10_000) * 1e6)
        rate = expected(z_target, SIZES[size].vocab)
        observed = float(np.mean(z >= z_target / 1e6))
        error = math.sqrt(rate * (1 - rate) / count)
        rows.append(
            {
                "acceptance_bps": bps,
                "z_target": z_target,
                "expected": rate,
                "observed": observed,
                "standard_errors": (observed - rate) / error,
            }
        )
    return {"nonces": count, "mean": float(z.mean()), "variance": float(z.var()), "rows": rows}
