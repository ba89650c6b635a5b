"""`evergrid tx broadcast`, `encode`, `decode`: transactions as files, for keys kept offline."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from google.protobuf.message import DecodeError

from cli.files import FILE, read_json
from cli.options import CHAIN, LOCAL, shared
from cli.reply import tx_json
from cli.send import WAIT_S, outcome
from cli.tx_msg import found_messages
from client.registry import MessageError, from_json, to_json, unpack_base64
from protocol.descriptors import signer_field, signer_of
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cli.session import Session


def read_tx(path: str) -> tx_pb2.Tx:
    """The transaction in a JSON file; raises MessageError with all that is missing."""
    fields = read_json(path)
    if not isinstance(fields, dict) or not {"body", "auth_info"} <= set(fields):
        raise MessageError(
            f"{path} holds no transaction: it is an object with body, auth_info and signatures"
        )
    found_messages(fields)
    return from_json(fields, tx_pb2.Tx)


def raw_of(tx: tx_pb2.Tx) -> bytes:
    """The bytes that are broadcast."""
    return tx_pb2.TxRaw(
        body_bytes=tx.body.SerializeToString(deterministic=True),
        auth_info_bytes=tx.auth_info.SerializeToString(deterministic=True),
        signatures=tx.signatures,
    ).SerializeToString(deterministic=True)


def signers_of(fields: Any) -> list[str]:
    """Addresses that have to sign the messages of a transaction's JSON, each once, in their order."""
    found: dict[str, None] = {}
    for message in found_messages(fields):
        field = signer_field(message.DESCRIPTOR)
        assert field is not None, f"{message.DESCRIPTOR.full_name} declares no signer"
        found[signer_of(message, field)] = None
    return list(found)


def write(session: Session, message: Message, output_document: str | None) -> None:
    """Prints a message as JSON, or writes it into a file."""
    from cli.out import as_json  # noqa: PLC0415 - only when it is used

    text = as_json(to_json(message))
    if output_document is None:
        return click.echo(text)
    Path(output_document).write_text(text + "\n", encoding="utf-8")
    return session.emit({"file": output_document})


@click.command()
@click.argument("file", type=FILE)
@shared("broadcast_mode", *CHAIN)
def broadcast(session: Session, file: str) -> None:
    """Send the signed transaction in FILE: JSON as `tx sign` prints it, or base64 as `tx encode` does."""
    raw = raw_in(file)
    with session.client as client:
        reply = client.broadcast(raw)
        if not reply.code and session.get("broadcast_mode") == "block":
            reply = client.wait_tx(reply.hash, WAIT_S)
    outcome(session, reply)


def raw_in(file: str) -> bytes:
    """The bytes of a signed transaction in a file; raises MessageError."""
    text = Path(file).read_text(encoding="utf-8").strip()
    if not text.startswith(("{", "[")):
        return unpack_base64(text, file)
    tx = read_tx(file)
    if not tx.signatures:
        raise MessageError(f"the transaction in {file} is not signed: evergrid tx sign {file} --from KEY")
    return raw_of(tx)


@click.command()
@click.argument("file", type=FILE)
@shared(*LOCAL)
def encode(session: Session, file: str) -> None:
    """Print the transaction in the JSON FILE as base64 of its bytes."""
    text = base64.b64encode(raw_of(read_tx(file))).decode()
    session.emit({"tx": text}, text)


@click.command()
@click.argument("text", metavar="BASE64")
@click.option("--hex", "is_hex", is_flag=True, help="It is hex, not base64.")
@shared(*LOCAL)
def decode(session: Session, text: str, *, is_hex: bool) -> None:
    """Print the transaction whose bytes are given, as JSON."""
    try:
        raw = bytes.fromhex(text.removeprefix("0x")) if is_hex else unpack_base64(text, "the transaction")
        shown = tx_json(raw)
    except (ValueError, DecodeError) as error:
        raise click.ClickException(f"these bytes cannot be read: {error}") from error
    if not shown or not (shown.get("body") or {}).get("messages"):
        raise click.ClickException("these bytes are no transaction of this chain")
    session.emit(shown)
