from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CoverageBonusMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COVERAGE_BONUS_MODE_UNSPECIFIED: _ClassVar[CoverageBonusMode]
    COVERAGE_BONUS_MODE_ADDITIONAL: _ClassVar[CoverageBonusMode]
    COVERAGE_BONUS_MODE_SHARED: _ClassVar[CoverageBonusMode]
COVERAGE_BONUS_MODE_UNSPECIFIED: CoverageBonusMode
COVERAGE_BONUS_MODE_ADDITIONAL: CoverageBonusMode
COVERAGE_BONUS_MODE_SHARED: CoverageBonusMode

class Params(_message.Message):
    __slots__ = ("epoch", "poc", "uptime", "rewards", "inference", "maintenance", "guardians", "collateral")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    POC_FIELD_NUMBER: _ClassVar[int]
    UPTIME_FIELD_NUMBER: _ClassVar[int]
    REWARDS_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_FIELD_NUMBER: _ClassVar[int]
    MAINTENANCE_FIELD_NUMBER: _ClassVar[int]
    GUARDIANS_FIELD_NUMBER: _ClassVar[int]
    COLLATERAL_FIELD_NUMBER: _ClassVar[int]
    epoch: EpochParams
    poc: PocParams
    uptime: UptimeParams
    rewards: RewardParams
    inference: InferenceParams
    maintenance: MaintenanceParams
    guardians: GuardianParams
    collateral: CollateralParams
    def __init__(self, epoch: _Optional[_Union[EpochParams, _Mapping]] = ..., poc: _Optional[_Union[PocParams, _Mapping]] = ..., uptime: _Optional[_Union[UptimeParams, _Mapping]] = ..., rewards: _Optional[_Union[RewardParams, _Mapping]] = ..., inference: _Optional[_Union[InferenceParams, _Mapping]] = ..., maintenance: _Optional[_Union[MaintenanceParams, _Mapping]] = ..., guardians: _Optional[_Union[GuardianParams, _Mapping]] = ..., collateral: _Optional[_Union[CollateralParams, _Mapping]] = ...) -> None: ...

class EpochParams(_message.Message):
    __slots__ = ("epoch_length", "first_poc_height", "poc_stage_duration", "poc_exchange_duration", "poc_validation_delay", "poc_validation_duration", "set_validators_delay", "min_retained_power_numerator", "min_retained_power_denominator", "max_extensions", "max_individual_power_bps", "quarantine_epochs", "retention_epochs", "free_messages_per_epoch")
    EPOCH_LENGTH_FIELD_NUMBER: _ClassVar[int]
    FIRST_POC_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    POC_STAGE_DURATION_FIELD_NUMBER: _ClassVar[int]
    POC_EXCHANGE_DURATION_FIELD_NUMBER: _ClassVar[int]
    POC_VALIDATION_DELAY_FIELD_NUMBER: _ClassVar[int]
    POC_VALIDATION_DURATION_FIELD_NUMBER: _ClassVar[int]
    SET_VALIDATORS_DELAY_FIELD_NUMBER: _ClassVar[int]
    MIN_RETAINED_POWER_NUMERATOR_FIELD_NUMBER: _ClassVar[int]
    MIN_RETAINED_POWER_DENOMINATOR_FIELD_NUMBER: _ClassVar[int]
    MAX_EXTENSIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_INDIVIDUAL_POWER_BPS_FIELD_NUMBER: _ClassVar[int]
    QUARANTINE_EPOCHS_FIELD_NUMBER: _ClassVar[int]
    RETENTION_EPOCHS_FIELD_NUMBER: _ClassVar[int]
    FREE_MESSAGES_PER_EPOCH_FIELD_NUMBER: _ClassVar[int]
    epoch_length: int
    first_poc_height: int
    poc_stage_duration: int
    poc_exchange_duration: int
    poc_validation_delay: int
    poc_validation_duration: int
    set_validators_delay: int
    min_retained_power_numerator: int
    min_retained_power_denominator: int
    max_extensions: int
    max_individual_power_bps: int
    quarantine_epochs: int
    retention_epochs: int
    free_messages_per_epoch: int
    def __init__(self, epoch_length: _Optional[int] = ..., first_poc_height: _Optional[int] = ..., poc_stage_duration: _Optional[int] = ..., poc_exchange_duration: _Optional[int] = ..., poc_validation_delay: _Optional[int] = ..., poc_validation_duration: _Optional[int] = ..., set_validators_delay: _Optional[int] = ..., min_retained_power_numerator: _Optional[int] = ..., min_retained_power_denominator: _Optional[int] = ..., max_extensions: _Optional[int] = ..., max_individual_power_bps: _Optional[int] = ..., quarantine_epochs: _Optional[int] = ..., retention_epochs: _Optional[int] = ..., free_messages_per_epoch: _Optional[int] = ...) -> None: ...

