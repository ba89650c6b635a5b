"""What filtering by a shortcut would earn below an acceptance of 10000 bps; at 10000 nothing is filtered.

A cheater spends c of a pass a nonce on the shortcut, keeps the best q and pays cc to confirm:
adv = max over q of P(Z > z_p and Z' > z_q) / p / (c + q cc), the two normal with correlation rho.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

NORMAL = NormalDist()
POINTS = 4_001


def advantage(rho: float, cost: float, confirm: float, acceptance: float) -> float:
    """At acceptance 1 every nonce is confirmed, hence 1 / (cost + confirm)."""
    if acceptance >= 1:
        return 1 / (cost + confirm)
    z = np.linspace(-6, 6, POINTS)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    spread = max(1e-6, np.sqrt(max(0.0, 1 - rho * rho)))
    target = NORMAL.inv_cdf(1 - acceptance)
    hit = np.array([1 - NORMAL.cdf((target - rho * each) / spread) for each in z])
    both = np.cumsum((density * hit)[::-1])[::-1]
    kept = np.cumsum(density[::-1])[::-1]
    return float(np.max(both / acceptance / (cost + kept * confirm)))


def rows(correlations: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": row["name"]}
        | {
            f"{acceptance:g}": advantage(row["rho"], row["cost"], row["confirm_share"], acceptance)
            for acceptance in (0.05, 0.5, 1.0)
        }
        for row in correlations["rows"]
    ]
