from protocol.gen.cosmos.base.query.v1beta1 import pagination_pb2 as _pagination_pb2
from protocol.gen.cosmos.msg.v1 import msg_pb2 as _msg_pb2
from protocol.gen.google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InferenceStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INFERENCE_STATUS_UNSPECIFIED: _ClassVar[InferenceStatus]
    INFERENCE_STATUS_STARTED: _ClassVar[InferenceStatus]
    INFERENCE_STATUS_FINISH_FIRST: _ClassVar[InferenceStatus]
    INFERENCE_STATUS_FINISHED: _ClassVar[InferenceStatus]
    INFERENCE_STATUS_FINAL: _ClassVar[InferenceStatus]
    INFERENCE_STATUS_EXPIRED: _ClassVar[InferenceStatus]
    INFERENCE_STATUS_INVALIDATED: _ClassVar[InferenceStatus]

class ValidationResult(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VALIDATION_RESULT_UNSPECIFIED: _ClassVar[ValidationResult]
    VALIDATION_RESULT_VALID: _ClassVar[ValidationResult]
    VALIDATION_RESULT_INVALID: _ClassVar[ValidationResult]
INFERENCE_STATUS_UNSPECIFIED: InferenceStatus
INFERENCE_STATUS_STARTED: InferenceStatus
INFERENCE_STATUS_FINISH_FIRST: InferenceStatus
INFERENCE_STATUS_FINISHED: InferenceStatus
INFERENCE_STATUS_FINAL: InferenceStatus
INFERENCE_STATUS_EXPIRED: InferenceStatus
INFERENCE_STATUS_INVALIDATED: InferenceStatus
VALIDATION_RESULT_UNSPECIFIED: ValidationResult
VALIDATION_RESULT_VALID: ValidationResult
VALIDATION_RESULT_INVALID: ValidationResult

class Inference(_message.Message):
    __slots__ = ("inference_id", "status", "requested_by", "transferred_by", "executed_by", "model_id", "epoch_index", "price_per_token", "prompt_hash", "response_hash", "prompt_token_count", "max_tokens", "completion_token_count", "escrow", "cost", "height_started", "height_finished", "height_closed", "request_timestamp", "epoch_closed", "expiration", "validation_window", "validation_seed", "weight_valid", "weight_invalid", "weight_voting", "height_disputed", "verdicts", "validation_rate_bps")
    INFERENCE_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    TRANSFERRED_BY_FIELD_NUMBER: _ClassVar[int]
    EXECUTED_BY_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    PRICE_PER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROMPT_HASH_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_HASH_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    ESCROW_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_STARTED_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FINISHED_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_CLOSED_FIELD_NUMBER: _ClassVar[int]
    REQUEST_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    EPOCH_CLOSED_FIELD_NUMBER: _ClassVar[int]
    EXPIRATION_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_WINDOW_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_SEED_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_VALID_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_INVALID_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_VOTING_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_DISPUTED_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    inference_id: str
    status: InferenceStatus
    requested_by: str
    transferred_by: str
    executed_by: str
    model_id: str
    epoch_index: int
    price_per_token: int
    prompt_hash: str
    response_hash: str
    prompt_token_count: int
    max_tokens: int
    completion_token_count: int
    escrow: int
    cost: int
    height_started: int
    height_finished: int
    height_closed: int
    request_timestamp: int
    epoch_closed: int
    expiration: int
    validation_window: int
    validation_seed: bytes
    weight_valid: int
    weight_invalid: int
    weight_voting: int
    height_disputed: int
    verdicts: int
    validation_rate_bps: int
    def __init__(self, inference_id: _Optional[str] = ..., status: _Optional[_Union[InferenceStatus, str]] = ..., requested_by: _Optional[str] = ..., transferred_by: _Optional[str] = ..., executed_by: _Optional[str] = ..., model_id: _Optional[str] = ..., epoch_index: _Optional[int] = ..., price_per_token: _Optional[int] = ..., prompt_hash: _Optional[str] = ..., response_hash: _Optional[str] = ..., prompt_token_count: _Optional[int] = ..., max_tokens: _Optional[int] = ..., completion_token_count: _Optional[int] = ..., escrow: _Optional[int] = ..., cost: _Optional[int] = ..., height_started: _Optional[int] = ..., height_finished: _Optional[int] = ..., height_closed: _Optional[int] = ..., request_timestamp: _Optional[int] = ..., epoch_closed: _Optional[int] = ..., expiration: _Optional[int] = ..., validation_window: _Optional[int] = ..., validation_seed: _Optional[bytes] = ..., weight_valid: _Optional[int] = ..., weight_invalid: _Optional[int] = ..., weight_voting: _Optional[int] = ..., height_disputed: _Optional[int] = ..., verdicts: _Optional[int] = ..., validation_rate_bps: _Optional[int] = ...) -> None: ...

class InferenceValidation(_message.Message):
    __slots__ = ("inference_id", "validator", "result", "value_bps", "weight", "height", "sampled")
    INFERENCE_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    VALUE_BPS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_FIELD_NUMBER: _ClassVar[int]
    inference_id: str
    validator: str
    result: ValidationResult
    value_bps: int
    weight: int
    height: int
    sampled: bool
    def __init__(self, inference_id: _Optional[str] = ..., validator: _Optional[str] = ..., result: _Optional[_Union[ValidationResult, str]] = ..., value_bps: _Optional[int] = ..., weight: _Optional[int] = ..., height: _Optional[int] = ..., sampled: bool = ...) -> None: ...

class Standing(_message.Message):
    __slots__ = ("participant", "good_epochs", "measured", "invalid")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    GOOD_EPOCHS_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    INVALID_FIELD_NUMBER: _ClassVar[int]
    participant: str
    good_epochs: int
    measured: int
    invalid: int
    def __init__(self, participant: _Optional[str] = ..., good_epochs: _Optional[int] = ..., measured: _Optional[int] = ..., invalid: _Optional[int] = ...) -> None: ...

class StandingsDue(_message.Message):
    __slots__ = ("epoch_index", "after")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    after: str
    def __init__(self, epoch_index: _Optional[int] = ..., after: _Optional[str] = ...) -> None: ...

class PocRequests(_message.Message):
    __slots__ = ("poc_stage_start_height", "model_id", "participant", "finished", "missed")
    POC_STAGE_START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    poc_stage_start_height: int
    model_id: str
    participant: str
    finished: int
    missed: int
    def __init__(self, poc_stage_start_height: _Optional[int] = ..., model_id: _Optional[str] = ..., participant: _Optional[str] = ..., finished: _Optional[int] = ..., missed: _Optional[int] = ...) -> None: ...

class MsgStartInference(_message.Message):
    __slots__ = ("creator", "inference_id", "model_id", "executor", "prompt_hash", "prompt_token_count", "max_tokens", "requested_by", "request_timestamp", "requester_signature")
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_FIELD_NUMBER: _ClassVar[int]
    PROMPT_HASH_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    REQUESTER_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    creator: str
    inference_id: str
    model_id: str
    executor: str
    prompt_hash: str
    prompt_token_count: int
    max_tokens: int
    requested_by: str
    request_timestamp: int
    requester_signature: bytes
    def __init__(self, creator: _Optional[str] = ..., inference_id: _Optional[str] = ..., model_id: _Optional[str] = ..., executor: _Optional[str] = ..., prompt_hash: _Optional[str] = ..., prompt_token_count: _Optional[int] = ..., max_tokens: _Optional[int] = ..., requested_by: _Optional[str] = ..., request_timestamp: _Optional[int] = ..., requester_signature: _Optional[bytes] = ...) -> None: ...

class MsgStartInferenceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MsgFinishInference(_message.Message):
    __slots__ = ("creator", "inference_id", "model_id", "response_hash", "prompt_token_count", "completion_token_count")
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_HASH_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    creator: str
    inference_id: str
    model_id: str
    response_hash: str
    prompt_token_count: int
    completion_token_count: int
    def __init__(self, creator: _Optional[str] = ..., inference_id: _Optional[str] = ..., model_id: _Optional[str] = ..., response_hash: _Optional[str] = ..., prompt_token_count: _Optional[int] = ..., completion_token_count: _Optional[int] = ...) -> None: ...

class MsgFinishInferenceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MsgValidateInference(_message.Message):
    __slots__ = ("creator", "inference_id", "result", "value_bps")
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    VALUE_BPS_FIELD_NUMBER: _ClassVar[int]
    creator: str
    inference_id: str
    result: ValidationResult
    value_bps: int
    def __init__(self, creator: _Optional[str] = ..., inference_id: _Optional[str] = ..., result: _Optional[_Union[ValidationResult, str]] = ..., value_bps: _Optional[int] = ...) -> None: ...

class MsgValidateInferenceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MsgSubmitUnitOfComputePriceProposal(_message.Message):
    __slots__ = ("creator", "price")
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    creator: str
    price: int
    def __init__(self, creator: _Optional[str] = ..., price: _Optional[int] = ...) -> None: ...

class MsgSubmitUnitOfComputePriceProposalResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class InferenceStatistics(_message.Message):
    __slots__ = ("epoch_index", "participant", "total", "missed", "accrued", "tokens", "validated", "invalidated", "exempted", "verdicts")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    ACCRUED_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    VALIDATED_FIELD_NUMBER: _ClassVar[int]
    INVALIDATED_FIELD_NUMBER: _ClassVar[int]
    EXEMPTED_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    participant: str
    total: int
    missed: int
    accrued: int
    tokens: int
    validated: int
    invalidated: int
    exempted: int
    verdicts: int
    def __init__(self, epoch_index: _Optional[int] = ..., participant: _Optional[str] = ..., total: _Optional[int] = ..., missed: _Optional[int] = ..., accrued: _Optional[int] = ..., tokens: _Optional[int] = ..., validated: _Optional[int] = ..., invalidated: _Optional[int] = ..., exempted: _Optional[int] = ..., verdicts: _Optional[int] = ...) -> None: ...

class MissedByCreator(_message.Message):
    __slots__ = ("epoch_index", "participant", "creator", "missed")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    participant: str
    creator: str
    missed: int
    def __init__(self, epoch_index: _Optional[int] = ..., participant: _Optional[str] = ..., creator: _Optional[str] = ..., missed: _Optional[int] = ...) -> None: ...

class ServedCount(_message.Message):
    __slots__ = ("epoch_index", "model_id", "participant", "finished")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    model_id: str
    participant: str
    finished: int
    def __init__(self, epoch_index: _Optional[int] = ..., model_id: _Optional[str] = ..., participant: _Optional[str] = ..., finished: _Optional[int] = ...) -> None: ...

class BlockTokens(_message.Message):
    __slots__ = ("model_id", "height", "tokens")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    height: int
    tokens: int
    def __init__(self, model_id: _Optional[str] = ..., height: _Optional[int] = ..., tokens: _Optional[int] = ...) -> None: ...

class PriceProposal(_message.Message):
    __slots__ = ("participant", "price")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    participant: str
    price: int
    def __init__(self, participant: _Optional[str] = ..., price: _Optional[int] = ...) -> None: ...

class QueryInferenceRequest(_message.Message):
    __slots__ = ("inference_id",)
    INFERENCE_ID_FIELD_NUMBER: _ClassVar[int]
    inference_id: str
    def __init__(self, inference_id: _Optional[str] = ...) -> None: ...

class QueryInferenceResponse(_message.Message):
    __slots__ = ("inference",)
    INFERENCE_FIELD_NUMBER: _ClassVar[int]
    inference: Inference
    def __init__(self, inference: _Optional[_Union[Inference, _Mapping]] = ...) -> None: ...

class QueryInferencesRequest(_message.Message):
    __slots__ = ("pagination",)
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    pagination: _pagination_pb2.PageRequest
    def __init__(self, pagination: _Optional[_Union[_pagination_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class QueryInferencesResponse(_message.Message):
    __slots__ = ("inferences", "pagination")
    INFERENCES_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    inferences: _containers.RepeatedCompositeFieldContainer[Inference]
    pagination: _pagination_pb2.PageResponse
    def __init__(self, inferences: _Optional[_Iterable[_Union[Inference, _Mapping]]] = ..., pagination: _Optional[_Union[_pagination_pb2.PageResponse, _Mapping]] = ...) -> None: ...

class QueryInferenceValidatorsRequest(_message.Message):
    __slots__ = ("inference_id",)
    INFERENCE_ID_FIELD_NUMBER: _ClassVar[int]
    inference_id: str
    def __init__(self, inference_id: _Optional[str] = ...) -> None: ...

class ValidatorDraw(_message.Message):
    __slots__ = ("validator", "weight", "drawn", "threshold", "bound", "sampled")
    VALIDATOR_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    DRAWN_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    BOUND_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_FIELD_NUMBER: _ClassVar[int]
    validator: str
    weight: int
    drawn: str
    threshold: str
    bound: str
    sampled: bool
    def __init__(self, validator: _Optional[str] = ..., weight: _Optional[int] = ..., drawn: _Optional[str] = ..., threshold: _Optional[str] = ..., bound: _Optional[str] = ..., sampled: bool = ...) -> None: ...

class QueryInferenceValidatorsResponse(_message.Message):
    __slots__ = ("rate_bps", "draws", "validations")
    RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    DRAWS_FIELD_NUMBER: _ClassVar[int]
    VALIDATIONS_FIELD_NUMBER: _ClassVar[int]
    rate_bps: int
    draws: _containers.RepeatedCompositeFieldContainer[ValidatorDraw]
    validations: _containers.RepeatedCompositeFieldContainer[InferenceValidation]
    def __init__(self, rate_bps: _Optional[int] = ..., draws: _Optional[_Iterable[_Union[ValidatorDraw, _Mapping]]] = ..., validations: _Optional[_Iterable[_Union[InferenceValidation, _Mapping]]] = ...) -> None: ...

class QueryPendingValidationsRequest(_message.Message):
    __slots__ = ("participant", "inference_ids")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_IDS_FIELD_NUMBER: _ClassVar[int]
    participant: str
    inference_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, participant: _Optional[str] = ..., inference_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class PendingValidation(_message.Message):
    __slots__ = ("inference", "sampled", "height_last")
    INFERENCE_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_LAST_FIELD_NUMBER: _ClassVar[int]
    inference: Inference
    sampled: bool
    height_last: int
    def __init__(self, inference: _Optional[_Union[Inference, _Mapping]] = ..., sampled: bool = ..., height_last: _Optional[int] = ...) -> None: ...

class QueryPendingValidationsResponse(_message.Message):
    __slots__ = ("pending",)
    PENDING_FIELD_NUMBER: _ClassVar[int]
    pending: _containers.RepeatedCompositeFieldContainer[PendingValidation]
    def __init__(self, pending: _Optional[_Iterable[_Union[PendingValidation, _Mapping]]] = ...) -> None: ...

class QueryStandingRequest(_message.Message):
    __slots__ = ("participant",)
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    participant: str
    def __init__(self, participant: _Optional[str] = ...) -> None: ...

class QueryStandingResponse(_message.Message):
    __slots__ = ("standing", "reputation_bps", "invalid_limit")
    STANDING_FIELD_NUMBER: _ClassVar[int]
    REPUTATION_BPS_FIELD_NUMBER: _ClassVar[int]
    INVALID_LIMIT_FIELD_NUMBER: _ClassVar[int]
    standing: Standing
    reputation_bps: int
    invalid_limit: int
    def __init__(self, standing: _Optional[_Union[Standing, _Mapping]] = ..., reputation_bps: _Optional[int] = ..., invalid_limit: _Optional[int] = ...) -> None: ...

class QueryStatisticsRequest(_message.Message):
    __slots__ = ("epoch_index",)
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    def __init__(self, epoch_index: _Optional[int] = ...) -> None: ...

class QueryStatisticsResponse(_message.Message):
    __slots__ = ("statistics", "served")
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    statistics: _containers.RepeatedCompositeFieldContainer[InferenceStatistics]
    served: _containers.RepeatedCompositeFieldContainer[ServedCount]
    def __init__(self, statistics: _Optional[_Iterable[_Union[InferenceStatistics, _Mapping]]] = ..., served: _Optional[_Iterable[_Union[ServedCount, _Mapping]]] = ...) -> None: ...

class QueryPricingRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QueryGovernancePricingRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ModelPrice(_message.Message):
    __slots__ = ("id", "units_of_compute_per_token", "price_per_token")
    ID_FIELD_NUMBER: _ClassVar[int]
    UNITS_OF_COMPUTE_PER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PRICE_PER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    id: str
    units_of_compute_per_token: int
    price_per_token: int
    def __init__(self, id: _Optional[str] = ..., units_of_compute_per_token: _Optional[int] = ..., price_per_token: _Optional[int] = ...) -> None: ...

class QueryPricingResponse(_message.Message):
    __slots__ = ("unit_of_compute_price", "models", "epoch_index")
    UNIT_OF_COMPUTE_PRICE_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    unit_of_compute_price: int
    models: _containers.RepeatedCompositeFieldContainer[ModelPrice]
    epoch_index: int
    def __init__(self, unit_of_compute_price: _Optional[int] = ..., models: _Optional[_Iterable[_Union[ModelPrice, _Mapping]]] = ..., epoch_index: _Optional[int] = ...) -> None: ...

class QueryExecutorsRequest(_message.Message):
    __slots__ = ("model_id",)
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    def __init__(self, model_id: _Optional[str] = ...) -> None: ...

class Executor(_message.Message):
    __slots__ = ("participant", "url", "throughput", "node_ids")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    THROUGHPUT_FIELD_NUMBER: _ClassVar[int]
    NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    participant: str
    url: str
    throughput: int
    node_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, participant: _Optional[str] = ..., url: _Optional[str] = ..., throughput: _Optional[int] = ..., node_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class QueryExecutorsResponse(_message.Message):
    __slots__ = ("executors", "total_throughput")
    EXECUTORS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_THROUGHPUT_FIELD_NUMBER: _ClassVar[int]
    executors: _containers.RepeatedCompositeFieldContainer[Executor]
    total_throughput: int
    def __init__(self, executors: _Optional[_Iterable[_Union[Executor, _Mapping]]] = ..., total_throughput: _Optional[int] = ...) -> None: ...

class GenesisState(_message.Message):
    __slots__ = ("inferences", "statistics", "missed", "served", "tokens", "price_proposals", "requests_used", "poc_requests", "validations", "standings", "standings_due")
    INFERENCES_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    PRICE_PROPOSALS_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_USED_FIELD_NUMBER: _ClassVar[int]
    POC_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    VALIDATIONS_FIELD_NUMBER: _ClassVar[int]
    STANDINGS_FIELD_NUMBER: _ClassVar[int]
    STANDINGS_DUE_FIELD_NUMBER: _ClassVar[int]
    inferences: _containers.RepeatedCompositeFieldContainer[Inference]
    statistics: _containers.RepeatedCompositeFieldContainer[InferenceStatistics]
    missed: _containers.RepeatedCompositeFieldContainer[MissedByCreator]
    served: _containers.RepeatedCompositeFieldContainer[ServedCount]
    tokens: _containers.RepeatedCompositeFieldContainer[BlockTokens]
    price_proposals: _containers.RepeatedCompositeFieldContainer[PriceProposal]
    requests_used: _containers.RepeatedCompositeFieldContainer[RequestUsed]
    poc_requests: _containers.RepeatedCompositeFieldContainer[PocRequests]
    validations: _containers.RepeatedCompositeFieldContainer[InferenceValidation]
    standings: _containers.RepeatedCompositeFieldContainer[Standing]
    standings_due: StandingsDue
    def __init__(self, inferences: _Optional[_Iterable[_Union[Inference, _Mapping]]] = ..., statistics: _Optional[_Iterable[_Union[InferenceStatistics, _Mapping]]] = ..., missed: _Optional[_Iterable[_Union[MissedByCreator, _Mapping]]] = ..., served: _Optional[_Iterable[_Union[ServedCount, _Mapping]]] = ..., tokens: _Optional[_Iterable[_Union[BlockTokens, _Mapping]]] = ..., price_proposals: _Optional[_Iterable[_Union[PriceProposal, _Mapping]]] = ..., requests_used: _Optional[_Iterable[_Union[RequestUsed, _Mapping]]] = ..., poc_requests: _Optional[_Iterable[_Union[PocRequests, _Mapping]]] = ..., validations: _Optional[_Iterable[_Union[InferenceValidation, _Mapping]]] = ..., standings: _Optional[_Iterable[_Union[Standing, _Mapping]]] = ..., standings_due: _Optional[_Union[StandingsDue, _Mapping]] = ...) -> None: ...

class RequestUsed(_message.Message):
    __slots__ = ("timestamp", "digest")
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    timestamp: int
    digest: bytes
    def __init__(self, timestamp: _Optional[int] = ..., digest: _Optional[bytes] = ...) -> None: ...
