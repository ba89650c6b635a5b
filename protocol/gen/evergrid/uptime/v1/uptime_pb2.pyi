from protocol.gen.evergrid.epochs.v1 import params_pb2 as _params_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as _reasons_pb2
from protocol.gen.google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SlotTurn(_message.Message):
    __slots__ = ("participant", "node_id", "throughput", "reason", "selected_before", "drawn", "weight_total", "sequence", "epoch_preserved", "serves", "pending_model_change", "disabled", "participant_invalid", "unproved", "served", "availability_bps", "power_held", "maintenance")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    THROUGHPUT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SELECTED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    DRAWN_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_TOTAL_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_PRESERVED_FIELD_NUMBER: _ClassVar[int]
    SERVES_FIELD_NUMBER: _ClassVar[int]
    PENDING_MODEL_CHANGE_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_INVALID_FIELD_NUMBER: _ClassVar[int]
    UNPROVED_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    AVAILABILITY_BPS_FIELD_NUMBER: _ClassVar[int]
    POWER_HELD_FIELD_NUMBER: _ClassVar[int]
    MAINTENANCE_FIELD_NUMBER: _ClassVar[int]
    participant: str
    node_id: str
    throughput: int
    reason: _reasons_pb2.Reason
    selected_before: int
    drawn: int
    weight_total: int
    sequence: int
    epoch_preserved: int
    serves: bool
    pending_model_change: bool
    disabled: bool
    participant_invalid: bool
    unproved: int
    served: int
    availability_bps: int
    power_held: int
    maintenance: bool
    def __init__(self, participant: _Optional[str] = ..., node_id: _Optional[str] = ..., throughput: _Optional[int] = ..., reason: _Optional[_Union[_reasons_pb2.Reason, str]] = ..., selected_before: _Optional[int] = ..., drawn: _Optional[int] = ..., weight_total: _Optional[int] = ..., sequence: _Optional[int] = ..., epoch_preserved: _Optional[int] = ..., serves: bool = ..., pending_model_change: bool = ..., disabled: bool = ..., participant_invalid: bool = ..., unproved: _Optional[int] = ..., served: _Optional[int] = ..., availability_bps: _Optional[int] = ..., power_held: _Optional[int] = ..., maintenance: bool = ...) -> None: ...

class SlotAllocation(_message.Message):
    __slots__ = ("epoch_index", "model_id", "capacity", "limit", "expected", "target", "selected", "stop", "turns", "block_hash", "order", "height", "anyone_served", "without_vote", "power_total")
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
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    ANYONE_SERVED_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_VOTE_FIELD_NUMBER: _ClassVar[int]
    POWER_TOTAL_FIELD_NUMBER: _ClassVar[int]
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
    height: int
    anyone_served: bool
    without_vote: _containers.RepeatedScalarFieldContainer[str]
    power_total: int
    def __init__(self, epoch_index: _Optional[int] = ..., model_id: _Optional[str] = ..., capacity: _Optional[int] = ..., limit: _Optional[int] = ..., expected: _Optional[int] = ..., target: _Optional[int] = ..., selected: _Optional[int] = ..., stop: _Optional[_Union[_reasons_pb2.Reason, str]] = ..., turns: _Optional[_Iterable[_Union[SlotTurn, _Mapping]]] = ..., block_hash: _Optional[bytes] = ..., order: _Optional[int] = ..., height: _Optional[int] = ..., anyone_served: bool = ..., without_vote: _Optional[_Iterable[str]] = ..., power_total: _Optional[int] = ...) -> None: ...

class DrawMember(_message.Message):
    __slots__ = ("participant", "weight", "voting_power", "nodes_weighted")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    VOTING_POWER_FIELD_NUMBER: _ClassVar[int]
    NODES_WEIGHTED_FIELD_NUMBER: _ClassVar[int]
    participant: str
    weight: int
    voting_power: int
    nodes_weighted: int
    def __init__(self, participant: _Optional[str] = ..., weight: _Optional[int] = ..., voting_power: _Optional[int] = ..., nodes_weighted: _Optional[int] = ...) -> None: ...

