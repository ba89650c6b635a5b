from protocol.gen.cosmos.base.query.v1beta1 import pagination_pb2 as _pagination_pb2
from protocol.gen.cosmos.base.v1beta1 import coin_pb2 as _coin_pb2
from protocol.gen.cosmos.msg.v1 import msg_pb2 as _msg_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as _reasons_pb2
from protocol.gen.google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Deposit(_message.Message):
    __slots__ = ("participant", "amount")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    participant: str
    amount: str
    def __init__(self, participant: _Optional[str] = ..., amount: _Optional[str] = ...) -> None: ...

class Unbonding(_message.Message):
    __slots__ = ("participant", "epoch_release", "amount")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_RELEASE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    participant: str
    epoch_release: int
    amount: str
    def __init__(self, participant: _Optional[str] = ..., epoch_release: _Optional[int] = ..., amount: _Optional[str] = ...) -> None: ...

class Slash(_message.Message):
    __slots__ = ("participant", "epoch_index", "height", "reason", "fraction_bps", "from_deposit", "from_unbonding")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FRACTION_BPS_FIELD_NUMBER: _ClassVar[int]
    FROM_DEPOSIT_FIELD_NUMBER: _ClassVar[int]
    FROM_UNBONDING_FIELD_NUMBER: _ClassVar[int]
    participant: str
    epoch_index: int
    height: int
    reason: _reasons_pb2.Reason
    fraction_bps: int
    from_deposit: str
    from_unbonding: str
    def __init__(self, participant: _Optional[str] = ..., epoch_index: _Optional[int] = ..., height: _Optional[int] = ..., reason: _Optional[_Union[_reasons_pb2.Reason, str]] = ..., fraction_bps: _Optional[int] = ..., from_deposit: _Optional[str] = ..., from_unbonding: _Optional[str] = ...) -> None: ...

class CollateralWeight(_message.Message):
    __slots__ = ("epoch_index", "participant", "height", "proved", "weight", "base", "covered", "deposit")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PROVED_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    COVERED_FIELD_NUMBER: _ClassVar[int]
    DEPOSIT_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    participant: str
    height: int
    proved: int
    weight: int
    base: int
    covered: str
    deposit: str
    def __init__(self, epoch_index: _Optional[int] = ..., participant: _Optional[str] = ..., height: _Optional[int] = ..., proved: _Optional[int] = ..., weight: _Optional[int] = ..., base: _Optional[int] = ..., covered: _Optional[str] = ..., deposit: _Optional[str] = ...) -> None: ...

class DowntimeDue(_message.Message):
    __slots__ = ("epoch_index", "after")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    after: str
    def __init__(self, epoch_index: _Optional[int] = ..., after: _Optional[str] = ...) -> None: ...

class MsgDepositCollateral(_message.Message):
    __slots__ = ("creator", "amount")
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    creator: str
    amount: _coin_pb2.Coin
    def __init__(self, creator: _Optional[str] = ..., amount: _Optional[_Union[_coin_pb2.Coin, _Mapping]] = ...) -> None: ...

class MsgDepositCollateralResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MsgWithdrawCollateral(_message.Message):
    __slots__ = ("creator", "amount")
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    creator: str
    amount: _coin_pb2.Coin
    def __init__(self, creator: _Optional[str] = ..., amount: _Optional[_Union[_coin_pb2.Coin, _Mapping]] = ...) -> None: ...

class MsgWithdrawCollateralResponse(_message.Message):
    __slots__ = ("epoch_release",)
    EPOCH_RELEASE_FIELD_NUMBER: _ClassVar[int]
    epoch_release: int
    def __init__(self, epoch_release: _Optional[int] = ...) -> None: ...

