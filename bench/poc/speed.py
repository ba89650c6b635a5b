"""Rates, what a pass spends outside of products and attention, and a plain float16 transformer beside it.

All times are processor time of one thread, the least of several rounds taken in turns, as other programs may
run beside; on a card it is the wall clock.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bench.nonces import SEED, public_key, samples
from bench.poc.samples import describe
from mlnode.pow import DTYPES, PRESETS, PocParams, Puzzle, _linear
from mlnode.pow_engine import free_bytes, parse_devices, synchronize_all

ROUNDS = 7
# The network of development at the size that the existing Go network uses, for comparison of equal sizes.
DEV = PocParams(
    dim=512, n_layers=16, n_heads=16, n_kv_heads=16, ffn_dim=2048, vocab=8192, seq_len=4, dtype="float32"
)
SIZES = {"tiny": PRESETS["tiny"], "small": PRESETS["small"], "dev": DEV}
ON_CARDS = SIZES | {name: PRESETS[name] for name in ("gpu24", "gpu80")}
# Of a card's free memory; the rest is for activations.
WEIGHTS_SHARE_MAX = 0.8
# Nonces per second of the reference's worker in its default dtype, best seen, two threads (another machine).
REFERENCE_BEST_PER_S = {"tiny": 1877.0, "small": 101.0, "dev": 37.0}
# Shapes of the reference at its own sizes: dim, layers, heads, ffn, vocab, seq.
REFERENCE = {
    "tiny": (64, 2, 4, 160, 128, 8, 100),
    "small": (256, 4, 8, 1024, 1024, 16, 50),
    "dev": (512, 16, 16, 2048, 8192, 4, 25),
}


def clock(device: str) -> float:
    if device == "cpu":
        return time.thread_time()
    synchronize_all([torch.device(device)])
    return time.perf_counter()


def least_seconds(
    parts: dict[str, Callable[[], object]], device: str, rounds: int = ROUNDS
) -> dict[str, float]:
    """The least time of each, called in turns."""
    best = dict.fromkeys(parts, math.inf)
    for compute in parts.values():
        compute()
    for _ in range(rounds):
        for name, compute in parts.items():
            start = clock(device)
            compute()
            best[name] = min(best[name], clock(device) - start)
    return best


def products_and_attention(params: PocParams, count: int, device: str) -> Callable[[], object]:
    """The matrix products and attentions of a pass over `count` nonces, on numbers without meaning."""
    p, dtype, where = params, DTYPES[params.dtype], torch.device(device)
    query, pair = p.n_heads * p.head_dim, p.n_kv_heads * p.head_dim

    def linear(rows: int, columns: int) -> Callable[[Tensor], Tensor]:
        return _linear(torch.randn(rows, columns, device=where).to(dtype))

    def values(*shape: int) -> Tensor:
        return torch.randn(*shape, device=where).to(dtype)

    # Weights of a layer each, since those of a pass do not stay in the cache either.
    layers = [
        (
            linear(query + 2 * pair, p.dim),
            linear(p.dim, query),
            linear(2 * p.ffn_dim, p.dim),
            linear(p.dim, p.ffn_dim),
        )
        for _ in range(p.n_layers)
    ]
    last_kv, last_q, head = linear(2 * pair, p.dim), linear(query, p.dim), linear(p.vocab, p.dim)
    x, hidden = values(count, p.seq_len, p.dim), values(count, p.seq_len, p.ffn_dim)
    mixed = values(count, p.seq_len, query)
    q = values(count, p.seq_len, p.n_heads, p.head_dim).transpose(1, 2)
    k = values(count, p.seq_len, p.n_kv_heads, p.head_dim).transpose(1, 2)
    v, q_last = torch.clone(k), q[:, :, -1:]
    x_last, hidden_last, mixed_last = x[:, -1:].clone(), hidden[:, -1:].clone(), mixed[:, -1:].clone()
    attend = functional.scaled_dot_product_attention

    def compute() -> None:
        with torch.inference_mode():
            for qkv, wo, w13, w2 in layers[:-1]:
                qkv(x), attend(q, k, v, is_causal=True, enable_gqa=True), wo(mixed), w13(x), w2(hidden)
            _, wo, w13, w2 = layers[-1]
            last_kv(x), last_q(x_last), attend(q_last, k, v, enable_gqa=True)
            wo(mixed_last), w13(x_last), w2(hidden_last), head(x_last)

    return compute


def rates(size: str, dtype: str, device: str, *, compiled: bool) -> dict[str, Any]:
    params = ON_CARDS[size].with_dtype(dtype)
    start = time.perf_counter()
    with Puzzle(params, SEED, device, 1, compiled=compiled) as puzzle:
        build_s = time.perf_counter() - start
        count = 4 * puzzle.batch_size
        items = samples(count)
        products = products_and_attention(params, puzzle.batch_size, device)
        best = least_seconds(
            {
                "generation": lambda: puzzle.generate(public_key(0), "node-0", 0, count),
                "validation": lambda: puzzle.claims(items),
                "products": lambda: [products() for _ in range(4)],
            },
            device,
        )
        generation, validation = count / best["generation"], count / best["validation"]
        return {
            "size": size,
            "dtype": dtype,
            "device": device,
            "kernels": "compiled" if puzzle.is_compiled else "eager",
            "batch_size": puzzle.batch_size,
            "build_s": round(build_s, 2),
            "generation_per_s": round(generation, 1),
            "validation_per_s": round(validation, 1),
            "validation_share": round(validation / generation, 3),
            "outside_share": round(1 - best["products"] / best["generation"], 3),
        }


class PlainTransformer:
    """A pre-norm transformer as most are written: separate projections, attention written out, all logits."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self.dim, self.n_layers, self.heads, ffn, vocab, self.seq, self.batch = shape
        square, up, down = (self.dim, self.dim), (ffn, self.dim), (self.dim, ffn)
        shapes = {"q": square, "k": square, "v": square, "o": square, "gate": up, "up": up, "down": down}
        self.layers = [
            {name: (0.02 * torch.randn(*each)).to(dtype) for name, each in shapes.items()}
            for _ in range(self.n_layers)
        ]
        self.head = (0.02 * torch.randn(vocab, self.dim)).to(dtype)
        self.x = torch.randn(self.batch, self.seq, self.dim).to(dtype)
        self.mask = torch.full((self.seq, self.seq), -math.inf).triu(1)

    def forward(self) -> Tensor:
        x = self.x
        for w in self.layers:
            y = functional.rms_norm(x, (self.dim,))
            q, k, v = (
                functional.linear(y, w[n]).view(*y.shape[:2], self.heads, -1).transpose(1, 2) for n in "qkv"
            )
            scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]) + self.mask
            mixed = scores.float().softmax(-1).to(v.dtype) @ v
            x = x + functional.linear(mixed.transpose(1, 2).flatten(2), w["o"])
            y = functional.rms_norm(x, (self.dim,))
            gate = functional.silu(functional.linear(y, w["gate"]))
            x = x + functional.linear(gate * functional.linear(y, w["up"]), w["down"])
        return functional.linear(functional.rms_norm(x, (self.dim,)), self.head).float()


