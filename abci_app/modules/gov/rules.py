"""Decisions of gov: what a vote may say, how a tally ends, which deposits suffice, which params do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from abci_app.modules.bank.coins import Amounts, amounts_of, coin_errors, covers, scale
from abci_app.modules.gov.decimals import ONE, decimal, parse_decimal
from abci_app.modules.gov.times import nanoseconds
from protocol import address as addresses
from protocol.gen.cosmos.gov.v1 import gov_pb2

YES: Final = gov_pb2.VOTE_OPTION_YES
ABSTAIN: Final = gov_pb2.VOTE_OPTION_ABSTAIN
NO: Final = gov_pb2.VOTE_OPTION_NO
VETO: Final = gov_pb2.VOTE_OPTION_NO_WITH_VETO
OPTIONS: Final = (YES, ABSTAIN, NO, VETO)

METADATA_MAX: Final = 255
SUMMARY_MAX: Final = 40 * METADATA_MAX

SHARES: Final = (
    "quorum",
    "threshold",
    "veto_threshold",
    "expedited_threshold",
    "min_initial_deposit_ratio",
    "min_deposit_ratio",
    "proposal_cancel_ratio",
)
PERIODS: Final = ("max_deposit_period", "voting_period", "expedited_voting_period")
PERIOD_MAX_NS: Final = 10 * 366 * 86_400 * 10**9


class Verdict(Enum):
    """How a tally ended. Burnt deposits are the param's choice where there is one."""

    PASSED = "passed"
    NO_POWER = "no_power"
    NO_QUORUM = "no_quorum"
    ALL_ABSTAINED = "all_abstained"
    VETOED = "vetoed"
    THRESHOLD_NOT_MET = "threshold_not_met"


@dataclass(frozen=True, slots=True)
class Tally:
    """Power by option in 10^-18, and the power that could have voted, whole."""

    counts: Mapping[int, int]
    power_total: int

    @property
    def voted(self) -> int:
        return sum(self.counts.values())

    def result(self) -> gov_pb2.TallyResult:
        """Whole power by option, rounded down."""
        yes, abstain, no, veto = (str(self.counts[option] // ONE) for option in OPTIONS)
        return gov_pb2.TallyResult(yes_count=yes, abstain_count=abstain, no_count=no, no_with_veto_count=veto)


def count_votes(votes: Iterable[tuple[int, Sequence[gov_pb2.WeightedVoteOption]]], power_total: int) -> Tally:
    """The tally of (power, options) of those who voted."""
    counts: dict[int, int] = dict.fromkeys(OPTIONS, 0)
    for power, options in votes:
        for option in options:
            counts[option.option] += power * decimal(option.weight)
    return Tally(counts, power_total)


def decide(tally: Tally, params: gov_pb2.Params, *, expedited: bool) -> Verdict:
    """How the tally ends; shares are compared exactly, without rounding."""
    threshold = params.expedited_threshold if expedited else params.threshold
    voted, abstained = tally.voted, tally.counts[ABSTAIN]
    if tally.power_total == 0:
        return Verdict.NO_POWER
    if voted < tally.power_total * decimal(params.quorum):
        return Verdict.NO_QUORUM
    if voted == abstained:
        return Verdict.ALL_ABSTAINED
    if tally.counts[VETO] * ONE > voted * decimal(params.veto_threshold):
        return Verdict.VETOED
    if tally.counts[YES] * ONE > (voted - abstained) * decimal(threshold):
        return Verdict.PASSED
    return Verdict.THRESHOLD_NOT_MET


def burns_deposits(verdict: Verdict, params: gov_pb2.Params) -> bool:
    """Whether this end costs the deposits."""
    if verdict is Verdict.VETOED:
        return params.burn_vote_veto
    return verdict is Verdict.NO_QUORUM and params.burn_vote_quorum


def vote_errors(options: Sequence[gov_pb2.WeightedVoteOption]) -> list[str]:
    """All that is wrong with a vote's options: each at most once, positive weights that sum up to one."""
    if len(options) > len(OPTIONS):
        return [f"{len(options)} options, there are {len(OPTIONS)}"]
    errors: list[str] = []
    seen: set[int] = set()
    total = 0
    for each in options:
        if each.option not in OPTIONS:
            errors.append(f"{each.option} is no option")
        if each.option in seen:
            errors.append(f"duplicated vote option {each.option}")
        seen.add(each.option)
        weight = parse_decimal(each.weight)
        if weight is None or not 0 < weight <= ONE:
            errors.append(f"the weight of option {each.option} is not in (0, 1]: {each.weight[:40]!r}")
        total += weight or 0
    if not errors and total != ONE:
        errors.append("total weight lower than 1.00" if total < ONE else "total weight overflow 1.00")
    return errors


def text_errors(title: str, summary: str) -> list[str]:
    """What is missing of what a reader needs."""
    named = (("title", title), ("summary", summary))
    return [f"proposal {name} cannot be empty" for name, text in named if not text.strip()]


def deposit_wanted(params: gov_pb2.Params, *, expedited: bool) -> dict[str, int]:
    """The deposit with which voting begins."""
    return amounts_of(params.expedited_min_deposit if expedited else params.min_deposit)


def is_deposit_large_enough(amounts: Amounts, wanted: Amounts, ratio: int) -> bool:
    """Whether one deposit reaches the smallest share of what is wanted, in at least one denomination."""
    if ratio == 0:
        return True
    least = scale(wanted, ratio, ONE)
    return any(denom in least and amount >= least[denom] for denom, amount in amounts.items())


def is_initial_deposit_enough(amounts: Amounts, wanted: Amounts, ratio: int) -> bool:
    """Whether a proposal comes with its share of the wanted deposit."""
    return covers(amounts, scale(wanted, ratio, ONE))


def params_errors(params: gov_pb2.Params) -> list[str]:
    """All that is wrong with the params, checked together."""
    errors: list[str] = []
    shares = {name: parse_decimal(getattr(params, name)) for name in SHARES}
    errors += (
        f"{name} is not in [0, 1]: {getattr(params, name)[:40]!r}"
        for name, value in shares.items()
        if value is None or value > ONE
    )
    errors += (f"{name} must be above 0" for name in ("threshold", "veto_threshold") if shares[name] == 0)
    spans = {name: nanoseconds(getattr(params, name)) for name in PERIODS}
    errors += (
        f"{name} is not in (0, 10 years]" for name, span in spans.items() if not 0 < span <= PERIOD_MAX_NS
    )
    if spans["expedited_voting_period"] >= spans["voting_period"]:
        errors.append("expedited_voting_period must be below voting_period")
    if (shares["expedited_threshold"] or 0) <= (shares["threshold"] or 0):
        errors.append("expedited_threshold must be above threshold")
    return errors + _deposit_param_errors(params)


def _deposit_param_errors(params: gov_pb2.Params) -> list[str]:
    errors = [f"min_deposit: {text}" for text in coin_errors(params.min_deposit)]
    errors += (f"expedited_min_deposit: {text}" for text in coin_errors(params.expedited_min_deposit))
    if not params.min_deposit:
        errors.append("min_deposit is empty")
    if not errors:
        least, expedited = amounts_of(params.min_deposit), amounts_of(params.expedited_min_deposit)
        if list(least) != list(expedited) or not covers(expedited, least) or least == expedited:
            errors.append("expedited_min_deposit must be above min_deposit, in the same denominations")
    if params.proposal_cancel_dest:
        try:
            addresses.decode(params.proposal_cancel_dest)
        except addresses.AddressError as error:
            errors.append(f"proposal_cancel_dest: {error}")
    return errors
