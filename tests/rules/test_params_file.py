"""Params that people write: what is read, and all that is named where they cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from abci_app.modules.epochs import default_params
from abci_app.params_file import ParamsError, merge_params
from protocol.gen.evergrid.epochs.v1.params_pb2 import (
    COVERAGE_BONUS_MODE_SHARED,
    CollateralParams,
    GuardianParams,
)


def faults(changes: dict[str, Any]) -> list[str]:
    with pytest.raises(ParamsError) as caught:
        merge_params(default_params("local"), changes)
    return str(caught.value).split("; ")


def test_what_is_not_named_stays_and_numbers_may_be_text_as_queries_show_them() -> None:
    start = default_params("local")

    read = merge_params(
        start,
        {
            "epoch": {"epoch_length": "40", "max_extensions": 3},
            "poc": {"committed_batches": True, "dtype": "float16"},
            "rewards": {"coverage_bonus_mode": "COVERAGE_BONUS_MODE_SHARED"},
        },
    )

    assert (read.epoch.epoch_length, read.epoch.max_extensions) == (40, 3)
    assert (read.poc.committed_batches, read.poc.dtype) == (True, "float16")
    assert read.rewards.coverage_bonus_mode == COVERAGE_BONUS_MODE_SHARED
    assert read.epoch.poc_stage_duration == start.epoch.poc_stage_duration
    assert not read.HasField("collateral")
    assert start == default_params("local")


def test_all_that_is_wrong_is_named_in_the_spelling_of_the_file() -> None:
    changes = {
        "guardian": {},
        "epoch": {"epoch_lenght": 3, "max_extensions": "a", "first_poc_height": 1},
        "poc": {"dim": -1, "dtype": 5, "inline_batches": "yes", "n_layers": 7},
        "uptime": [],
        "rewards": {"coverage_bonus_mode": "SHARED", "settle_per_block": 1.5},
        "collateral": {"x": 1, "unbonding_epochs": 2, "release_per_block": 1},
    }

    modes = "COVERAGE_BONUS_MODE_ADDITIONAL, COVERAGE_BONUS_MODE_SHARED"
    named = ", ".join(CollateralParams.DESCRIPTOR.fields_by_name)

    assert faults(changes) == [
        "guardian is no section of the params: is guardians meant?",
        "epoch.epoch_lenght is no param: is epoch_length meant?",
        'epoch.max_extensions must be a whole number, not "a"',
        "poc.dim must be 0 to 4294967295, not -1",
        "poc.dtype must be text, not 5",
        'poc.inline_batches must be true or false, not "yes"',
        "uptime must be an object of params, not []",
        f'rewards.coverage_bonus_mode must be one of {modes}, not "SHARED"',
        "rewards.settle_per_block must be a whole number, not 1.5",
        f"collateral.x is no param: there are {named}",
        "epoch.first_poc_height must be at least poc_stage_duration + 2, which is 7",
        "poc.n_layers must be at least 8",
        "collateral.base_weight_bps must be at least 1: no weight may sink to nothing",
    ]


@pytest.mark.parametrize("value", [None, True, 1.0, [], {}, "", "٣", "1e3", " 1"])
def test_what_is_no_whole_number_is_none(value: object) -> None:
    [fault] = faults({"epoch": {"epoch_length": value}})

    assert fault.startswith("epoch.epoch_length must be a whole number, not ")


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, "9" * 20])
def test_a_number_beyond_its_field_is_refused_with_the_bounds(value: object) -> None:
    [fault] = faults({"epoch": {"epoch_length": value}})

    assert fault.startswith(f"epoch.epoch_length must be {-(2**63)} to {2**63 - 1}, not ")


def test_one_name_in_two_spellings_is_refused() -> None:
    assert faults({"epoch": {"epochLength": 50, "epoch_length": 40}}) == [
        "epoch.epochLength is no param: is epoch_length meant?"
    ]


def test_a_section_that_is_off_is_turned_on_by_being_there_and_then_needs_its_numbers() -> None:
    assert faults({"guardians": {}}) == ["guardians.maturity_weight must be 1 to 1152921504606846976"]


def test_the_page_on_configuration_has_params_that_work_and_a_row_for_each_without_a_start_value() -> None:
    page = (Path(__file__).parents[2] / "cometbft-config" / "README.md").read_text()
    example = page.split("```")[1].rpartition("\nevergrid init")[0]

    read = merge_params(default_params("local"), json.loads(example))

    assert read.collateral.collateral_per_weight == 10
    for section, message in (("guardians", GuardianParams), ("collateral", CollateralParams)):
        for name in message.DESCRIPTOR.fields_by_name:
            assert f"\n| `{section}.{name}` | " in page
            assert name in json.loads(example)[section]
