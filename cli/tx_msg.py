"""`evergrid tx msg`: any message of the chain, from JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.files import FILE, read_json
from cli.options import TX, shared
from cli.send import sender, submit
from client.registry import MessageError, message_types, typed_message
from protocol.descriptors import set_signer, signer_field, signer_of

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cli.session import Session


@click.command()
@click.argument("file", type=FILE, required=False)
@click.option("--list-types", is_flag=True, help="Only list the types of messages.")
@shared(*TX)
def msg(session: Session, file: str | None, *, list_types: bool) -> None:
    """Sign and send what is in FILE: a JSON object with "@type", a list of them, or an unsigned transaction.

    A signer that the file leaves out is filled in.
    """
    if list_types:
        types = [f"/{name}" for name in message_types()]
        return session.emit(types, "\n".join(types))
    if file is None:
        raise click.UsageError("missing argument FILE")
    address = sender(session)
    return submit(session, [signed_by(each, address) for each in found_messages(read_json(file))])


def found_messages(content: Any) -> list[Message]:
    """The messages that a file's content stands for; raises MessageError."""
    if isinstance(content, dict) and isinstance(content.get("body"), dict):
        content = content["body"]
    if isinstance(content, dict) and "@type" not in content and "messages" in content:
        content = content["messages"]
    entries = content if isinstance(content, list) else [content]
    if not entries:
        raise MessageError("the file holds no message")
    return [typed_message(entry) for entry in entries]


def signed_by(message: Message, address: str) -> Message:
    """The message with the address as its signer; raises MessageError where another one stands there."""
    field = signer_field(message.DESCRIPTOR)
    assert field is not None
    signer = signer_of(message, field)
    if signer not in {"", address}:
        raise MessageError(f"{message.DESCRIPTOR.name} must be signed by {signer}, not by {address}")
    set_signer(message, address)
    return message
