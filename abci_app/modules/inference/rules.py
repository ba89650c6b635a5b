"""Pure rules of inference: what a request looks like, what it costs, who was available, the median price."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from abci_app.kernel.fixed import BPS
from protocol.address import AddressError, decode
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import (
    REASON_MISSED_INFERENCES,
    REASON_PARTICIPANT_INVALID,
    REASON_UNSPECIFIED,
)
from protocol.requests import reserved_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from protocol.gen.evergrid.inference.v1.inference_pb2 import MsgFinishInference, MsgStartInference
    from protocol.gen.evergrid.reasons.v1.reasons_pb2 import Reason

ID_LENGTH_MAX = 128
TOKENS_MAX = 2**32
AMOUNT_MAX = 2**63
SHA256_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
PRINTABLE = re.compile(r"[!-~]+", re.ASCII)
REQUEST_AGE_MAX_NS = 600 * 10**9


def _common_errors(inference_id: str, model_id: str, counts: Iterable[tuple[str, int]]) -> list[str]:
    errors = []
    if not 0 < len(inference_id) <= ID_LENGTH_MAX or not PRINTABLE.fullmatch(inference_id):
        errors.append(f"inference_id must be 1 to {ID_LENGTH_MAX} printable ASCII characters")
    if not model_id:
        errors.append("model_id is empty")
    errors += (f"{name} must be below {TOKENS_MAX}" for name, count in counts if count >= TOKENS_MAX)
    return errors


def _address_errors(name: str, text: str) -> list[str]:
    try:
        decode(text)
    except AddressError as error:
        return [f"{name} is no address: {error}"]
    return []


def start_errors(msg: MsgStartInference, block_time_ns: int) -> list[str]:
    """All that is wrong with a start by itself, in order."""
    counts = (("prompt_token_count", msg.prompt_token_count), ("max_tokens", msg.max_tokens))
    errors = _common_errors(msg.inference_id, msg.model_id, counts)
    if reserved_for(msg.inference_id) not in {"", msg.creator}:
        errors.append(f"inference_id begins with an address other than that of its creator, {msg.creator}")
    if msg.max_tokens == 0:
        errors.append("max_tokens is 0")
    if not SHA256_HEX.fullmatch(msg.prompt_hash):
        errors.append("prompt_hash is no SHA-256 in lower-case hex")
    if msg.requested_by not in {"", msg.creator}:
        errors += _address_errors("requested_by", msg.requested_by)
        if msg.request_timestamp <= 0:
            errors.append("request_timestamp must be positive")
        elif abs(msg.request_timestamp - block_time_ns) > REQUEST_AGE_MAX_NS:
            errors.append("request_timestamp is more than 10 minutes from the block's time")
        if not msg.requester_signature:
            errors.append(f"requester_signature of {msg.requested_by} is missing")
    return errors


def finish_errors(msg: MsgFinishInference) -> list[str]:
    """All that is wrong with a finish by itself, in order."""
    counts = (
        ("prompt_token_count", msg.prompt_token_count),
        ("completion_token_count", msg.completion_token_count),
    )
    errors = _common_errors(msg.inference_id, msg.model_id, counts)
    if not SHA256_HEX.fullmatch(msg.response_hash):
        errors.append("response_hash is no SHA-256 in lower-case hex")
    return errors


def price_per_token(units_of_compute_per_token: int, unit_price: int) -> int:
    """nevg per token, at most what no escrow can reach: governance and proposals may overshoot together."""
    return min(units_of_compute_per_token * unit_price, AMOUNT_MAX)


def cost_of(escrow: int, tokens: int, price: int) -> int:
    """What a finished inference costs: its tokens, at most the escrow."""
    return min(escrow, tokens * price)


def tokens_paid(escrow: int, tokens: int, price: int) -> int:
    """How many tokens of a finished inference are paid for: those that its escrow held."""
    return min(tokens, escrow // price)


@dataclass(frozen=True, slots=True)
class Availability:
    """How available a participant was, in basis points, and what decided it."""

    bps: int
    # Misses that count: of any one creator at most a quarter of the total.
    missed: int
    # PARTICIPANT_INVALID or MISSED_INFERENCES; unspecified: nothing was taken.
    reason: Reason = REASON_UNSPECIFIED


def availability(
    *, total: int, missed_by_creator: Sequence[int], invalid: bool, inferences_min: int, tolerance_bps: int
) -> Availability:
    """A participant's availability (protocol, section 7).

    Of the missed inferences at most a quarter of the total counts for any one creator, so that nobody alone
    can take a rival's reward by requests that it never lets finish.
    """
    missed = sum(min(count, total // 4) for count in missed_by_creator)
    if invalid:
        return Availability(0, missed, REASON_PARTICIPANT_INVALID)
    if total < inferences_min or missed * BPS <= total * tolerance_bps:
        return Availability(BPS, missed)
    bps = 0 if 2 * missed > total else BPS * (total - missed) // total
    return Availability(bps, missed, REASON_MISSED_INFERENCES)


def weighted_median(proposals: Iterable[tuple[int, int]]) -> int | None:
    """The lowest price at which half of the weight proposes that or less; None where no weight proposes."""
    ordered = sorted((price, weight) for price, weight in proposals if weight > 0)
    total = sum(weight for _, weight in ordered)
    so_far = 0
    for price, weight in ordered:
        so_far += weight
        if 2 * so_far >= total:
            return price
    return None
