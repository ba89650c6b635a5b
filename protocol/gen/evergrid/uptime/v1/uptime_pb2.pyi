from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as _reasons_pb2
from protocol.gen.google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SlotTurn(_message.Message):
    __slots__ = ("participant", "node_id", "throughput", "reason", "selected_before", "drawn", "weight_total")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    THROUGHPUT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SELECTED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    DRAWN_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_TOTAL_FIELD_NUMBER: _ClassVar[int]
    participant: str
    node_id: str
    throughput: int
    reason: _reasons_pb2.Reason
    selected_before: int
    drawn: int
    weight_total: int
    def __init__(self, participant: _Optional[str] = ..., node_id: _Optional[str] = ..., throughput: _Optional[int] = ..., reason: _Optional[_Union[_reasons_pb2.Reason, str]] = ..., selected_before: _Optional[int] = ..., drawn: _Optional[int] = ..., weight_total: _Optional[int] = ...) -> None: ...

class SlotAllocation(_message.Message):
    __slots__ = ("epoch_index", "model_id", "capacity", "limit", "expected", "target", "selected", "stop", "turns", "block_hash", "order")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    SELECTED_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    BLOCK_HASH_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    model_id: str
    capacity: int
    limit: int
    expected: int
    target: int
    selected: int
    stop: _reasons_pb2.Reason
    turns: _containers.RepeatedCompositeFieldContainer[SlotTurn]
    block_hash: bytes
    order: int
    def __init__(self, epoch_index: _Optional[int] = ..., model_id: _Optional[str] = ..., capacity: _Optional[int] = ..., limit: _Optional[int] = ..., expected: _Optional[int] = ..., target: _Optional[int] = ..., selected: _Optional[int] = ..., stop: _Optional[_Union[_reasons_pb2.Reason, str]] = ..., turns: _Optional[_Iterable[_Union[SlotTurn, _Mapping]]] = ..., block_hash: _Optional[bytes] = ..., order: _Optional[int] = ...) -> None: ...

class QuerySlotAllocationsRequest(_message.Message):
    __slots__ = ("epoch_index",)
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    def __init__(self, epoch_index: _Optional[int] = ...) -> None: ...

class QuerySlotAllocationsResponse(_message.Message):
    __slots__ = ("allocations",)
    ALLOCATIONS_FIELD_NUMBER: _ClassVar[int]
    allocations: _containers.RepeatedCompositeFieldContainer[SlotAllocation]
    def __init__(self, allocations: _Optional[_Iterable[_Union[SlotAllocation, _Mapping]]] = ...) -> None: ...

class QueryModelThroughputRequest(_message.Message):
    __slots__ = ("model_id", "height_from", "height_to")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FROM_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_TO_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    height_from: int
    height_to: int
    def __init__(self, model_id: _Optional[str] = ..., height_from: _Optional[int] = ..., height_to: _Optional[int] = ...) -> None: ...

class QueryModelThroughputResponse(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: int
    def __init__(self, tokens: _Optional[int] = ...) -> None: ...

class LastPreserved(_message.Message):
    __slots__ = ("participant", "node_id", "epoch_index")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    participant: str
    node_id: str
    epoch_index: int
    def __init__(self, participant: _Optional[str] = ..., node_id: _Optional[str] = ..., epoch_index: _Optional[int] = ...) -> None: ...

class GenesisState(_message.Message):
    __slots__ = ("allocations", "last_preserved")
    ALLOCATIONS_FIELD_NUMBER: _ClassVar[int]
    LAST_PRESERVED_FIELD_NUMBER: _ClassVar[int]
    allocations: _containers.RepeatedCompositeFieldContainer[SlotAllocation]
    last_preserved: _containers.RepeatedCompositeFieldContainer[LastPreserved]
    def __init__(self, allocations: _Optional[_Iterable[_Union[SlotAllocation, _Mapping]]] = ..., last_preserved: _Optional[_Iterable[_Union[LastPreserved, _Mapping]]] = ...) -> None: ...
