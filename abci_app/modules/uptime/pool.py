"""uptime: those among whom a participant is drawn. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Pool:
    """Participants with weight in address order: who stands at a number, and who is left (a Fenwick tree)."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._addresses = sorted(weights)
        self._places = {address: place for place, address in enumerate(self._addresses, 1)}
        self._weights = weights
        self.total = sum(weights.values())
        self._tree = [0] * (len(weights) + 1)
        for address, place in self._places.items():
            self._add(place, weights[address])

    def _add(self, place: int, amount: int) -> None:
        while place < len(self._tree):
            self._tree[place] += amount
            place += place & -place

    def at(self, number: int) -> str:
        """Whose weight covers the number, 0 <= number < total, when the weights lie end to end."""
        place, step = 0, 1 << (len(self._tree).bit_length() - 1)
        while step:
            following = place + step
            if following < len(self._tree) and self._tree[following] <= number:
                place = following
                number -= self._tree[following]
            step >>= 1
        return self._addresses[place]

    def remove(self, address: str) -> None:
        """Takes a participant out."""
        weight = self._weights[address]
        self._add(self._places[address], -weight)
        self.total -= weight
