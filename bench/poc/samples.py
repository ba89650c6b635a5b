"""Values of z of the same nonces, computed in different ways; kept on disk, since some take minutes.

Everything here is float32 or float64 arrays of z itself, not millionths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench.poc.shortcuts import PlainNet, Shortcut, z_of
from mlnode.pow import PRESETS, PocParams, Puzzle

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "poc"
KEY = b"\x02" + bytes(31) + b"\x01"
NODE = "node-1"
SEEDS = tuple(bytes([i]) * 32 for i in (1, 2, 3))
WIDE = PocParams(
    dim=1024, n_layers=16, n_heads=8, n_kv_heads=2, ffn_dim=4096, vocab=4096, seq_len=16, dtype="float32"
)
SIZES = {"tiny": PRESETS["tiny"], "small": PRESETS["small"], "wide": WIDE}

Values = NDArray[np.float64]


def whole(params: PocParams) -> Shortcut:
    return Shortcut("whole", tuple(range(params.n_layers)))


def batches(count: int, size: int) -> Iterator[range]:
    for first in range(0, count, size):
        yield range(first, min(first + size, count))


def batch_of(params: PocParams) -> int:
    """Activations of a few megabytes."""
    return max(4, (1 << 22) // (params.seq_len * 4 * (6 * params.dim + 3 * params.ffn_dim)))


def by_puzzle(params: PocParams, seed: bytes, count: int, batch_size: int | None = None) -> Values:
    """As an MLNode computes it."""
    with Puzzle(params, seed) as puzzle:
        if batch_size:
            puzzle.batch_size = batch_size
        claims = puzzle.generate(KEY, NODE, 0, count)
    return np.array([np.nan if claim is None else claim for claim in claims]) / 1e6


def by_plain_net(params: PocParams, seed: bytes, count: int, *, double: bool = False) -> Values:
    """Written out: separate projections, another order of operations; in float64 as the exact value."""
    net = PlainNet(params, seed)
    if double:
        net.weights = {name: weight.double() for name, weight in net.weights.items()}
        net.recompute_rotation()
    out = []
    with torch.inference_mode():
        for nonces in batches(count, batch_of(params)):
            inputs, signs = net.inputs_and_signs(KEY, NODE, list(nonces))
            if double:
                inputs, signs = inputs.double(), signs.double()
            out.append(z_of(net.logits(inputs, whole(params)), signs).double().numpy())
    return np.concatenate(out)


def _math_kernel(compute: Callable[[], Values]) -> Values:
    with sdpa_kernel(SDPBackend.MATH):
        return compute()


def ways(params: PocParams, seed: bytes) -> dict[str, Callable[[int], Values]]:
    """Name -> values of the first n nonces."""
    half = params.with_dtype("float16")
    single = replace(params, dtype="float32")
    return {
        "float64": lambda n: by_plain_net(single, seed, n, double=True),
        "float32": lambda n: by_puzzle(single, seed, n),
        "float32 written out": lambda n: by_plain_net(single, seed, n),
        "float32 batch 5": lambda n: by_puzzle(single, seed, n, 5),
        "float32 attention written out": lambda n: _math_kernel(lambda: by_puzzle(single, seed, n)),
        "float16": lambda n: by_puzzle(half, seed, n),
        "float16 batch 5": lambda n: by_puzzle(half, seed, n, 5),
        "float16 attention written out": lambda n: _math_kernel(lambda: by_puzzle(half, seed, n)),
    }


def values(size: str, way: str, count: int, seed_index: int = 0) -> Values:
    """From disk where they were computed before."""
    path = CACHE / f"{size}-{seed_index}-{way.replace(' ', '_')}-{count}.npy"
    if path.exists():
        return np.asarray(np.load(path), dtype=np.float64)
    computed = ways(SIZES[size], SEEDS[seed_index])[way](count)
    CACHE.mkdir(parents=True, exist_ok=True)
    np.save(path, computed)
    return computed


def describe(params: PocParams) -> dict[str, Any]:
    names = ("dim", "n_layers", "n_heads", "n_kv_heads", "ffn_dim", "vocab", "seq_len")
    return {name: getattr(params, name) for name in names} | {"weight_count": params.weight_count}
