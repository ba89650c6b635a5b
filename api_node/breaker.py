"""Circuit breakers, one for each executor and model: who has just failed is left alone for a while.

A breaker is closed, open, or in probation: when its time is over one single request tries the executor, and
what becomes of that one decides for all others. Pure but for the time, which is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

# Executor, by address or as an own node, and model.
Key = tuple[str, str]


class Failure(StrEnum):
    """How an executor failed, which decides for how long it is left alone."""

    BUSY = "busy"  # it serves, but has no room or is about to change
    UNREACHABLE = "unreachable"  # nobody answers there, or not in time
    FAILED = "engine_failed"  # it tried, or gave no answer that can be read
    REFUSED = "policy_refused"  # it does not serve this participant


# First and longest pause in seconds; the pause doubles with each failure in a row.
PAUSES_S = {
    Failure.BUSY: (0.25, 2.0),
    Failure.UNREACHABLE: (0.5, 5.0),
    Failure.FAILED: (0.5, 5.0),
    Failure.REFUSED: (5.0, 60.0),
}


class BreakerState(StrEnum):
    """Whether requests are given to an executor."""

    CLOSED = "closed"
    OPEN = "open"
    PROBATION = "probation"


@dataclass(slots=True)
class _Breaker:
    failures: int = 0
    failure: Failure = Failure.BUSY
    closed_at: float = 0.0
    probing: bool = False

    def state(self, now: float) -> BreakerState:
        if not self.failures:
            return BreakerState.CLOSED
        return BreakerState.PROBATION if self.probing or now >= self.closed_at else BreakerState.OPEN


class Breakers:
    """The breakers of one API node; those that are closed take no room."""

    def __init__(self) -> None:
        self._open: dict[Key, _Breaker] = {}

    def state(self, key: Key, now: float) -> BreakerState:
        """That of one executor and model."""
        return self._open[key].state(now) if key in self._open else BreakerState.CLOSED

    def take(self, key: Key, now: float) -> bool:
        """Whether a request may try; in probation only the first one may, and holds the slot from then on."""
        if not self.may_take(key, now):
            return False
        if key in self._open:
            self._open[key].probing = True
        return True

    def may_take(self, key: Key, now: float) -> bool:
        """Whether `take` would let a request try."""
        breaker = self._open.get(key)
        return breaker is None or not (breaker.probing or now < breaker.closed_at)

    def succeeded(self, key: Key) -> bool:
        """It answered: the breaker closes. True where it was not closed."""
        return self._open.pop(key, None) is not None

    def failed(self, key: Key, failure: Failure, now: float) -> None:
        """It failed: nobody tries for a while, longer each time."""
        breaker = self._open.setdefault(key, _Breaker())
        breaker.failures = breaker.failures + 1 if breaker.failure == failure else 1
        breaker.failure, breaker.probing = failure, False
        first, longest = PAUSES_S[failure]
        breaker.closed_at = now + min(longest, first * 2 ** min(breaker.failures - 1, 10))

    def let_go(self, key: Key) -> None:
        """The request ended and tells nothing of the executor: the slot is free again."""
        if key in self._open:
            self._open[key].probing = False

    def reachable(self, key: Key) -> None:
        """It answers again, which says nothing of the model: one request may try now."""
        if key in self._open:
            breaker = self._open[key]
            breaker.failure, breaker.probing, breaker.closed_at = Failure.BUSY, False, 0.0

    def failure(self, key: Key) -> Failure | None:
        """What opened a breaker; None where it is closed."""
        return self._open[key].failure if key in self._open else None

    def counts(self, now: float) -> Iterator[tuple[str, BreakerState]]:
        """Model and state of each breaker that is not closed."""
        for (_, model_id), breaker in self._open.items():
            yield model_id, breaker.state(now)

    def keep(self, models: frozenset[str]) -> None:
        """Forgets those of models that no epoch has any more."""
        self._open = {key: breaker for key, breaker in self._open.items() if key[1] in models}
