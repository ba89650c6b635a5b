from protocol.gen.cosmos.base.query.v1beta1 import pagination_pb2 as _pagination_pb2
from protocol.gen.cosmos.msg.v1 import msg_pb2 as _msg_pb2
from protocol.gen.google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MaintenanceWindow(_message.Message):
    __slots__ = ("participant", "node_id", "height_from", "height_to", "height_announced")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FROM_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_TO_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_ANNOUNCED_FIELD_NUMBER: _ClassVar[int]
    participant: str
    node_id: str
    height_from: int
    height_to: int
    height_announced: int
    def __init__(self, participant: _Optional[str] = ..., node_id: _Optional[str] = ..., height_from: _Optional[int] = ..., height_to: _Optional[int] = ..., height_announced: _Optional[int] = ...) -> None: ...

class Credit(_message.Message):
    __slots__ = ("participant", "blocks")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    participant: str
    blocks: int
    def __init__(self, participant: _Optional[str] = ..., blocks: _Optional[int] = ...) -> None: ...

class MsgAnnounceMaintenance(_message.Message):
    __slots__ = ("creator", "node_id", "height_from", "height_to")
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FROM_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_TO_FIELD_NUMBER: _ClassVar[int]
    creator: str
    node_id: str
    height_from: int
    height_to: int
    def __init__(self, creator: _Optional[str] = ..., node_id: _Optional[str] = ..., height_from: _Optional[int] = ..., height_to: _Optional[int] = ...) -> None: ...

class MsgAnnounceMaintenanceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QueryWindowsRequest(_message.Message):
    __slots__ = ("participant", "pagination")
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    participant: str
    pagination: _pagination_pb2.PageRequest
    def __init__(self, participant: _Optional[str] = ..., pagination: _Optional[_Union[_pagination_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class QueryWindowsResponse(_message.Message):
    __slots__ = ("windows", "pagination")
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    windows: _containers.RepeatedCompositeFieldContainer[MaintenanceWindow]
    pagination: _pagination_pb2.PageResponse
    def __init__(self, windows: _Optional[_Iterable[_Union[MaintenanceWindow, _Mapping]]] = ..., pagination: _Optional[_Union[_pagination_pb2.PageResponse, _Mapping]] = ...) -> None: ...

class QueryCreditRequest(_message.Message):
    __slots__ = ("participant",)
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    participant: str
    def __init__(self, participant: _Optional[str] = ...) -> None: ...

class QueryCreditResponse(_message.Message):
    __slots__ = ("credit", "height_first", "height_last")
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIRST_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_LAST_FIELD_NUMBER: _ClassVar[int]
    credit: Credit
    height_first: int
    height_last: int
    def __init__(self, credit: _Optional[_Union[Credit, _Mapping]] = ..., height_first: _Optional[int] = ..., height_last: _Optional[int] = ...) -> None: ...

class GenesisState(_message.Message):
    __slots__ = ("windows", "credits")
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    CREDITS_FIELD_NUMBER: _ClassVar[int]
    windows: _containers.RepeatedCompositeFieldContainer[MaintenanceWindow]
    credits: _containers.RepeatedCompositeFieldContainer[Credit]
    def __init__(self, windows: _Optional[_Iterable[_Union[MaintenanceWindow, _Mapping]]] = ..., credits: _Optional[_Iterable[_Union[Credit, _Mapping]]] = ...) -> None: ...
