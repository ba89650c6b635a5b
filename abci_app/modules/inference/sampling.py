"""Who re-executes an inference, what the verdicts decide, when an executor is INVALID (section 8). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import comb
from typing import TYPE_CHECKING

from abci_app.kernel.fixed import BPS, MILLION
from abci_app.modules.inference.rules import ID_LENGTH_MAX, PRINTABLE
from protocol.draw import INFERENCE_VALIDATION_DOMAIN, Draw
from protocol.gen.evergrid.inference.v1.inference_pb2 import (
    VALIDATION_RESULT_INVALID,
    VALIDATION_RESULT_VALID,
)

if TYPE_CHECKING:
    from protocol.gen.evergrid.epochs.v1.params_pb2 import InferenceParams
    from protocol.gen.evergrid.inference.v1.inference_pb2 import (
        Inference,
        MsgValidateInference,
        ValidationResult,
    )

# who has to validate


def reputation_bps(good_epochs: int, params: InferenceParams) -> int:
    """How far an executor is trusted: the part of `reputation_epochs` that it has behind it."""
    return BPS * min(good_epochs, params.reputation_epochs) // params.reputation_epochs


def validation_rate_bps(reputation: int, params: InferenceParams) -> int:
    """How many validators re-execute an inference on average: the less, the better the reputation."""
    spread = params.validation_rate_bps - params.validation_rate_min_bps
    return params.validation_rate_min_bps + spread * (BPS - reputation) // BPS


@dataclass(frozen=True, slots=True)
class Sampling:
    """A member's draw for an inference: it has to validate where the number drawn is below the threshold."""

    drawn: int
    threshold: int
    bound: int

    @property
    def sampled(self) -> bool:
        """Whether the member has to validate."""
        return self.drawn < self.threshold


def sampling(chain_id: str, inference: Inference, validator: str, weight: int) -> Sampling:
    """The draw of one member with its weight in the subgroup, from public data alone.

    Its chance is the rate times its share of the weight of all but the executor, at most one.
    """
    bound = BPS * inference.weight_voting
    if not bound:
        return Sampling(0, 0, 0)
    draw = Draw(
        INFERENCE_VALIDATION_DOMAIN, chain_id, inference.inference_id, inference.validation_seed, validator
    )
    return Sampling(draw.below(bound), inference.validation_rate_bps * weight, bound)


# verdicts


def verdict_errors(msg: MsgValidateInference) -> list[str]:
    """All that is wrong with a verdict by itself, in order."""
    errors = []
    if not 0 < len(msg.inference_id) <= ID_LENGTH_MAX or not PRINTABLE.fullmatch(msg.inference_id):
        errors.append(f"inference_id must be 1 to {ID_LENGTH_MAX} printable ASCII characters")
    if msg.result not in {VALIDATION_RESULT_VALID, VALIDATION_RESULT_INVALID}:
        errors.append("result must be VALID or INVALID")
    if msg.value_bps > BPS:
        errors.append(f"value_bps must be at most {BPS}")
    return errors


def result_of(value_bps: int, threshold_bps: int) -> ValidationResult:
    """What a value means by the model's threshold."""
    return VALIDATION_RESULT_VALID if value_bps >= threshold_bps else VALIDATION_RESULT_INVALID


class Outcome(Enum):
    """What the verdicts on an inference come to when it becomes final."""

    UNCHECKED = "unchecked"
    VALID = "valid"
    INVALID = "invalid"
    # Most of those who spoke say invalid, but they are too few to take the pay for it.
    UNDECIDED = "undecided"


def outcome(weight_valid: int, weight_invalid: int, weight_voting: int) -> Outcome:
    """Invalid: more than half of the weight that spoke, and at least a third of all that could, say so."""
    spoke = weight_valid + weight_invalid
    if not spoke:
        return Outcome.UNCHECKED
    if 2 * weight_invalid <= spoke:
        return Outcome.VALID
    return Outcome.INVALID if 3 * weight_invalid >= weight_voting else Outcome.UNDECIDED


# the binomial rule


def is_unlikely(measured: int, invalid: int, params: InferenceParams) -> bool:
    """Whether an honest executor would have so many invalid ones, or more, less often than is tolerated.

    Exact: sum of C(n, i) p^i (10^4 - p)^(n - i) from i = invalid on, in units of 10^-4n, with p the rate of
    false positives in basis points, against the governed number of millionths.
    """
    if not 0 < invalid <= measured:
        return False
    rate = params.false_positive_rate_bps
    rest = BPS - rate
    term: int = comb(measured, invalid) * rate**invalid * rest ** (measured - invalid)
    tail = term
    for i in range(invalid, measured):
        # Exact: each term is a whole number of the same unit.
        term = term * (measured - i) * rate // ((i + 1) * rest)
        tail += term
    tolerated: int = params.invalidation_probability_millionths * BPS**measured
    return tail * MILLION < tolerated


def invalid_limit(measured: int, params: InferenceParams) -> int:
    """The least number of invalid ones among so many that makes an executor INVALID; 0: none does."""
    low, high = 1, measured + 1
    while low < high:
        middle = (low + high) // 2
        if is_unlikely(measured, middle, params):
            high = middle
        else:
            low = middle + 1
    return low if low <= measured else 0
