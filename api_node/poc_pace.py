"""How samples are spread over nodes and time, so that they are re-computed by the deadline. Pure."""

from __future__ import annotations

from dataclasses import dataclass

JOB_NONCES_MAX = 500
# A request costs about as much as a few nonces.
JOB_NONCES_MIN = 20
# A request that no callback answered is given to another node after this time at the latest, and after this
# part of the time that is left, so that others still have their turn.
ANSWER_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_MIN_S = 1.0
TURNS = 3


def job_size(nonces: int, nodes: int, participants: int) -> int:
    """How many nonces of a participant's sample go into one request, so that every own node gets some."""
    pieces = -(-max(1, nodes) // max(1, participants))
    return max(JOB_NONCES_MIN, min(JOB_NONCES_MAX, -(-nonces // pieces)))


@dataclass
class Pace:
    """How fast blocks follow one another, by those that were seen."""

    height: int = 0
    seen_s: float = 0.0
    block_s: float = 0.0

    def note(self, height: int, now_s: float) -> None:
        """A block was seen; one that is not new changes nothing."""
        if height <= self.height:
            return
        if self.height:
            latest = (now_s - self.seen_s) / (height - self.height)
            self.block_s = latest if not self.block_s else 0.7 * self.block_s + 0.3 * latest
        self.height, self.seen_s = height, now_s

    def patience_s(self, height_end: int) -> float:
        """How long one node may take over a request that must be answered before a height."""
        if not self.block_s:
            return ANSWER_TIMEOUT_S
        left_s = (height_end - self.height) * self.block_s
        return min(ANSWER_TIMEOUT_S, max(ANSWER_TIMEOUT_MIN_S, left_s / TURNS))
