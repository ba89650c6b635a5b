from protocol.gen.cosmos.base.query.v1beta1 import pagination_pb2 as _pagination_pb2
from protocol.gen.cosmos.msg.v1 import msg_pb2 as _msg_pb2
from protocol.gen.evergrid.epochs.v1 import epochs_pb2 as _epochs_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as _reasons_pb2
from protocol.gen.google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_HONEST: _ClassVar[Verdict]
    VERDICT_FRAUD: _ClassVar[Verdict]
    VERDICT_ABSTAIN: _ClassVar[Verdict]
VERDICT_UNSPECIFIED: Verdict
VERDICT_HONEST: Verdict
VERDICT_FRAUD: Verdict
VERDICT_ABSTAIN: Verdict

class PocBatch(_message.Message):
    __slots__ = ("participant", "node_id", "poc_stage_start_height", "batch_id", "nonce_first", "nonce_count", "claims_sha256", "height_submitted", "claims", "nonces_sha256", "nonces", "root")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIRST_FIELD_NUMBER: _ClassVar[int]
    NONCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_SHA256_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_SUBMITTED_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    NONCES_SHA256_FIELD_NUMBER: _ClassVar[int]
    NONCES_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    participant: str
    node_id: str
    poc_stage_start_height: int
    batch_id: str
    nonce_first: int
    nonce_count: int
    claims_sha256: bytes
    height_submitted: int
    claims: bytes
    nonces_sha256: bytes
    nonces: bytes
    root: bytes
    def __init__(self, participant: _Optional[str] = ..., node_id: _Optional[str] = ..., poc_stage_start_height: _Optional[int] = ..., batch_id: _Optional[str] = ..., nonce_first: _Optional[int] = ..., nonce_count: _Optional[int] = ..., claims_sha256: _Optional[bytes] = ..., height_submitted: _Optional[int] = ..., claims: _Optional[bytes] = ..., nonces_sha256: _Optional[bytes] = ..., nonces: _Optional[bytes] = ..., root: _Optional[bytes] = ...) -> None: ...

class NodeNonces(_message.Message):
    __slots__ = ("participant", "node_id", "nonce_next", "nonces_total", "batches", "committed")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NONCE_NEXT_FIELD_NUMBER: _ClassVar[int]
    NONCES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    participant: str
    node_id: str
    nonce_next: int
    nonces_total: int
    batches: int
    committed: bool
    def __init__(self, participant: _Optional[str] = ..., node_id: _Optional[str] = ..., nonce_next: _Optional[int] = ..., nonces_total: _Optional[int] = ..., batches: _Optional[int] = ..., committed: bool = ...) -> None: ...

class PocVerdict(_message.Message):
    __slots__ = ("participant", "verdict", "sampled", "mismatches")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_FIELD_NUMBER: _ClassVar[int]
    MISMATCHES_FIELD_NUMBER: _ClassVar[int]
    participant: str
    verdict: Verdict
    sampled: int
    mismatches: int
    def __init__(self, participant: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., sampled: _Optional[int] = ..., mismatches: _Optional[int] = ...) -> None: ...

class PocVerdictGroup(_message.Message):
    __slots__ = ("verdict", "sampled", "mismatches", "places")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_FIELD_NUMBER: _ClassVar[int]
    MISMATCHES_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    verdict: Verdict
    sampled: int
    mismatches: int
    places: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, verdict: _Optional[_Union[Verdict, str]] = ..., sampled: _Optional[int] = ..., mismatches: _Optional[int] = ..., places: _Optional[_Iterable[int]] = ...) -> None: ...

class ValidatorJudgements(_message.Message):
    __slots__ = ("parts",)
    PARTS_FIELD_NUMBER: _ClassVar[int]
    parts: _containers.RepeatedCompositeFieldContainer[JudgementPart]
    def __init__(self, parts: _Optional[_Iterable[_Union[JudgementPart, _Mapping]]] = ...) -> None: ...

