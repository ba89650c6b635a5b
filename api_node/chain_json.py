"""Answers of the chain as JSON, for those who read them by HTTP; and what is said where there are none."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from api_node.errors import ApiError, unavailable
from api_node.orchestrator import Orchestrator
from api_node.view import ChainView
from client.chain import CODE_NOT_FOUND, ChainError
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

# How the chain's answers say that there is no such thing, around the sentence that names it.
_NOT_FOUND = re.compile(
    r"(?:rpc error: )?code = NotFound desc = (?P<what>.*?)(?:: key not found)?", re.DOTALL
)


def plain(message: Message) -> dict[str, Any]:
    """A message as JSON with the proto's field names; 64-bit numbers as numbers: ours are below 2^53."""
    fields: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return _numbers(message, fields)


def _numbers(message: Message, fields: dict[str, Any]) -> dict[str, Any]:
    for field in message.DESCRIPTOR.fields:
        if field.name not in fields:
            continue
        value = getattr(message, field.name)
        if isinstance(value, Message):
            fields[field.name] = plain(value)
        elif field.message_type is not None:
            fields[field.name] = [plain(each) for each in value]
        elif field.cpp_type in {field.CPPTYPE_INT64, field.CPPTYPE_UINT64}:
            fields[field.name] = value if isinstance(value, int) else list(value)
    return fields


def chain_problem(error: ChainError) -> ApiError:
    """What a client is told where the chain gives no answer."""
    if error.code == CODE_NOT_FOUND:
        said = _NOT_FOUND.fullmatch(str(error))
        return ApiError(404, said["what"] if said else str(error), code="not_found")
    return unavailable(f"the chain cannot be asked now: {error}", reasons_pb2.REASON_CHAIN_UNREACHABLE)


def current_view(orchestrator: Orchestrator) -> ChainView:
    """The last view; raises ApiError where there is none yet."""
    if orchestrator.view is None:
        raise unavailable(
            f"this node waits for the chain: {orchestrator.problem}", reasons_pb2.REASON_CHAIN_UNREACHABLE
        )
    return orchestrator.view


async def ask(orchestrator: Orchestrator, request: Message, response: type[Message]) -> dict[str, Any]:
    """An answer of the chain at the view's height, as JSON; raises ApiError where there is none."""
    current_view(orchestrator)
    try:
        return plain(await orchestrator.reader.cached(request, response))
    except ChainError as error:
        raise chain_problem(error) from error
