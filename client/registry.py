"""Every message and query of the chain by name: loads all declarations, and reads and writes their JSON."""

from __future__ import annotations

import base64
import importlib
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf import json_format

from client.tx import pack
from protocol.descriptors import message_class, signer_field
from protocol.pool import POOL

if TYPE_CHECKING:
    from google.protobuf.message import Message

M = TypeVar("M", bound="Message")

MSG_FILES = (
    "cosmos.authz.v1beta1.tx_pb2",
    "cosmos.bank.v1beta1.tx_pb2",
    "cosmos.feegrant.v1beta1.tx_pb2",
    "cosmos.gov.v1.tx_pb2",
    "cosmos.upgrade.v1beta1.tx_pb2",
    "evergrid.collateral.v1.collateral_pb2",
    "evergrid.epochs.v1.epochs_pb2",
    "evergrid.hardware.v1.hardware_pb2",
    "evergrid.inference.v1.inference_pb2",
    "evergrid.maintenance.v1.maintenance_pb2",
    "evergrid.models.v1.models_pb2",
    "evergrid.poc.v1.poc_pb2",
)
# What an Any may hold beside messages.
_OTHER_FILES = (
    "cosmos.auth.v1beta1.auth_pb2",
    "cosmos.authz.v1beta1.authz_pb2",
    "cosmos.feegrant.v1beta1.feegrant_pb2",
    "cosmos.crypto.secp256k1.keys_pb2",
    "cosmos.crypto.ed25519.keys_pb2",
    "cosmos.crypto.multisig.keys_pb2",
)


class MessageError(ValueError):
    """JSON that is no message of the chain; the text says where it is wrong."""


@cache
def load_all() -> None:
    """Brings every declaration into the pool, so that what an Any holds is known."""
    for name in MSG_FILES + _OTHER_FILES:
        importlib.import_module(f"protocol.gen.{name}")


def message_types() -> list[str]:
    """Full names of the messages that a transaction can carry, sorted."""
    load_all()
    names = set()
    for name in MSG_FILES:
        file = importlib.import_module(f"protocol.gen.{name}").DESCRIPTOR
        names |= {
            method.input_type.full_name
            for service in file.services_by_name.values()
            for method in service.methods
            if signer_field(method.input_type)
        }
    return sorted(names)


def to_json(message: Message) -> dict[str, Any]:
    """A message as its JSON form: fields in their order, by their declared names, defaults included."""
    load_all()
    fields = json_format.MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        descriptor_pool=POOL,
    )
    return _in_order(fields, message.DESCRIPTOR)


def _in_order(fields: dict[str, Any], descriptor: Any) -> dict[str, Any]:
    """The fields as declared: the JSON writer puts those that are set before those that are not."""
    if "@type" in fields:
        descriptor = POOL.FindMessageTypeByName(fields["@type"].rpartition("/")[2])
    ordered = {"@type": fields["@type"]} if "@type" in fields else {}
    for field in descriptor.fields:
        if field.name in fields:
            ordered[field.name] = _value_in_order(fields[field.name], field.message_type)
    return ordered


def _value_in_order(value: Any, descriptor: Any) -> Any:
    if isinstance(value, list):
        return [_value_in_order(each, descriptor) for each in value]
    return _in_order(value, descriptor) if isinstance(value, dict) else value


def from_json(fields: Any, kind: type[M]) -> M:
    """A message of a kind from its JSON form; raises MessageError."""
    load_all()
    if not isinstance(fields, dict):
        raise MessageError(f"{kind.DESCRIPTOR.name} must be a JSON object")
    try:
        return json_format.ParseDict(fields, kind(), descriptor_pool=POOL)
    except json_format.ParseError as error:
        raise MessageError(f"{kind.DESCRIPTOR.name}: {error}") from error


def typed_message(fields: Any) -> Message:
    """The message of an object with "@type"; raises MessageError that names the known types."""
    if not isinstance(fields, dict) or not isinstance(fields.get("@type"), str):
        raise MessageError('a message is a JSON object with "@type", such as "/cosmos.bank.v1beta1.MsgSend"')
    name = fields["@type"].rpartition("/")[2]
    if name not in (known := message_types()):
        raise MessageError(f"unknown message type {fields['@type']!r}: use one of {', '.join(known)}")
    rest = {key: value for key, value in fields.items() if key != "@type"}
    return from_json(rest, message_class(name))


def proposal_message(fields: Any) -> Any:
    """A message, packed as a proposal carries it; raises MessageError."""
    return pack(typed_message(fields))


def unpack_base64(text: str, what: str) -> bytes:
    """Bytes out of base64; raises MessageError that names what was read."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise MessageError(f"{what} is no base64") from error
