"""The start values of the three profiles (protocol, sections 2 and 20)."""

from __future__ import annotations

from protocol.gen.evergrid.epochs.v1.params_pb2 import (
    COVERAGE_BONUS_MODE_ADDITIONAL,
    EpochParams,
    InferenceParams,
    MaintenanceParams,
    Params,
    PocParams,
    RewardParams,
    UptimeParams,
)

NEVG_PER_EVG = 10**9
# dim, n_layers, n_heads, n_kv_heads, ffn_dim, vocab, seq_len
SHAPES = {
    "tiny": (32, 8, 2, 1, 96, 128, 8),
    "small": (192, 8, 6, 2, 768, 1024, 16),
    "gpu24": (4096, 40, 32, 8, 14336, 8192, 128),
}


def local() -> Params:
    """Blocks of one second on one machine's CPU: made for showing, half of the blocks are PoC period."""
    return _params(
        epoch=EpochParams(
            epoch_length=30,
            first_poc_height=10,
            poc_stage_duration=5,
            poc_exchange_duration=2,
            poc_validation_delay=3,
            poc_validation_duration=4,
            set_validators_delay=3,
            retention_epochs=4,
        ),
        poc=poc_params("small", "float32"),
        inference=InferenceParams(slot_grace=2, expiration=8, validation_window=4),
        settle_per_block=100,
    )


def testnet() -> Params:
    """Blocks of five seconds, an epoch of an hour, CPUs welcome."""
    return _params(
        epoch=EpochParams(
            epoch_length=720,
            first_poc_height=60,
            poc_stage_duration=24,
            poc_exchange_duration=4,
            poc_validation_delay=6,
            poc_validation_duration=24,
            set_validators_delay=24,
            retention_epochs=8,
        ),
        poc=poc_params("small", "float32"),
        inference=InferenceParams(slot_grace=6, expiration=60, validation_window=60),
        settle_per_block=500,
    )


def mainnet() -> Params:
    """Blocks of five seconds, an epoch of a day, GPUs of 24 GB and more."""
    return _params(
        epoch=EpochParams(
            epoch_length=17280,
            first_poc_height=300,
            poc_stage_duration=60,
            poc_exchange_duration=6,
            poc_validation_delay=8,
            poc_validation_duration=40,
            set_validators_delay=180,
            retention_epochs=8,
        ),
        poc=poc_params("gpu24", "float16"),
        inference=InferenceParams(slot_grace=12, expiration=120, validation_window=240),
        settle_per_block=500,
    )


# Below this dim float16 has tolerances of its own, as the MLNode's presets have (docs/adr/0010).
NARROW_BELOW_DIM = 128

PROFILES = {"local": local, "testnet": testnet, "mainnet": mainnet}


def default_params(profile: str) -> Params:
    """The params of a profile: local, testnet or mainnet; raises KeyError for others."""
    return PROFILES[profile]()


def poc_params(shape: str, dtype: str) -> PocParams:
    """The puzzle in one of the shapes, with the start values of the verification for a dtype."""
    dim, n_layers, n_heads, n_kv_heads, ffn_dim, vocab, seq_len = SHAPES[shape]
    noise, epsilon = {"float16": (16_000, 100_000), "float32": (10, 1_000)}[dtype]
    if dtype == "float16" and dim < NARROW_BELOW_DIM:
        noise, epsilon = 13_000, 150_000
    return PocParams(
        dim=dim,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        ffn_dim=ffn_dim,
        vocab=vocab,
        seq_len=seq_len,
        dtype=dtype,
        acceptance_bps=10_000,
        z_target=0,
        noise=noise,
        epsilon=epsilon,
        mean_square_limit=2_250,
        mismatch_rate=1_000,
        fraud_threshold_log10=-7,
        sample_size=200,
        max_nonces_per_batch=100_000,
        max_nonces_per_node=10**7,
        inline_batches=True,
        committed_batches=False,
        validation_slots=0,
    )


def _params(epoch: EpochParams, poc: PocParams, inference: InferenceParams, settle_per_block: int) -> Params:
    """What differs between the profiles, with what they share."""
    epoch.min_retained_power_numerator, epoch.min_retained_power_denominator = 2, 3
    epoch.max_extensions = 2
    epoch.max_individual_power_bps = 2_500
    epoch.quarantine_epochs = 2
    epoch.free_messages_per_epoch = 100_000
    inference.unit_price = 100
    inference.validation_rate_bps = 1_000
    inference.validation_rate_min_bps = 100
    inference.reputation_epochs = 30
    inference.false_positive_rate_bps = 500
    inference.invalidation_probability_millionths = 1
    inference.measurement_window = 500
    return Params(
        epoch=epoch,
        poc=poc,
        uptime=UptimeParams(
            poc_slot_fraction_bps=5_000,
            poc_slot_headroom_bps=12_500,
            max_consecutive_preserved_epochs=1,
            min_served=1,
            voting_guard_bps=3_333,
            max_demand_ratio=3,
            validate_throughput=False,
            min_throughput_ratio_bps=8_000,
        ),
        rewards=RewardParams(
            initial_epoch_reward=323_000 * NEVG_PER_EVG,
            reward_supply_cap=68 * 10**16,
            decay_per_trillion=474_887_205,
            coverage_bonus_mode=COVERAGE_BONUS_MODE_ADDITIONAL,
            coverage_bonus_bps=1_000,
            min_coverage_weight=1,
            min_coverage_share_bps=2_000,
            miss_tolerance_bps=1_000,
            min_inferences_measured=10,
            settle_per_block=settle_per_block,
        ),
        inference=inference,
        maintenance=MaintenanceParams(
            credit_per_good_epoch=max(1, epoch.epoch_length // 20),
            credit_max=epoch.epoch_length // 2,
            # What was begun before the window can be finished.
            notice=inference.expiration,
            max_concurrent_bps=2_500,
        ),
    )