class PocParams(_message.Message):
    __slots__ = ("dim", "n_layers", "n_heads", "n_kv_heads", "ffn_dim", "vocab", "seq_len", "dtype", "acceptance_bps", "z_target", "noise", "epsilon", "mean_square_limit", "mismatch_rate", "fraud_threshold_log10", "sample_size", "max_nonces_per_batch", "max_nonces_per_node", "inline_batches", "committed_batches", "validation_slots")
    DIM_FIELD_NUMBER: _ClassVar[int]
    N_LAYERS_FIELD_NUMBER: _ClassVar[int]
    N_HEADS_FIELD_NUMBER: _ClassVar[int]
    N_KV_HEADS_FIELD_NUMBER: _ClassVar[int]
    FFN_DIM_FIELD_NUMBER: _ClassVar[int]
    VOCAB_FIELD_NUMBER: _ClassVar[int]
    SEQ_LEN_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    ACCEPTANCE_BPS_FIELD_NUMBER: _ClassVar[int]
    Z_TARGET_FIELD_NUMBER: _ClassVar[int]
    NOISE_FIELD_NUMBER: _ClassVar[int]
    EPSILON_FIELD_NUMBER: _ClassVar[int]
    MEAN_SQUARE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    MISMATCH_RATE_FIELD_NUMBER: _ClassVar[int]
    FRAUD_THRESHOLD_LOG10_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_SIZE_FIELD_NUMBER: _ClassVar[int]
    MAX_NONCES_PER_BATCH_FIELD_NUMBER: _ClassVar[int]
    MAX_NONCES_PER_NODE_FIELD_NUMBER: _ClassVar[int]
    INLINE_BATCHES_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_BATCHES_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_SLOTS_FIELD_NUMBER: _ClassVar[int]
    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    ffn_dim: int
    vocab: int
    seq_len: int
    dtype: str
    acceptance_bps: int
    z_target: int
    noise: int
    epsilon: int
    mean_square_limit: int
    mismatch_rate: int
    fraud_threshold_log10: int
    sample_size: int
    max_nonces_per_batch: int
    max_nonces_per_node: int
    inline_batches: bool
    committed_batches: bool
    validation_slots: int
    def __init__(self, dim: _Optional[int] = ..., n_layers: _Optional[int] = ..., n_heads: _Optional[int] = ..., n_kv_heads: _Optional[int] = ..., ffn_dim: _Optional[int] = ..., vocab: _Optional[int] = ..., seq_len: _Optional[int] = ..., dtype: _Optional[str] = ..., acceptance_bps: _Optional[int] = ..., z_target: _Optional[int] = ..., noise: _Optional[int] = ..., epsilon: _Optional[int] = ..., mean_square_limit: _Optional[int] = ..., mismatch_rate: _Optional[int] = ..., fraud_threshold_log10: _Optional[int] = ..., sample_size: _Optional[int] = ..., max_nonces_per_batch: _Optional[int] = ..., max_nonces_per_node: _Optional[int] = ..., inline_batches: bool = ..., committed_batches: bool = ..., validation_slots: _Optional[int] = ...) -> None: ...

