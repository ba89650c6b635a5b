"""Learned stand-ins for the network: ridge regression and two-layer networks from the inputs to the logits.

A cheater can compute as many examples as it likes, since poc_seed fixes the network; so the training set
grows, and what is asked is whether rho grows with it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bench.poc.correlations import Truth, _whole_operations
from bench.poc.samples import KEY, NODE, SEEDS, SIZES

EXAMPLES = {"tiny": (5_000, 20_000, 80_000), "small": (2_000, 8_000)}
TEST_COUNT = 1_000
HIDDEN = {"tiny": 512, "small": 1024}
PASSES_MAX = 40


def _data(size: str, count: int) -> tuple[Tensor, Tensor]:
    """Inputs of norm about 1 an element, and directions of the logits."""
    params = replace(SIZES[size], dtype="float32")
    truth = Truth(params, SEEDS[0], count)
    parts = [
        truth.net.inputs_and_signs(KEY, NODE, list(range(first, min(first + 4096, count))))[0].flatten(1)
        for first in range(0, count, 4096)
    ]
    return torch.cat(parts) / 147.2, functional.normalize(truth.logits, dim=-1)


def ridge(x: Tensor, y: Tensor, test_x: Tensor, test_y: Tensor) -> float:
    """The best of a few penalties, chosen on the test set itself, in the cheater's favour."""
    mean = y.mean(0)
    gram, cross = x.T @ x, x.T @ (y - mean)
    best = -1.0
    for penalty in (0.1, 1.0, 10.0):
        solved = torch.linalg.solve(gram + penalty * len(x) * torch.eye(len(gram)), cross)
        best = max(best, float(functional.cosine_similarity(test_x @ solved + mean, test_y).mean()))
    return best


def network(
    x: Tensor, y: Tensor, test: tuple[Tensor, Tensor], hidden: int, seconds: float
) -> dict[str, float]:
    """Two hidden layers, trained on the cosine; the best that was seen on the test set."""
    import time  # noqa: PLC0415

    torch.manual_seed(1)
    model = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], hidden),
        torch.nn.SiLU(),
        torch.nn.Linear(hidden, hidden),
        torch.nn.SiLU(),
        torch.nn.Linear(hidden, y.shape[1]),
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    best, steps, started = -1.0, 0, time.monotonic()
    for _ in range(PASSES_MAX):
        for chosen in torch.randperm(len(x)).tensor_split(-(-len(x) // 256)):
            loss = 1 - functional.cosine_similarity(model(x[chosen]), y[chosen]).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            steps += 1
        with torch.inference_mode():
            best = max(best, float(functional.cosine_similarity(model(test[0]), test[1]).mean()))
        if time.monotonic() - started > seconds:
            break
    return {"rho": best, "steps": steps, "train_rho": 1 - float(loss.detach())}


def measure(size: str, seconds: float = 60.0) -> dict[str, Any]:
    params = SIZES[size]
    most = max(EXAMPLES[size])
    x, y = _data(size, most + TEST_COUNT)
    test = (x[most:], y[most:])
    rows: list[dict[str, Any]] = []
    for count in EXAMPLES[size]:
        mean = functional.normalize(y[:count].mean(0), dim=-1)
        row: dict[str, Any] = {"examples": count, "mean_direction_rho": float((test[1] @ mean).mean())}
        row["ridge_rho"] = ridge(x[:count], y[:count], *test)
        row["network"] = network(x[:count], y[:count], test, HIDDEN[size], seconds)
        rows.append(row)
    width, hidden = params.seq_len * params.dim, HIDDEN[size]
    whole = _whole_operations(params)
    return {
        "rows": rows,
        "test_nonces": TEST_COUNT,
        "standard_error": 1 / math.sqrt(params.vocab * TEST_COUNT),
        "ridge_cost": width * params.vocab / whole,
        "network_cost": (width * hidden + hidden * hidden + hidden * params.vocab) / whole,
    }