def against_plain(size: str) -> dict[str, Any]:
    """Ours end to end, against the forward pass alone of a transformer of the reference's shape."""
    other = PlainTransformer(REFERENCE[size], torch.float16)
    params = replace(SIZES[size], dtype="float32")
    with Puzzle(params, SEED, "cpu", 1, compiled=False) as puzzle, torch.inference_mode():
        count = 4 * puzzle.batch_size
        best = least_seconds(
            {
                "ours": lambda: puzzle.generate(public_key(0), "node-0", 0, count),
                "plain": other.forward,
            },
            "cpu",
            5,
        )
    ours, plain = count / best["ours"], other.batch / best["plain"]
    return {
        "size": size,
        "shape": describe(params),
        "ours_per_s": round(ours, 1),
        "plain_float16_per_s": round(plain, 1),
        "ratio": round(ours / plain, 2),
        "reference_best_per_s": REFERENCE_BEST_PER_S[size],
    }


def plans(device: torch.device) -> list[tuple[str, str, bool]]:
    """Size, dtype and whether kernels are compiled, of all that is worth a row on this device."""
    if device.type == "cpu":
        return [
            *((size, "float32", False) for size in SIZES),
            ("small", "float32", True),
            *((size, "float16", False) for size in ("tiny", "small")),
        ]
    room = WEIGHTS_SHARE_MAX * free_bytes(device)
    flags = (False, True) if device.type == "cuda" else (False,)
    return [
        (size, dtype, flag)
        for size, params in ON_CARDS.items()
        for dtype, kind in DTYPES.items()
        if params.weight_count * kind.itemsize <= room
        for flag in flags
    ]


def measure(*, quick: bool = False) -> dict[str, Any]:
    torch.set_num_threads(1)
    device = parse_devices("auto")[0]
    rows = [
        rates(size, dtype, device.type, compiled=flag)
        for size, dtype, flag in plans(device)[: 2 if quick else None]
    ]
    against = [] if device.type != "cpu" else [against_plain(s) for s in (["tiny"] if quick else SIZES)]
    return {
        "rows": rows,
        "against_plain": against,
        "median_validation_share": statistics.median(r["validation_share"] for r in rows),
    }