class UptimeParams(_message.Message):
    __slots__ = ("poc_slot_fraction_bps", "poc_slot_headroom_bps", "max_consecutive_preserved_epochs", "min_served", "voting_guard_bps", "max_demand_ratio", "validate_throughput", "min_throughput_ratio_bps", "serve_during_validation", "poc_v_ram")
    POC_SLOT_FRACTION_BPS_FIELD_NUMBER: _ClassVar[int]
    POC_SLOT_HEADROOM_BPS_FIELD_NUMBER: _ClassVar[int]
    MAX_CONSECUTIVE_PRESERVED_EPOCHS_FIELD_NUMBER: _ClassVar[int]
    MIN_SERVED_FIELD_NUMBER: _ClassVar[int]
    VOTING_GUARD_BPS_FIELD_NUMBER: _ClassVar[int]
    MAX_DEMAND_RATIO_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_THROUGHPUT_FIELD_NUMBER: _ClassVar[int]
    MIN_THROUGHPUT_RATIO_BPS_FIELD_NUMBER: _ClassVar[int]
    SERVE_DURING_VALIDATION_FIELD_NUMBER: _ClassVar[int]
    POC_V_RAM_FIELD_NUMBER: _ClassVar[int]
    poc_slot_fraction_bps: int
    poc_slot_headroom_bps: int
    max_consecutive_preserved_epochs: int
    min_served: int
    voting_guard_bps: int
    max_demand_ratio: int
    validate_throughput: bool
    min_throughput_ratio_bps: int
    serve_during_validation: bool
    poc_v_ram: int
    def __init__(self, poc_slot_fraction_bps: _Optional[int] = ..., poc_slot_headroom_bps: _Optional[int] = ..., max_consecutive_preserved_epochs: _Optional[int] = ..., min_served: _Optional[int] = ..., voting_guard_bps: _Optional[int] = ..., max_demand_ratio: _Optional[int] = ..., validate_throughput: bool = ..., min_throughput_ratio_bps: _Optional[int] = ..., serve_during_validation: bool = ..., poc_v_ram: _Optional[int] = ...) -> None: ...

class RewardParams(_message.Message):
    __slots__ = ("initial_epoch_reward", "reward_supply_cap", "decay_per_trillion", "coverage_bonus_mode", "coverage_bonus_bps", "min_coverage_weight", "min_coverage_share_bps", "miss_tolerance_bps", "min_inferences_measured", "settle_per_block")
    INITIAL_EPOCH_REWARD_FIELD_NUMBER: _ClassVar[int]
    REWARD_SUPPLY_CAP_FIELD_NUMBER: _ClassVar[int]
    DECAY_PER_TRILLION_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_BONUS_MODE_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_BONUS_BPS_FIELD_NUMBER: _ClassVar[int]
    MIN_COVERAGE_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    MIN_COVERAGE_SHARE_BPS_FIELD_NUMBER: _ClassVar[int]
    MISS_TOLERANCE_BPS_FIELD_NUMBER: _ClassVar[int]
    MIN_INFERENCES_MEASURED_FIELD_NUMBER: _ClassVar[int]
    SETTLE_PER_BLOCK_FIELD_NUMBER: _ClassVar[int]
    initial_epoch_reward: int
    reward_supply_cap: int
    decay_per_trillion: int
    coverage_bonus_mode: CoverageBonusMode
    coverage_bonus_bps: int
    min_coverage_weight: int
    min_coverage_share_bps: int
    miss_tolerance_bps: int
    min_inferences_measured: int
    settle_per_block: int
    def __init__(self, initial_epoch_reward: _Optional[int] = ..., reward_supply_cap: _Optional[int] = ..., decay_per_trillion: _Optional[int] = ..., coverage_bonus_mode: _Optional[_Union[CoverageBonusMode, str]] = ..., coverage_bonus_bps: _Optional[int] = ..., min_coverage_weight: _Optional[int] = ..., min_coverage_share_bps: _Optional[int] = ..., miss_tolerance_bps: _Optional[int] = ..., min_inferences_measured: _Optional[int] = ..., settle_per_block: _Optional[int] = ...) -> None: ...

