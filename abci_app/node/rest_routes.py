"""The REST gateway's tables: which query a path asks, how text becomes a request and an answer JSON."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from abci_app.kernel.errors import QueryError, invalid_argument
from protocol.descriptors import Route
from protocol.pool import POOL

_INTEGER: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_INTEGER_TYPES: Final = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
    }
)
_BOOLS: Final = {"true": True, "1": True, "false": False, "0": False}
QUERY_FIELDS_MAX: Final = 64
NESTING_MAX: Final = 64
PACKAGE_SEGMENTS: Final = 3
STAKING_PACKAGE: Final = "cosmos.staking.v1beta1."
DECIMALS: Final = frozenset(
    {"delegator_shares", "shares", "rate", "max_rate", "max_change_rate", "min_commission_rate"}
)
DECIMAL_DIGITS: Final = 18
ANY: Final = "google.protobuf.Any"


@dataclass(frozen=True, slots=True)
class Match:
    """A query that a path asks, with the texts of the fields that stand in the path."""

    route: Route
    fields: tuple[tuple[str, str], ...]
    body: str


@dataclass(frozen=True, slots=True)
class _Template:
    """A path template, cut into segments: a literal, or the field that the segment fills.

    An open template's last field takes all that is left of a path, slashes too.
    """

    segments: tuple[tuple[bool, str], ...]
    route: Route
    body: str
    is_open: bool

    @classmethod
    def parse(cls, text: str, route: Route, body: str) -> _Template:
        segments = []
        for part in text.strip("/").split("/"):
            is_field = part.startswith("{") and part.endswith("}")
            name = part[1:-1] if is_field else part
            segments.append((is_field, name.removesuffix("=**")))
            assert "=" not in segments[-1][1], f"{text}: only ** is supported inside of braces"
        return cls(tuple(segments), route, body, text.endswith("=**}"))

    def match(self, parts: Sequence[str]) -> Match | None:
        if self.is_open:
            last = len(self.segments) - 1
            parts = (*parts[:last], "/".join(parts[last:]))
        if len(parts) != len(self.segments):
            return None
        fields = []
        for (is_field, name), part in zip(self.segments, parts, strict=True):
            if is_field and part:
                fields.append((name, unquote(part)))
            elif is_field or name != part:
                return None
        return Match(self.route, tuple(fields), self.body)


class RouteTable:
    """Finds the query of a path; where two templates fit, the one with the earlier literal wins."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._templates: dict[tuple[str, str], list[_Template]] = {}
        for route in routes:
            for verb, path, body in route.http:
                template = _Template.parse(path, route, body)
                self._templates.setdefault((verb, _start(path)), []).append(template)
        for templates in self._templates.values():
            templates.sort(key=lambda each: (each.is_open, [is_field for is_field, _ in each.segments]))

    def find(self, verb: str, raw_path: str) -> Match:
        """The query that `raw_path` asks, still percent-encoded so that a field may hold a slash.

        Raises QueryError where there is none.
        """
        parts = raw_path.strip("/").split("/")
        for template in self._templates.get((verb, _start(raw_path)), ()):
            found = template.match(parts)
            if found is not None:
                return found
        raise QueryError("Unimplemented", "Not Implemented")


def _start(path: str) -> str:
    """The literal part by which the templates are kept apart: the package of the query."""
    return "/".join(path.strip("/").split("/")[:PACKAGE_SEGMENTS])


def request_of(match: Match, query_string: str, body: bytes) -> Message:
    """The request from path, query string and body; raises QueryError that names all that is wrong."""
    message = match.route.request()
    if match.body:
        assert match.body == "*", f"{match.route.path}: a body that fills one field is not supported"
        _read_body(message, body)
    pairs = parse_qsl(query_string, keep_blank_values=True, max_num_fields=None)
    if len(pairs) > QUERY_FIELDS_MAX:
        raise invalid_argument(f"a query string has at most {QUERY_FIELDS_MAX} fields")
    wrong = []
    for name, text in (*(() if match.body else pairs), *match.fields):
        try:
            _set_field(message, name.split("."), text)
        except ValueError as error:
            wrong.append(f"{name}: {error}")
    if wrong:
        raise invalid_argument("; ".join(wrong))
    return message


def _read_body(message: Message, body: bytes) -> None:
    try:
        json_format.Parse(body or b"{}", message, descriptor_pool=POOL, max_recursion_depth=NESTING_MAX)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise invalid_argument(f"the body is not what the request needs: {error}") from error


def _set_field(message: Any, path: Sequence[str], text: str) -> None:
    """Sets the field at a path of names; unknown names are left out, as by other gateways."""
    field = _field(message.DESCRIPTOR, path[0])
    if field is None:
        return
    if len(path) > 1:
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE and not _is_repeated(field):
            _set_field(getattr(message, field.name), path[1:], text)
        return
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        raise ValueError("is not a single value")
    value = _value(field, text)
    if _is_repeated(field):
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)


def _field(descriptor: Any, name: str) -> FieldDescriptor | None:
    by_name: FieldDescriptor | None = descriptor.fields_by_name.get(name)
    return by_name or descriptor.fields_by_camelcase_name.get(name)


