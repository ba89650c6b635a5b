"""Proof of Compute: a nonce costs one forward pass of a random transformer, and anyone can compute it again.

The whole puzzle stands here, in the order of its definition: params, keys and random numbers, weights, inputs
and signs, the body, the claim, and the three tests of a verdict. A claim is a function of (poc_seed, public
key, node_id, nonce); machines differ only in the last digits, which `verify` allows for.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from functools import lru_cache, partial
from hashlib import sha256
from types import TracebackType
from typing import Literal, Self, cast

import torch
from torch import Tensor
from torch.backends import mkldnn
from torch.nn import functional

from mlnode import pow_engine
from mlnode.pow_engine import Kernels, Pending, rms

Item = tuple[bytes, str, int]  # public key, node_id, nonce
Claim = int | float | None  # in 1e-6; what is not a finite number can only be a mismatch

# params

DTYPES = {"float16": torch.float16, "float32": torch.float32}
TOLERANCES = {
    "float16": {"noise": 16_000, "epsilon": 100_000},
    "float32": {"noise": 10, "epsilon": 1_000},
}
_INTEGER = re.compile(r"-?[0-9]{1,19}")
# The narrower a network, the heavier the tail of its rounding errors (docs/proof-of-compute.md).
NARROW_BELOW_DIM = 128
TOLERANCES_NARROW = {**TOLERANCES, "float16": {"noise": 13_000, "epsilon": 150_000}}


@dataclass(frozen=True, slots=True, kw_only=True)
class PocParams:
    """What governance decides about the puzzle; frozen in the epoch record."""

    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    ffn_dim: int
    vocab: int
    seq_len: int
    dtype: str = "float32"
    acceptance_bps: int = 10_000  # 10000: every computed nonce counts
    z_target: int = 0  # in 1e-6, as are noise, epsilon and mismatch_rate
    noise: int = 10
    epsilon: int = 1_000
    mean_square_limit: int = 2_250  # in 1e-3
    mismatch_rate: int = 1_000
    fraud_threshold_log10: int = -7
    sample_size: int = 200
    max_nonces_per_batch: int = 100_000
    max_nonces_per_node: int = 10_000_000

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise ValueError(f"invalid PoC params: {'; '.join(problems)}")

    @property
    def head_dim(self) -> int:
        return self.dim // self.n_heads

    @property
    def weight_count(self) -> int:
        rows_per_column = (self.n_heads + self.n_kv_heads) * 2 * self.head_dim + 3 * self.ffn_dim
        return self.dim * (self.n_layers * rows_per_column + self.vocab)

    @property
    def weight_bytes(self) -> int:
        return self.weight_count * DTYPES[self.dtype].itemsize

    @property
    def activation_bytes(self) -> int:
        """Of one nonce, at most."""
        widths = 6 * self.dim + 3 * self.ffn_dim + 2 * self.head_dim * (self.n_heads + 2 * self.n_kv_heads)
        return self.seq_len * widths * DTYPES[self.dtype].itemsize

    def with_dtype(self, dtype: str) -> PocParams:
        """The same network in another dtype, with the noise and epsilon that belong to it."""
        measured = TOLERANCES_NARROW if self.dim < NARROW_BELOW_DIM else TOLERANCES
        return replace(self, dtype=dtype, **measured[dtype])

    def to_json(self) -> dict[str, int | str]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> PocParams:
        """Params from a JSON object; integers may be decimal strings, as protobuf's JSON has 64-bit ones.

        Raises ValueError that names every field which is missing, unknown or wrong.
        """
        names = {field.name for field in fields(cls)}
        problems = [f"{name} is missing" for name in sorted(names - set(values))]
        problems += [f"{name} is unknown" for name in sorted(set(values) - names)]
        parsed: dict[str, int | str] = {}
        for name in sorted(names & set(values)):
            value = values[name]
            if name == "dtype":
                parsed[name] = str(value)
            elif isinstance(value, int) and not isinstance(value, bool):
                parsed[name] = value
            elif isinstance(value, str) and _INTEGER.fullmatch(value):
                parsed[name] = int(value)
            else:
                problems.append(f"{name} is not an integer")
        if problems:
            raise ValueError(f"invalid PoC params: {'; '.join(problems)}")
        return cls(**parsed)  # type: ignore[arg-type]

    def _problems(self) -> Iterator[str]:
        signed = {"dtype", "z_target", "fraud_threshold_log10"}
        positive = [field.name for field in fields(self) if field.name not in signed]
        if low := [name for name in positive if getattr(self, name) < 1]:
            yield f"{', '.join(low)} must be at least 1"
            return
        rules = {
            f"dtype must be one of {', '.join(sorted(DTYPES))}": self.dtype in DTYPES,
            "n_layers must be at least 8": self.n_layers >= 8,
            "dim must be a multiple of 2 * n_heads": self.dim % (2 * self.n_heads) == 0,
            "n_heads must be a multiple of n_kv_heads": self.n_heads % self.n_kv_heads == 0,
            "seq_len * dim must be a multiple of 16": self.seq_len * self.dim % 16 == 0,
            "vocab must be a multiple of 128": self.vocab % 128 == 0,
            "acceptance_bps must be at most 10000": self.acceptance_bps <= 10_000,
            "mismatch_rate must be below 1000000": self.mismatch_rate < 1_000_000,
            "fraud_threshold_log10 must be negative": self.fraud_threshold_log10 < 0,
        }
        yield from (rule for rule, holds in rules.items() if not holds)


_SHAPE = ("dim", "n_layers", "n_heads", "n_kv_heads", "ffn_dim", "vocab", "seq_len")


def _preset(*shape: int, dtype: str) -> PocParams:
    return PocParams(**dict(zip(_SHAPE, shape, strict=True)), dtype=dtype, **TOLERANCES[dtype])


PRESETS: dict[str, PocParams] = {
    "tiny": _preset(32, 8, 2, 1, 96, 128, 8, dtype="float32"),
    "small": _preset(192, 8, 6, 2, 768, 1024, 16, dtype="float32"),
    # Sized by the weights' bytes alone, to three quarters of the card; no card has measured them yet.
    "gpu24": _preset(4096, 40, 32, 8, 14336, 8192, 128, dtype="float16"),
    "gpu80": _preset(8192, 36, 64, 8, 28672, 8192, 256, dtype="float16"),
}


# keys and random numbers

_WORD = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_INCREMENTS = (0x9E3779B9, 0xBB67AE85)


def derive_key(*parts: bytes | str) -> tuple[int, ...]:
    """The eight little-endian words of SHA-256 over the parts, each after its 4-byte big-endian length."""
    digest = sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(4, "big") + raw)
    whole = digest.digest()
    return tuple(int.from_bytes(whole[i : i + 4], "little") for i in range(0, 32, 4))


def philox(counter: Sequence[Tensor], key: Sequence[Tensor]) -> Tensor:
    """Philox4x32-10 (Salmon and others, 2011): int64 tensors that hold 32-bit words, which broadcast.

    Returns the four words in a new last dimension. A product wraps in int64, yet both its halves are right.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1 = (p1 >> 32 ^ c1 ^ k0) & _WORD, p1 & _WORD
        c2, c3 = (p0 >> 32 ^ c3 ^ k1) & _WORD, p0 & _WORD
        k0, k1 = (k0 + _INCREMENTS[0]) & _WORD, (k1 + _INCREMENTS[1]) & _WORD
    words = torch.broadcast_tensors(c0, c1, c2, c3)  # type: ignore[no-untyped-call]
    return torch.stack(words, dim=-1)