class QueryDepositsRequest(_message.Message):
    __slots__ = ("pagination",)
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    pagination: _pagination_pb2.PageRequest
    def __init__(self, pagination: _Optional[_Union[_pagination_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class QueryDepositsResponse(_message.Message):
    __slots__ = ("deposits", "pagination")
    DEPOSITS_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    deposits: _containers.RepeatedCompositeFieldContainer[Deposit]
    pagination: _pagination_pb2.PageResponse
    def __init__(self, deposits: _Optional[_Iterable[_Union[Deposit, _Mapping]]] = ..., pagination: _Optional[_Union[_pagination_pb2.PageResponse, _Mapping]] = ...) -> None: ...

class QueryCollateralRequest(_message.Message):
    __slots__ = ("participant",)
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    participant: str
    def __init__(self, participant: _Optional[str] = ...) -> None: ...

class QueryCollateralResponse(_message.Message):
    __slots__ = ("deposit", "unbondings")
    DEPOSIT_FIELD_NUMBER: _ClassVar[int]
    UNBONDINGS_FIELD_NUMBER: _ClassVar[int]
    deposit: Deposit
    unbondings: _containers.RepeatedCompositeFieldContainer[Unbonding]
    def __init__(self, deposit: _Optional[_Union[Deposit, _Mapping]] = ..., unbondings: _Optional[_Iterable[_Union[Unbonding, _Mapping]]] = ...) -> None: ...

class QueryUnbondingsRequest(_message.Message):
    __slots__ = ("pagination",)
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    pagination: _pagination_pb2.PageRequest
    def __init__(self, pagination: _Optional[_Union[_pagination_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class QueryUnbondingsResponse(_message.Message):
    __slots__ = ("unbondings", "pagination")
    UNBONDINGS_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    unbondings: _containers.RepeatedCompositeFieldContainer[Unbonding]
    pagination: _pagination_pb2.PageResponse
    def __init__(self, unbondings: _Optional[_Iterable[_Union[Unbonding, _Mapping]]] = ..., pagination: _Optional[_Union[_pagination_pb2.PageResponse, _Mapping]] = ...) -> None: ...

class QuerySlashesRequest(_message.Message):
    __slots__ = ("pagination",)
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    pagination: _pagination_pb2.PageRequest
    def __init__(self, pagination: _Optional[_Union[_pagination_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class QuerySlashesResponse(_message.Message):
    __slots__ = ("slashes", "pagination")
    SLASHES_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    slashes: _containers.RepeatedCompositeFieldContainer[Slash]
    pagination: _pagination_pb2.PageResponse
    def __init__(self, slashes: _Optional[_Iterable[_Union[Slash, _Mapping]]] = ..., pagination: _Optional[_Union[_pagination_pb2.PageResponse, _Mapping]] = ...) -> None: ...

class QueryWeightsRequest(_message.Message):
    __slots__ = ("epoch_index", "pagination")
    EPOCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    epoch_index: int
    pagination: _pagination_pb2.PageRequest
    def __init__(self, epoch_index: _Optional[int] = ..., pagination: _Optional[_Union[_pagination_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class QueryWeightsResponse(_message.Message):
    __slots__ = ("weights", "pagination")
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    weights: _containers.RepeatedCompositeFieldContainer[CollateralWeight]
    pagination: _pagination_pb2.PageResponse
    def __init__(self, weights: _Optional[_Iterable[_Union[CollateralWeight, _Mapping]]] = ..., pagination: _Optional[_Union[_pagination_pb2.PageResponse, _Mapping]] = ...) -> None: ...

class GenesisState(_message.Message):
    __slots__ = ("deposits", "unbondings", "slashes", "weights", "downtime_due")
    DEPOSITS_FIELD_NUMBER: _ClassVar[int]
    UNBONDINGS_FIELD_NUMBER: _ClassVar[int]
    SLASHES_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    DOWNTIME_DUE_FIELD_NUMBER: _ClassVar[int]
    deposits: _containers.RepeatedCompositeFieldContainer[Deposit]
    unbondings: _containers.RepeatedCompositeFieldContainer[Unbonding]
    slashes: _containers.RepeatedCompositeFieldContainer[Slash]
    weights: _containers.RepeatedCompositeFieldContainer[CollateralWeight]
    downtime_due: DowntimeDue
    def __init__(self, deposits: _Optional[_Iterable[_Union[Deposit, _Mapping]]] = ..., unbondings: _Optional[_Iterable[_Union[Unbonding, _Mapping]]] = ..., slashes: _Optional[_Iterable[_Union[Slash, _Mapping]]] = ..., weights: _Optional[_Iterable[_Union[CollateralWeight, _Mapping]]] = ..., downtime_due: _Optional[_Union[DowntimeDue, _Mapping]] = ...) -> None: ...
