"""Which answers may run side by side, so that their caches fit into memory to the last token.

Sequences of one batch are filled up to the longest of them, so a batch costs its rows times its longest row.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mlnode.poc_worker import memory_free_bytes

# Of the memory that is free after a model is loaded: the rest is for activations and for other programs.
SHARE = 0.8
# A sequence that joins or leaves has all caches copied, and the old ones are given up only behind that.
COPIES = 2
TOKENS_MIN = 16


class NoRoomError(ValueError):
    """What is asked for can never fit beside the model."""


@dataclass(frozen=True, slots=True)
class Need:
    """So many sequences, each of so many tokens at its end."""

    rows: int
    tokens: int


@dataclass(frozen=True, slots=True)
class CacheRoom:
    """The bytes for caches, fixed when the model was loaded, and what a token takes of them."""

    bytes_max: int
    token_bytes: int

    @classmethod
    def after_load(cls, device: torch.device, token_bytes: int, bytes_max: int | None) -> CacheRoom:
        """All that is free but a reserve, or what the operator allows; MemoryError where it is too little."""
        free = int(free_bytes(device) * SHARE)
        room = cls(free if bytes_max is None else min(free, bytes_max), token_bytes)
        if room.tokens_max < TOKENS_MIN:
            raise MemoryError(
                f"beside the model {room.bytes_max} bytes are left for caches, a token needs"
                f" {COPIES * token_bytes}"
            )
        return room

    @property
    def tokens_max(self) -> int:
        """How many tokens all sequences may have together."""
        return self.bytes_max // (COPIES * self.token_bytes)

    def check(self, need: Need) -> None:
        """NoRoomError where this could not even run alone."""
        if need.rows * need.tokens > self.tokens_max:
            raise NoRoomError(
                f"{need.rows} answers of up to {need.tokens} tokens, the prompt included, are more than the"
                f" {self.tokens_max} tokens for which this node has memory; ask for fewer answers (n) or a"
                " smaller max_tokens"
            )

    def fits(self, needs: Sequence[Need], apart: int) -> bool:
        """Whether these may run as one batch, beside `apart` tokens outside of it."""
        rows = sum(need.rows for need in needs)
        return rows * max((need.tokens for need in needs), default=0) + apart <= self.tokens_max

    def fits_now(self, device: torch.device, tokens: int) -> bool:
        """Whether the machine still has the memory for so many tokens more: others may have taken it."""
        return COPIES * self.token_bytes * tokens <= free_bytes(device)


def free_bytes(device: torch.device) -> int:
    """What this process can still have: of the device, of the machine, and of its control group."""
    free = memory_free_bytes(device)
    if device.type == "cuda":
        # What torch keeps for itself is free for its own tensors.
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min(free, _group_free_bytes(free))


def _group_free_bytes(otherwise: int) -> int:
    """What the control group's limit leaves; files in the page cache give way."""
    folder = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError, KeyError):
        limit = int((folder / "memory.max").read_text(encoding="ascii"))
        current = int((folder / "memory.current").read_text(encoding="ascii"))
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(0, limit - current + int(stat["inactive_file"]))
    return otherwise
