from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as _reasons_pb2
from protocol.gen.google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Figure(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class Source(_message.Message):
    __slots__ = ("collection", "key", "height")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    collection: str
    key: str
    height: int
    def __init__(self, collection: _Optional[str] = ..., key: _Optional[str] = ..., height: _Optional[int] = ...) -> None: ...

class Step(_message.Message):
    __slots__ = ("rule", "text", "reason", "figures", "sources")
    RULE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    rule: str
    text: str
    reason: _reasons_pb2.Reason
    figures: _containers.RepeatedCompositeFieldContainer[Figure]
    sources: _containers.RepeatedCompositeFieldContainer[Source]
    def __init__(self, rule: _Optional[str] = ..., text: _Optional[str] = ..., reason: _Optional[_Union[_reasons_pb2.Reason, str]] = ..., figures: _Optional[_Iterable[_Union[Figure, _Mapping]]] = ..., sources: _Optional[_Iterable[_Union[Source, _Mapping]]] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("subject", "epoch_index", "participant", "node_id", "model_id", "height", "reasons", "results", "reasons_stored", "results_stored", "steps", "not_retained")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    REASONS_STORED_FIELD_NUMBER: _ClassVar[int]
    RESULTS_STORED_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    NOT_RETAINED_FIELD_NUMBER: _ClassVar[int]
    subject: str
    epoch_index: int
    participant: str
    node_id: str
    model_id: str
    height: int
    reasons: _containers.RepeatedScalarFieldContainer[_reasons_pb2.Reason]
    results: _containers.RepeatedCompositeFieldContainer[Figure]
    reasons_stored: _containers.RepeatedScalarFieldContainer[_reasons_pb2.Reason]
    results_stored: _containers.RepeatedCompositeFieldContainer[Figure]
    steps: _containers.RepeatedCompositeFieldContainer[Step]
    not_retained: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, subject: _Optional[str] = ..., epoch_index: _Optional[int] = ..., participant: _Optional[str] = ..., node_id: _Optional[str] = ..., model_id: _Optional[str] = ..., height: _Optional[int] = ..., reasons: _Optional[_Iterable[_Union[_reasons_pb2.Reason, str]]] = ..., results: _Optional[_Iterable[_Union[Figure, _Mapping]]] = ..., reasons_stored: _Optional[_Iterable[_Union[_reasons_pb2.Reason, str]]] = ..., results_stored: _Optional[_Iterable[_Union[Figure, _Mapping]]] = ..., steps: _Optional[_Iterable[_Union[Step, _Mapping]]] = ..., not_retained: _Optional[_Iterable[str]] = ...) -> None: ...

class QueryExplainSlotRequest(_message.Message):
    __slots__ = ("epoch_index", "participant", "node_id")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    participant: str
    node_id: str
    def __init__(self, epoch_index: _Optional[int] = ..., participant: _Optional[str] = ..., node_id: _Optional[str] = ...) -> None: ...

class QueryExplainWeightRequest(_message.Message):
    __slots__ = ("epoch_index", "participant", "node_id")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    participant: str
    node_id: str
    def __init__(self, epoch_index: _Optional[int] = ..., participant: _Optional[str] = ..., node_id: _Optional[str] = ...) -> None: ...

class QueryExplainRewardRequest(_message.Message):
    __slots__ = ("epoch_index", "participant")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    participant: str
    def __init__(self, epoch_index: _Optional[int] = ..., participant: _Optional[str] = ...) -> None: ...

class QueryExplainExclusionRequest(_message.Message):
    __slots__ = ("epoch_index", "participant", "node_id")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    participant: str
    node_id: str
    def __init__(self, epoch_index: _Optional[int] = ..., participant: _Optional[str] = ..., node_id: _Optional[str] = ...) -> None: ...

class QueryExplainValidatorRequest(_message.Message):
    __slots__ = ("epoch_index", "participant")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    participant: str
    def __init__(self, epoch_index: _Optional[int] = ..., participant: _Optional[str] = ...) -> None: ...

class QueryExplainResponse(_message.Message):
    __slots__ = ("explanations",)
    EXPLANATIONS_FIELD_NUMBER: _ClassVar[int]
    explanations: _containers.RepeatedCompositeFieldContainer[Explanation]
    def __init__(self, explanations: _Optional[_Iterable[_Union[Explanation, _Mapping]]] = ...) -> None: ...
