from protocol.gen.cosmos.base.query.v1beta1 import pagination_pb2 as _pagination_pb2
from protocol.gen.cosmos.msg.v1 import msg_pb2 as _msg_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as _reasons_pb2
from protocol.gen.google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ParticipantStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PARTICIPANT_STATUS_UNSPECIFIED: _ClassVar[ParticipantStatus]
    PARTICIPANT_STATUS_ACTIVE: _ClassVar[ParticipantStatus]
    PARTICIPANT_STATUS_INVALID: _ClassVar[ParticipantStatus]

class MLNodeStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ML_NODE_STATUS_UNSPECIFIED: _ClassVar[MLNodeStatus]
    ML_NODE_STATUS_ENABLED: _ClassVar[MLNodeStatus]
    ML_NODE_STATUS_DISABLED: _ClassVar[MLNodeStatus]
PARTICIPANT_STATUS_UNSPECIFIED: ParticipantStatus
PARTICIPANT_STATUS_ACTIVE: ParticipantStatus
PARTICIPANT_STATUS_INVALID: ParticipantStatus
ML_NODE_STATUS_UNSPECIFIED: MLNodeStatus
ML_NODE_STATUS_ENABLED: MLNodeStatus
ML_NODE_STATUS_DISABLED: MLNodeStatus

class Params(_message.Message):
    __slots__ = ("max_nodes_per_participant", "evidence_age")
    MAX_NODES_PER_PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_AGE_FIELD_NUMBER: _ClassVar[int]
    max_nodes_per_participant: int
    evidence_age: int
    def __init__(self, max_nodes_per_participant: _Optional[int] = ..., evidence_age: _Optional[int] = ...) -> None: ...

class Participant(_message.Message):
    __slots__ = ("address", "url", "validator_key", "worker_key", "public_key", "status", "height_joined", "status_reason", "height_invalid", "epoch_invalid")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_KEY_FIELD_NUMBER: _ClassVar[int]
    WORKER_KEY_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_JOINED_FIELD_NUMBER: _ClassVar[int]
    STATUS_REASON_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_INVALID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_INVALID_FIELD_NUMBER: _ClassVar[int]
    address: str
    url: str
    validator_key: bytes
    worker_key: str
    public_key: bytes
    status: ParticipantStatus
    height_joined: int
    status_reason: _reasons_pb2.Reason
    height_invalid: int
    epoch_invalid: int
    def __init__(self, address: _Optional[str] = ..., url: _Optional[str] = ..., validator_key: _Optional[bytes] = ..., worker_key: _Optional[str] = ..., public_key: _Optional[bytes] = ..., status: _Optional[_Union[ParticipantStatus, str]] = ..., height_joined: _Optional[int] = ..., status_reason: _Optional[_Union[_reasons_pb2.Reason, str]] = ..., height_invalid: _Optional[int] = ..., epoch_invalid: _Optional[int] = ...) -> None: ...

class RetiredKey(_message.Message):
    __slots__ = ("validator_key", "participant", "height_retired", "watched")
    VALIDATOR_KEY_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_RETIRED_FIELD_NUMBER: _ClassVar[int]
    WATCHED_FIELD_NUMBER: _ClassVar[int]
    validator_key: bytes
    participant: str
    height_retired: int
    watched: bool
    def __init__(self, validator_key: _Optional[bytes] = ..., participant: _Optional[str] = ..., height_retired: _Optional[int] = ..., watched: bool = ...) -> None: ...

class Hardware(_message.Message):
    __slots__ = ("type", "count", "memory_mib")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_MIB_FIELD_NUMBER: _ClassVar[int]
    type: str
    count: int
    memory_mib: int
    def __init__(self, type: _Optional[str] = ..., count: _Optional[int] = ..., memory_mib: _Optional[int] = ...) -> None: ...

class MLNode(_message.Message):
    __slots__ = ("node_id", "status", "models", "hardware", "host", "port")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    HARDWARE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    status: MLNodeStatus
    models: _containers.RepeatedScalarFieldContainer[str]
    hardware: _containers.RepeatedCompositeFieldContainer[Hardware]
    host: str
    port: int
    def __init__(self, node_id: _Optional[str] = ..., status: _Optional[_Union[MLNodeStatus, str]] = ..., models: _Optional[_Iterable[str]] = ..., hardware: _Optional[_Iterable[_Union[Hardware, _Mapping]]] = ..., host: _Optional[str] = ..., port: _Optional[int] = ...) -> None: ...

class RegisteredNode(_message.Message):
    __slots__ = ("participant", "node", "sequence", "height_registered")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_REGISTERED_FIELD_NUMBER: _ClassVar[int]
    participant: str
    node: MLNode
    sequence: int
    height_registered: int
    def __init__(self, participant: _Optional[str] = ..., node: _Optional[_Union[MLNode, _Mapping]] = ..., sequence: _Optional[int] = ..., height_registered: _Optional[int] = ...) -> None: ...

