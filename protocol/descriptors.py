"""What our descriptors say beyond fields: who signs a message, which paths a query has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from google.protobuf import message_factory

from protocol.options import http_routes, signer_fields
from protocol.pool import POOL

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor
    from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Route:
    """One method of a service: its gRPC path and its messages; its HTTP routes as (verb, path, body)."""

    path: str
    service: str
    method: str
    request: type[Message]
    response: type[Message]
    http: tuple[tuple[str, str, str], ...] = ()


@cache
def signer_field(descriptor: Descriptor) -> str | None:
    """The field that holds the address which must sign the message, None where none is declared."""
    signers = signer_fields(descriptor)
    return signers[0] if signers else None


def message_class(full_name: str) -> type[Message]:
    """The class of a message of ours by its full name; raises KeyError where there is none."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(full_name))


@cache
def routes_of(file: FileDescriptor) -> tuple[Route, ...]:
    """Every method of every service that a file declares, in the order of declaration."""
    return tuple(
        _route(service.full_name, method)
        for _, service in sorted(file.services_by_name.items())
        for method in service.methods
    )


def _route(service: str, method: MethodDescriptor) -> Route:
    return Route(
        path=f"/{service}/{method.name}",
        service=service,
        method=method.name,
        request=message_factory.GetMessageClass(method.input_type),
        response=message_factory.GetMessageClass(method.output_type),
        http=http_routes(method),
    )
