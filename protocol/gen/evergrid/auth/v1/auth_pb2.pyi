from protocol.gen.cosmos.auth.v1beta1 import auth_pb2 as _auth_pb2
from protocol.gen.google.protobuf import any_pb2 as _any_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FeeParams(_message.Message):
    __slots__ = ("denom", "minimum_gas_price_micro")
    DENOM_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_GAS_PRICE_MICRO_FIELD_NUMBER: _ClassVar[int]
    denom: str
    minimum_gas_price_micro: int
    def __init__(self, denom: _Optional[str] = ..., minimum_gas_price_micro: _Optional[int] = ...) -> None: ...

class GenesisState(_message.Message):
    __slots__ = ("params", "fees", "accounts", "unordered")
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    FEES_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    UNORDERED_FIELD_NUMBER: _ClassVar[int]
    params: _auth_pb2.Params
    fees: FeeParams
    accounts: _containers.RepeatedCompositeFieldContainer[_any_pb2.Any]
    unordered: _containers.RepeatedCompositeFieldContainer[UnorderedNonce]
    def __init__(self, params: _Optional[_Union[_auth_pb2.Params, _Mapping]] = ..., fees: _Optional[_Union[FeeParams, _Mapping]] = ..., accounts: _Optional[_Iterable[_Union[_any_pb2.Any, _Mapping]]] = ..., unordered: _Optional[_Iterable[_Union[UnorderedNonce, _Mapping]]] = ...) -> None: ...

class UnorderedNonce(_message.Message):
    __slots__ = ("timeout_ns", "signer")
    TIMEOUT_NS_FIELD_NUMBER: _ClassVar[int]
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    timeout_ns: int
    signer: str
    def __init__(self, timeout_ns: _Optional[int] = ..., signer: _Optional[str] = ...) -> None: ...
