from protocol.gen.cosmos.base.query.v1beta1 import pagination_pb2 as _pagination_pb2
from protocol.gen.cosmos.msg.v1 import msg_pb2 as _msg_pb2
from protocol.gen.evergrid.epochs.v1 import params_pb2 as _params_pb2
from protocol.gen.evergrid.models.v1 import models_pb2 as _models_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as _reasons_pb2
from protocol.gen.google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TimeSlot(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRE_POC_SLOT: _ClassVar[TimeSlot]
    POC_SLOT: _ClassVar[TimeSlot]

class FormationPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FORMATION_PHASE_UNSPECIFIED: _ClassVar[FormationPhase]
    FORMATION_PHASE_SCALE: _ClassVar[FormationPhase]
    FORMATION_PHASE_MEMBERS: _ClassVar[FormationPhase]
    FORMATION_PHASE_SWEEP: _ClassVar[FormationPhase]
    FORMATION_PHASE_POWERS: _ClassVar[FormationPhase]
    FORMATION_PHASE_DECIDE: _ClassVar[FormationPhase]
    FORMATION_PHASE_REMEMBER: _ClassVar[FormationPhase]
    FORMATION_PHASE_CLEAR_MEMBERS: _ClassVar[FormationPhase]
    FORMATION_PHASE_CLEAR_SLOTS: _ClassVar[FormationPhase]
    FORMATION_PHASE_COVER: _ClassVar[FormationPhase]
PRE_POC_SLOT: TimeSlot
POC_SLOT: TimeSlot
FORMATION_PHASE_UNSPECIFIED: FormationPhase
FORMATION_PHASE_SCALE: FormationPhase
FORMATION_PHASE_MEMBERS: FormationPhase
FORMATION_PHASE_SWEEP: FormationPhase
FORMATION_PHASE_POWERS: FormationPhase
FORMATION_PHASE_DECIDE: FormationPhase
FORMATION_PHASE_REMEMBER: FormationPhase
FORMATION_PHASE_CLEAR_MEMBERS: FormationPhase
FORMATION_PHASE_CLEAR_SLOTS: FormationPhase
FORMATION_PHASE_COVER: FormationPhase

class EpochState(_message.Message):
    __slots__ = ("epoch_effective", "height_effective", "height_next_poc", "extensions")
    EPOCH_EFFECTIVE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_EFFECTIVE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_NEXT_POC_FIELD_NUMBER: _ClassVar[int]
    EXTENSIONS_FIELD_NUMBER: _ClassVar[int]
    epoch_effective: int
    height_effective: int
    height_next_poc: int
    extensions: int
    def __init__(self, epoch_effective: _Optional[int] = ..., height_effective: _Optional[int] = ..., height_next_poc: _Optional[int] = ..., extensions: _Optional[int] = ...) -> None: ...

class EpochRecord(_message.Message):
    __slots__ = ("index", "height_start", "params", "stages_done", "poc_seed", "validation_seed", "height_ready", "height_switched", "extended", "extension_reason", "effective_power", "retained_power", "extensions", "voters", "voters_sha256")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_START_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    STAGES_DONE_FIELD_NUMBER: _ClassVar[int]
    POC_SEED_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_SEED_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_READY_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_SWITCHED_FIELD_NUMBER: _ClassVar[int]
    EXTENDED_FIELD_NUMBER: _ClassVar[int]
    EXTENSION_REASON_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_POWER_FIELD_NUMBER: _ClassVar[int]
    RETAINED_POWER_FIELD_NUMBER: _ClassVar[int]
    EXTENSIONS_FIELD_NUMBER: _ClassVar[int]
    VOTERS_FIELD_NUMBER: _ClassVar[int]
    VOTERS_SHA256_FIELD_NUMBER: _ClassVar[int]
    index: int
    height_start: int
    params: _params_pb2.Params
    stages_done: _containers.RepeatedScalarFieldContainer[str]
    poc_seed: bytes
    validation_seed: bytes
    height_ready: int
    height_switched: int
    extended: bool
    extension_reason: _reasons_pb2.Reason
    effective_power: int
    retained_power: int
    extensions: int
    voters: int
    voters_sha256: bytes
    def __init__(self, index: _Optional[int] = ..., height_start: _Optional[int] = ..., params: _Optional[_Union[_params_pb2.Params, _Mapping]] = ..., stages_done: _Optional[_Iterable[str]] = ..., poc_seed: _Optional[bytes] = ..., validation_seed: _Optional[bytes] = ..., height_ready: _Optional[int] = ..., height_switched: _Optional[int] = ..., extended: bool = ..., extension_reason: _Optional[_Union[_reasons_pb2.Reason, str]] = ..., effective_power: _Optional[int] = ..., retained_power: _Optional[int] = ..., extensions: _Optional[int] = ..., voters: _Optional[int] = ..., voters_sha256: _Optional[bytes] = ...) -> None: ...

class EpochGroup(_message.Message):
    __slots__ = ("epoch_index", "model_id", "model_snapshot", "sub_group_models", "total_weight", "total_throughput", "expected_throughput_vector", "real_throughput_vector", "total_voting_power", "member_count", "unit_of_compute_price", "height_formed")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    SUB_GROUP_MODELS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_THROUGHPUT_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_THROUGHPUT_VECTOR_FIELD_NUMBER: _ClassVar[int]
    REAL_THROUGHPUT_VECTOR_FIELD_NUMBER: _ClassVar[int]
    TOTAL_VOTING_POWER_FIELD_NUMBER: _ClassVar[int]
    MEMBER_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNIT_OF_COMPUTE_PRICE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FORMED_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    model_id: str
    model_snapshot: _models_pb2.Model
    sub_group_models: _containers.RepeatedScalarFieldContainer[str]
    total_weight: int
    total_throughput: int
    expected_throughput_vector: _containers.RepeatedScalarFieldContainer[int]
    real_throughput_vector: _containers.RepeatedScalarFieldContainer[int]
    total_voting_power: int
    member_count: int
    unit_of_compute_price: int
    height_formed: int
    def __init__(self, epoch_index: _Optional[int] = ..., model_id: _Optional[str] = ..., model_snapshot: _Optional[_Union[_models_pb2.Model, _Mapping]] = ..., sub_group_models: _Optional[_Iterable[str]] = ..., total_weight: _Optional[int] = ..., total_throughput: _Optional[int] = ..., expected_throughput_vector: _Optional[_Iterable[int]] = ..., real_throughput_vector: _Optional[_Iterable[int]] = ..., total_voting_power: _Optional[int] = ..., member_count: _Optional[int] = ..., unit_of_compute_price: _Optional[int] = ..., height_formed: _Optional[int] = ...) -> None: ...

class MLNodeInfo(_message.Message):
    __slots__ = ("node_id", "throughput", "poc_weight", "timeslot_allocation", "unproved", "weight_source", "sequence", "host", "port", "memory_mib")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    THROUGHPUT_FIELD_NUMBER: _ClassVar[int]
    POC_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    TIMESLOT_ALLOCATION_FIELD_NUMBER: _ClassVar[int]
    UNPROVED_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_SOURCE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_MIB_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    throughput: int
    poc_weight: int
    timeslot_allocation: _containers.RepeatedScalarFieldContainer[bool]
    unproved: int
    weight_source: _reasons_pb2.Reason
    sequence: int
    host: str
    port: int
    memory_mib: int
    def __init__(self, node_id: _Optional[str] = ..., throughput: _Optional[int] = ..., poc_weight: _Optional[int] = ..., timeslot_allocation: _Optional[_Iterable[bool]] = ..., unproved: _Optional[int] = ..., weight_source: _Optional[_Union[_reasons_pb2.Reason, str]] = ..., sequence: _Optional[int] = ..., host: _Optional[str] = ..., port: _Optional[int] = ..., memory_mib: _Optional[int] = ...) -> None: ...

class ValidationWeight(_message.Message):
    __slots__ = ("member_address", "weight", "ml_nodes", "voting_power", "validator_key", "url", "proved_weight")
    MEMBER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    ML_NODES_FIELD_NUMBER: _ClassVar[int]
    VOTING_POWER_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_KEY_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    PROVED_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    member_address: str
    weight: int
    ml_nodes: _containers.RepeatedCompositeFieldContainer[MLNodeInfo]
    voting_power: int
    validator_key: bytes
    url: str
    proved_weight: int
    def __init__(self, member_address: _Optional[str] = ..., weight: _Optional[int] = ..., ml_nodes: _Optional[_Iterable[_Union[MLNodeInfo, _Mapping]]] = ..., voting_power: _Optional[int] = ..., validator_key: _Optional[bytes] = ..., url: _Optional[str] = ..., proved_weight: _Optional[int] = ...) -> None: ...

class FormationTotals(_message.Message):
    __slots__ = ("model_id", "weight", "throughput", "voting_power", "members", "served")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    THROUGHPUT_FIELD_NUMBER: _ClassVar[int]
    VOTING_POWER_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    weight: int
    throughput: int
    voting_power: int
    members: int
    served: bool
    def __init__(self, model_id: _Optional[str] = ..., weight: _Optional[int] = ..., throughput: _Optional[int] = ..., voting_power: _Optional[int] = ..., members: _Optional[int] = ..., served: bool = ...) -> None: ...

class Formation(_message.Message):
    __slots__ = ("epoch_index", "height", "height_start", "phase", "cursor", "cursor_model", "models", "totals", "scale_new", "scale_old", "scaled", "power_limit")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_START_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    CURSOR_MODEL_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    SCALE_NEW_FIELD_NUMBER: _ClassVar[int]
    SCALE_OLD_FIELD_NUMBER: _ClassVar[int]
    SCALED_FIELD_NUMBER: _ClassVar[int]
    POWER_LIMIT_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    height: int
    height_start: int
    phase: FormationPhase
    cursor: str
    cursor_model: str
    models: _containers.RepeatedCompositeFieldContainer[_models_pb2.Model]
    totals: _containers.RepeatedCompositeFieldContainer[FormationTotals]
    scale_new: bytes
    scale_old: bytes
    scaled: bool
    power_limit: int
    def __init__(self, epoch_index: _Optional[int] = ..., height: _Optional[int] = ..., height_start: _Optional[int] = ..., phase: _Optional[_Union[FormationPhase, str]] = ..., cursor: _Optional[str] = ..., cursor_model: _Optional[str] = ..., models: _Optional[_Iterable[_Union[_models_pb2.Model, _Mapping]]] = ..., totals: _Optional[_Iterable[_Union[FormationTotals, _Mapping]]] = ..., scale_new: _Optional[bytes] = ..., scale_old: _Optional[bytes] = ..., scaled: bool = ..., power_limit: _Optional[int] = ...) -> None: ...

class EpochGroupData(_message.Message):
    __slots__ = ("group", "validation_weights")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    group: EpochGroup
    validation_weights: _containers.RepeatedCompositeFieldContainer[ValidationWeight]
    def __init__(self, group: _Optional[_Union[EpochGroup, _Mapping]] = ..., validation_weights: _Optional[_Iterable[_Union[ValidationWeight, _Mapping]]] = ...) -> None: ...

class NodeWeight(_message.Message):
    __slots__ = ("node_id", "poc_weight", "weight_source", "unproved")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    POC_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_SOURCE_FIELD_NUMBER: _ClassVar[int]
    UNPROVED_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    poc_weight: int
    weight_source: _reasons_pb2.Reason
    unproved: int
    def __init__(self, node_id: _Optional[str] = ..., poc_weight: _Optional[int] = ..., weight_source: _Optional[_Union[_reasons_pb2.Reason, str]] = ..., unproved: _Optional[int] = ...) -> None: ...

class ActiveParticipant(_message.Message):
    __slots__ = ("address", "weight", "voting_power", "models", "ml_nodes", "url")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    VOTING_POWER_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    ML_NODES_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    address: str
    weight: int
    voting_power: int
    models: _containers.RepeatedScalarFieldContainer[str]
    ml_nodes: _containers.RepeatedCompositeFieldContainer[NodeWeight]
    url: str
    def __init__(self, address: _Optional[str] = ..., weight: _Optional[int] = ..., voting_power: _Optional[int] = ..., models: _Optional[_Iterable[str]] = ..., ml_nodes: _Optional[_Iterable[_Union[NodeWeight, _Mapping]]] = ..., url: _Optional[str] = ...) -> None: ...

class ValidatorPower(_message.Message):
    __slots__ = ("validator_key", "power")
    VALIDATOR_KEY_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    validator_key: bytes
    power: int
    def __init__(self, validator_key: _Optional[bytes] = ..., power: _Optional[int] = ...) -> None: ...

class MsgUpdateParams(_message.Message):
    __slots__ = ("authority", "params")
    AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    authority: str
    params: _params_pb2.Params
    def __init__(self, authority: _Optional[str] = ..., params: _Optional[_Union[_params_pb2.Params, _Mapping]] = ...) -> None: ...

class MsgUpdateParamsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QueryParamsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QueryParamsResponse(_message.Message):
    __slots__ = ("params",)
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    params: _params_pb2.Params
    def __init__(self, params: _Optional[_Union[_params_pb2.Params, _Mapping]] = ...) -> None: ...

class QueryEpochInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StageHeight(_message.Message):
    __slots__ = ("stage", "height", "done")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    stage: str
    height: int
    done: bool
    def __init__(self, stage: _Optional[str] = ..., height: _Optional[int] = ..., done: bool = ...) -> None: ...

class QueryEpochInfoResponse(_message.Message):
    __slots__ = ("height", "state", "effective", "upcoming", "stage", "stages", "slot_in_force", "dropped", "block_hash")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_FIELD_NUMBER: _ClassVar[int]
    UPCOMING_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    SLOT_IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    BLOCK_HASH_FIELD_NUMBER: _ClassVar[int]
    height: int
    state: EpochState
    effective: EpochRecord
    upcoming: EpochRecord
    stage: str
    stages: _containers.RepeatedCompositeFieldContainer[StageHeight]
    slot_in_force: TimeSlot
    dropped: EpochRecord
    block_hash: bytes
    def __init__(self, height: _Optional[int] = ..., state: _Optional[_Union[EpochState, _Mapping]] = ..., effective: _Optional[_Union[EpochRecord, _Mapping]] = ..., upcoming: _Optional[_Union[EpochRecord, _Mapping]] = ..., stage: _Optional[str] = ..., stages: _Optional[_Iterable[_Union[StageHeight, _Mapping]]] = ..., slot_in_force: _Optional[_Union[TimeSlot, str]] = ..., dropped: _Optional[_Union[EpochRecord, _Mapping]] = ..., block_hash: _Optional[bytes] = ...) -> None: ...

class QueryCurrentEpochGroupDataRequest(_message.Message):
    __slots__ = ("model_id", "pagination")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    pagination: _pagination_pb2.PageRequest
    def __init__(self, model_id: _Optional[str] = ..., pagination: _Optional[_Union[_pagination_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class QueryEpochGroupDataRequest(_message.Message):
    __slots__ = ("epoch_index", "model_id", "pagination")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    model_id: str
    pagination: _pagination_pb2.PageRequest
    def __init__(self, epoch_index: _Optional[int] = ..., model_id: _Optional[str] = ..., pagination: _Optional[_Union[_pagination_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class QueryEpochGroupDataResponse(_message.Message):
    __slots__ = ("epoch_group_data", "pagination")
    EPOCH_GROUP_DATA_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    epoch_group_data: EpochGroupData
    pagination: _pagination_pb2.PageResponse
    def __init__(self, epoch_group_data: _Optional[_Union[EpochGroupData, _Mapping]] = ..., pagination: _Optional[_Union[_pagination_pb2.PageResponse, _Mapping]] = ...) -> None: ...

class QueryUpcomingEpochRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QueryUpcomingEpochResponse(_message.Message):
    __slots__ = ("record", "group")
    RECORD_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    record: EpochRecord
    group: EpochGroup
    def __init__(self, record: _Optional[_Union[EpochRecord, _Mapping]] = ..., group: _Optional[_Union[EpochGroup, _Mapping]] = ...) -> None: ...

class QueryEpochRecordRequest(_message.Message):
    __slots__ = ("epoch_index",)
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    def __init__(self, epoch_index: _Optional[int] = ...) -> None: ...

class QueryEpochRecordResponse(_message.Message):
    __slots__ = ("record",)
    RECORD_FIELD_NUMBER: _ClassVar[int]
    record: EpochRecord
    def __init__(self, record: _Optional[_Union[EpochRecord, _Mapping]] = ...) -> None: ...

class QueryEpochModelsRequest(_message.Message):
    __slots__ = ("epoch_index", "current")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    current: bool
    def __init__(self, epoch_index: _Optional[int] = ..., current: bool = ...) -> None: ...

class QueryEpochModelsResponse(_message.Message):
    __slots__ = ("epoch_index", "models")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    models: _containers.RepeatedCompositeFieldContainer[_models_pb2.Model]
    def __init__(self, epoch_index: _Optional[int] = ..., models: _Optional[_Iterable[_Union[_models_pb2.Model, _Mapping]]] = ...) -> None: ...

class QueryActiveParticipantsRequest(_message.Message):
    __slots__ = ("epoch_index", "current", "pagination")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    current: bool
    pagination: _pagination_pb2.PageRequest
    def __init__(self, epoch_index: _Optional[int] = ..., current: bool = ..., pagination: _Optional[_Union[_pagination_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class QueryActiveParticipantsResponse(_message.Message):
    __slots__ = ("epoch_index", "participants", "pagination")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANTS_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    participants: _containers.RepeatedCompositeFieldContainer[ActiveParticipant]
    pagination: _pagination_pb2.PageResponse
    def __init__(self, epoch_index: _Optional[int] = ..., participants: _Optional[_Iterable[_Union[ActiveParticipant, _Mapping]]] = ..., pagination: _Optional[_Union[_pagination_pb2.PageResponse, _Mapping]] = ...) -> None: ...

class QueryValidatorsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QueryValidatorsResponse(_message.Message):
    __slots__ = ("validators",)
    VALIDATORS_FIELD_NUMBER: _ClassVar[int]
    validators: _containers.RepeatedCompositeFieldContainer[ValidatorPower]
    def __init__(self, validators: _Optional[_Iterable[_Union[ValidatorPower, _Mapping]]] = ...) -> None: ...

class GenesisWeight(_message.Message):
    __slots__ = ("participant", "node_id", "weight")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    participant: str
    node_id: str
    weight: int
    def __init__(self, participant: _Optional[str] = ..., node_id: _Optional[str] = ..., weight: _Optional[int] = ...) -> None: ...

class GenesisState(_message.Message):
    __slots__ = ("params", "weights", "state", "records", "groups", "members", "validators", "dropped", "free_messages")
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    VALIDATORS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    FREE_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    params: _params_pb2.Params
    weights: _containers.RepeatedCompositeFieldContainer[GenesisWeight]
    state: EpochState
    records: _containers.RepeatedCompositeFieldContainer[EpochRecord]
    groups: _containers.RepeatedCompositeFieldContainer[EpochGroup]
    members: _containers.RepeatedCompositeFieldContainer[GenesisMember]
    validators: _containers.RepeatedCompositeFieldContainer[ValidatorPower]
    dropped: EpochRecord
    free_messages: _containers.RepeatedCompositeFieldContainer[FreeMessages]
    def __init__(self, params: _Optional[_Union[_params_pb2.Params, _Mapping]] = ..., weights: _Optional[_Iterable[_Union[GenesisWeight, _Mapping]]] = ..., state: _Optional[_Union[EpochState, _Mapping]] = ..., records: _Optional[_Iterable[_Union[EpochRecord, _Mapping]]] = ..., groups: _Optional[_Iterable[_Union[EpochGroup, _Mapping]]] = ..., members: _Optional[_Iterable[_Union[GenesisMember, _Mapping]]] = ..., validators: _Optional[_Iterable[_Union[ValidatorPower, _Mapping]]] = ..., dropped: _Optional[_Union[EpochRecord, _Mapping]] = ..., free_messages: _Optional[_Iterable[_Union[FreeMessages, _Mapping]]] = ...) -> None: ...

class GenesisMember(_message.Message):
    __slots__ = ("epoch_index", "model_id", "member")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    model_id: str
    member: ValidationWeight
    def __init__(self, epoch_index: _Optional[int] = ..., model_id: _Optional[str] = ..., member: _Optional[_Union[ValidationWeight, _Mapping]] = ...) -> None: ...

class FreeMessages(_message.Message):
    __slots__ = ("epoch_index", "participant", "count")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    participant: str
    count: int
    def __init__(self, epoch_index: _Optional[int] = ..., participant: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...
