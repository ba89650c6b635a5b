"""Every governed number, checked together: whoever proposes params learns of all faults at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.fixed import BPS, MILLION, TRILLION
from protocol.gen.evergrid.epochs.v1.params_pb2 import (
    COVERAGE_BONUS_MODE_ADDITIONAL,
    COVERAGE_BONUS_MODE_SHARED,
)
from protocol.poc_samples import SLOTS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from protocol.gen.evergrid.epochs.v1.params_pb2 import (
        CollateralParams,
        EpochParams,
        GuardianParams,
        InferenceParams,
        MaintenanceParams,
        Params,
        PocParams,
        RewardParams,
        UptimeParams,
    )

# Thirty years of one-second blocks: heights and sums of them stay far below 64 bits.
BLOCKS_MAX = 10**9
NONCES_MAX = 10**9
# nevg: what is minted and what the genesis gave, together, stay within 63 bits.
SUPPLY_MAX = 2**62
UNIT_PRICE_MAX = 2**32 - 1
MATURITY_WEIGHT_MAX = 2**60
# A participant has at most one entry of what it withdrew for each of these epochs. Evidence of misbehaviour
# is taken for 139 epochs of the testnet profile.
UNBONDING_EPOCHS_MAX = 200
POC_V_RAM_MAX = 2**32
DTYPES = ("float16", "float32")
_DURATIONS = (
    "epoch_length",
    "first_poc_height",
    "poc_stage_duration",
    "poc_exchange_duration",
    "poc_validation_delay",
    "poc_validation_duration",
    "set_validators_delay",
)
_SHAPE = ("dim", "n_layers", "n_heads", "n_kv_heads", "ffn_dim", "vocab", "seq_len")
# The tail of the binomial distribution is summed exactly, over at most so many inferences.
_MEASUREMENT = {
    "reputation_epochs": (1, BPS),
    "false_positive_rate_bps": (1, BPS // 2),
    "invalidation_probability_millionths": (1, MILLION // 10),
    "measurement_window": (10, 2_000),
}
_TESTS = ("noise", "epsilon", "mean_square_limit", "sample_size")


def params_errors(params: Params) -> list[str]:
    """All that is wrong with the params, in the order of their fields; empty: nothing (protocol, 2)."""
    return [
        *_epoch_errors(params.epoch),
        *_poc_errors(params.poc),
        *_uptime_errors(params.uptime),
        *_reward_errors(params.rewards),
        *_inference_errors(params.inference, params.epoch.epoch_length),
        *_maintenance_errors(params.maintenance),
        *(_guardian_errors(params.guardians) if params.HasField("guardians") else ()),
        *(_collateral_errors(params.collateral) if params.HasField("collateral") else ()),
        *_bps_errors(params),
    ]


def _epoch_errors(epoch: EpochParams) -> Iterator[str]:
    for name in _DURATIONS:
        if not 1 <= getattr(epoch, name) <= BLOCKS_MAX:
            yield f"epoch.{name} must be 1 to {BLOCKS_MAX} blocks"
    if epoch.poc_validation_delay <= epoch.poc_exchange_duration:
        yield "epoch.poc_validation_delay must be above poc_exchange_duration: batches close before T"
    if epoch.poc_validation_duration < 2:
        yield "epoch.poc_validation_duration must be at least 2: a verdict needs a block after T"
    duration = epoch.poc_stage_duration
    switch = (
        duration + epoch.poc_validation_delay + epoch.poc_validation_duration + epoch.set_validators_delay
    )
    if switch + duration + 2 > epoch.epoch_length:
        yield (
            f"epoch.epoch_length must be at least {switch + duration + 2}: the PoC period of {switch}, "
            f"the measured window of {duration}, and 2"
        )
    if epoch.first_poc_height < duration + 2:
        yield f"epoch.first_poc_height must be at least poc_stage_duration + 2, which is {duration + 2}"
    if not 0 < epoch.min_retained_power_denominator <= BPS:
        yield f"epoch.min_retained_power_denominator must be 1 to {BPS}"
    if epoch.min_retained_power_numerator > epoch.min_retained_power_denominator:
        yield "epoch.min_retained_power_numerator is above its denominator"
    if not 2 <= epoch.retention_epochs <= BPS:
        yield f"epoch.retention_epochs must be 2 to {BPS}: the epoch before is read"


def _poc_errors(poc: PocParams) -> Iterator[str]:
    low = [name for name in (*_SHAPE, *_TESTS, "acceptance_bps") if getattr(poc, name) < 1]
    if low:
        yield f"poc: {', '.join(low)} must be at least 1"
    rules = {
        "poc.n_layers must be at least 8": poc.n_layers >= 8,
        "poc.dim must be a multiple of 2 * n_heads": poc.n_heads < 1 or poc.dim % (2 * poc.n_heads) == 0,
        "poc.n_heads must be a multiple of n_kv_heads": poc.n_kv_heads < 1
        or poc.n_heads % poc.n_kv_heads == 0,
        "poc.seq_len * dim must be a multiple of 16": poc.seq_len * poc.dim % 16 == 0,
        "poc.vocab must be a multiple of 128": poc.vocab % 128 == 0,
        f"poc.dtype must be one of {', '.join(DTYPES)}": poc.dtype in DTYPES,
        f"poc.mismatch_rate must be below {MILLION}": poc.mismatch_rate < MILLION,
        "poc.fraud_threshold_log10 must be negative": poc.fraud_threshold_log10 < 0,
        f"poc.max_nonces_per_node must be 1 to {NONCES_MAX}": 1 <= poc.max_nonces_per_node <= NONCES_MAX,
        "poc.max_nonces_per_batch must be 1 to max_nonces_per_node": 1
        <= poc.max_nonces_per_batch
        <= poc.max_nonces_per_node,
        "poc: no form of a batch is open": poc.inline_batches or poc.committed_batches,
        f"poc.validation_slots must be at most {SLOTS_MAX}": poc.validation_slots <= SLOTS_MAX,
    }
    yield from (rule for rule, holds in rules.items() if not holds)


def _uptime_errors(uptime: UptimeParams) -> Iterator[str]:
    if not BPS <= uptime.poc_slot_headroom_bps <= 10 * BPS:
        yield f"uptime.poc_slot_headroom_bps must be {BPS} to {10 * BPS}"
    if uptime.max_demand_ratio < 1:
        yield "uptime.max_demand_ratio must be at least 1"
    if uptime.poc_v_ram > POC_V_RAM_MAX:
        yield f"uptime.poc_v_ram must be at most {POC_V_RAM_MAX} MiB"
    if uptime.serve_during_validation and not uptime.poc_v_ram:
        yield "uptime.poc_v_ram must be at least 1 MiB where serve_during_validation is on"


def _reward_errors(rewards: RewardParams) -> Iterator[str]:
    for name in ("initial_epoch_reward", "reward_supply_cap"):
        if getattr(rewards, name) > SUPPLY_MAX:
            yield f"rewards.{name} must be at most {SUPPLY_MAX} nevg"
    if rewards.decay_per_trillion >= TRILLION:
        yield f"rewards.decay_per_trillion must be below {TRILLION}"
    if rewards.coverage_bonus_mode not in {COVERAGE_BONUS_MODE_ADDITIONAL, COVERAGE_BONUS_MODE_SHARED}:
        yield "rewards.coverage_bonus_mode must be ADDITIONAL or SHARED"
    if rewards.settle_per_block < 1:
        yield "rewards.settle_per_block must be at least 1"


def _inference_errors(inference: InferenceParams, epoch_length: int) -> Iterator[str]:
    if not 0 <= inference.slot_grace <= BLOCKS_MAX:
        yield f"inference.slot_grace must be 0 to {BLOCKS_MAX} blocks"
    for name in ("expiration", "validation_window"):
        if not 1 <= getattr(inference, name) <= BLOCKS_MAX:
            yield f"inference.{name} must be 1 to {BLOCKS_MAX} blocks"
    if not 1 <= inference.unit_price <= UNIT_PRICE_MAX:
        yield f"inference.unit_price must be 1 to {UNIT_PRICE_MAX} nevg"
    if inference.expiration + inference.validation_window >= epoch_length:
        yield "inference.expiration + validation_window must be below epoch.epoch_length"
    if inference.validation_rate_min_bps > inference.validation_rate_bps:
        yield "inference.validation_rate_min_bps is above validation_rate_bps"
    for name, (low, high) in _MEASUREMENT.items():
        if not low <= getattr(inference, name) <= high:
            yield f"inference.{name} must be {low} to {high}"


def _maintenance_errors(maintenance: MaintenanceParams) -> Iterator[str]:
    if not 0 <= maintenance.credit_per_good_epoch <= maintenance.credit_max <= BLOCKS_MAX:
        yield f"maintenance.credit_per_good_epoch must be 0 to credit_max, credit_max at most {BLOCKS_MAX}"
    if not 1 <= maintenance.notice <= BLOCKS_MAX:
        yield f"maintenance.notice must be 1 to {BLOCKS_MAX} blocks"


def _guardian_errors(guardians: GuardianParams) -> Iterator[str]:
    if not 1 <= guardians.maturity_weight <= MATURITY_WEIGHT_MAX:
        yield f"guardians.maturity_weight must be 1 to {MATURITY_WEIGHT_MAX}"
    if guardians.multiplier_bps >= BPS:
        yield f"guardians.multiplier_bps must be below {BPS}: all others must have more power than guardians"


def _collateral_errors(collateral: CollateralParams) -> Iterator[str]:
    if not 1 <= collateral.unbonding_epochs <= UNBONDING_EPOCHS_MAX:
        yield f"collateral.unbonding_epochs must be 1 to {UNBONDING_EPOCHS_MAX}"
    if collateral.collateral_per_weight > SUPPLY_MAX:
        yield f"collateral.collateral_per_weight must be at most {SUPPLY_MAX} nevg"
    if collateral.base_weight_bps < 1:
        yield "collateral.base_weight_bps must be at least 1: no weight may sink to nothing"
    if collateral.release_per_block < 1:
        yield "collateral.release_per_block must be at least 1"


def _bps_errors(params: Params) -> Iterator[str]:
    """Every field in basis points is a part of a whole, but for the headroom, which is a factor."""
    for group_field, group in params.ListFields():
        for field in group.DESCRIPTOR.fields:
            if not field.name.endswith("_bps") or field.name in {"poc_slot_headroom_bps", "multiplier_bps"}:
                continue
            if getattr(group, field.name) > BPS:
                yield f"{group_field.name}.{field.name} must be at most {BPS}"
