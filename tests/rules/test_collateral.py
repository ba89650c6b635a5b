"""What collateral covers and what a slash takes: by example and for any numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.modules.collateral.rules import cover, epoch_release, part, slash, weight_applies
from abci_app.modules.epochs.param_checks import params_errors
from abci_app.modules.epochs.profiles import default_params
from protocol.gen.evergrid.epochs.v1.params_pb2 import CollateralParams

PARAMS = CollateralParams(
    unbonding_epochs=1, collateral_per_weight=2, base_weight_bps=2_000, grace_end_epoch=3
)
WEIGHT = st.integers(1, 10**15)
AMOUNT = st.integers(0, 10**18)


@pytest.mark.parametrize(
    ("proved", "deposit", "weight"),
    [
        (1_000, 0, 200),
        (1_000, 1_599, 999),
        (1_000, 1_600, 1_000),
        (1_000, 10**9, 1_000),
        (1_000, 800, 600),
        # The base is rounded up: nobody sinks to nothing.
        (1, 0, 1),
        (3, 0, 1),
    ],
)
def test_a_part_of_weight_needs_no_collateral_and_the_rest_what_it_costs(
    proved: int, deposit: int, weight: int
) -> None:
    assert cover(proved, deposit, PARAMS).weight == weight


@given(proved=WEIGHT, deposit=AMOUNT, more=AMOUNT, price=st.integers(1, 10**6), base=st.integers(1, 10_000))
def test_covered_weight_is_positive_at_most_what_was_proved_and_rises_with_the_deposit(
    proved: int, deposit: int, more: int, price: int, base: int
) -> None:
    params = CollateralParams(collateral_per_weight=price, base_weight_bps=base)

    weight = cover(proved, deposit, params).weight

    assert 1 <= weight <= proved
    assert weight <= cover(proved, deposit + more, params).weight
    assert weight <= cover(proved + 1, deposit, params).weight
    assert cover(proved, proved * price, params).weight == proved


@given(parts=st.lists(st.integers(0, 10**12), min_size=1).filter(any), covered=st.integers(0, 10**12))
def test_the_parts_of_a_cut_weight_stay_within_it(parts: list[int], covered: int) -> None:
    proved = sum(parts)
    weight = min(covered, proved)

    assert sum(part(each, weight, proved) for each in parts) <= weight


def test_weight_needs_none_without_a_price_and_up_to_the_end_of_the_grace() -> None:
    free = CollateralParams(collateral_per_weight=0)

    assert [weight_applies(epoch, PARAMS) for epoch in (3, 4)] == [False, True]
    assert not weight_applies(4, free)


def test_a_withdrawal_is_paid_back_behind_whole_epochs() -> None:
    assert epoch_release(5, PARAMS) == 7


def test_a_slash_takes_the_same_fraction_of_the_deposit_and_of_what_is_not_due_yet() -> None:
    cut = slash(600, {5: 50, 6: 400, 7: 9}, 1_000, epoch=5)

    # What was due from epoch 5 on is out of reach; a tenth of 9 is nothing.
    assert (cut.deposit, cut.unbonding, cut.total) == (60, {6: 40}, 100)


@given(
    deposit=AMOUNT,
    unbonding=st.dictionaries(st.integers(0, 20), st.integers(1, 10**18)),
    bps=st.integers(0, 10_000),
    epoch=st.integers(0, 20),
)
def test_a_slash_never_takes_more_than_its_fraction(
    deposit: int, unbonding: dict[int, int], bps: int, epoch: int
) -> None:
    cut = slash(deposit, unbonding, bps, epoch)

    held = deposit + sum(amount for release, amount in unbonding.items() if release > epoch)
    assert 0 <= cut.total <= held * bps // 10_000
    assert all(
        release > epoch and 0 < cut.unbonding[release] <= unbonding[release] for release in cut.unbonding
    )


def test_params_of_collateral_that_cannot_work_are_named_together() -> None:
    params = default_params("local")
    params.collateral.slash_invalid_bps = 10_001

    assert params_errors(params) == [
        "collateral.unbonding_epochs must be 1 to 200",
        "collateral.base_weight_bps must be at least 1: no weight may sink to nothing",
        "collateral.release_per_block must be at least 1",
        "collateral.slash_invalid_bps must be at most 10000",
    ]
