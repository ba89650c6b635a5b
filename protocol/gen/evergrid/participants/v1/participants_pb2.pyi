from protocol.gen.cosmos.base.query.v1beta1 import pagination_pb2 as _pagination_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as _reasons_pb2
from protocol.gen.google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ParticipantState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PARTICIPANT_STATE_UNSPECIFIED: _ClassVar[ParticipantState]
    PARTICIPANT_STATE_ACTIVE: _ClassVar[ParticipantState]
    PARTICIPANT_STATE_RAMPING: _ClassVar[ParticipantState]
    PARTICIPANT_STATE_INVALID: _ClassVar[ParticipantState]
    PARTICIPANT_STATE_INACTIVE: _ClassVar[ParticipantState]
PARTICIPANT_STATE_UNSPECIFIED: ParticipantState
PARTICIPANT_STATE_ACTIVE: ParticipantState
PARTICIPANT_STATE_RAMPING: ParticipantState
PARTICIPANT_STATE_INVALID: ParticipantState
PARTICIPANT_STATE_INACTIVE: ParticipantState

class Exclusions(_message.Message):
    __slots__ = ("vote", "execute_inference", "submit_poc_batch", "validate_poc", "reward", "next_weight")
    VOTE_FIELD_NUMBER: _ClassVar[int]
    EXECUTE_INFERENCE_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_POC_BATCH_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_POC_FIELD_NUMBER: _ClassVar[int]
    REWARD_FIELD_NUMBER: _ClassVar[int]
    NEXT_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    vote: bool
    execute_inference: bool
    submit_poc_batch: bool
    validate_poc: bool
    reward: bool
    next_weight: bool
    def __init__(self, vote: bool = ..., execute_inference: bool = ..., submit_poc_batch: bool = ..., validate_poc: bool = ..., reward: bool = ..., next_weight: bool = ...) -> None: ...

class ParticipantFacts(_message.Message):
    __slots__ = ("address", "state", "excluded", "epoch_index", "weight", "voting_power", "inferences", "min_ramp_up_measurements", "reason", "height_invalid", "epoch_quarantine_end")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_FIELD_NUMBER: _ClassVar[int]
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    VOTING_POWER_FIELD_NUMBER: _ClassVar[int]
    INFERENCES_FIELD_NUMBER: _ClassVar[int]
    MIN_RAMP_UP_MEASUREMENTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_INVALID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_QUARANTINE_END_FIELD_NUMBER: _ClassVar[int]
    address: str
    state: ParticipantState
    excluded: Exclusions
    epoch_index: int
    weight: int
    voting_power: int
    inferences: int
    min_ramp_up_measurements: int
    reason: _reasons_pb2.Reason
    height_invalid: int
    epoch_quarantine_end: int
    def __init__(self, address: _Optional[str] = ..., state: _Optional[_Union[ParticipantState, str]] = ..., excluded: _Optional[_Union[Exclusions, _Mapping]] = ..., epoch_index: _Optional[int] = ..., weight: _Optional[int] = ..., voting_power: _Optional[int] = ..., inferences: _Optional[int] = ..., min_ramp_up_measurements: _Optional[int] = ..., reason: _Optional[_Union[_reasons_pb2.Reason, str]] = ..., height_invalid: _Optional[int] = ..., epoch_quarantine_end: _Optional[int] = ...) -> None: ...

class QueryParticipantStateRequest(_message.Message):
    __slots__ = ("address",)
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    address: str
    def __init__(self, address: _Optional[str] = ...) -> None: ...

class QueryParticipantStateResponse(_message.Message):
    __slots__ = ("participant",)
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    participant: ParticipantFacts
    def __init__(self, participant: _Optional[_Union[ParticipantFacts, _Mapping]] = ...) -> None: ...

class QueryParticipantStatesRequest(_message.Message):
    __slots__ = ("pagination", "state")
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    pagination: _pagination_pb2.PageRequest
    state: ParticipantState
    def __init__(self, pagination: _Optional[_Union[_pagination_pb2.PageRequest, _Mapping]] = ..., state: _Optional[_Union[ParticipantState, str]] = ...) -> None: ...

class QueryParticipantStatesResponse(_message.Message):
    __slots__ = ("participants", "pagination")
    PARTICIPANTS_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    participants: _containers.RepeatedCompositeFieldContainer[ParticipantFacts]
    pagination: _pagination_pb2.PageResponse
    def __init__(self, participants: _Optional[_Iterable[_Union[ParticipantFacts, _Mapping]]] = ..., pagination: _Optional[_Union[_pagination_pb2.PageResponse, _Mapping]] = ...) -> None: ...
