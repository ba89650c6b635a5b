"""Claims of a range of one node's nonces, from plain values: what `evergrid mlnode nonces` prints."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

COMPRESSED_KEY = re.compile(r"0[23][0-9a-fA-F]{64}")
SEED = re.compile(r"[0-9a-fA-F]{64}")
NONCE_END = 1 << 64


@dataclass(frozen=True, slots=True, kw_only=True)
class NoncesRequest:
    preset: str
    seed: str  # hex of the 32-byte poc_seed
    public_key: str  # hex of the participant's 33-byte compressed key
    node_id: str
    first: int
    count: int
    device: str = "cpu"
    dtype: Literal["float16", "float32"] | None = None  # None: the preset's
    threads: int = 1


def nonces_command(request: NoncesRequest) -> dict[str, list[int | None]]:
    """{"claims": [...]} of nonces first … first + count - 1; ValueError names all that is wrong with the request."""
    from mlnode.pow import PRESETS, Puzzle  # noqa: PLC0415 - torch takes seconds to import

    if problems := list(_problems(request, PRESETS)):
        raise ValueError("; ".join(problems))
    params = PRESETS[request.preset]
    if request.dtype is not None:
        params = params.with_dtype(request.dtype)
    with Puzzle(params, bytes.fromhex(request.seed), request.device, request.threads) as puzzle:
        key = bytes.fromhex(request.public_key)
        return {"claims": puzzle.generate(key, request.node_id, request.first, request.count)}


def _problems(request: NoncesRequest, presets: Collection[str]) -> Iterator[str]:
    if request.preset not in presets:
        yield f"preset {request.preset!r} is none of {', '.join(presets)}"
    if not SEED.fullmatch(request.seed):
        yield "seed must be 64 hex digits"
    if not COMPRESSED_KEY.fullmatch(request.public_key):
        yield "public key must be 66 hex digits that begin with 02 or 03"
    if not request.node_id:
        yield "node id is empty"
    if request.count < 1:
        yield "count must be at least 1"
    if request.first < 0 or request.first + request.count > NONCE_END:
        yield "nonces must lie in [0, 2^64)"
    if request.threads < 1:
        yield "threads must be at least 1"
