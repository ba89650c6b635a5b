"""Which nonces of a run are handed out to which compute process, and what came back, put into order again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Span = tuple[int, int]  # first nonce, and the one behind the last


@dataclass(frozen=True, slots=True)
class Found:
    """What a computed span gave: the nonces that count, rising, each with its claim."""

    nonces: Sequence[int]
    claims: Sequence[int]


class Ledger:
    """Dense nonces from `first` on, computed by several processes without a gap and without a repetition.

    The chain takes a node's nonces as one rising sequence, best without gaps, so processes get short spans
    of one sequence, and nothing is released before everything below it is.
    """

    def __init__(self, first: int, end: int) -> None:
        self.nonce_next = first  # everything below is released
        self._end = max(first, end)
        self._fresh = first
        self._returned: list[Span] = []
        self._leases: dict[int, list[Span]] = {}
        self._held: dict[int, tuple[int, Found]] = {}

    @property
    def is_exhausted(self) -> bool:
        return self.nonce_next == self._end

    def lease(self, holder: int, count: int | None) -> Span | None:
        """The next span of at most `count` nonces (None: all) for this process; None when none is left."""
        if self._returned:
            first, end = self._returned.pop(0)
            if count is not None and end - first > count:
                self._returned.insert(0, (first + count, end))
                end = first + count
        else:
            first = self._fresh
            end = self._end if count is None else min(first + count, self._end)
            self._fresh = end
        if first == end:
            return None
        self._leases.setdefault(holder, []).append((first, end))
        return first, end

    def leases(self, holder: int) -> list[Span]:
        """What the process was given and has not computed."""
        return list(self._leases.get(holder, []))

    def complete(self, holder: int, first: int, count: int, found: Found) -> list[Found]:
        """Takes a computed span and returns what can be released by it, in order.

        A span that the process does not hold (any more) is dropped: somebody else computes it.
        """
        end = first + count
        whole = next((s for s in self._leases.get(holder, []) if s[0] <= first and end <= s[1]), None)
        if whole is None or count < 1:
            return []
        rest = [span for span in ((whole[0], first), (end, whole[1])) if span[0] < span[1]]
        leases = self._leases[holder]
        at = leases.index(whole)
        leases[at : at + 1] = rest
        self._held[first] = (end, found)
        return self._release()

    def give_back(self, holder: int) -> None:
        """What the process has not computed goes to whoever asks next, the lowest first."""
        self._returned = sorted(self._returned + self._leases.pop(holder, []))

    def _release(self) -> list[Found]:
        released = []
        while self.nonce_next in self._held:
            self.nonce_next, found = self._held.pop(self.nonce_next)
            released.append(found)
        return released