class ServingPerformance(_message.Message):
    __slots__ = ("participant", "node_id", "finished", "missed", "weight_before", "weight_after", "reason")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_AFTER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    participant: str
    node_id: str
    finished: int
    missed: int
    weight_before: int
    weight_after: int
    reason: _reasons_pb2.Reason
    def __init__(self, participant: _Optional[str] = ..., node_id: _Optional[str] = ..., finished: _Optional[int] = ..., missed: _Optional[int] = ..., weight_before: _Optional[int] = ..., weight_after: _Optional[int] = ..., reason: _Optional[_Union[_reasons_pb2.Reason, str]] = ...) -> None: ...

class ThroughputValidation(_message.Message):
    __slots__ = ("epoch_index", "model_id", "expected", "real", "min_throughput_ratio_bps", "short", "nodes", "height")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    REAL_FIELD_NUMBER: _ClassVar[int]
    MIN_THROUGHPUT_RATIO_BPS_FIELD_NUMBER: _ClassVar[int]
    SHORT_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    model_id: str
    expected: int
    real: int
    min_throughput_ratio_bps: int
    short: bool
    nodes: _containers.RepeatedCompositeFieldContainer[ServingPerformance]
    height: int
    def __init__(self, epoch_index: _Optional[int] = ..., model_id: _Optional[str] = ..., expected: _Optional[int] = ..., real: _Optional[int] = ..., min_throughput_ratio_bps: _Optional[int] = ..., short: bool = ..., nodes: _Optional[_Iterable[_Union[ServingPerformance, _Mapping]]] = ..., height: _Optional[int] = ...) -> None: ...

class PreservedNodes(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[PreservedNode]
    def __init__(self, nodes: _Optional[_Iterable[_Union[PreservedNode, _Mapping]]] = ...) -> None: ...

class PreservedNode(_message.Message):
    __slots__ = ("node_id", "epoch_index")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    epoch_index: int
    def __init__(self, node_id: _Optional[str] = ..., epoch_index: _Optional[int] = ...) -> None: ...

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

class QueryThroughputValidationsRequest(_message.Message):
    __slots__ = ("epoch_index",)
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    def __init__(self, epoch_index: _Optional[int] = ...) -> None: ...

class QueryThroughputValidationsResponse(_message.Message):
    __slots__ = ("validations",)
    VALIDATIONS_FIELD_NUMBER: _ClassVar[int]
    validations: _containers.RepeatedCompositeFieldContainer[ThroughputValidation]
    def __init__(self, validations: _Optional[_Iterable[_Union[ThroughputValidation, _Mapping]]] = ...) -> None: ...

class QueryDrawInputsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QueryDrawInputsResponse(_message.Message):
    __slots__ = ("epoch_index", "height", "params", "members", "models")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    height: int
    params: _params_pb2.UptimeParams
    members: _containers.RepeatedCompositeFieldContainer[DrawMember]
    models: _containers.RepeatedCompositeFieldContainer[SlotAllocation]
    def __init__(self, epoch_index: _Optional[int] = ..., height: _Optional[int] = ..., params: _Optional[_Union[_params_pb2.UptimeParams, _Mapping]] = ..., members: _Optional[_Iterable[_Union[DrawMember, _Mapping]]] = ..., models: _Optional[_Iterable[_Union[SlotAllocation, _Mapping]]] = ...) -> None: ...

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
    __slots__ = ("allocations", "last_preserved", "throughput_validations")
    ALLOCATIONS_FIELD_NUMBER: _ClassVar[int]
    LAST_PRESERVED_FIELD_NUMBER: _ClassVar[int]
    THROUGHPUT_VALIDATIONS_FIELD_NUMBER: _ClassVar[int]
    allocations: _containers.RepeatedCompositeFieldContainer[SlotAllocation]
    last_preserved: _containers.RepeatedCompositeFieldContainer[LastPreserved]
    throughput_validations: _containers.RepeatedCompositeFieldContainer[ThroughputValidation]
    def __init__(self, allocations: _Optional[_Iterable[_Union[SlotAllocation, _Mapping]]] = ..., last_preserved: _Optional[_Iterable[_Union[LastPreserved, _Mapping]]] = ..., throughput_validations: _Optional[_Iterable[_Union[ThroughputValidation, _Mapping]]] = ...) -> None: ...