class InferenceParams(_message.Message):
    __slots__ = ("slot_grace", "expiration", "validation_window", "unit_price", "validation_rate_bps", "validation_rate_min_bps", "reputation_epochs", "false_positive_rate_bps", "invalidation_probability_millionths", "measurement_window")
    SLOT_GRACE_FIELD_NUMBER: _ClassVar[int]
    EXPIRATION_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_WINDOW_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_RATE_MIN_BPS_FIELD_NUMBER: _ClassVar[int]
    REPUTATION_EPOCHS_FIELD_NUMBER: _ClassVar[int]
    FALSE_POSITIVE_RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    INVALIDATION_PROBABILITY_MILLIONTHS_FIELD_NUMBER: _ClassVar[int]
    MEASUREMENT_WINDOW_FIELD_NUMBER: _ClassVar[int]
    slot_grace: int
    expiration: int
    validation_window: int
    unit_price: int
    validation_rate_bps: int
    validation_rate_min_bps: int
    reputation_epochs: int
    false_positive_rate_bps: int
    invalidation_probability_millionths: int
    measurement_window: int
    def __init__(self, slot_grace: _Optional[int] = ..., expiration: _Optional[int] = ..., validation_window: _Optional[int] = ..., unit_price: _Optional[int] = ..., validation_rate_bps: _Optional[int] = ..., validation_rate_min_bps: _Optional[int] = ..., reputation_epochs: _Optional[int] = ..., false_positive_rate_bps: _Optional[int] = ..., invalidation_probability_millionths: _Optional[int] = ..., measurement_window: _Optional[int] = ...) -> None: ...

class MaintenanceParams(_message.Message):
    __slots__ = ("credit_per_good_epoch", "credit_max", "notice", "max_concurrent_bps")
    CREDIT_PER_GOOD_EPOCH_FIELD_NUMBER: _ClassVar[int]
    CREDIT_MAX_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENT_BPS_FIELD_NUMBER: _ClassVar[int]
    credit_per_good_epoch: int
    credit_max: int
    notice: int
    max_concurrent_bps: int
    def __init__(self, credit_per_good_epoch: _Optional[int] = ..., credit_max: _Optional[int] = ..., notice: _Optional[int] = ..., max_concurrent_bps: _Optional[int] = ...) -> None: ...

class GuardianParams(_message.Message):
    __slots__ = ("maturity_weight", "multiplier_bps")
    MATURITY_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    MULTIPLIER_BPS_FIELD_NUMBER: _ClassVar[int]
    maturity_weight: int
    multiplier_bps: int
    def __init__(self, maturity_weight: _Optional[int] = ..., multiplier_bps: _Optional[int] = ...) -> None: ...

class CollateralParams(_message.Message):
    __slots__ = ("unbonding_epochs", "slash_invalid_bps", "slash_downtime_bps", "min_availability_bps", "collateral_per_weight", "base_weight_bps", "grace_end_epoch", "release_per_block")
    UNBONDING_EPOCHS_FIELD_NUMBER: _ClassVar[int]
    SLASH_INVALID_BPS_FIELD_NUMBER: _ClassVar[int]
    SLASH_DOWNTIME_BPS_FIELD_NUMBER: _ClassVar[int]
    MIN_AVAILABILITY_BPS_FIELD_NUMBER: _ClassVar[int]
    COLLATERAL_PER_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    BASE_WEIGHT_BPS_FIELD_NUMBER: _ClassVar[int]
    GRACE_END_EPOCH_FIELD_NUMBER: _ClassVar[int]
    RELEASE_PER_BLOCK_FIELD_NUMBER: _ClassVar[int]
    unbonding_epochs: int
    slash_invalid_bps: int
    slash_downtime_bps: int
    min_availability_bps: int
    collateral_per_weight: int
    base_weight_bps: int
    grace_end_epoch: int
    release_per_block: int
    def __init__(self, unbonding_epochs: _Optional[int] = ..., slash_invalid_bps: _Optional[int] = ..., slash_downtime_bps: _Optional[int] = ..., min_availability_bps: _Optional[int] = ..., collateral_per_weight: _Optional[int] = ..., base_weight_bps: _Optional[int] = ..., grace_end_epoch: _Optional[int] = ..., release_per_block: _Optional[int] = ...) -> None: ...
