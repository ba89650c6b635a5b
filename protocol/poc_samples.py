"""Who validates whom in a Proof of Compute, and which nonces (protocol, section 5).

The chain, the validators and those who are validated derive the same from the hash of block T.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from protocol.draw import POC_SAMPLE_DOMAIN, POC_VALIDATORS_DOMAIN, Draw

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

VOTERS_ALL_JUDGE = 250
SLOTS_DEFAULT = 256
SLOTS_MAX = 1_024
"""At 256 slots 30 % of hostile power beside 20 % of silent one wins one vote in 10^6; more cost hashes."""


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


def effective_slots(validation_slots: int, voters: int) -> int:
    """How many validation slots a participant has, for what params say and how many have power; 0: all judge.

    Where params leave it open, all validate all up to VOTERS_ALL_JUDGE voters: few seats drawn by power among
    few voters would add risk. Above, so many verdicts would fill the blocks.
    """
    return validation_slots or (SLOTS_DEFAULT if voters > VOTERS_ALL_JUDGE else 0)


class ValidatorDraw:
    """Who drew which slots in one PoC: with replacement, by voting power, for each participant apart.

    `block_hash` is that of block T, `height_start` is S. A participant's draw is made once, when asked for.
    """

    def __init__(
        self,
        voters: Iterable[tuple[str, int]],
        slots: int,
        chain_id: str,
        height_start: int,
        block_hash: bytes,
    ) -> None:
        powers = sorted((address, power) for address, power in voters if power > 0)
        self.slots = slots
        self._names = [address for address, _ in powers]
        self._ends = list(accumulate(power for _, power in powers))
        self._fields = (chain_id, height_start, block_hash)
        self._drawn: dict[str, array[int]] = {}

    def slots_of(self, validator: str, participant: str) -> int:
        """How many of the participant's slots the validator drew."""
        place = self._place(validator)
        if place is None:
            return 0
        drawn = self._places(participant)
        return bisect_right(drawn, place) - bisect_left(drawn, place)

    def validators_of(self, participant: str) -> dict[str, int]:
        """By validator, how many of a participant's slots it drew.

        Nobody draws slots of its own, unless it is alone. Without any power to draw from, there are none.
        """
        counts: dict[str, int] = {}
        for place in self._places(participant):
            name = self._names[place]
            counts[name] = counts.get(name, 0) + 1
        return counts

    def _place(self, address: str) -> int | None:
        place = bisect_left(self._names, address)
        return place if place < len(self._names) and self._names[place] == address else None

    def _places(self, participant: str) -> array[int]:
        """The place of the validator of each slot among the voters, ascending."""
        if participant not in self._drawn:
            self._drawn[participant] = array("I", sorted(self._draw(participant)))
        return self._drawn[participant]

    def _draw(self, participant: str) -> Iterator[int]:
        ends, own = self._ends, self._place(participant)
        if not ends:
            return
        start = end = ends[-1]
        if own is not None and len(ends) > 1:
            start, end = ends[own - 1] if own else 0, ends[own]
        # The participant's own stretch is left out: what lies behind it moves down to its start.
        width, total = end - start, ends[-1] - (end - start)
        draw = Draw(POC_VALIDATORS_DOMAIN, *self._fields, participant)
        for _ in range(self.slots):
            drawn = draw.below(total)
            yield bisect_right(ends, drawn if drawn < start else drawn + width)


def sampled_validators(
    powers: Mapping[str, int],
    slots: int,
    *,
    chain_id: str,
    height_start: int,
    block_hash: bytes,
    participant: str,
) -> dict[str, int]:
    """How many of one participant's validation slots each validator drew (`ValidatorDraw`)."""
    draw = ValidatorDraw(powers.items(), slots, chain_id, height_start, block_hash)
    return draw.validators_of(participant)
