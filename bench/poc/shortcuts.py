"""Cheaper computations of a nonce, as a cheater would build them, and what each costs of a whole pass.

Written out plainly beside `mlnode.pow`, so that any part can be left out or computed in few bits. Costs count
multiply-additions of matrix products and attention, 8 bits at half and 4 bits at a quarter of the price.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from mlnode.pow import PocParams, draw_inputs, draw_signs, fill_weight, parameters
from mlnode.pow import _linear as linear_of
from mlnode.pow import _stream_words as stream_words

BITS_COST = {None: 1.0, "bf16": 1.0, "int8": 0.5, "fp8": 0.5, "int4": 0.25}
FP8_MAX = 448.0


@dataclass(frozen=True, slots=True)
class Shortcut:
    """Which layers run, how much of each, and in how many bits (`low` from layer `low_from` on)."""

    name: str
    layers: tuple[int, ...]
    attention: bool = True
    head_share: float = 1.0
    ffn_share: float = 1.0
    position_share: float = 1.0
    low: str | None = None
    low_from: int = 0
    confirm_share: float = 1.0  # of a pass, to turn the result into the true one
    tags: tuple[str, ...] = field(default=())

    def bits_of(self, layer: int) -> str | None:
        return self.low if layer >= self.low_from else None


def single_shortcuts(n_layers: int) -> Iterator[Shortcut]:
    """The list of the table of claims, one kind of saving each."""
    every = tuple(range(n_layers))
    whole = Shortcut("whole", every)
    yield replace(whole, name="skip all", layers=())
    for k in sorted({1, n_layers // 4, n_layers // 2}):
        yield replace(whole, name=f"skip last {k}", layers=every[:-k], confirm_share=k / n_layers)
        yield replace(whole, name=f"skip first {k}", layers=every[k:])
    yield replace(whole, name="every other layer", layers=every[1::2])
    yield replace(whole, name="no attention", attention=False)
    yield replace(whole, name="half heads", head_share=0.5)
    yield replace(whole, name="half FFN", ffn_share=0.5)
    yield replace(whole, name="no FFN", ffn_share=0.0)
    yield replace(whole, name="half positions", position_share=0.5)
    for low in ("int8", "fp8", "int4"):
        parts = {
            "all": 0,
            "last half": n_layers // 2,
            "last quarter": n_layers - n_layers // 4,
            "last layer": n_layers - 1,
        }
        for part, first in parts.items():
            share = (n_layers - first) / n_layers
            yield replace(whole, name=f"{low} {part}", low=low, low_from=first, confirm_share=share)


def combined_shortcuts(n_layers: int) -> Iterator[Shortcut]:
    """Two savings at once."""
    every = tuple(range(n_layers))
    whole = Shortcut("whole", every)
    quarter, half = n_layers // 4, n_layers // 2
    cuts = {
        "skip last 1": replace(whole, name="", layers=every[:-1]),
        f"skip last {quarter}": replace(whole, name="", layers=every[:-quarter]),
        "half heads": replace(whole, name="", head_share=0.5),
        "half FFN": replace(whole, name="", ffn_share=0.5),
        "half positions": replace(whole, name="", position_share=0.5),
    }
    for name, cut in cuts.items():
        yield replace(cut, name=f"{name} + int8", low="int8")
        yield replace(cut, name=f"{name} + fp8 last half", low="fp8", low_from=half)
    yield replace(whole, name="half heads + half FFN", head_share=0.5, ffn_share=0.5)
    yield replace(whole, name="half FFN + half positions", ffn_share=0.5, position_share=0.5)
    yield replace(whole, name="skip last 1 + half FFN", layers=every[:-1], ffn_share=0.5)
    yield replace(
        whole, name="int8 last half, int4 last layer", low="int8", low_from=half, tags=("int4 last",)
    )


def cost(params: PocParams, shortcut: Shortcut) -> float:
    """Share of the multiply-additions of a whole pass; what is skipped costs nothing, the head always."""
    whole = _operations(params, Shortcut("whole", tuple(range(params.n_layers))))
    return _operations(params, shortcut) / whole


def _operations(p: PocParams, s: Shortcut) -> float:
    query = p.dim * p.n_heads * p.head_dim * (s.head_share if s.attention else 0)
    pair = 2 * p.dim * p.n_kv_heads * p.head_dim * (s.head_share if s.attention else 0)
    ffn = 3 * p.dim * p.ffn_dim * s.ffn_share
    positions = p.seq_len * s.position_share
    scores = 2 * p.n_heads * p.head_dim * (s.head_share if s.attention else 0)
    total = float(p.vocab * p.dim)
    for i in s.layers:
        last = i == p.n_layers - 1
        rows = 1 if last else positions
        attended = positions if last else positions * (positions + 1) / 2
        layer = positions * pair + rows * (2 * query + ffn) + attended * scores
        total += layer * (0.25 if "int4 last" in s.tags and last else BITS_COST[s.bits_of(i)])
    return total


Linear = Callable[[Tensor], Tensor]


class PlainNet:
    """The body with every part optional; float32 on one device."""

    def __init__(self, params: PocParams, poc_seed: bytes) -> None:
        self.params, self.poc_seed = params, poc_seed
        self.weights: dict[str, Tensor] = {}
        for name, rows, columns in parameters(params):
            self.weights[name] = torch.empty(rows, columns)
            fill_weight(poc_seed, name, self.weights[name])
        self._made: dict[tuple[object, ...], Linear] = {}
        self.recompute_rotation()

    def recompute_rotation(self) -> None:
        """In the dtype that the weights have now."""
        half, dtype = self.params.head_dim // 2, self.weights["output"].dtype
        inverse = 10_000 ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = torch.outer(torch.arange(self.params.seq_len, dtype=torch.float64), inverse)
        self._cos, self._sin = angle.cos().to(dtype), angle.sin().to(dtype)

    def drop_cache(self) -> None:
        """Frees prepared weights, of which every kind of rounding has its own."""
        self._made.clear()

    def inputs_and_signs(
        self, public_key: bytes, node_id: str, nonces: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        words = torch.tensor([stream_words(self.poc_seed, public_key, node_id)]).expand(len(nonces), -1)
        numbers = torch.tensor(nonces)
        single = replace(self.params, dtype="float32")
        return draw_inputs(words[:, :3], numbers, single), draw_signs(words[:, 3:], numbers, single)

    def logits(self, inputs: Tensor, s: Shortcut) -> Tensor:
        """float32 [nonces, vocab]; with half of the positions only the last ones are computed."""
        p = self.params
        b, a = math.sqrt(4 / p.n_layers), math.sqrt(1 - 4 / p.n_layers)
        kept = max(1, round(p.seq_len * s.position_share))
        x = _rms(inputs[:, -kept:])
        for i in s.layers:
            bits = "int4" if "int4 last" in s.tags and i == p.n_layers - 1 else s.bits_of(i)
            last = i == p.n_layers - 1
            if s.attention:
                attended = self._attention(x, i, s, bits, only_last=last)
                x = _rms(a * (x[:, -1:] if last else x) + b * _rms(attended))
            elif last:
                x = x[:, -1:]
            if s.ffn_share:
                x = _rms(a * x + b * _rms(self._ffn(x, i, s, bits)))
        return self._apply("output", None, x[:, -1])

    def _ffn(self, x: Tensor, i: int, s: Shortcut, bits: str | None) -> Tensor:
        rows = slice(0, round(self.params.ffn_dim * s.ffn_share))
        gate = self._apply(f"layers.{i}.w1", bits, x, rows)
        up = self._apply(f"layers.{i}.w3", bits, x, rows)
        return self._apply(f"layers.{i}.w2", bits, functional.silu(gate) * up, columns=rows)

    def _attention(self, x: Tensor, i: int, s: Shortcut, bits: str | None, *, only_last: bool) -> Tensor:
        p = self.params
        q_heads = max(1, round(p.n_heads * s.head_share))
        kv_heads = max(1, -(-q_heads * p.n_kv_heads // p.n_heads))
        q_rows, kv_rows = slice(0, q_heads * p.head_dim), slice(0, kv_heads * p.head_dim)
        asked = x[:, -1:] if only_last else x
        q = self._heads(self._apply(f"layers.{i}.wq", bits, asked, q_rows))
        k = self._heads(self._apply(f"layers.{i}.wk", bits, x, kv_rows))
        v = self._heads(self._apply(f"layers.{i}.wv", bits, x, kv_rows))
        offset = p.seq_len - x.shape[1]
        q, k = self._rotate(q, p.seq_len - asked.shape[1]), self._rotate(k, offset)
        per_group = p.n_heads // p.n_kv_heads
        group = torch.arange(q_heads) // per_group
        mixed = functional.scaled_dot_product_attention(q, k[:, group], v[:, group], is_causal=not only_last)
        return self._apply(f"layers.{i}.wo", bits, mixed.transpose(1, 2).flatten(2), columns=q_rows)

    def _heads(self, rows: Tensor) -> Tensor:
        return rows.view(*rows.shape[:2], -1, self.params.head_dim).transpose(1, 2)

    def _rotate(self, heads: Tensor, first: int) -> Tensor:
        left, right = heads.chunk(2, dim=-1)
        cos, sin = self._cos[first : first + heads.shape[2]], self._sin[first : first + heads.shape[2]]
        return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1)

    def _apply(
        self,
        name: str,
        bits: str | None,
        x: Tensor,
        rows: slice = slice(None),
        columns: slice = slice(None),
    ) -> Tensor:
        key = (name, bits, rows.stop, columns.stop)
        if key not in self._made:
            weight = self.weights[name][rows, columns]
            self._made[key] = linear_of(in_few_bits(weight, bits).contiguous())
        return self._made[key](in_few_bits(x, bits))


def in_few_bits(values: Tensor, kind: str | None) -> Tensor:
    """Rounded as a cheater would: symmetric, one scale a row of weights or a position of activations."""
    if kind is None:
        return values
    if kind == "bf16":
        return values.bfloat16().float()
    most = values.abs().amax(dim=-1, keepdim=True).clamp_min(1e-12)
    if kind == "fp8":
        scale = most / FP8_MAX
        return (values / scale).to(torch.float8_e4m3fn).float() * scale
    scale = most / {"int8": 127, "int4": 7}[kind]
    return (values / scale).round() * scale


def _rms(y: Tensor) -> Tensor:
    return functional.rms_norm(y, y.shape[-1:], eps=1e-6)


def z_of(logits: Tensor, signs: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(logits, dim=-1)
    return (signs * logits).sum(-1) / norm
