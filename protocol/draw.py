"""The seeded draw: integers that everyone derives alike from public data (protocol, section 6)."""

from __future__ import annotations

from bisect import bisect_right
from hashlib import sha256
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

POC_SLOT_DOMAIN = "evergrid/poc-slot/1"
POC_SAMPLE_DOMAIN = "evergrid/poc-sample/1"
POC_VALIDATORS_DOMAIN = "evergrid/poc-validators/1"
INFERENCE_VALIDATION_DOMAIN = "evergrid/inference-validation/1"

_SPACE = 1 << 256
_LENGTH_8 = (8).to_bytes(4, "big")


def encode_fields(*fields: str | bytes | int) -> bytes:
    """Each field after its 4-byte big-endian length; text in UTF-8, numbers in 8 bytes big-endian."""
    parts: list[bytes] = []
    for field in fields:
        if isinstance(field, str):
            raw = field.encode()
        elif isinstance(field, int):
            raw = field.to_bytes(8, "big")
        else:
            raw = field
        parts += (len(raw).to_bytes(4, "big"), raw)
    return b"".join(parts)


def digest(*fields: str | bytes | int) -> bytes:
    """SHA-256 over the encoded fields."""
    return sha256(encode_fields(*fields)).digest()


class Draw:
    """A stream of fair integers: SHA-256(tag `draw`, fields, counter), the counter starting at 0."""

    def __init__(self, *fields: str | bytes | int) -> None:
        self._prefix = encode_fields("draw", *fields)
        self.counter = 0

    def below(self, bound: int) -> int:
        """A uniform integer in [0, bound); values past the last whole multiple of bound are drawn again.

        Raises ValueError unless bound is positive.
        """
        if bound <= 0:
            raise ValueError(f"cannot draw below {bound}")
        fair = _SPACE // bound * bound
        while True:
            # The counter as `encode_fields` writes it.
            counter = _LENGTH_8 + self.counter.to_bytes(8, "big")
            value = int.from_bytes(sha256(self._prefix + counter).digest(), "big")
            self.counter += 1
            if value < fair:
                return value % bound

    def weighted(self, weights: Sequence[int]) -> tuple[int, int]:
        """An index, each with a chance proportional to its weight, and the number that was drawn."""
        sums = list(accumulate(weights))
        drawn = self.below(sums[-1] if sums else 0)
        return bisect_right(sums, drawn), drawn

    def distinct(self, count: int, bound: int) -> list[int]:
        """`count` distinct integers below bound, ascending; all of them where count >= bound."""
        if count >= bound:
            return list(range(bound))
        # A partial Fisher-Yates shuffle over a virtual list: exactly one draw for each pick.
        moved: dict[int, int] = {}
        picks: list[int] = []
        for i in range(count):
            j = i + self.below(bound - i)
            picks.append(moved.get(j, j))
            moved[j] = moved.get(i, i)
        return sorted(picks)
