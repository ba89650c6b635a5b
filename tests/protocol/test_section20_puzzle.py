"""Sentences of the protocol's section 20 on start values; the puzzle itself is tested in tests/mlnode."""

from __future__ import annotations

import pytest

from abci_app.modules.epochs.profiles import default_params

SMALL, GPU24 = (192, 8, 6, 2, 768, 1024, 16), (4096, 40, 32, 8, 14336, 8192, 128)


@pytest.mark.parametrize(
    ("profile", "shape", "dtype", "noise", "epsilon"),
    [
        ("local", SMALL, "float32", 10, 1_000),
        ("testnet", SMALL, "float32", 10, 1_000),
        ("mainnet", GPU24, "float16", 16_000, 100_000),
    ],
)
def test_the_start_values_of_the_verification_and_the_presets_are_those_of_the_page(
    profile: str, shape: tuple[int, ...], dtype: str, noise: int, epsilon: int
) -> None:
    """Start values: noise and epsilon by dtype, mismatch rate, mean square, threshold, samples; presets."""
    params = default_params(profile).poc

    found = (params.dim, params.n_layers, params.n_heads, params.n_kv_heads, params.ffn_dim, params.vocab)
    assert (*found, params.seq_len) == shape
    assert (params.dtype, params.noise, params.epsilon) == (dtype, noise, epsilon)
    assert (params.mismatch_rate, params.mean_square_limit) == (1_000, 2_250)
    assert (params.fraud_threshold_log10, params.sample_size) == (-7, 200)
