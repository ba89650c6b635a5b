"""How much of the true z a shortcut knows: rho, by shortcut, over three weight seeds.

The signs are independent of the logits, so the correlation of two z is the mean cosine of their logits, which
needs fewer nonces; the correlation of the z themselves stands beside it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bench.poc.samples import KEY, NODE, SEEDS, SIZES, batch_of, batches, describe, whole
from bench.poc.shortcuts import PlainNet, Shortcut, combined_shortcuts, cost, single_shortcuts, z_of
from mlnode.pow import PocParams

COUNTS = {"tiny": 20_000, "small": 3_000, "wide": 48}


def all_shortcuts(n_layers: int) -> list[Shortcut]:
    return [*single_shortcuts(n_layers), *combined_shortcuts(n_layers)]


class Truth:
    """Logits and signs of the first nonces of one network."""

    def __init__(self, params: PocParams, seed: bytes, count: int) -> None:
        self.params, self.net, self.count = params, PlainNet(params, seed), count
        self.logits, self.signs = self.of(whole(params))
        self.z = z_of(self.logits, self.signs)

    def of(self, shortcut: Shortcut, first: int = 0) -> tuple[Tensor, Tensor]:
        logits, signs = [], []
        with torch.inference_mode():
            for nonces in batches(self.count, batch_of(self.params)):
                numbers = [first + nonce for nonce in nonces]
                inputs, batch_signs = self.net.inputs_and_signs(KEY, NODE, numbers)
                logits.append(self.net.logits(inputs, shortcut))
                signs.append(batch_signs)
        self.net.drop_cache()
        return torch.cat(logits), torch.cat(signs)

    def compare(self, logits: Tensor) -> dict[str, float]:
        """rho with its standard error, and the correlation of the z."""
        cosines = functional.cosine_similarity(self.logits, logits)
        z = z_of(logits, self.signs)
        return {
            "rho": float(cosines.mean()),
            "standard_error": float(cosines.std() / math.sqrt(len(cosines))),
            "z_correlation": float(np.corrcoef(self.z.numpy(), z.numpy())[0, 1]),
        }


def mean_direction(truth: Truth) -> dict[str, float]:
    """The mean of half of the logit directions, against the other half."""
    half = truth.count // 2
    directions = functional.normalize(truth.logits, dim=-1)
    mean = functional.normalize(directions[:half].mean(0), dim=-1)
    return truth_like(directions[half:] @ mean, half)


def truth_like(cosines: Tensor, count: int) -> dict[str, float]:
    return {"rho": float(cosines.mean()), "standard_error": float(cosines.std() / math.sqrt(count))}


def merge(rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Over weight seeds: the mean, and each."""
    merged: dict[str, Any] = {"rho": statistics.fmean(row["rho"] for row in rows)}
    merged["rho_by_seed"] = [round(row["rho"], 5) for row in rows]
    merged["standard_error"] = max(row["standard_error"] for row in rows)
    if "z_correlation" in rows[0]:
        merged["z_correlation_by_seed"] = [round(row["z_correlation"], 5) for row in rows]
    return merged


def measure(size: str, count: int | None = None, seeds: Sequence[bytes] = SEEDS) -> dict[str, Any]:
    params = replace(SIZES[size], dtype="float32")
    shortcuts = all_shortcuts(params.n_layers)
    found: dict[str, list[dict[str, float]]] = {}
    for seed in seeds:
        truth = Truth(params, seed, count or COUNTS[size])
        for shortcut in shortcuts:
            found.setdefault(shortcut.name, []).append(truth.compare(truth.of(shortcut)[0]))
        found.setdefault("mean direction", []).append(mean_direction(truth))
    costs = {shortcut.name: cost(params, shortcut) for shortcut in shortcuts}
    costs["mean direction"] = params.vocab / _whole_operations(params)
    confirm = {shortcut.name: shortcut.confirm_share for shortcut in shortcuts}
    rows = [
        {"name": name, "cost": costs[name], "confirm_share": confirm.get(name, 1.0)} | merge(by_seed)
        for name, by_seed in found.items()
    ]
    return {"shape": describe(params), "nonces": count or COUNTS[size], "seeds": len(seeds), "rows": rows}


def _whole_operations(params: PocParams) -> float:
    skip = Shortcut("skip all", ())
    return params.vocab * params.dim / cost(params, skip)
