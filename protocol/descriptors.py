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


def signer_of(message: Message, field: str) -> str:
    """Who must sign, by the declared field: text, or one part that names a signer; empty where it is none."""
    value = getattr(message, field)
    if isinstance(value, str):
        return value
    if len(value) != 1:
        return ""
    inner = signer_field(value[0].DESCRIPTOR)
    assert inner is not None, f"{value[0].DESCRIPTOR.full_name} declares no signer"
    signer: str = getattr(value[0], inner)
    return signer


def set_signer(message: Message, address: str) -> None:
    """Makes the address the message's signer; where a part names it, the part may come into being."""
    field = signer_field(message.DESCRIPTOR)
    assert field is not None, f"{message.DESCRIPTOR.full_name} declares no signer"
    value = getattr(message, field)
    if isinstance(value, str):
        setattr(message, field, address)
        return
    part = value[0] if value else value.add()
    set_signer(part, address)


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
