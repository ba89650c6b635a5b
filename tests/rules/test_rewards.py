"""Settlement by the numbers of the protocol's worked epoch, and what must hold for all numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from abci_app.modules.rewards.rules import Member, coverage, next_reward, settle
from protocol.gen.evergrid.epochs.v1.params_pb2 import (
    COVERAGE_BONUS_MODE_ADDITIONAL,
    COVERAGE_BONUS_MODE_SHARED,
    CoverageBonusMode,
    RewardParams,
)
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_MISSED_INFERENCES, REASON_SUPPLY_CAP

CAP = 10**12

EPOCH_7 = (
    Member("alice", 700, 10000, covered=True),
    Member("bob", 400, 7500, covered=True),
    Member("carol", 260, 10000, covered=False),
)


def params(mode: CoverageBonusMode = COVERAGE_BONUS_MODE_ADDITIONAL) -> RewardParams:
    return RewardParams(coverage_bonus_mode=mode, coverage_bonus_bps=1000)


def test_the_worked_epoch_in_additional_mode() -> None:
    settlement = settle(params(), 1_000_000, CAP, EPOCH_7)

    assert [share.base for share in settlement.shares] == [514705, 220588, 191176]
    assert [share.bonus for share in settlement.shares] == [51470, 22058, 0]
    assert settlement.community_pool == 73531
    assert settlement.minted == 1073528


def test_the_worked_epoch_in_shared_mode() -> None:
    settlement = settle(params(COVERAGE_BONUS_MODE_SHARED), 1_000_000, CAP, EPOCH_7)

    assert [share.base for share in settlement.shares] == [523809, 224489, 176870]
    assert [share.bonus for share in settlement.shares] == [0, 0, 0]
    assert settlement.community_pool == 74832
    assert settlement.minted == 1_000_000


def test_coverage_of_the_worked_epoch_needs_a_fifth_of_an_equal_split_on_each_model() -> None:
    def covers(x: int, y: int) -> tuple[bool, int]:
        found = coverage({"X": x, "Y": y}, ["X", "Y"], ["X", "Y"], weight=x + y, weight_min=1, share_bps=2000)
        return found.covered, found.models[0][2]

    assert covers(580, 120) == (True, 70)
    assert covers(260, 140) == (True, 40)
    assert covers(260, 0) == (False, 26)


def test_a_model_that_is_new_this_epoch_is_left_out_of_coverage() -> None:
    found = coverage({"X": 100}, ["X", "Y"], ["X"], weight=100, weight_min=1, share_bps=2000)

    assert found.covered
    assert [counts for _, _, _, counts in found.models] == [True, False]


def test_nobody_is_covered_where_every_model_is_new() -> None:
    found = coverage({"X": 100}, ["X"], [], weight=100, weight_min=1, share_bps=2000)

    assert not found.covered


def test_without_weight_nothing_is_minted() -> None:
    settlement = settle(params(), 1_000_000, CAP, [Member("alice", 0, 10000, covered=False)])

    assert settlement.minted == 0
    assert settlement.community_pool == 0


def test_bonuses_shrink_in_proportion_when_the_cap_leaves_too_little() -> None:
    settlement = settle(params(), 1_000_000, 1_000_000 + 7, EPOCH_7)

    assert sum(share.bonus for share in settlement.shares) <= 7
    assert all(REASON_SUPPLY_CAP in share.reasons for share in settlement.shares)


def test_a_member_that_missed_too_much_is_told_so() -> None:
    settlement = settle(params(), 1_000_000, CAP, EPOCH_7)

    assert REASON_MISSED_INFERENCES in settlement.shares[1].reasons
    assert REASON_MISSED_INFERENCES not in settlement.shares[0].reasons


def test_the_reward_decays_by_its_rate() -> None:
    assert next_reward(323_000 * 10**9, 474_887_205) == 322_846_611_432_785
    assert next_reward(10**12, 0) == 10**12


members = st.lists(
    st.builds(
        Member,
        address=st.text("abc", min_size=1, max_size=3),
        weight=st.integers(0, 10**7),
        availability_bps=st.integers(0, 10000),
        covered=st.booleans(),
    ),
    max_size=12,
)
modes = st.sampled_from([COVERAGE_BONUS_MODE_ADDITIONAL, COVERAGE_BONUS_MODE_SHARED])


@given(members, st.integers(0, 10**12), st.integers(0, 10**12), modes)
def test_every_unit_minted_is_paid_or_in_the_pool_and_the_cap_holds(
    found: list[Member], reward: int, left: int, mode: CoverageBonusMode
) -> None:
    settlement = settle(params(mode), reward, left, found)

    paid = sum(share.base + share.bonus for share in settlement.shares)
    assert paid + settlement.community_pool == settlement.minted
    assert settlement.minted <= left
    assert settlement.community_pool >= 0


@given(members, st.integers(0, 10**12), modes)
def test_nobody_gains_from_anothers_misses(found: list[Member], reward: int, mode: CoverageBonusMode) -> None:
    full = [Member(m.address, m.weight, 10000, m.covered) for m in found]

    kept = settle(params(mode), reward, 10**13, found).shares
    best = settle(params(mode), reward, 10**13, full).shares

    assert all(a.base <= b.base for a, b in zip(kept, best, strict=True))
    assert all(
        a.base == b.base for a, b in zip(kept, best, strict=True) if a.member.availability_bps == 10000
    )