class MsgSubmitNewParticipant(_message.Message):
    __slots__ = ("creator", "url", "validator_key", "proof_of_possession", "worker_key")
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_KEY_FIELD_NUMBER: _ClassVar[int]
    PROOF_OF_POSSESSION_FIELD_NUMBER: _ClassVar[int]
    WORKER_KEY_FIELD_NUMBER: _ClassVar[int]
    creator: str
    url: str
    validator_key: bytes
    proof_of_possession: bytes
    worker_key: str
    def __init__(self, creator: _Optional[str] = ..., url: _Optional[str] = ..., validator_key: _Optional[bytes] = ..., proof_of_possession: _Optional[bytes] = ..., worker_key: _Optional[str] = ...) -> None: ...

class MsgSubmitNewParticipantResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MsgSubmitHardwareDiff(_message.Message):
    __slots__ = ("creator", "new_or_modified", "removed")
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    NEW_OR_MODIFIED_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    creator: str
    new_or_modified: _containers.RepeatedCompositeFieldContainer[MLNode]
    removed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, creator: _Optional[str] = ..., new_or_modified: _Optional[_Iterable[_Union[MLNode, _Mapping]]] = ..., removed: _Optional[_Iterable[str]] = ...) -> None: ...

class MsgSubmitHardwareDiffResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MsgUpdateParams(_message.Message):
    __slots__ = ("authority", "params")
    AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    authority: str
    params: Params
    def __init__(self, authority: _Optional[str] = ..., params: _Optional[_Union[Params, _Mapping]] = ...) -> None: ...

class MsgUpdateParamsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QueryParamsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QueryParamsResponse(_message.Message):
    __slots__ = ("params",)
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    params: Params
    def __init__(self, params: _Optional[_Union[Params, _Mapping]] = ...) -> None: ...

class QueryParticipantsRequest(_message.Message):
    __slots__ = ("pagination",)
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    pagination: _pagination_pb2.PageRequest
    def __init__(self, pagination: _Optional[_Union[_pagination_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class QueryParticipantsResponse(_message.Message):
    __slots__ = ("participants", "pagination")
    PARTICIPANTS_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    participants: _containers.RepeatedCompositeFieldContainer[Participant]
    pagination: _pagination_pb2.PageResponse
    def __init__(self, participants: _Optional[_Iterable[_Union[Participant, _Mapping]]] = ..., pagination: _Optional[_Union[_pagination_pb2.PageResponse, _Mapping]] = ...) -> None: ...

class QueryParticipantRequest(_message.Message):
    __slots__ = ("address",)
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    address: str
    def __init__(self, address: _Optional[str] = ...) -> None: ...

class QueryParticipantResponse(_message.Message):
    __slots__ = ("participant",)
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    participant: Participant
    def __init__(self, participant: _Optional[_Union[Participant, _Mapping]] = ...) -> None: ...

class QueryHardwareNodesRequest(_message.Message):
    __slots__ = ("participant",)
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    participant: str
    def __init__(self, participant: _Optional[str] = ...) -> None: ...

class QueryHardwareNodesResponse(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[RegisteredNode]
    def __init__(self, nodes: _Optional[_Iterable[_Union[RegisteredNode, _Mapping]]] = ...) -> None: ...

class QueryValidatedHardwareNodesRequest(_message.Message):
    __slots__ = ("participant",)
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    participant: str
    def __init__(self, participant: _Optional[str] = ...) -> None: ...

class QueryValidatedHardwareNodesResponse(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[RegisteredNode]
    def __init__(self, nodes: _Optional[_Iterable[_Union[RegisteredNode, _Mapping]]] = ...) -> None: ...

class QueryNodesForModelRequest(_message.Message):
    __slots__ = ("model_id",)
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    def __init__(self, model_id: _Optional[str] = ...) -> None: ...

class QueryNodesForModelResponse(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[RegisteredNode]
    def __init__(self, nodes: _Optional[_Iterable[_Union[RegisteredNode, _Mapping]]] = ...) -> None: ...

class GenesisState(_message.Message):
    __slots__ = ("params", "participants", "nodes", "retired_keys", "node_sequence")
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANTS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    RETIRED_KEYS_FIELD_NUMBER: _ClassVar[int]
    NODE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    params: Params
    participants: _containers.RepeatedCompositeFieldContainer[Participant]
    nodes: _containers.RepeatedCompositeFieldContainer[RegisteredNode]
    retired_keys: _containers.RepeatedCompositeFieldContainer[RetiredKey]
    node_sequence: int
    def __init__(self, params: _Optional[_Union[Params, _Mapping]] = ..., participants: _Optional[_Iterable[_Union[Participant, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[RegisteredNode, _Mapping]]] = ..., retired_keys: _Optional[_Iterable[_Union[RetiredKey, _Mapping]]] = ..., node_sequence: _Optional[int] = ...) -> None: ...
