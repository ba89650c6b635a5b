from protocol.gen.cosmos.base.query.v1beta1 import pagination_pb2 as _pagination_pb2
from protocol.gen.cosmos.msg.v1 import msg_pb2 as _msg_pb2
from protocol.gen.google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Model(_message.Message):
    __slots__ = ("proposed_by", "id", "name", "version", "units_of_compute_per_token", "hf_repo", "hf_commit", "model_args", "v_ram", "throughput_per_nonce", "quantization", "context_window", "kv_cache_quantization", "validation_threshold")
    PROPOSED_BY_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    UNITS_OF_COMPUTE_PER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    HF_REPO_FIELD_NUMBER: _ClassVar[int]
    HF_COMMIT_FIELD_NUMBER: _ClassVar[int]
    MODEL_ARGS_FIELD_NUMBER: _ClassVar[int]
    V_RAM_FIELD_NUMBER: _ClassVar[int]
    THROUGHPUT_PER_NONCE_FIELD_NUMBER: _ClassVar[int]
    QUANTIZATION_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_WINDOW_FIELD_NUMBER: _ClassVar[int]
    KV_CACHE_QUANTIZATION_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    proposed_by: str
    id: str
    name: str
    version: str
    units_of_compute_per_token: int
    hf_repo: str
    hf_commit: str
    model_args: _containers.RepeatedScalarFieldContainer[str]
    v_ram: int
    throughput_per_nonce: int
    quantization: str
    context_window: int
    kv_cache_quantization: str
    validation_threshold: int
    def __init__(self, proposed_by: _Optional[str] = ..., id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., units_of_compute_per_token: _Optional[int] = ..., hf_repo: _Optional[str] = ..., hf_commit: _Optional[str] = ..., model_args: _Optional[_Iterable[str]] = ..., v_ram: _Optional[int] = ..., throughput_per_nonce: _Optional[int] = ..., quantization: _Optional[str] = ..., context_window: _Optional[int] = ..., kv_cache_quantization: _Optional[str] = ..., validation_threshold: _Optional[int] = ...) -> None: ...

class MsgRegisterModel(_message.Message):
    __slots__ = ("authority", "model")
    AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    authority: str
    model: Model
    def __init__(self, authority: _Optional[str] = ..., model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class MsgRegisterModelResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MsgRetireModel(_message.Message):
    __slots__ = ("authority", "model_id")
    AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    authority: str
    model_id: str
    def __init__(self, authority: _Optional[str] = ..., model_id: _Optional[str] = ...) -> None: ...

class MsgRetireModelResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QueryGovernanceModelsRequest(_message.Message):
    __slots__ = ("pagination",)
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    pagination: _pagination_pb2.PageRequest
    def __init__(self, pagination: _Optional[_Union[_pagination_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class QueryGovernanceModelsResponse(_message.Message):
    __slots__ = ("models", "pagination")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    pagination: _pagination_pb2.PageResponse
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., pagination: _Optional[_Union[_pagination_pb2.PageResponse, _Mapping]] = ...) -> None: ...

class QueryGovernanceModelRequest(_message.Message):
    __slots__ = ("model_id",)
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    def __init__(self, model_id: _Optional[str] = ...) -> None: ...

class QueryGovernanceModelResponse(_message.Message):
    __slots__ = ("model", "retiring", "formations_left")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RETIRING_FIELD_NUMBER: _ClassVar[int]
    FORMATIONS_LEFT_FIELD_NUMBER: _ClassVar[int]
    model: Model
    retiring: bool
    formations_left: int
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ..., retiring: bool = ..., formations_left: _Optional[int] = ...) -> None: ...

class RetiringModel(_message.Message):
    __slots__ = ("model_id", "formations_left")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    FORMATIONS_LEFT_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    formations_left: int
    def __init__(self, model_id: _Optional[str] = ..., formations_left: _Optional[int] = ...) -> None: ...

class GenesisState(_message.Message):
    __slots__ = ("models", "retiring")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    RETIRING_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    retiring: _containers.RepeatedCompositeFieldContainer[RetiringModel]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., retiring: _Optional[_Iterable[_Union[RetiringModel, _Mapping]]] = ...) -> None: ...