class JudgementPart(_message.Message):
    __slots__ = ("height_submitted", "voting_power", "groups")
    HEIGHT_SUBMITTED_FIELD_NUMBER: _ClassVar[int]
    VOTING_POWER_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    height_submitted: int
    voting_power: int
    groups: _containers.RepeatedCompositeFieldContainer[JudgedGroup]
    def __init__(self, height_submitted: _Optional[int] = ..., voting_power: _Optional[int] = ..., groups: _Optional[_Iterable[_Union[JudgedGroup, _Mapping]]] = ...) -> None: ...

class JudgedGroup(_message.Message):
    __slots__ = ("verdict", "sampled", "mismatches", "places", "slots")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_FIELD_NUMBER: _ClassVar[int]
    MISMATCHES_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    verdict: Verdict
    sampled: int
    mismatches: int
    places: _containers.RepeatedScalarFieldContainer[int]
    slots: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, verdict: _Optional[_Union[Verdict, str]] = ..., sampled: _Optional[int] = ..., mismatches: _Optional[int] = ..., places: _Optional[_Iterable[int]] = ..., slots: _Optional[_Iterable[int]] = ...) -> None: ...

class PocValidation(_message.Message):
    __slots__ = ("participant", "validator", "verdict", "sampled", "mismatches", "voting_power", "height_submitted", "slots")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_FIELD_NUMBER: _ClassVar[int]
    MISMATCHES_FIELD_NUMBER: _ClassVar[int]
    VOTING_POWER_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_SUBMITTED_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    participant: str
    validator: str
    verdict: Verdict
    sampled: int
    mismatches: int
    voting_power: int
    height_submitted: int
    slots: int
    def __init__(self, participant: _Optional[str] = ..., validator: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., sampled: _Optional[int] = ..., mismatches: _Optional[int] = ..., voting_power: _Optional[int] = ..., height_submitted: _Optional[int] = ..., slots: _Optional[int] = ...) -> None: ...

class PocTally(_message.Message):
    __slots__ = ("participant", "honest_power", "fraud_power", "abstained", "honest_slots", "fraud_slots", "place")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    HONEST_POWER_FIELD_NUMBER: _ClassVar[int]
    FRAUD_POWER_FIELD_NUMBER: _ClassVar[int]
    ABSTAINED_FIELD_NUMBER: _ClassVar[int]
    HONEST_SLOTS_FIELD_NUMBER: _ClassVar[int]
    FRAUD_SLOTS_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    participant: str
    honest_power: int
    fraud_power: int
    abstained: int
    honest_slots: int
    fraud_slots: int
    place: int
    def __init__(self, participant: _Optional[str] = ..., honest_power: _Optional[int] = ..., fraud_power: _Optional[int] = ..., abstained: _Optional[int] = ..., honest_slots: _Optional[int] = ..., fraud_slots: _Optional[int] = ..., place: _Optional[int] = ...) -> None: ...

class PocOutcome(_message.Message):
    __slots__ = ("participant", "outcome", "honest_power", "fraud_power", "power", "honest_slots", "fraud_slots", "slots")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    HONEST_POWER_FIELD_NUMBER: _ClassVar[int]
    FRAUD_POWER_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    HONEST_SLOTS_FIELD_NUMBER: _ClassVar[int]
    FRAUD_SLOTS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    participant: str
    outcome: _reasons_pb2.Reason
    honest_power: int
    fraud_power: int
    power: int
    honest_slots: int
    fraud_slots: int
    slots: int
    def __init__(self, participant: _Optional[str] = ..., outcome: _Optional[_Union[_reasons_pb2.Reason, str]] = ..., honest_power: _Optional[int] = ..., fraud_power: _Optional[int] = ..., power: _Optional[int] = ..., honest_slots: _Optional[int] = ..., fraud_slots: _Optional[int] = ..., slots: _Optional[int] = ...) -> None: ...

