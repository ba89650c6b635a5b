"""A second implementation of the puzzle, in plain numpy and from the definition alone, for comparison.

One nonce at a time, all positions through all layers, attention written out: nothing is meant to be fast.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Shape:
    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    ffn_dim: int
    vocab: int
    seq_len: int


def words_of(*texts: bytes) -> list[int]:
    hashed = hashlib.sha256(b"".join(len(text).to_bytes(4, "big") + text for text in texts)).digest()
    return [int(word) for word in np.frombuffer(hashed, dtype="<u4")]


def philox_words(count: int, rest: tuple[int, int, int], key: tuple[int, int]) -> Array:
    """uint32 [count, 4]: the words of blocks 0 … count - 1, whose counters are (block, *rest)."""
    lanes = [np.arange(count, dtype=np.uint64)] + [np.full(count, word, dtype=np.uint64) for word in rest]
    low_half, high_shift = np.uint64(2**32 - 1), np.uint64(32)
    for turn in range(10):
        left, right = (key[0] + turn * 0x9E3779B9) % 2**32, (key[1] + turn * 0xBB67AE85) % 2**32
        first, second = lanes[0] * np.uint64(0xD2511F53), lanes[2] * np.uint64(0xCD9E8D57)
        lanes = [
            (second >> high_shift) ^ lanes[1] ^ np.uint64(left),
            second & low_half,
            (first >> high_shift) ^ lanes[3] ^ np.uint64(right),
            first & low_half,
        ]
    return np.stack(lanes, axis=1).astype(np.uint32)


def draw_weight(poc_seed: bytes, name: str, rows: int, columns: int) -> Array:
    w = words_of(b"evergrid/poc/weights/1", poc_seed, name.encode())
    words = philox_words(-(-rows * columns // 4), (0, w[3], w[2]), (w[0], w[1])).reshape(-1)
    total = sum((words >> np.uint32(8 * i)) & np.uint32(255) for i in range(4))
    scale = np.float32(1 / np.sqrt(21845 * columns))
    values = (np.asarray(total).astype(np.int32) - 510).astype(np.float32) * scale
    weight: Array = values[: rows * columns].reshape(rows, columns)
    return weight


def draw_of_nonce(domain: str, node: tuple[bytes, bytes, str], nonce: int, count: int) -> Array:
    """The nonce's uint32 [count, 4], of the node (poc_seed, public key, node_id)."""
    poc_seed, public_key, node_id = node
    w = words_of(domain.encode(), poc_seed, public_key, node_id.encode())
    return philox_words(count, (nonce % 2**32, nonce // 2**32, w[2]), (w[0], w[1]))


def elements(words: Array, count: int, bits: int) -> Array:
    """The first `count` fields of `bits` bits of the words, the low ones of each word first."""
    fields = [
        (words.reshape(-1) >> np.uint32(shift)) & np.uint32(2**bits - 1) for shift in range(0, 32, bits)
    ]
    flat: Array = np.stack(fields, axis=1).reshape(-1)[:count].astype(np.int64)
    return flat


def norm(y: Array) -> Array:
    scaled: Array = y / np.sqrt(np.mean(y * y, axis=-1, keepdims=True) + 1e-6)
    return scaled


class NumpyPuzzle:
    """Computes in `kind`: float64 stands for the exact value, float32 for a second machine."""

    def __init__(self, shape: Shape, poc_seed: bytes, kind: type[np.floating[Any]] = np.float64) -> None:
        self.shape, self.poc_seed, self.kind = shape, poc_seed, kind
        s, head = shape, shape.dim // shape.n_heads
        sizes = {
            "wq": (s.n_heads * head, s.dim),
            "wk": (s.n_kv_heads * head, s.dim),
            "wv": (s.n_kv_heads * head, s.dim),
            "wo": (s.dim, s.n_heads * head),
            "w1": (s.ffn_dim, s.dim),
            "w3": (s.ffn_dim, s.dim),
            "w2": (s.dim, s.ffn_dim),
        }
        self.weights = {
            f"layers.{i}.{name}": draw_weight(poc_seed, f"layers.{i}.{name}", *size).astype(kind)
            for i in range(s.n_layers)
            for name, size in sizes.items()
        }
        self.weights["output"] = draw_weight(poc_seed, "output", s.vocab, s.dim).astype(kind)

    def change_weights(self, change: Callable[[Array], Array]) -> None:
        self.weights = {name: change(weight) for name, weight in self.weights.items()}

    def claim(self, public_key: bytes, node_id: str, nonce: int) -> int:
        s = self.shape
        node = (self.poc_seed, public_key, node_id)
        size = s.seq_len * s.dim
        drawn = elements(draw_of_nonce("evergrid/poc/inputs/1", node, nonce, size // 16), size, 8)
        signs = elements(draw_of_nonce("evergrid/poc/signs/1", node, nonce, s.vocab // 128), s.vocab, 1)
        logits = self.logits((2 * drawn - 255).reshape(s.seq_len, s.dim).astype(self.kind))
        z = float(np.sum((2 * signs - 1) * logits) / np.sqrt(np.sum(logits * logits)))
        return round(z * 1e6)

    def logits(self, inputs: Array) -> Array:
        x = norm(inputs)
        beta = 4 / self.shape.n_layers
        a, b = self.kind(np.sqrt(1 - beta)), self.kind(np.sqrt(beta))
        for i in range(self.shape.n_layers):
            w = {name: self.weights[f"layers.{i}.{name}"] for name in ("wo", "w1", "w2", "w3")}
            x = norm(a * x + b * norm(self.attention(x, i) @ w["wo"].T))
            gate = x @ w["w1"].T
            x = norm(a * x + b * norm((gate / (1 + np.exp(-gate)) * (x @ w["w3"].T)) @ w["w2"].T))
        result: Array = x[-1] @ self.weights["output"].T
        return result

    def attention(self, x: Array, layer: int) -> Array:
        s, head = self.shape, self.shape.dim // self.shape.n_heads
        q, k, v = (x @ self.weights[f"layers.{layer}.{name}"].T for name in ("wq", "wk", "wv"))
        outputs = []
        for h in range(s.n_heads):
            shared = h // (s.n_heads // s.n_kv_heads)
            own, other = slice(h * head, (h + 1) * head), slice(shared * head, (shared + 1) * head)
            scores = self.rotate(q[:, own]) @ self.rotate(k[:, other]).T / self.kind(np.sqrt(head))
            scores = np.where(np.tri(s.seq_len, dtype=bool), scores, -np.inf)
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            outputs.append(weights / weights.sum(axis=-1, keepdims=True) @ v[:, other])
        return np.concatenate(outputs, axis=1)

    def rotate(self, head: Array) -> Array:
        half = head.shape[1] // 2
        angle = np.arange(head.shape[0])[:, None] * 10_000.0 ** (-np.arange(half) / half)[None, :]
        cos, sin = np.cos(angle).astype(self.kind), np.sin(angle).astype(self.kind)
        left, right = head[:, :half], head[:, half:]
        return np.concatenate([left * cos - right * sin, left * sin + right * cos], axis=1)
