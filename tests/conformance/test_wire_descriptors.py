"""Our declarations of the public wire formats, against cosmpy's descriptors and bytes of real programs."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

from protocol.descriptors import message_class
from protocol.gen.cosmos.msg.v1 import msg_pb2
from protocol.gen.google.api import annotations_pb2
from protocol.gen.google.protobuf import descriptor_pb2
from protocol.pool import POOL

PROTO = Path(__file__).resolve().parents[2] / "proto"
FILES = sorted(
    str(path.relative_to(PROTO))
    for top in ("cosmos", "tendermint")
    for path in (PROTO / top).rglob("*.proto")
)
# CometBFT 0.40 added these to ABCI 2.0; cosmpy knows 0.38.
NEWER_ARMS = {"insert_tx", "reap_txs"}
NEWER_MESSAGES = {"RequestInsertTx", "RequestReapTxs", "ResponseInsertTx", "ResponseReapTxs"}
# Messages that hold only a part of the public one, each with what it leaves out, and why nobody misses it.
LEFT_OUT = {
    "cosmos.bank.v1beta1.GenesisState": {"send_enabled"},  # every denomination may be sent
    "cosmos.base.abci.v1beta1.TxMsgData": {"data"},  # replaced by msg_responses
    "cosmos.base.tendermint.v1beta1.Block": {"evidence"},  # nobody here reads it
    # Replaced by params.
    "cosmos.gov.v1.GenesisState": {"deposit_params", "tally_params", "voting_params"},
    "cosmos.tx.v1beta1.AuthInfo": {"tip"},  # obsolete; strict decoding refuses it
    "cosmos.upgrade.v1beta1.Plan": {"time", "upgraded_client_state"},  # deprecated; plans are by height
    "tendermint.types.Block": {"evidence"},
}


def ours(name: str) -> FileDescriptor:
    importlib.import_module("protocol.gen." + name.removesuffix(".proto").replace("/", ".") + "_pb2")
    return POOL.FindFileByName(name)


def theirs(name: str) -> FileDescriptor:
    importlib.import_module("cosmpy.protos." + name.removesuffix(".proto").replace("/", ".") + "_pb2")
    return descriptor_pool.Default().FindFileByName(name)


def messages_of(parent: FileDescriptor | Descriptor) -> Iterator[Descriptor]:
    nested = (
        parent.message_types_by_name if isinstance(parent, FileDescriptor) else parent.nested_types_by_name
    )
    for _, message in sorted(nested.items()):
        if message.name not in NEWER_MESSAGES:
            yield message
            yield from messages_of(message)


def enums_of(file: FileDescriptor) -> Iterator[EnumDescriptor]:
    holders: tuple[FileDescriptor | Descriptor, ...] = (file, *messages_of(file))
    for holder in holders:
        yield from (enum for _, enum in sorted(holder.enum_types_by_name.items()))


def shape(field: Any) -> dict[str, object]:
    """All of a field that shows on the wire or in JSON."""
    oneof = field.containing_oneof
    kind = field.message_type or field.enum_type
    return {
        "name": field.name,
        "json": field.json_name,
        "number": field.number,
        "type": field.type,
        "kind": kind.full_name if kind else None,
        "label": field.label,
        "packed": field.is_packed,
        "presence": field.has_presence,
        "oneof": oneof.name if oneof else None,
    }


def cases(kind: str) -> list[Any]:
    found: list[Any] = []
    for name in FILES:
        file = ours(name)
        if kind == "message":
            found += [
                pytest.param(name, message.full_name, id=message.full_name) for message in messages_of(file)
            ]
        elif kind == "enum":
            found += [pytest.param(name, enum.full_name, id=enum.full_name) for enum in enums_of(file)]
        else:
            found += [
                pytest.param(
                    name, f"{service.full_name}.{method.name}", id=f"{service.full_name}.{method.name}"
                )
                for service in file.services_by_name.values()
                for method in service.methods
            ]
    return found


def options_of(described: Any, kind: Any) -> Any:
    """A descriptor's options as a message that knows our extensions, whichever pool the descriptor is of."""
    return kind.FromString(described.GetOptions().SerializeToString())


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_proto3_and_of_the_published_package(name: str) -> None:
    proto = descriptor_pb2.FileDescriptorProto.FromString(ours(name).serialized_pb)

    assert proto.syntax == "proto3"
    assert ours(name).package == theirs(name).package


