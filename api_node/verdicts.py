"""What samples say of a participant: the three tests of the verification (protocol, section 5). Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol.gen.evergrid.epochs.v1 import params_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2

EVERY_NONCE_BPS = 10_000
# A number that overflows or is none is a mismatch, never an error.
Recomputed = float | int | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One nonce: what was claimed, in 1e-6, and what this participant's nodes found."""

    claim: int
    recomputed: Recomputed

    def is_match(self, epsilon: int) -> bool:
        """Whether the two agree."""
        found = self.recomputed
        return found is not None and math.isfinite(found) and abs(self.claim - found) <= epsilon


def judge(participant: str, samples: Sequence[Sample], params: params_pb2.PocParams) -> poc_pb2.PocVerdict:
    """The verdict on one participant's whole sample; abstain where there is nothing to judge by."""
    if not samples:
        return abstain(participant)
    matches = [sample for sample in samples if sample.is_match(params.epsilon)]
    mismatches = len(samples) - len(matches)
    failed = (
        log10_binomial_tail(mismatches, len(samples), params.mismatch_rate / 1e6)
        < params.fraud_threshold_log10
        or _mean_square_fails(matches, params)
        or _wrong_side_fails(samples, params)
    )
    return poc_pb2.PocVerdict(
        participant=participant,
        verdict=poc_pb2.VERDICT_FRAUD if failed else poc_pb2.VERDICT_HONEST,
        sampled=len(samples),
        mismatches=mismatches,
    )


def abstain(participant: str) -> poc_pb2.PocVerdict:
    """No verdict: this participant was not able to check, which says nothing of the other."""
    return poc_pb2.PocVerdict(participant=participant, verdict=poc_pb2.VERDICT_ABSTAIN)


def fold(
    drawn: Mapping[str, Sequence[tuple[str, int, int]]],
    found: Mapping[tuple[str, str, int], Recomputed],
    params: params_pb2.PocParams,
) -> list[poc_pb2.PocVerdict]:
    """Verdicts by participant: on those whose every drawn nonce was re-computed, else abstain.

    `drawn` are (node_id, nonce, claim); `found` is by (participant, node_id, nonce).
    """
    verdicts = []
    for participant in sorted(drawn):
        sample = drawn[participant]
        if any((participant, node_id, nonce) not in found for node_id, nonce, _ in sample):
            verdicts.append(abstain(participant))
            continue
        pairs = [Sample(claim, found[participant, node_id, nonce]) for node_id, nonce, claim in sample]
        verdicts.append(judge(participant, pairs, params))
    return verdicts


def verdicts_message(
    creator: str, height_start: int, verdicts: Sequence[poc_pb2.PocVerdict], places: Mapping[str, int]
) -> poc_pb2.MsgSubmitPocValidations:
    """Verdicts as they are sent: those that say the same together, each participant by its place."""
    groups: dict[tuple[poc_pb2.Verdict, int, int], list[int]] = {}
    for each in verdicts:
        said = (each.verdict, each.sampled, each.mismatches)
        groups.setdefault(said, []).append(places[each.participant])
    return poc_pb2.MsgSubmitPocValidations(
        creator=creator,
        poc_stage_start_height=height_start,
        groups=[
            poc_pb2.PocVerdictGroup(
                verdict=verdict, sampled=sampled, mismatches=mismatches, places=sorted(named)
            )
            for (verdict, sampled, mismatches), named in sorted(groups.items())
        ],
    )


def log10_binomial_tail(successes: int, trials: int, rate: float) -> float:
    """log10 of P(X >= successes) for X ~ Binomial(trials, rate); 0 where nothing is asked."""
    if successes <= 0:
        return 0.0
    if rate <= 0:
        return -math.inf
    if rate >= 1:
        return 0.0
    terms = [
        math.lgamma(trials + 1)
        - math.lgamma(hits + 1)
        - math.lgamma(trials - hits + 1)
        + hits * math.log(rate)
        + (trials - hits) * math.log1p(-rate)
        for hits in range(successes, trials + 1)
    ]
    top = max(terms)
    return min(0.0, (top + math.log(math.fsum(math.exp(term - top) for term in terms))) / math.log(10))


def _mean_square_fails(matches: Sequence[Sample], params: params_pb2.PocParams) -> bool:
    """Of the matches alone, so that a mismatch counts once."""
    squares = math.fsum((match.claim - (match.recomputed or 0)) ** 2 for match in matches)
    return 1000 * squares > params.mean_square_limit * max(1, len(matches)) * params.noise**2


def _wrong_side_fails(samples: Sequence[Sample], params: params_pb2.PocParams) -> bool:
    if params.acceptance_bps >= EVERY_NONCE_BPS:
        return False
    wrong = sum(
        sample.recomputed is not None
        and math.isfinite(sample.recomputed)
        and sample.recomputed < params.z_target
        for sample in samples
    )
    density = math.exp(-((params.z_target / 1e6) ** 2) / 2) / math.sqrt(2 * math.pi)
    share = params.noise / 1e6 * density / (params.acceptance_bps / EVERY_NONCE_BPS * math.sqrt(2 * math.pi))
    return log10_binomial_tail(wrong, len(samples), min(2 * share, 0.5)) < params.fraud_threshold_log10
