"""Reads the options that our declarations carry: who signs a message, and which REST routes a query has.

A descriptor hands out its options as a message of protobuf's default pool, in which our extensions are
unknown fields; encoded and read again with the private pool's class, they are there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.gen.cosmos.msg.v1 import msg_pb2
from protocol.gen.google.api import annotations_pb2
from protocol.gen.google.protobuf import descriptor_pb2

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor

VERBS = ("get", "put", "post", "delete", "patch")


def signer_fields(message: Descriptor) -> tuple[str, ...]:
    """Names of the fields that hold the required signers, in declared order; none for what no one signs."""
    options = descriptor_pb2.MessageOptions.FromString(message.GetOptions().SerializeToString())
    return tuple(options.Extensions[msg_pb2.signer])


def is_msg_service(service: ServiceDescriptor) -> bool:
    """Whether the service's requests are messages of transactions."""
    options = descriptor_pb2.ServiceOptions.FromString(service.GetOptions().SerializeToString())
    return bool(options.Extensions[msg_pb2.service])


def http_routes(method: MethodDescriptor) -> tuple[tuple[str, str, str], ...]:
    """The method's routes as (verb in upper case, path template, body field), the main one first."""
    options = descriptor_pb2.MethodOptions.FromString(method.GetOptions().SerializeToString())
    rule = options.Extensions[annotations_pb2.http]
    rules = (rule, *rule.additional_bindings)
    return tuple(
        (verb.upper(), getattr(each, verb), each.body)
        for each in rules
        for verb in VERBS
        if getattr(each, verb)
    )
