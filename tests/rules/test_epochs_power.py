"""Voting power: the cap, that it never makes small ones rulers, and what CometBFT is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.modules.epochs.rules import power_cap, power_limit, scale_powers, validator_updates

CAP = 2500
weight_lists = st.lists(st.integers(1, 10**12), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("weights", "powers"),
    [
        ([1000, 1, 1, 1], [499, 1, 1, 1]),
        ([1000, 1000, 1, 1], [500, 500, 1, 1]),
        ([1000, 1000, 1000, 1, 1, 1], [500, 500, 500, 1, 1, 1]),
        ([1000, 100, 100, 100], [350, 100, 100, 100]),
        ([1000, 2000, 4000, 8000], [1000, 2000, 2250, 2250]),
        ([700, 400, 260], [440, 400, 260]),
        ([710, 488, 263], [500, 488, 263]),
        ([1000, 1], [500, 1]),
        ([7], [7]),
        ([], []),
        ([0, 5, 0], [0, 5, 0]),
        ([10, 10, 10, 10, 10], [10, 10, 10, 10, 10]),
    ],
)
def test_powers_of_known_groups(weights: list[int], powers: list[int]) -> None:
    assert power_cap(weights, CAP) == powers


@given(weight_lists, st.integers(0, 10_000))
def test_powers_sum_to_at_least_half_of_the_weights_and_none_is_nothing(weights: list[int], cap: int) -> None:
    powers = power_cap(weights, cap)

    assert 2 * sum(powers) >= sum(weights)
    assert all(1 <= power <= weight for power, weight in zip(powers, weights, strict=True))


@given(weight_lists, st.integers(0, 10_000))
def test_no_share_more_than_doubles(weights: list[int], cap: int) -> None:
    powers = power_cap(weights, cap)

    for power, weight in zip(powers, weights, strict=True):
        assert power * sum(weights) <= 2 * weight * sum(powers)


@given(weight_lists, st.integers(0, 10_000))
def test_who_has_more_weight_has_no_less_power(weights: list[int], cap: int) -> None:
    powers = power_cap(sorted(weights), cap)

    assert powers == sorted(powers)


@given(weight_lists)
def test_the_order_of_members_changes_nothing(weights: list[int]) -> None:
    assert power_cap(weights[::-1], CAP) == power_cap(weights, CAP)[::-1]


@given(st.lists(st.integers(1, 10**6), min_size=4, max_size=40))
def test_above_the_half_no_one_holds_more_than_the_caps_share(weights: list[int]) -> None:
    powers = power_cap(weights, CAP)
    limit = power_limit(weights, CAP)

    lower = sum(min(weight, limit - 1) for weight in weights)
    if 2 * lower >= sum(weights) and max(weights) > limit:
        # Not held up by the half: at most the cap's share, but for what integers leave.
        assert 10_000 * (max(powers) - 1) <= CAP * sum(powers)


@given(weight_lists, st.integers(1, 10**12))
def test_a_member_that_gains_weight_loses_no_power(weights: list[int], more: int) -> None:
    before = power_cap(weights, CAP)[0]

    assert power_cap([weights[0] + more, *weights[1:]], CAP)[0] >= before


def test_powers_above_two_to_the_53_are_scaled_and_none_becomes_zero() -> None:
    powers = {b"b": 2**60, b"a": 1, b"c": 2**60}

    scaled = scale_powers(powers)

    assert list(scaled) == [b"a", b"b", b"c"]
    assert scaled[b"a"] == 1
    assert scaled[b"b"] == scaled[b"c"] == 2**60 * 2**53 // (2**61 + 1)
    assert scale_powers({b"a": 2**53}) == {b"a": 2**53}


sets = st.dictionaries(st.binary(min_size=1, max_size=2), st.integers(1, 9), max_size=6)


@given(sets, sets)
def test_updates_turn_one_set_into_the_other_in_key_order(
    last: dict[bytes, int], new: dict[bytes, int]
) -> None:
    updates = validator_updates(last, new)

    keys = [key for key, _ in updates]
    assert keys == sorted(set(keys))
    assert all(key in last for key, power in updates if power == 0)
    assert all(last.get(key) != power for key, power in updates)
    assert {key: power for key, power in {**last, **dict(updates)}.items() if power} == new
