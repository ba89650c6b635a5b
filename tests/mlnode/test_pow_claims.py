"""The claims of docs/proof-of-compute.md, asserted at sizes that fit a test run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.poc import speed
from bench.poc.acceptance import expected
from bench.poc.agreement import quantiles
from bench.poc.correlations import Truth, mean_direction
from bench.poc.lottery import advantage
from bench.poc.samples import SEEDS, Values, by_plain_net, by_puzzle
from bench.poc.shortcuts import combined_shortcuts, cost, single_shortcuts
from bench.poc.verdicts import MIXES, ThreeTests, fraud_share
from mlnode.pow import PRESETS

TINY = PRESETS["tiny"]
HALF = TINY.with_dtype("float16")
SHORTCUTS = {each.name: each for each in (*single_shortcuts(8), *combined_shortcuts(8))}
COUNT = 600
CHEAP = (
    "int8 all",
    "int8 last quarter",
    "fp8 all",
    "fp8 last half",
    "skip last 1",
    "half FFN",
    "half heads + int8",
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth(TINY, SEEDS[0], COUNT)


@pytest.fixture(scope="module")
def half_z() -> Values:
    return by_puzzle(HALF, SEEDS[0], COUNT)


@pytest.fixture(scope="module")
def cheap(truth: Truth, half_z: Values) -> dict[str, Values]:
    """Differences of each shortcut's claims from a verifier in float16."""
    from bench.poc.shortcuts import z_of

    return {name: z_of(truth.of(SHORTCUTS[name])[0], truth.signs).double().numpy() - half_z for name in CHEAP}


@pytest.mark.parametrize("seed", SEEDS, ids=["seed 1", "seed 2", "seed 3"])
def test_skipping_the_body_tells_nothing(seed: bytes) -> None:
    truth = Truth(TINY, seed, 3000)

    assert abs(truth.compare(truth.of(SHORTCUTS["skip all"])[0])["rho"]) <= 0.03


@pytest.mark.parametrize(
    "name", ["skip last 4", "every other layer", "no attention", "half heads", "half FFN", "half positions"]
)
def test_leaving_parts_out_pays_at_no_acceptance(truth: Truth, name: str) -> None:
    rho = truth.compare(truth.of(SHORTCUTS[name])[0])["rho"]
    share = cost(TINY, SHORTCUTS[name])

    assert all(advantage(rho, share, 1.0, p) < 1.10 for p in (0.05, 0.5, 1.0))


def test_the_mean_direction_is_far_from_a_claim(truth: Truth) -> None:
    assert mean_direction(truth)["rho"] < 0.35


def test_no_mixture_of_cheap_and_honest_claims_earns_a_tenth(
    cheap: dict[str, Values], half_z: Values
) -> None:
    draw, tests = np.random.default_rng(1), ThreeTests.of(HALF)
    honest = half_z - by_puzzle(TINY, SEEDS[0], COUNT)

    for name, differences in cheap.items():
        for mix in MIXES:
            passed = 1 - fraud_share(tests, differences, honest, mix, 200, 200, draw)
            assert passed / (1 - mix * (1 - cost(TINY, SHORTCUTS[name]))) < 1.10, (name, mix)


def test_cheap_work_is_caught_and_honest_work_passes(cheap: dict[str, Values], half_z: Values) -> None:
    draw, tests = np.random.default_rng(2), ThreeTests.of(HALF)
    honest = half_z - by_puzzle(TINY, SEEDS[0], COUNT)

    caught = {name: fraud_share(tests, each, honest, 1.0, 1000, 200, draw) for name, each in cheap.items()}

    assert min(caught.values()) >= 0.99, caught
    assert fraud_share(tests, honest, honest, 0, 20_000, 200, draw) == 0


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_other_arithmetic_agrees_within_epsilon(dtype: str, half_z: Values) -> None:
    params = TINY.with_dtype(dtype)
    own = half_z if dtype == "float16" else by_puzzle(params, SEEDS[0], COUNT)

    found = quantiles(own - by_plain_net(TINY, SEEDS[0], COUNT, double=True))

    assert found["99.99%"] < params.epsilon / 1e6
    assert found["sd"] < params.noise / 1e6


@pytest.mark.parametrize(("bps", "z_target"), [(5_000, 0), (500, 1_644_854)])
def test_the_rate_of_acceptance_is_as_computed(bps: int, z_target: int) -> None:
    count = 20_000
    z = by_puzzle(TINY, SEEDS[1], count)

    rate = expected(z_target, TINY.vocab)

    assert rate == pytest.approx(bps / 10_000, rel=0.03)
    assert abs(np.mean(z >= z_target / 1e6) - rate) < 3 * np.sqrt(rate * (1 - rate) / count)


def test_merged_validation_keeps_the_rate_of_generation() -> None:
    """The bar is 0.9; a busy machine gets some slack, the page has the figure."""
    found = speed.rates("tiny", "float32", "cpu", compiled=False)

    assert found["validation_share"] >= 0.8


def test_a_nonce_is_three_times_as_fast_as_by_a_plain_float16_transformer() -> None:
    assert speed.against_plain("tiny")["ratio"] >= 3


def test_little_of_a_pass_is_spent_outside_of_products_and_attention() -> None:
    """The bar is 0.1 from about 70 million weights on; the page has the figure, a busy machine some slack."""
    found = speed.rates("dev", "float32", "cpu", compiled=False)

    assert found["outside_share"] <= 0.15
