"""How far honest computations of the same nonces lie apart: quantiles, since the tails are heavy."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.poc.samples import CACHE, Values, values

PAIRS = (
    ("float32", "float64"),
    ("float32", "float32 written out"),
    ("float32", "float32 batch 5"),
    ("float32", "float32 attention written out"),
    ("float16", "float32"),
    ("float16", "float16 attention written out"),
    ("float16", "float16 batch 5"),
)
QUANTILES = (0.5, 0.9, 0.99, 0.999, 0.9999)


def quantiles(differences: Values) -> dict[str, float]:
    sizes = np.sort(np.abs(differences))
    # A value that was seen: of 10,000 the second largest.
    found = {f"{100 * q:g}%": float(np.quantile(sizes, q, method="nearest")) for q in QUANTILES}
    sd = float(np.sqrt(np.mean(differences**2)))
    kurtosis = float(np.mean(differences**4) / sd**4) if sd else 0.0
    return found | {"max": float(sizes[-1]), "sd": sd, "kurtosis": kurtosis}


def measure(size: str) -> dict[str, Any]:
    """Over the most nonces that both sides were computed for."""
    rows = []
    for one, other in PAIRS:
        counts = [_counts(size, way) for way in (one, other)]
        if all(counts):
            count = min(max(each) for each in counts)
            pair = [
                values(size, way, max(each))[:count] for way, each in zip((one, other), counts, strict=True)
            ]
            differences = pair[0] - pair[1]
            row: dict[str, Any] = {"one": one, "other": other, "nonces": count}
            rows.append(row | quantiles(differences) | {"tail": _tail(differences)})
    return {"rows": rows}


def _counts(size: str, way: str) -> list[int]:
    """Of the arrays on disk."""
    stem = f"{size}-0-{way.replace(' ', '_')}-"
    found = [path.stem.removeprefix(stem) for path in CACHE.glob(f"{stem}*.npy")]
    return [int(each) for each in found if each.isdigit()]


def _tail(differences: Values) -> list[tuple[float, float]]:
    """Points (difference, share of nonces beyond it)."""
    sizes = np.sort(np.abs(differences))[::-1]
    ranks = np.unique(np.geomspace(1, len(sizes), 40).astype(int)) - 1
    return [(float(sizes[r]), (r + 1) / len(sizes)) for r in ranks if sizes[r] > 0]
