from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as _reasons_pb2
from protocol.gen.google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SettleAmount(_message.Message):
    __slots__ = ("epoch_index", "participant", "weight", "availability_bps", "covered", "base", "bonus", "fees", "total", "inferences_total", "inferences_missed", "height_paid", "reasons")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    AVAILABILITY_BPS_FIELD_NUMBER: _ClassVar[int]
    COVERED_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    BONUS_FIELD_NUMBER: _ClassVar[int]
    FEES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    INFERENCES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    INFERENCES_MISSED_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PAID_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    participant: str
    weight: int
    availability_bps: int
    covered: bool
    base: int
    bonus: int
    fees: int
    total: int
    inferences_total: int
    inferences_missed: int
    height_paid: int
    reasons: _containers.RepeatedScalarFieldContainer[_reasons_pb2.Reason]
    def __init__(self, epoch_index: _Optional[int] = ..., participant: _Optional[str] = ..., weight: _Optional[int] = ..., availability_bps: _Optional[int] = ..., covered: bool = ..., base: _Optional[int] = ..., bonus: _Optional[int] = ..., fees: _Optional[int] = ..., total: _Optional[int] = ..., inferences_total: _Optional[int] = ..., inferences_missed: _Optional[int] = ..., height_paid: _Optional[int] = ..., reasons: _Optional[_Iterable[_Union[_reasons_pb2.Reason, str]]] = ...) -> None: ...

class EpochSettlement(_message.Message):
    __slots__ = ("epoch_index", "height", "reward", "minted", "bonuses", "community_pool", "fees", "weight_total", "participants", "participants_paid", "reward_before_cap", "left_under_cap")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    REWARD_FIELD_NUMBER: _ClassVar[int]
    MINTED_FIELD_NUMBER: _ClassVar[int]
    BONUSES_FIELD_NUMBER: _ClassVar[int]
    COMMUNITY_POOL_FIELD_NUMBER: _ClassVar[int]
    FEES_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_TOTAL_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANTS_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANTS_PAID_FIELD_NUMBER: _ClassVar[int]
    REWARD_BEFORE_CAP_FIELD_NUMBER: _ClassVar[int]
    LEFT_UNDER_CAP_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    height: int
    reward: int
    minted: int
    bonuses: int
    community_pool: int
    fees: int
    weight_total: int
    participants: int
    participants_paid: int
    reward_before_cap: int
    left_under_cap: int
    def __init__(self, epoch_index: _Optional[int] = ..., height: _Optional[int] = ..., reward: _Optional[int] = ..., minted: _Optional[int] = ..., bonuses: _Optional[int] = ..., community_pool: _Optional[int] = ..., fees: _Optional[int] = ..., weight_total: _Optional[int] = ..., participants: _Optional[int] = ..., participants_paid: _Optional[int] = ..., reward_before_cap: _Optional[int] = ..., left_under_cap: _Optional[int] = ...) -> None: ...

class Emission(_message.Message):
    __slots__ = ("minted_total", "reward_next", "epoch_next")
    MINTED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    REWARD_NEXT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_NEXT_FIELD_NUMBER: _ClassVar[int]
    minted_total: int
    reward_next: int
    epoch_next: int
    def __init__(self, minted_total: _Optional[int] = ..., reward_next: _Optional[int] = ..., epoch_next: _Optional[int] = ...) -> None: ...

class QuerySettleAmountsRequest(_message.Message):
    __slots__ = ("epoch_index",)
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    def __init__(self, epoch_index: _Optional[int] = ...) -> None: ...

class QuerySettleAmountsResponse(_message.Message):
    __slots__ = ("settlement", "amounts")
    SETTLEMENT_FIELD_NUMBER: _ClassVar[int]
    AMOUNTS_FIELD_NUMBER: _ClassVar[int]
    settlement: EpochSettlement
    amounts: _containers.RepeatedCompositeFieldContainer[SettleAmount]
    def __init__(self, settlement: _Optional[_Union[EpochSettlement, _Mapping]] = ..., amounts: _Optional[_Iterable[_Union[SettleAmount, _Mapping]]] = ...) -> None: ...

class QueryEmissionRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QueryEmissionResponse(_message.Message):
    __slots__ = ("emission",)
    EMISSION_FIELD_NUMBER: _ClassVar[int]
    emission: Emission
    def __init__(self, emission: _Optional[_Union[Emission, _Mapping]] = ...) -> None: ...

class QueryParticipantModelCoverageRequest(_message.Message):
    __slots__ = ("epoch_index", "participant")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    participant: str
    def __init__(self, epoch_index: _Optional[int] = ..., participant: _Optional[str] = ...) -> None: ...

class ModelCoverage(_message.Message):
    __slots__ = ("model_id", "weight", "weight_needed", "counts")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_NEEDED_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    weight: int
    weight_needed: int
    counts: bool
    def __init__(self, model_id: _Optional[str] = ..., weight: _Optional[int] = ..., weight_needed: _Optional[int] = ..., counts: bool = ...) -> None: ...

class QueryParticipantModelCoverageResponse(_message.Message):
    __slots__ = ("covered", "models")
    COVERED_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    covered: bool
    models: _containers.RepeatedCompositeFieldContainer[ModelCoverage]
    def __init__(self, covered: bool = ..., models: _Optional[_Iterable[_Union[ModelCoverage, _Mapping]]] = ...) -> None: ...

class GenesisState(_message.Message):
    __slots__ = ("emission", "settlements", "amounts")
    EMISSION_FIELD_NUMBER: _ClassVar[int]
    SETTLEMENTS_FIELD_NUMBER: _ClassVar[int]
    AMOUNTS_FIELD_NUMBER: _ClassVar[int]
    emission: Emission
    settlements: _containers.RepeatedCompositeFieldContainer[EpochSettlement]
    amounts: _containers.RepeatedCompositeFieldContainer[SettleAmount]
    def __init__(self, emission: _Optional[_Union[Emission, _Mapping]] = ..., settlements: _Optional[_Iterable[_Union[EpochSettlement, _Mapping]]] = ..., amounts: _Optional[_Iterable[_Union[SettleAmount, _Mapping]]] = ...) -> None: ...
