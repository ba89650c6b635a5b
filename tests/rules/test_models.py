"""What a model must be, and when one may leave."""

from __future__ import annotations

from typing import Any

import pytest

from abci_app.modules.models.rules import model_errors, retirement_errors
from tests.fleet import a_model


def test_a_model_without_a_repository_needs_no_commit() -> None:
    assert model_errors(a_model(hf_repo="", hf_commit="")) == []


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"id": ""}, "id is empty"),
        ({"id": "x" * 129}, "id is longer than 128 characters"),
        ({"id": "a\0b"}, "id has characters other than letters, digits and ._/:@+-"),
        ({"units_of_compute_per_token": 0}, "units_of_compute_per_token must be 1 to 1000000000000"),
        ({"throughput_per_nonce": 0}, "throughput_per_nonce must be 1 to 1000000000000"),
        ({"throughput_per_nonce": 10**12 + 1}, "throughput_per_nonce must be 1 to 1000000000000"),
        ({"hf_repo": "org/x"}, "hf_commit is no hex id of 40 or 64 lower-case digits"),
        ({"hf_commit": "ab" * 20}, "hf_commit is given without a hf_repo"),
        ({"hf_commit": "main"}, "hf_commit is no hex id of 40 or 64 lower-case digits"),
        ({"model_args": ["--trust-remote-code"]}, "model_args: --trust-remote-code is not allowed"),
        ({"validation_threshold": 10_001}, "validation_threshold is above 10000"),
        ({"name": "a\nb"}, "name has control characters"),
    ],
)
def test_a_model_with_one_fault_is_refused_for_it(fields: dict[str, Any], error: str) -> None:
    model_id = fields.pop("id", "org/x")

    assert model_errors(a_model(model_id, **fields)) == [error]


def test_all_faults_of_a_model_are_named_together() -> None:
    broken = a_model(
        "", units_of_compute_per_token=0, throughput_per_nonce=0, hf_commit="zz", model_args=["x"]
    )

    assert len(model_errors(broken)) == 5


@pytest.mark.parametrize(
    ("model_id", "retiring", "errors"),
    [
        ("a", [], []),
        ("c", [], ["c is not in the registry"]),
        ("a", ["a"], ["a is being retired already"]),
        ("b", ["a"], ["b is the last model"]),
    ],
)
def test_only_a_model_that_leaves_another_behind_can_be_retired(
    model_id: str, retiring: list[str], errors: list[str]
) -> None:
    assert retirement_errors(model_id, ["a", "b"], retiring) == errors