@pytest.mark.parametrize(("file", "full_name"), cases("message"))
def test_a_message_has_the_published_fields(file: str, full_name: str) -> None:
    theirs(file)
    published = descriptor_pool.Default().FindMessageTypeByName(full_name)

    mine = {field.name: shape(field) for field in POOL.FindMessageTypeByName(full_name).fields}

    expected = {field.name: shape(field) for field in published.fields}
    left_out = LEFT_OUT.get(full_name, set())
    newer = NEWER_ARMS if full_name in {"tendermint.abci.Request", "tendermint.abci.Response"} else set()
    assert {name: field for name, field in mine.items() if name not in newer} == {
        name: field for name, field in expected.items() if name not in left_out
    }
    assert left_out <= expected.keys()


@pytest.mark.parametrize(("file", "full_name"), cases("message"))
def test_a_message_has_the_published_signers(file: str, full_name: str) -> None:
    theirs(file)
    published = descriptor_pool.Default().FindMessageTypeByName(full_name)

    mine = options_of(POOL.FindMessageTypeByName(full_name), descriptor_pb2.MessageOptions)

    expected = options_of(published, descriptor_pb2.MessageOptions)
    assert mine.Extensions[msg_pb2.signer] == expected.Extensions[msg_pb2.signer]


@pytest.mark.parametrize(("file", "full_name"), cases("enum"))
def test_an_enum_has_the_published_values(file: str, full_name: str) -> None:
    theirs(file)
    published = descriptor_pool.Default().FindEnumTypeByName(full_name)

    mine = [(value.name, value.number) for value in POOL.FindEnumTypeByName(full_name).values]

    assert mine == [(value.name, value.number) for value in published.values]


@pytest.mark.parametrize(("file", "full_name"), cases("method"))
def test_a_method_has_the_published_types_and_rest_path(file: str, full_name: str) -> None:
    theirs(file)
    service_name, _, method_name = full_name.rpartition(".")
    published = descriptor_pool.Default().FindServiceByName(service_name)
    service = POOL.FindServiceByName(service_name)

    mine, expected = service.methods_by_name[method_name], published.methods_by_name[method_name]

    assert mine.input_type.full_name == expected.input_type.full_name
    assert mine.output_type.full_name == expected.output_type.full_name
    kind = descriptor_pb2.MethodOptions
    routes = [options_of(method, kind).Extensions[annotations_pb2.http] for method in (mine, expected)]
    assert routes[0] == routes[1]
    marks = [
        options_of(described, descriptor_pb2.ServiceOptions).Extensions[msg_pb2.service]
        for described in (service, published)
    ]
    assert marks[0] == marks[1]


def test_the_calls_of_cometbft_0_40_have_their_published_numbers() -> None:
    request = POOL.FindMessageTypeByName("tendermint.abci.Request").fields_by_name
    response = POOL.FindMessageTypeByName("tendermint.abci.Response").fields_by_name

    assert (request["insert_tx"].number, response["insert_tx"].number) == (21, 22)
    assert (request["reap_txs"].number, response["reap_txs"].number) == (22, 23)


def fillings(descriptor: Descriptor) -> Iterator[Any]:
    """Messages with something in every field that can be set at once; one for each arm of a oneof."""
    arms = [
        field.name for field in descriptor.fields if field.containing_oneof and field.name not in NEWER_ARMS
    ]
    for arm in arms or [""]:
        yield filled(descriptor, arm)


def filled(descriptor: Descriptor, arm: str = "", depth: int = 4) -> Any:
    message = message_factory.GetMessageClass(descriptor)()
    fields: Iterable[Any] = descriptor.fields
    for field in fields:
        is_list = field.label == FieldDescriptor.LABEL_REPEATED
        if arm and field.containing_oneof and field.name != arm:
            continue
        if field.message_type is not None:
            if depth:
                inner = filled(field.message_type, depth=depth - 1)
                holder = getattr(message, field.name)
                holder.append(inner) if is_list else holder.CopyFrom(inner)
            continue
        value = example(field)
        if is_list:
            getattr(message, field.name).extend([value, value])
        else:
            setattr(message, field.name, value)
    return message


def example(field: FieldDescriptor) -> object:
    """A value that no other field of the message has, and that needs more than one byte where it can."""
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    if field.type == FieldDescriptor.TYPE_STRING:
        return f"text {field.number}"
    if field.type == FieldDescriptor.TYPE_BYTES:
        return b"bytes %d" % field.number
    if field.type == FieldDescriptor.TYPE_BOOL:
        return True
    return 1000 + field.number


@pytest.mark.parametrize(("file", "full_name"), cases("message"))
def test_what_we_encode_cosmpy_decodes_and_encodes_to_the_same_bytes(file: str, full_name: str) -> None:
    theirs(file)
    published = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(full_name))

    for message in fillings(POOL.FindMessageTypeByName(full_name)):
        encoded = message.SerializeToString()
        decoded = published.FromString(encoded)
        decoded.DiscardUnknownFields()
        again = message_class(full_name).FromString(decoded.SerializeToString())
        assert again.SerializeToString() == encoded
