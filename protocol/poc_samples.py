"""Who validates whom in a Proof of Compute, and which nonces (protocol, section 5).

The chain, the validators and those who are validated derive the same from the hash of block T.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from protocol.draw import POC_SAMPLE_DOMAIN, POC_VALIDATORS_DOMAIN, Draw

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def sampled_nonces(
    batches: Iterable[tuple[str, int, int]],
    sample_size: int,
    *,
    chain_id: str,
    height_start: int,
    block_hash: bytes,
    validator: str,
    participant: str,
) -> list[tuple[str, int]]:
    """The (node_id, nonce) of a participant that one validator re-computes, ordered by node_id, then nonce.

    Batches are (node_id, first nonce, count) in any order; a nonce that stands alone is a batch of one.
    `block_hash` is that of block T, `height_start` is S. All nonces where they are at most `sample_size`.
    """
    ordered = sorted(batches)
    ends = list(accumulate(count for _, _, count in ordered))
    draw = Draw(POC_SAMPLE_DOMAIN, chain_id, height_start, block_hash, validator, participant)
    picked: list[tuple[str, int]] = []
    for index in draw.distinct(sample_size, ends[-1] if ends else 0):
        position = bisect_right(ends, index)
        node_id, first, count = ordered[position]
        picked.append((node_id, first + index - (ends[position] - count)))
    return picked


def sampled_validators(
    powers: Mapping[str, int],
    slots: int,
    *,
    chain_id: str,
    height_start: int,
    block_hash: bytes,
    participant: str,
) -> dict[str, int]:
    """How many of a participant's validation slots each validator drew: with replacement, by voting power.

    Nobody draws slots of its own, unless it is the only one. Without any power to draw from, there are none.
    """
    voters = [address for address in sorted(powers) if powers[address] > 0]
    if len(voters) > 1:
        voters = [address for address in voters if address != participant]
    ends = list(accumulate(powers[address] for address in voters))
    if not ends:
        return {}
    draw = Draw(POC_VALIDATORS_DOMAIN, chain_id, height_start, block_hash, participant)
    drawn = [0] * len(voters)
    for _ in range(slots):
        drawn[bisect_right(ends, draw.below(ends[-1]))] += 1
    return {address: count for address, count in zip(voters, drawn, strict=True) if count}