def _bytes(words: Tensor) -> Tensor:
    """uint8 [..., 4 * n]: the bytes of the words [..., n], the low one first."""
    assert sys.byteorder == "little"
    return words.to(torch.int32).view(torch.uint8)


# weights


def parameters(params: PocParams) -> Iterator[tuple[str, int, int]]:
    """Name, rows and columns of every weight matrix."""
    dim, query, pair = params.dim, params.n_heads * params.head_dim, params.n_kv_heads * params.head_dim
    for i in range(params.n_layers):
        yield f"layers.{i}.wq", query, dim
        yield f"layers.{i}.wk", pair, dim
        yield f"layers.{i}.wv", pair, dim
        yield f"layers.{i}.wo", dim, query
        yield f"layers.{i}.w1", params.ffn_dim, dim
        yield f"layers.{i}.w3", params.ffn_dim, dim
        yield f"layers.{i}.w2", dim, params.ffn_dim
    yield "output", params.vocab, dim


def fill_weight(poc_seed: bytes, name: str, out: Tensor) -> None:
    """Writes the named weight into a contiguous [rows, columns], in chunks that take little memory."""
    w = derive_key("evergrid/poc/weights/1", poc_seed, name)
    key = [torch.tensor(word, device=out.device) for word in w[:2]]
    zero, w3, w2 = (torch.tensor(word, device=out.device) for word in (0, w[3], w[2]))
    scale = torch.tensor(1 / math.sqrt(21845 * out.shape[1]), dtype=torch.float32, device=out.device)
    flat = out.view(-1)
    block_count = -(-flat.numel() // 4)
    step = 1 << (22 if out.is_cuda else 14)
    for start in range(0, block_count, step):
        blocks = torch.arange(start, min(start + step, block_count), device=out.device)
        words = philox((blocks, zero, w3, w2), key)
        sums = _bytes(words).view(-1, 4).sum(dim=-1, dtype=torch.int32)
        part = flat[4 * start : 4 * (start + step)]
        part.copy_(((sums - 510) * scale)[: part.numel()])


# inputs and signs


@lru_cache(maxsize=4096)
def _stream_words(poc_seed: bytes, public_key: bytes, node_id: str) -> tuple[int, ...]:
    """Key and last counter word of a node's inputs, then of its signs."""
    inputs = derive_key("evergrid/poc/inputs/1", poc_seed, public_key, node_id)
    signs = derive_key("evergrid/poc/signs/1", poc_seed, public_key, node_id)
    return (*inputs[:3], *signs[:3])


def _draw(stream: Tensor, nonces: Tensor, block_count: int) -> Tensor:
    """uint8 [nonces, 16 * block_count] of streams [nonces, 3]."""
    k0, k1, w2 = stream.unsqueeze(-1).unbind(dim=1)
    low, high = nonces.unsqueeze(-1) & _WORD, nonces.unsqueeze(-1) >> 32 & _WORD
    blocks = torch.arange(block_count, device=nonces.device)
    return _bytes(philox((blocks, low, high, w2), (k0, k1))).flatten(1)


def draw_inputs(stream: Tensor, nonces: Tensor, params: PocParams) -> Tensor:
    """Odd integers in [-255, 255], in the dtype: [nonces, seq_len, dim]."""
    drawn = _draw(stream, nonces, params.seq_len * params.dim // 16)
    values = drawn.to(DTYPES[params.dtype]).mul_(2).sub_(255)
    return values.view(-1, params.seq_len, params.dim)


def draw_signs(stream: Tensor, nonces: Tensor, params: PocParams) -> Tensor:
    """float32 -1 and 1: [nonces, vocab]."""
    drawn = _draw(stream, nonces, params.vocab // 128).unsqueeze(-1)
    bits = drawn >> torch.arange(8, dtype=torch.uint8, device=nonces.device) & 1
    return bits.flatten(1).float().mul_(2).sub_(1)


# the body

Linear = Callable[[Tensor], Tensor]


def _linear(weight: Tensor) -> Linear:
    """The map x -> weight x; float32 on CPU by oneDNN, since the default is slow on some processors."""
    packs = mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")  # type: ignore[no-untyped-call]
    if not packs or weight.device.type != "cpu" or weight.dtype != torch.float32:
        return partial(functional.linear, weight=weight)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, 1 << 10)  # noqa: SLF001
    apply = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001
    return lambda x: cast("Tensor", apply(x, packed, None, "none", [], ""))


@dataclass(frozen=True, slots=True)
class _Layer:
    stage: int  # index of its device
    qkv: Linear  # of the last layer: keys and values only
    q_last: Linear | None
    wo: Linear
    w13: Linear
    w2: Linear


class Body:
    """The random transformer of one poc_seed: [nonces, seq_len, dim] to the last position's logits.

    Its layers lie on the devices in order, a contiguous stage on each: two batches under way keep two busy.
    """

    def __init__(self, params: PocParams, poc_seed: bytes, devices: Sequence[torch.device]) -> None:
        self.params, self._seed, self.devices = params, poc_seed, tuple(devices)
        self.b = math.sqrt(4 / params.n_layers)
        self.a = math.sqrt(1 - 4 / params.n_layers)
        self._shapes = {name: (rows, columns) for name, rows, columns in parameters(params)}
        self.stages = self._plan()
        self.layers = [self._layer(i) for i in range(params.n_layers)]
        self.output = self._fused("output", device=self.devices[self.stages[-1]])
        half = params.head_dim // 2
        inverse = 10_000 ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = torch.outer(torch.arange(params.seq_len, dtype=torch.float64), inverse).unsqueeze(1)
        cos, sin = angle.cos().float(), angle.sin().float()
        self._rotation = [(cos.to(device), sin.to(device)) for device in self.devices]

    def _plan(self) -> list[int]:
        itemsize = DTYPES[self.params.dtype].itemsize
        head_bytes = self.params.vocab * self.params.dim * itemsize
        layer_bytes = (self.params.weight_count * itemsize - head_bytes) // self.params.n_layers
        room = [pow_engine.free_bytes(device) for device in self.devices]
        return pow_engine.split_layers(layer_bytes, self.params.n_layers, head_bytes, room)

    def _fused(self, *names: str, device: torch.device) -> Linear:
        """One linear map whose rows are those of the named weights, one after another."""
        rows = [self._shapes[name][0] for name in names]
        dtype = DTYPES[self.params.dtype]
        weight = torch.empty(sum(rows), self._shapes[names[0]][1], dtype=dtype, device=device)
        parts: tuple[Tensor, ...] = weight.split(rows)  # type: ignore[no-untyped-call]
        for name, part in zip(names, parts, strict=True):
            fill_weight(self._seed, name, part)
        return _linear(weight)

    def _layer(self, i: int) -> _Layer:
        name = f"layers.{i}"
        q, kv = [f"{name}.wq"], [f"{name}.wk", f"{name}.wv"]
        last = i == self.params.n_layers - 1
        fused = partial(self._fused, device=self.devices[self.stages[i]])
        return _Layer(
            stage=self.stages[i],
            qkv=fused(*kv) if last else fused(*q, *kv),
            q_last=fused(*q) if last else None,
            wo=fused(f"{name}.wo"),
            w13=fused(f"{name}.w1", f"{name}.w3"),
            w2=fused(f"{name}.w2"),
        )

    def logits(self, inputs: Tensor, kernels: Kernels | None = None) -> Tensor:
        """float32 [nonces, vocab], on the device of the last stage."""
        kernels = kernels or eager_kernels()
        x, stage = rms(inputs), 0
        for layer in self.layers:
            if layer.stage != stage:
                stage = layer.stage
                x = x.to(self.devices[stage], non_blocking=True)
            attended = layer.wo(self._attention(x, layer, kernels))
            if layer.q_last:  # nothing after the last attention looks at the other positions
                x = x[:, -1:]
            x = kernels.mix(x, attended, self.a, self.b)
            x = kernels.mix(x, layer.w2(kernels.swiglu(layer.w13(x))), self.a, self.b)
        return self.output(x[:, -1]).float()

    def _attention(self, x: Tensor, layer: _Layer, kernels: Kernels) -> Tensor:
        """[nonces, positions, heads * head_dim]; of the last layer the last position only."""
        kv_heads = self.params.n_kv_heads
        cos, sin = self._rotation[layer.stage]
        heads = self._heads(layer.qkv(x))
        if layer.q_last:
            k, v = heads[:, :, :kv_heads], heads[:, :, kv_heads:]
            q = kernels.rotate(self._heads(layer.q_last(x[:, -1:])), cos[-1:], sin[-1:])
            k = kernels.rotate(k, cos, sin)
        else:
            rotated = kernels.rotate(heads[:, :, :-kv_heads], cos, sin)
            q, k, v = rotated[:, :, :-kv_heads], rotated[:, :, -kv_heads:], heads[:, :, -kv_heads:]
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        mixed = functional.scaled_dot_product_attention(
            q, k, v, is_causal=layer.q_last is None, enable_gqa=True
        )
        return mixed.transpose(1, 2).flatten(2)

    def _heads(self, rows: Tensor) -> Tensor:
        return rows.view(*rows.shape[:2], -1, self.params.head_dim)


def eager_kernels() -> Kernels:
    return Kernels(draw_inputs, draw_signs)


# the claim


class Puzzle:
    """The network of one poc_seed, on one device or, as "cuda:0+cuda:1", in stages over several.

    `threads`, if given, is set for the whole process; `compiled` says whether whole batches go through fused
    kernels. Use it as a context manager, or close it, to give the memory back.
    """

    def __init__(
        self,
        params: PocParams,
        poc_seed: bytes,
        device: str = "cpu",
        threads: int | None = None,
        *,
        compiled: bool = False,
    ) -> None:
        if len(poc_seed) != 32:
            raise ValueError(f"poc_seed has {len(poc_seed)} bytes instead of 32")
        if threads is not None:
            torch.set_num_threads(threads)
        torch.set_float32_matmul_precision("highest")
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
        self.params, self.poc_seed = params, poc_seed
        self.devices = pow_engine.parse_devices(device)
        self.device = self.devices[0]
        if self.device.type == "cpu":
            pow_engine.keep_freed_memory()
        with torch.inference_mode():
            self._body: Body | None = Body(params, poc_seed, self.devices)
        self.batch_size = pow_engine.fitting_batch_size(self.params.activation_bytes, self.devices)
        self._compiled: Kernels | None = None
        if compiled:
            self._compile()

    @property
    def is_compiled(self) -> bool:
        return self._compiled is not None

    def close(self) -> None:
        """Drops the weights and gives the device's memory back."""
        self._body = self._compiled = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def generate(self, public_key: bytes, node_id: str, first: int, count: int) -> list[int | None]:
        """The claims of nonces first … first + count - 1 of one node; None where one is not finite."""
        return self.start_generate(public_key, node_id, first, count).claims()

    def start_generate(self, public_key: bytes, node_id: str, first: int, count: int) -> Pending:
        """Hands the work to the device; on a card the claims are ready later."""
        _check_nonces(first, first + count - 1 if count else first)
        with torch.inference_mode():
            words = torch.tensor([_stream_words(self.poc_seed, public_key, node_id)], device=self.device)
            nonces = torch.arange(count, device=self.device) + _signed(first)
            return self._start(words.expand(count, -1), nonces)

    def claims(self, items: Sequence[Item]) -> list[int | None]:
        """The claims of nonces of any nodes, in the order asked, computed as if they were one node's."""
        return self.start_claims(items).claims()

    def start_claims(self, items: Sequence[Item]) -> Pending:
        """As `start_generate`, in one merged forward pass for whichever nodes."""
        if not items:
            return Pending([])
        nonces = [nonce for _, _, nonce in items]
        _check_nonces(min(nonces), max(nonces))
        with torch.inference_mode():
            words = torch.tensor([_stream_words(self.poc_seed, key, node_id) for key, node_id, _ in items])
            signed = torch.tensor([_signed(nonce) for nonce in nonces])
            return self._start(words.to(self.device), signed.to(self.device))

    def _start(self, words: Tensor, nonces: Tensor) -> Pending:
        size, zs = self.batch_size, []
        for i in range(0, len(nonces), size):
            batch = nonces[i : i + size]
            zs.append(self._z(*self._padded(words[i : i + size], batch))[: len(batch)])
        return Pending(zs)

    def _padded(self, words: Tensor, nonces: Tensor) -> tuple[Tensor, Tensor]:
        """Repeats the last nonce up to a power of two: few shapes, and little waste for a short request."""
        missing = (1 << (len(nonces) - 1).bit_length()) - len(nonces)
        if not missing:
            return words, nonces
        return (
            torch.cat((words, words[-1:].expand(missing, -1))),
            torch.cat((nonces, nonces[-1:].expand(missing))),
        )

    def _z(self, words: Tensor, nonces: Tensor) -> Tensor:
        """float32 [nonces]: N(0, 1) for every nonce whatever the logits, since the signs are fair."""
        if self._body is None:
            raise RuntimeError("the puzzle is closed")
        # Kernels are compiled for whole batches alone; a rest is not worth a compilation of its own.
        whole = self._compiled is not None and len(nonces) == self.batch_size
        kernels = self._compiled if self._compiled is not None and whole else eager_kernels()
        # Fused kernels are made for one layout in memory.
        inputs_words, signs_words = words[:, :3].contiguous(), words[:, 3:].contiguous()
        logits = self._body.logits(kernels.inputs(inputs_words, nonces, self.params), kernels)
        signs = kernels.signs(signs_words, nonces, self.params).to(logits.device)
        norm: Tensor = torch.linalg.vector_norm(logits, dim=-1)
        return (signs * logits).sum(dim=-1) / norm

    def _compile(self) -> None:
        """Fuses the element-wise kernels for the batch's shape; without a compiler they stay as they are."""
        self._compiled = eager_kernels().compiled()
        try:
            self.start_generate(bytes(33), "", 0, self.batch_size).claims()
        except Exception as error:  # noqa: BLE001 - compilers fail in many ways, none of which may stop the work
            pow_engine.log.warning("kernels not compiled: %s", str(error).splitlines()[0])
            self._compiled = None


def _check_nonces(lowest: int, highest: int) -> None:
    if lowest < 0 or highest >= 1 << 64 or highest < lowest:
        raise ValueError("nonces must rise within [0, 2^64)")


def _signed(nonce: int) -> int:
    """The int64 that has the bits of the uint64."""
    return nonce - (1 << 64) if nonce >> 63 else nonce


# the verdict


class Reason(StrEnum):
    """What the comparison of one sampled nonce came to."""

    MATCH = "match"
    DIFFERENCE = "difference"
    CLAIM_NOT_FINITE = "claim_not_finite"
    RECOMPUTED_NOT_FINITE = "recomputed_not_finite"


@dataclass(frozen=True, slots=True)
class Verdict:
    verdict: Literal["honest", "fraud"]
    failed: tuple[str, ...]  # of mismatches, mean_square, wrong_side
    sampled: int
    mismatches: int
    log10_p: float  # of probability_honest
    mean_square: int  # of the differences of matches, over that of the governed noise, in 1e-3
    wrong_side: int  # below z_target when computed again; 0 where every nonce counts
    wrong_side_log10_p: float
    reasons: tuple[Reason, ...]  # one a sampled nonce, in their order

    @property
    def honest(self) -> bool:
        return self.verdict == "honest"

    @property
    def probability_honest(self) -> float:
        """Of as many mismatches or more by honest work."""
        return math.pow(10, self.log10_p)


def verify(claimed: Sequence[Claim], recomputed: Sequence[Claim], params: PocParams) -> Verdict:
    """Compares the claims of one participant's sample with the verifier's own, by the three tests.

    The mean square is that of the matches alone: a mismatch counts once, and so one bad claim stops nobody.
    Raises ValueError where the two differ in length.
    """
    reasons = tuple(_compare(*pair, params.epsilon) for pair in zip(claimed, recomputed, strict=True))
    sampled, mismatches = len(reasons), sum(reason != Reason.MATCH for reason in reasons)
    log10_p = log10_binomial_tail(mismatches, sampled, params.mismatch_rate / 1e6)

    matches = [i for i, reason in enumerate(reasons) if reason == Reason.MATCH]
    squares = sum((_number(claimed[i]) - _number(recomputed[i])) ** 2 for i in matches)
    unit = max(1, len(matches)) * params.noise**2

    wrong_side, wrong_side_log10_p = 0, 0.0
    if params.acceptance_bps < 10_000:
        wrong_side = sum(_is_finite(z) and _number(z) < params.z_target for z in recomputed)
        wrong_side_log10_p = log10_binomial_tail(wrong_side, sampled, _flip_rate(params))

    failed = {
        "mismatches": log10_p < params.fraud_threshold_log10,
        "mean_square": 1000 * squares > params.mean_square_limit * unit,
        "wrong_side": wrong_side_log10_p < params.fraud_threshold_log10,
    }
    return Verdict(
        verdict="fraud" if any(failed.values()) else "honest",
        failed=tuple(test for test, fails in failed.items() if fails),
        sampled=sampled,
        mismatches=mismatches,
        log10_p=log10_p,
        mean_square=int(1000 * squares // unit),
        wrong_side=wrong_side,
        wrong_side_log10_p=wrong_side_log10_p,
        reasons=reasons,
    )


def log10_binomial_tail(successes: int, trials: int, rate: float) -> float:
    """log10 P(X >= successes), X of the binomial law, summed as logarithms so that nothing underflows."""
    if successes <= 0:
        return 0.0
    if successes > trials or rate <= 0:
        return -math.inf
    if rate >= 1:
        return 0.0
    logs = [
        math.lgamma(trials + 1)
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * math.log(rate)
        + (trials - k) * math.log1p(-rate)
        for k in range(successes, trials + 1)
    ]
    largest = max(logs)
    return min(0.0, (largest + math.log(math.fsum(math.exp(log - largest) for log in logs))) / math.log(10))


def _compare(claimed: Claim, recomputed: Claim, epsilon: int) -> Reason:
    if not _is_finite(claimed):
        return Reason.CLAIM_NOT_FINITE
    if not _is_finite(recomputed):
        return Reason.RECOMPUTED_NOT_FINITE
    return Reason.MATCH if abs(_number(claimed) - _number(recomputed)) <= epsilon else Reason.DIFFERENCE


def _is_finite(claim: Claim) -> bool:
    return claim is not None and (isinstance(claim, int) or math.isfinite(claim))


def _number(claim: Claim) -> int | float:
    assert claim is not None
    return claim


def _flip_rate(params: PocParams) -> float:
    """Twice the share of honestly accepted nonces that the noise carries below z_target."""
    density = math.exp(-((params.z_target / 1e6) ** 2) / 2) / math.sqrt(2 * math.pi)
    share = params.noise / 1e6 * density / (params.acceptance_bps / 10_000 * math.sqrt(2 * math.pi))
    return min(2 * share, 0.5)
