from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as _reasons_pb2
from protocol.gen.google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Decision(_message.Message):
    __slots__ = ("epoch_index", "height", "reason", "total_weight", "maturity_weight", "multiplier_bps", "own_power", "others_power", "bound", "extra_power", "guardians")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TOTAL_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    MATURITY_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    MULTIPLIER_BPS_FIELD_NUMBER: _ClassVar[int]
    OWN_POWER_FIELD_NUMBER: _ClassVar[int]
    OTHERS_POWER_FIELD_NUMBER: _ClassVar[int]
    BOUND_FIELD_NUMBER: _ClassVar[int]
    EXTRA_POWER_FIELD_NUMBER: _ClassVar[int]
    GUARDIANS_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    height: int
    reason: _reasons_pb2.Reason
    total_weight: int
    maturity_weight: int
    multiplier_bps: int
    own_power: int
    others_power: int
    bound: int
    extra_power: int
    guardians: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, epoch_index: _Optional[int] = ..., height: _Optional[int] = ..., reason: _Optional[_Union[_reasons_pb2.Reason, str]] = ..., total_weight: _Optional[int] = ..., maturity_weight: _Optional[int] = ..., multiplier_bps: _Optional[int] = ..., own_power: _Optional[int] = ..., others_power: _Optional[int] = ..., bound: _Optional[int] = ..., extra_power: _Optional[int] = ..., guardians: _Optional[_Iterable[str]] = ...) -> None: ...

class Ended(_message.Message):
    __slots__ = ("epoch_index", "height", "total_weight")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    height: int
    total_weight: int
    def __init__(self, epoch_index: _Optional[int] = ..., height: _Optional[int] = ..., total_weight: _Optional[int] = ...) -> None: ...

class QueryGuardiansRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QueryGuardiansResponse(_message.Message):
    __slots__ = ("guardians", "ended", "last")
    GUARDIANS_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    guardians: _containers.RepeatedScalarFieldContainer[str]
    ended: Ended
    last: Decision
    def __init__(self, guardians: _Optional[_Iterable[str]] = ..., ended: _Optional[_Union[Ended, _Mapping]] = ..., last: _Optional[_Union[Decision, _Mapping]] = ...) -> None: ...

class QueryDecisionRequest(_message.Message):
    __slots__ = ("epoch_index",)
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    def __init__(self, epoch_index: _Optional[int] = ...) -> None: ...

class QueryDecisionResponse(_message.Message):
    __slots__ = ("decision",)
    DECISION_FIELD_NUMBER: _ClassVar[int]
    decision: Decision
    def __init__(self, decision: _Optional[_Union[Decision, _Mapping]] = ...) -> None: ...

class GenesisState(_message.Message):
    __slots__ = ("guardians", "ended", "decisions")
    GUARDIANS_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    guardians: _containers.RepeatedScalarFieldContainer[str]
    ended: Ended
    decisions: _containers.RepeatedCompositeFieldContainer[Decision]
    def __init__(self, guardians: _Optional[_Iterable[str]] = ..., ended: _Optional[_Union[Ended, _Mapping]] = ..., decisions: _Optional[_Iterable[_Union[Decision, _Mapping]]] = ...) -> None: ...