class WeighedNode(_message.Message):
    __slots__ = ("node_id", "poc_weight", "weight_source", "unproved", "gone", "barred", "preserved", "nonces", "weight_old", "unproved_old", "scale_new", "scale_old", "requests_finished", "requests_missed", "outcome")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    POC_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_SOURCE_FIELD_NUMBER: _ClassVar[int]
    UNPROVED_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    BARRED_FIELD_NUMBER: _ClassVar[int]
    PRESERVED_FIELD_NUMBER: _ClassVar[int]
    NONCES_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_OLD_FIELD_NUMBER: _ClassVar[int]
    UNPROVED_OLD_FIELD_NUMBER: _ClassVar[int]
    SCALE_NEW_FIELD_NUMBER: _ClassVar[int]
    SCALE_OLD_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FINISHED_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_MISSED_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    poc_weight: int
    weight_source: _reasons_pb2.Reason
    unproved: int
    gone: bool
    barred: bool
    preserved: bool
    nonces: int
    weight_old: int
    unproved_old: int
    scale_new: int
    scale_old: int
    requests_finished: int
    requests_missed: int
    outcome: _reasons_pb2.Reason
    def __init__(self, node_id: _Optional[str] = ..., poc_weight: _Optional[int] = ..., weight_source: _Optional[_Union[_reasons_pb2.Reason, str]] = ..., unproved: _Optional[int] = ..., gone: bool = ..., barred: bool = ..., preserved: bool = ..., nonces: _Optional[int] = ..., weight_old: _Optional[int] = ..., unproved_old: _Optional[int] = ..., scale_new: _Optional[int] = ..., scale_old: _Optional[int] = ..., requests_finished: _Optional[int] = ..., requests_missed: _Optional[int] = ..., outcome: _Optional[_Union[_reasons_pb2.Reason, str]] = ...) -> None: ...

class MsgSubmitPocBatch(_message.Message):
    __slots__ = ("creator", "poc_stage_start_height", "node_id", "batch_id", "nonce_first", "nonce_count", "nonces", "claims", "root")
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIRST_FIELD_NUMBER: _ClassVar[int]
    NONCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    NONCES_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    creator: str
    poc_stage_start_height: int
    node_id: str
    batch_id: str
    nonce_first: int
    nonce_count: int
    nonces: _containers.RepeatedScalarFieldContainer[int]
    claims: bytes
    root: bytes
    def __init__(self, creator: _Optional[str] = ..., poc_stage_start_height: _Optional[int] = ..., node_id: _Optional[str] = ..., batch_id: _Optional[str] = ..., nonce_first: _Optional[int] = ..., nonce_count: _Optional[int] = ..., nonces: _Optional[_Iterable[int]] = ..., claims: _Optional[bytes] = ..., root: _Optional[bytes] = ...) -> None: ...

class MsgSubmitPocBatchResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MsgSubmitPocValidations(_message.Message):
    __slots__ = ("creator", "poc_stage_start_height", "verdicts", "groups")
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    creator: str
    poc_stage_start_height: int
    verdicts: _containers.RepeatedCompositeFieldContainer[PocVerdict]
    groups: _containers.RepeatedCompositeFieldContainer[PocVerdictGroup]
    def __init__(self, creator: _Optional[str] = ..., poc_stage_start_height: _Optional[int] = ..., verdicts: _Optional[_Iterable[_Union[PocVerdict, _Mapping]]] = ..., groups: _Optional[_Iterable[_Union[PocVerdictGroup, _Mapping]]] = ...) -> None: ...

class MsgSubmitPocValidationsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QueryPocBatchesRequest(_message.Message):
    __slots__ = ("poc_stage_start_height", "participant", "node_id", "with_claims", "pagination")
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    WITH_CLAIMS_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    poc_stage_start_height: int
    participant: str
    node_id: str
    with_claims: bool
    pagination: _pagination_pb2.PageRequest
    def __init__(self, poc_stage_start_height: _Optional[int] = ..., participant: _Optional[str] = ..., node_id: _Optional[str] = ..., with_claims: bool = ..., pagination: _Optional[_Union[_pagination_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class QueryPocBatchesResponse(_message.Message):
    __slots__ = ("batches", "pagination")
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    batches: _containers.RepeatedCompositeFieldContainer[PocBatch]
    pagination: _pagination_pb2.PageResponse
    def __init__(self, batches: _Optional[_Iterable[_Union[PocBatch, _Mapping]]] = ..., pagination: _Optional[_Union[_pagination_pb2.PageResponse, _Mapping]] = ...) -> None: ...

class QueryPocBatchesForModelRequest(_message.Message):
    __slots__ = ("poc_stage_start_height", "model_id")
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    poc_stage_start_height: int
    model_id: str
    def __init__(self, poc_stage_start_height: _Optional[int] = ..., model_id: _Optional[str] = ...) -> None: ...

class QueryNodeNoncesRequest(_message.Message):
    __slots__ = ("poc_stage_start_height",)
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    poc_stage_start_height: int
    def __init__(self, poc_stage_start_height: _Optional[int] = ...) -> None: ...

class QueryNodeNoncesResponse(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeNonces]
    def __init__(self, nodes: _Optional[_Iterable[_Union[NodeNonces, _Mapping]]] = ...) -> None: ...

class QueryNodeWeightRequest(_message.Message):
    __slots__ = ("poc_stage_start_height", "participant", "node_id")
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    poc_stage_start_height: int
    participant: str
    node_id: str
    def __init__(self, poc_stage_start_height: _Optional[int] = ..., participant: _Optional[str] = ..., node_id: _Optional[str] = ...) -> None: ...

class QueryNodeWeightResponse(_message.Message):
    __slots__ = ("weight",)
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    weight: _epochs_pb2.NodeWeight
    def __init__(self, weight: _Optional[_Union[_epochs_pb2.NodeWeight, _Mapping]] = ...) -> None: ...

class QueryModelPowerRequest(_message.Message):
    __slots__ = ("poc_stage_start_height", "model_id")
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    poc_stage_start_height: int
    model_id: str
    def __init__(self, poc_stage_start_height: _Optional[int] = ..., model_id: _Optional[str] = ...) -> None: ...

class QueryModelPowerResponse(_message.Message):
    __slots__ = ("power",)
    POWER_FIELD_NUMBER: _ClassVar[int]
    power: int
    def __init__(self, power: _Optional[int] = ...) -> None: ...

class QueryPocValidationsRequest(_message.Message):
    __slots__ = ("poc_stage_start_height", "validator")
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_FIELD_NUMBER: _ClassVar[int]
    poc_stage_start_height: int
    validator: str
    def __init__(self, poc_stage_start_height: _Optional[int] = ..., validator: _Optional[str] = ...) -> None: ...

class QueryPocValidationsResponse(_message.Message):
    __slots__ = ("validations", "tallies", "outcomes")
    VALIDATIONS_FIELD_NUMBER: _ClassVar[int]
    TALLIES_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    validations: _containers.RepeatedCompositeFieldContainer[PocValidation]
    tallies: _containers.RepeatedCompositeFieldContainer[PocTally]
    outcomes: _containers.RepeatedCompositeFieldContainer[PocOutcome]
    def __init__(self, validations: _Optional[_Iterable[_Union[PocValidation, _Mapping]]] = ..., tallies: _Optional[_Iterable[_Union[PocTally, _Mapping]]] = ..., outcomes: _Optional[_Iterable[_Union[PocOutcome, _Mapping]]] = ...) -> None: ...

class QueryPocVotersRequest(_message.Message):
    __slots__ = ("poc_stage_start_height",)
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    poc_stage_start_height: int
    def __init__(self, poc_stage_start_height: _Optional[int] = ...) -> None: ...

class QueryPocVotersResponse(_message.Message):
    __slots__ = ("validation_slots", "voters")
    VALIDATION_SLOTS_FIELD_NUMBER: _ClassVar[int]
    VOTERS_FIELD_NUMBER: _ClassVar[int]
    validation_slots: int
    voters: _containers.RepeatedCompositeFieldContainer[PocVoter]
    def __init__(self, validation_slots: _Optional[int] = ..., voters: _Optional[_Iterable[_Union[PocVoter, _Mapping]]] = ...) -> None: ...

class PocVoter(_message.Message):
    __slots__ = ("address", "voting_power")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    VOTING_POWER_FIELD_NUMBER: _ClassVar[int]
    address: str
    voting_power: int
    def __init__(self, address: _Optional[str] = ..., voting_power: _Optional[int] = ...) -> None: ...

class GenesisState(_message.Message):
    __slots__ = ("batches", "nodes", "validations", "tallies", "outcomes", "weights", "dropped")
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    VALIDATIONS_FIELD_NUMBER: _ClassVar[int]
    TALLIES_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    batches: _containers.RepeatedCompositeFieldContainer[StageBatch]
    nodes: _containers.RepeatedCompositeFieldContainer[StageNodeNonces]
    validations: _containers.RepeatedCompositeFieldContainer[StageValidation]
    tallies: _containers.RepeatedCompositeFieldContainer[StageTally]
    outcomes: _containers.RepeatedCompositeFieldContainer[StageOutcome]
    weights: _containers.RepeatedCompositeFieldContainer[StageNodeWeight]
    dropped: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, batches: _Optional[_Iterable[_Union[StageBatch, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[StageNodeNonces, _Mapping]]] = ..., validations: _Optional[_Iterable[_Union[StageValidation, _Mapping]]] = ..., tallies: _Optional[_Iterable[_Union[StageTally, _Mapping]]] = ..., outcomes: _Optional[_Iterable[_Union[StageOutcome, _Mapping]]] = ..., weights: _Optional[_Iterable[_Union[StageNodeWeight, _Mapping]]] = ..., dropped: _Optional[_Iterable[int]] = ...) -> None: ...

class StageBatch(_message.Message):
    __slots__ = ("poc_stage_start_height", "batch")
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    poc_stage_start_height: int
    batch: PocBatch
    def __init__(self, poc_stage_start_height: _Optional[int] = ..., batch: _Optional[_Union[PocBatch, _Mapping]] = ...) -> None: ...

class StageNodeNonces(_message.Message):
    __slots__ = ("poc_stage_start_height", "node")
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    poc_stage_start_height: int
    node: NodeNonces
    def __init__(self, poc_stage_start_height: _Optional[int] = ..., node: _Optional[_Union[NodeNonces, _Mapping]] = ...) -> None: ...

class StageValidation(_message.Message):
    __slots__ = ("poc_stage_start_height", "validation")
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    poc_stage_start_height: int
    validation: PocValidation
    def __init__(self, poc_stage_start_height: _Optional[int] = ..., validation: _Optional[_Union[PocValidation, _Mapping]] = ...) -> None: ...

class StageTally(_message.Message):
    __slots__ = ("poc_stage_start_height", "tally")
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TALLY_FIELD_NUMBER: _ClassVar[int]
    poc_stage_start_height: int
    tally: PocTally
    def __init__(self, poc_stage_start_height: _Optional[int] = ..., tally: _Optional[_Union[PocTally, _Mapping]] = ...) -> None: ...

class StageOutcome(_message.Message):
    __slots__ = ("poc_stage_start_height", "outcome")
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    poc_stage_start_height: int
    outcome: PocOutcome
    def __init__(self, poc_stage_start_height: _Optional[int] = ..., outcome: _Optional[_Union[PocOutcome, _Mapping]] = ...) -> None: ...

class StageNodeWeight(_message.Message):
    __slots__ = ("poc_stage_start_height", "participant", "weight")
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    poc_stage_start_height: int
    participant: str
    weight: WeighedNode
    def __init__(self, poc_stage_start_height: _Optional[int] = ..., participant: _Optional[str] = ..., weight: _Optional[_Union[WeighedNode, _Mapping]] = ...) -> None: ...
