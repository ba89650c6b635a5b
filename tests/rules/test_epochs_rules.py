"""Heights of stages, slots in force, params, extension, quarantine."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.epochs.rules import (
    extension,
    params_errors,
    quarantine_over,
    slots_between,
    stage_heights,
)
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import POC_SLOT, PRE_POC_SLOT
from protocol.gen.evergrid.epochs.v1.params_pb2 import EpochParams, Params
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_EMPTY_GROUP, REASON_RETAINED_POWER


@pytest.mark.parametrize(
    ("profile", "offsets", "first_switch"),
    [
        ("local", [-1, 0, 5, 7, 8, 12, 15], 25),
        ("testnet", [-1, 0, 24, 28, 30, 54, 78], 138),
        ("mainnet", [-1, 0, 60, 66, 68, 108, 288], 588),
    ],
)
def test_the_stages_of_each_profile_are_where_the_protocol_says(
    profile: str, offsets: list[int], first_switch: int
) -> None:
    params = default_params(profile).epoch

    at = stage_heights(params, 1000)
    heights = [
        at.pre_poc,
        at.start,
        at.end,
        at.batches_end,
        at.validation_start,
        at.validation_end,
        at.switch,
    ]

    assert [height - 1000 for height in heights] == offsets
    assert stage_heights(params, params.first_poc_height).switch == first_switch


@pytest.mark.parametrize("profile", ["local", "testnet", "mainnet"])
def test_the_profiles_pass_their_own_checks(profile: str) -> None:
    assert params_errors(default_params(profile)) == []


def change(path: str, value: object) -> Callable[[Params], None]:
    group, field = path.split(".")
    return lambda params: setattr(getattr(params, group), field, value)


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        ("epoch.poc_validation_delay", 2, "epoch.poc_validation_delay must be above poc_exchange_duration"),
        ("epoch.poc_validation_duration", 1, "epoch.poc_validation_duration must be at least 2"),
        ("epoch.epoch_length", 21, "epoch.epoch_length must be at least 22"),
        ("epoch.first_poc_height", 6, "epoch.first_poc_height must be at least poc_stage_duration + 2"),
        ("epoch.set_validators_delay", 0, "epoch.set_validators_delay must be 1 to 1000000000 blocks"),
        ("epoch.epoch_length", 2**62, "epoch.epoch_length must be 1 to 1000000000 blocks"),
        ("epoch.min_retained_power_denominator", 1, "epoch.min_retained_power_numerator is above"),
        ("epoch.max_individual_power_bps", 10_001, "epoch.max_individual_power_bps must be at most 10000"),
        ("uptime.voting_guard_bps", 10_001, "uptime.voting_guard_bps must be at most 10000"),
        ("uptime.poc_slot_headroom_bps", 9_999, "uptime.poc_slot_headroom_bps must be 10000 to 100000"),
        ("rewards.coverage_bonus_bps", 10_001, "rewards.coverage_bonus_bps must be at most 10000"),
        ("rewards.settle_per_block", 0, "rewards.settle_per_block must be at least 1"),
        ("inference.expiration", 26, "inference.expiration + validation_window must be below"),
        ("poc.dtype", "int8", "poc.dtype must be one of float16, float32"),
        ("poc.inline_batches", False, "poc: no form of a batch is open"),
        ("poc.fraud_threshold_log10", 0, "poc.fraud_threshold_log10 must be negative"),
    ],
)  # fmt: skip
def test_params_with_one_fault_are_refused_for_it(path: str, value: object, error: str) -> None:
    params = default_params("local")

    change(path, value)(params)

    errors = params_errors(params)
    assert len(errors) == 1, errors
    assert errors[0].startswith(error)


def test_all_faults_of_params_are_named_together() -> None:
    params = default_params("local")
    for path, value in [
        ("epoch.poc_exchange_duration", 0),
        ("poc.n_layers", 7),
        ("rewards.miss_tolerance_bps", 20_000),
        ("inference.expiration", 30),
    ]:
        change(path, value)(params)

    assert params_errors(params) == [
        "epoch.poc_exchange_duration must be 1 to 1000000000 blocks",
        "poc.n_layers must be at least 8",
        "inference.expiration + validation_window must be below epoch.epoch_length",
        "rewards.miss_tolerance_bps must be at most 10000",
    ]


def test_empty_params_are_refused_without_a_crash() -> None:
    assert len(params_errors(Params())) > 20


blocks = st.integers(1, 60)


@given(st.tuples(*[blocks] * 7), st.integers(1, 10**9))
def test_epochs_that_pass_the_checks_keep_their_stages_in_order_and_apart(
    lengths: tuple[int, ...], start: int
) -> None:
    length, first, duration, exchange, delay, validation, switch = lengths
    params = default_params("local")
    params.epoch.MergeFrom(
        EpochParams(
            epoch_length=length * 5,
            first_poc_height=first,
            poc_stage_duration=duration,
            poc_exchange_duration=exchange,
            poc_validation_delay=delay,
            poc_validation_duration=validation,
            set_validators_delay=switch,
        )
    )
    if any(error.startswith("epoch.") for error in params_errors(params)):
        return

    at = stage_heights(params.epoch, start)

    assert (
        at.pre_poc < at.start < at.end < at.batches_end < at.validation_start < at.validation_end < at.switch
    )
    # The window that the next draw measures lies behind this switch.
    assert at.switch < start + params.epoch.epoch_length - params.epoch.poc_stage_duration


@pytest.mark.parametrize(
    ("first", "last", "slots"),
    [
        (5, 9, [PRE_POC_SLOT]),
        (5, 10, [PRE_POC_SLOT, POC_SLOT]),
        (10, 24, [POC_SLOT]),
        (24, 25, [PRE_POC_SLOT, POC_SLOT]),
        (25, 39, [PRE_POC_SLOT]),
        (40, 52, [POC_SLOT]),
        (52, 53, [PRE_POC_SLOT, POC_SLOT]),
        (9, 60, [PRE_POC_SLOT, POC_SLOT]),
    ],
)
def test_the_slots_of_a_range_are_those_of_its_heights(first: int, last: int, slots: list[int]) -> None:
    assert slots_between(first, last, [(40, 52), (10, 24)]) == slots


PARAMS = EpochParams(min_retained_power_numerator=2, min_retained_power_denominator=3, max_extensions=2)
POWERS = {"a": 40, "b": 30, "c": 20, "d": 10}


@pytest.mark.parametrize(
    ("kept", "extensions", "reason"),
    [
        ("abcd", 0, None),
        ("ab", 0, None),
        ("acd", 0, None),
        ("bcd", 0, REASON_RETAINED_POWER),
        ("a", 1, REASON_RETAINED_POWER),
        ("a", 2, None),
        ("", 2, REASON_EMPTY_GROUP),
    ],
)
def test_a_switch_must_keep_two_thirds_of_the_power_and_never_empties_the_group(
    kept: str, extensions: int, reason: int | None
) -> None:
    next_group = dict.fromkeys(kept, 5)

    decision = extension(POWERS, next_group, next_group, extensions, PARAMS)

    assert decision.reason == reason
    assert decision.retained_power == sum(POWERS[name] for name in kept)
    assert decision.effective_power == 100


def test_a_group_in_which_nobody_has_voting_power_counts_as_empty() -> None:
    weights = dict.fromkeys("abcd", 5)

    assert extension(POWERS, dict.fromkeys("abcd", 0), weights, 9, PARAMS).reason == REASON_EMPTY_GROUP


def test_newcomers_alone_do_not_retain_power_and_a_powerless_group_refuses_none() -> None:
    assert extension(POWERS, {"new": 9}, {"new": 9}, 0, PARAMS).reason == REASON_RETAINED_POWER
    assert extension({}, {"new": 9}, {"new": 9}, 0, PARAMS).reason is None


def test_a_quarantine_lasts_so_many_whole_epochs_without_weight() -> None:
    ends = [epoch for epoch in range(5, 10) if quarantine_over(5, epoch, 2, member=False)]

    assert ends[0] == 7
    assert not quarantine_over(5, 7, 2, member=True)