def _is_repeated(field: FieldDescriptor) -> bool:
    # The newer name of it is in the stubs, the older one in the release that runs.
    return bool(field.label == FieldDescriptor.LABEL_REPEATED)  # type: ignore[attr-defined]


def _value(field: FieldDescriptor, text: str) -> Any:
    """A field's value from text; raises ValueError with what is wrong."""
    if field.cpp_type in _INTEGER_TYPES:
        if not _INTEGER.fullmatch(text):
            raise ValueError(f"{text[:40]!r} is no integer")
        return int(text)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if text not in _BOOLS:
            raise ValueError(f"{text[:40]!r} is neither true nor false")
        return _BOOLS[text]
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return _enum_value(field, text)
    if field.cpp_type != FieldDescriptor.CPPTYPE_STRING:
        raise ValueError("cannot stand in a query string")
    return _bytes(text) if field.type == FieldDescriptor.TYPE_BYTES else text


def _enum_value(field: FieldDescriptor, text: str) -> int:
    values = field.enum_type
    assert values is not None
    if text in values.values_by_name:
        return int(values.values_by_name[text].number)
    if _INTEGER.fullmatch(text) and int(text) in values.values_by_number:
        return int(text)
    raise ValueError(f"{text[:40]!r} is none of {', '.join(values.values_by_name)}")


def _bytes(text: str) -> bytes:
    # A plus sign in a query string was read as a space; both alphabets of base64 are in use.
    plain = text.replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("is no base64") from error


def _write_decimals(value: Any) -> None:
    """Puts the point into decimals, which protobuf carries as integers of 18 digits behind it."""
    if isinstance(value, list):
        for each in value:
            _write_decimals(each)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in DECIMALS and inner:
                whole, fraction = divmod(int(inner), 10**DECIMAL_DIGITS)
                value[name] = f"{whole}.{fraction:0{DECIMAL_DIGITS}d}"
            else:
                _write_decimals(inner)


@cache
def _nullable(descriptor: Descriptor) -> tuple[str, ...]:
    return tuple(
        field.name
        for field in descriptor.fields
        if field.message_type is not None and not _is_repeated(field) and field.containing_oneof is None
    )


@cache
def _inner_fields(descriptor: Descriptor) -> tuple[FieldDescriptor, ...]:
    """The fields that hold messages of our own kind: neither maps nor what JSON has a form of its own for."""
    return tuple(
        field
        for field in descriptor.fields
        if (inner := field.message_type) is not None
        and not inner.GetOptions().map_entry
        and (inner.full_name == ANY or inner.file.package != "google.protobuf")
    )


def _write_nulls(message: Any, value: dict[str, Any]) -> None:
    """Writes null for each message that is not there, as other gateways do; sides of a oneof are left out."""
    for name in _nullable(message.DESCRIPTOR):
        if not message.HasField(name):
            value[name] = None
    for field in _inner_fields(message.DESCRIPTOR):
        held, shown = getattr(message, field.name), value.get(field.name)
        for each, text in zip(held, shown or (), strict=True) if _is_repeated(field) else [(held, shown)]:
            if isinstance(text, dict):
                _write_nulls(_opened(each), text)


def _opened(message: Any) -> Any:
    """What an Any holds, and any other message itself."""
    if message.DESCRIPTOR.full_name != ANY:
        return message
    kind = POOL.FindMessageTypeByName(message.type_url.rpartition("/")[2])
    return GetMessageClass(kind).FromString(message.value)


def as_json(message: Message) -> bytes:
    """A message as the gateway writes it: names of the declaration, every field, 64-bit integers as text."""
    value = json_format.MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        descriptor_pool=POOL,
    )
    _write_nulls(message, value)
    if message.DESCRIPTOR.full_name.startswith(STAKING_PACKAGE):
        _write_decimals(value)
    pagination = value.get("pagination")
    if isinstance(pagination, dict) and pagination.get("next_key") == "":
        # Wallets read a null as "this was the last page".
        pagination["next_key"] = None
    return json.dumps(value, separators=(",", ":")).encode()


# Number of the gRPC status and the HTTP status that gateways give for it.
STATUSES: Final = {
    "Canceled": (1, 499),
    "Unknown": (2, 500),
    "InvalidArgument": (3, 400),
    "DeadlineExceeded": (4, 504),
    "NotFound": (5, 404),
    "AlreadyExists": (6, 409),
    "PermissionDenied": (7, 403),
    "ResourceExhausted": (8, 429),
    "FailedPrecondition": (9, 400),
    "Aborted": (10, 409),
    "OutOfRange": (11, 400),
    "Unimplemented": (12, 501),
    "Internal": (13, 500),
    "Unavailable": (14, 503),
    "Unauthenticated": (16, 401),
}


def error_json(error: QueryError) -> tuple[int, bytes]:
    """The HTTP status and the body of an error."""
    code, status = STATUSES[error.status]
    body = {"code": code, "message": str(error), "details": []}
    return status, json.dumps(body, separators=(",", ":")).encode()
