"""Params survive JSON, and wrong ones are refused with all their faults."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from abci_app.modules.epochs.profiles import SHAPES, poc_params
from mlnode.pow import DTYPES, PRESETS, PocParams, parameters


@pytest.mark.parametrize("preset", PRESETS)
def test_params_come_back_from_json(preset: str) -> None:
    params = PRESETS[preset]

    text = json.dumps(params.to_json())

    assert PocParams.from_json(json.loads(text)) == params


def test_integers_may_be_decimal_strings() -> None:
    params = PRESETS["small"]

    assert PocParams.from_json({name: str(value) for name, value in params.to_json().items()}) == params


def test_missing_unknown_and_unreadable_fields_are_all_named() -> None:
    values = PRESETS["tiny"].to_json() | {"vocab": "1e3", "depth": 8, "noise": True}
    del values["dim"]

    with pytest.raises(ValueError, match=r"dim is missing; depth is unknown; noise is not .*; vocab is not"):
        PocParams.from_json(values)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("dtype", ["float32"], "dtype must be one of"),
        ("dtype", {}, "dtype must be one of"),
        ("dim", "--5", "dim is not an integer"),
        ("dim", "", "dim is not an integer"),
        ("dim", "5-", "dim is not an integer"),
    ],
)
def test_a_value_of_another_type_is_named(name: str, value: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        PocParams.from_json(PRESETS["tiny"].to_json() | {name: value})


def test_values_that_make_no_puzzle_are_all_named() -> None:
    with pytest.raises(
        ValueError, match=r"dtype must .*; n_layers must .*; vocab must .*; acceptance_bps must"
    ):
        replace(PRESETS["tiny"], dtype="bfloat16", n_layers=4, vocab=100, acceptance_bps=10_001)
    with pytest.raises(ValueError, match="n_heads, sample_size must be at least 1"):
        replace(PRESETS["tiny"], n_heads=0, sample_size=0)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_weight_count_is_the_sum_over_the_matrices(preset: str) -> None:
    params = PRESETS[preset]

    assert params.weight_count == sum(rows * columns for _, rows, columns in parameters(params))


@pytest.mark.parametrize(("preset", "card_gb"), [("gpu24", 24), ("gpu80", 80)])
def test_a_gpu_preset_fills_its_card_and_leaves_room_to_compute(preset: str, card_gb: int) -> None:
    weight_gb = PRESETS[preset].weight_count * 2 / 1e9

    assert 0.7 < weight_gb / card_gb < 0.85


@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("preset", SHAPES)
def test_the_chain_governs_from_the_shapes_and_tolerances_that_were_measured(preset: str, dtype: str) -> None:
    governed = poc_params(preset, dtype)

    params = PRESETS[preset].with_dtype(dtype)

    differing = {
        each.name for each in fields(params) if getattr(governed, each.name) != getattr(params, each.name)
    }
    assert differing == set()
