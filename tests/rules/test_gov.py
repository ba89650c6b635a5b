"""How votes are counted, and which params hold."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.modules.gov import default_params
from abci_app.modules.gov.decimals import ONE, decimal_text, parse_decimal
from abci_app.modules.gov.rules import (
    ABSTAIN,
    NO,
    OPTIONS,
    VETO,
    YES,
    Tally,
    Verdict,
    burns_deposits,
    count_votes,
    decide,
    is_deposit_large_enough,
    params_errors,
    vote_errors,
)
from protocol.gen.cosmos.gov.v1 import gov_pb2
from tests.ground import coins

PARAMS = default_params("nevg")


def option(kind: int, weight: str = "1") -> gov_pb2.WeightedVoteOption:
    return gov_pb2.WeightedVoteOption(option=kind, weight=weight)  # type: ignore[arg-type]


def a_tally(yes: int = 0, abstain: int = 0, no: int = 0, veto: int = 0, *, power_total: int = 1000) -> Tally:
    votes = [(power, [option(kind)]) for power, kind in zip((yes, abstain, no, veto), OPTIONS, strict=True)]
    return count_votes(votes, power_total)


def verdict(tally: Tally, *, expedited: bool = False) -> Verdict:
    return decide(tally, PARAMS, expedited=expedited)


@pytest.mark.parametrize(
    ("tally", "expected"),
    [
        (a_tally(power_total=0), Verdict.NO_POWER),
        (a_tally(yes=333), Verdict.NO_QUORUM),
        (a_tally(yes=334), Verdict.PASSED),
        (a_tally(abstain=1000), Verdict.ALL_ABSTAINED),
        (a_tally(yes=666, veto=334), Verdict.PASSED),
        (a_tally(yes=665, veto=335), Verdict.VETOED),
        (a_tally(yes=500, no=500), Verdict.THRESHOLD_NOT_MET),
        (a_tally(yes=501, no=499), Verdict.PASSED),
        (a_tally(yes=2, no=1, abstain=997), Verdict.PASSED),
    ],
)
def test_the_verdict_at_the_borders_is(tally: Tally, expected: Verdict) -> None:
    assert verdict(tally) is expected


def test_an_expedited_proposal_needs_its_own_threshold() -> None:
    assert verdict(a_tally(yes=667, no=333), expedited=True) is Verdict.THRESHOLD_NOT_MET
    assert verdict(a_tally(yes=668, no=332), expedited=True) is Verdict.PASSED


POWERS = st.integers(0, 10**6)


@given(POWERS, POWERS, POWERS, POWERS, POWERS)
def test_the_verdict_is_that_of_exact_fractions(
    yes: int, abstain: int, no: int, veto: int, absent: int
) -> None:
    voted = yes + abstain + no + veto
    total = voted + absent

    found = verdict(a_tally(yes, abstain, no, veto, power_total=total))

    if total == 0:
        assert found is Verdict.NO_POWER
    elif Fraction(voted, total) < Fraction(334, 1000):
        assert found is Verdict.NO_QUORUM
    elif voted == abstain:
        assert found is Verdict.ALL_ABSTAINED
    elif Fraction(veto, voted) > Fraction(334, 1000):
        assert found is Verdict.VETOED
    else:
        assert (found is Verdict.PASSED) == (Fraction(yes, voted - abstain) > Fraction(1, 2))


@given(POWERS, POWERS, POWERS, POWERS, POWERS)
def test_more_yes_never_loses_what_passed(yes: int, abstain: int, no: int, veto: int, more: int) -> None:
    total = yes + abstain + no + veto + more
    before = verdict(a_tally(yes, abstain, no, veto, power_total=total))

    after = verdict(a_tally(yes + more, abstain, no, veto, power_total=total))

    assert before is not Verdict.PASSED or after is Verdict.PASSED


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, ONE)), max_size=10))
def test_a_split_vote_counts_its_whole_power_and_no_more(voters: list[tuple[int, int]]) -> None:
    votes = [
        (power, [option(YES, decimal_text(share)), option(NO, decimal_text(ONE - share))])
        for power, share in voters
    ]

    tally = count_votes(votes, 0)

    assert tally.voted == ONE * sum(power for power, _ in voters)
    assert tally.counts[YES] == sum(power * share for power, share in voters)


def test_counts_are_shown_whole_and_rounded_down() -> None:
    tally = count_votes([(3, [option(YES, "0.5"), option(VETO, "0.5")])], 3)

    assert tally.result() == gov_pb2.TallyResult(
        yes_count="1", abstain_count="0", no_count="0", no_with_veto_count="1"
    )


def test_a_veto_burns_the_deposits_and_a_missed_quorum_only_where_the_params_say() -> None:
    strict = gov_pb2.Params()
    strict.CopyFrom(PARAMS)
    strict.burn_vote_quorum, strict.burn_vote_veto = True, False

    assert [each for each in Verdict if burns_deposits(each, PARAMS)] == [Verdict.VETOED]
    assert [each for each in Verdict if burns_deposits(each, strict)] == [Verdict.NO_QUORUM]


# votes


@pytest.mark.parametrize(
    ("options", "errors"),
    [
        ([option(YES)], []),
        ([option(YES, "0.3"), option(ABSTAIN, "0.7")], []),
        ([option(0)], ["0 is no option"]),
        ([option(5)], ["5 is no option"]),
        ([option(YES, "0.5"), option(YES, "0.5")], ["duplicated vote option 1"]),
        ([option(YES, "0.5")], ["total weight lower than 1.00"]),
        ([option(YES, "0.6"), option(NO, "0.6")], ["total weight overflow 1.00"]),
        ([option(YES, "1.1")], ["the weight of option 1 is not in (0, 1]: '1.1'"]),
        ([option(NO, "0"), option(YES)], ["the weight of option 3 is not in (0, 1]: '0'"]),
        ([option(NO, "-1"), option(9)], ["the weight of option 3 is not in (0, 1]: '-1'", "9 is no option"]),
    ],
)
def test_everything_wrong_with_a_vote_is_named(
    options: list[gov_pb2.WeightedVoteOption], errors: list[str]
) -> None:
    assert vote_errors(options) == errors


# decimals


@given(st.integers(0, 10**37))
def test_a_decimal_reads_back_from_its_text(value: int) -> None:
    assert parse_decimal(decimal_text(value)) == value


@pytest.mark.parametrize(("text", "value"), [("1", ONE), ("0.5", ONE // 2), ("0.000000000000000001", 1)])
def test_short_decimals_are_read(text: str, value: int) -> None:
    assert parse_decimal(text) == value


@pytest.mark.parametrize(
    "text", ["", ".5", "1.", "-1", "+1", "1e3", " 1", "1\n", "٣", "0." + "1" * 19, "1_0"]
)
def test_other_texts_are_no_decimal(text: str) -> None:
    assert parse_decimal(text) is None


# deposits and params


def test_a_deposit_needs_its_smallest_share_in_one_denomination_only() -> None:
    wanted = {"apple": 1000, "nevg": 500}

    assert is_deposit_large_enough({"nevg": 5}, wanted, ONE // 100)
    assert not is_deposit_large_enough({"apple": 9, "nevg": 4}, wanted, ONE // 100)
    assert not is_deposit_large_enough({}, wanted, ONE // 100)
    assert is_deposit_large_enough({}, wanted, 0)


def test_the_params_to_start_with_are_in_order() -> None:
    assert params_errors(PARAMS) == []


def test_everything_wrong_with_params_is_named_at_once() -> None:
    params = gov_pb2.Params()
    params.CopyFrom(PARAMS)
    params.quorum = "1.1"
    params.threshold = "0"
    params.min_deposit_ratio = ""
    params.voting_period.seconds = 0
    params.proposal_cancel_dest = "nobody"
    del params.expedited_min_deposit[:]

    errors = params_errors(params)

    assert errors[:5] == [
        "quorum is not in [0, 1]: '1.1'",
        "min_deposit_ratio is not in [0, 1]: ''",
        "threshold must be above 0",
        "voting_period is not in (0, 10 years]",
        "expedited_voting_period must be below voting_period",
    ]
    assert errors[5] == "expedited_min_deposit must be above min_deposit, in the same denominations"
    assert errors[6].startswith("proposal_cancel_dest: decoding bech32 failed")


def test_coins_of_the_params_are_checked_as_coins() -> None:
    params = gov_pb2.Params()
    params.CopyFrom(PARAMS)
    del params.min_deposit[:]
    params.min_deposit.extend(coins(0))

    assert params_errors(params) == ["min_deposit: amount of nevg is not positive"]
