"""`evergrid tx broadcast`, `simulate`, `encode`, `decode`: transactions as files, for keys kept offline."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from google.protobuf.message import DecodeError

from cli.files import FILE, read_json
from cli.options import CHAIN, KEYRING, LOCAL, shared
from cli.reply import tx_json
from cli.send import WAIT_S, outcome
from cli.tx_msg import found_messages
from client import gas as gas_tools
from client.amounts import parse_factor
from client.registry import MessageError, from_json, unpack_base64
from protocol.descriptors import signer_field, signer_of
from protocol.gen.cosmos.tx.signing.v1beta1 import signing_pb2
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cli.session import Session
    from client.chain import ChainClient


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


def signers_of(fields: Any, payer: str) -> list[str]:
    """Addresses that have to sign a transaction's JSON, each once: of its messages, then who pays the fee."""
    found: dict[str, None] = {}
    for message in found_messages(fields):
        field = signer_field(message.DESCRIPTOR)
        assert field is not None, f"{message.DESCRIPTOR.full_name} declares no signer"
        found[signer_of(message, field)] = None
    if payer:
        found[payer] = None
    return list(found)


@click.command()
@click.argument("file", type=FILE)
@shared("broadcast_mode", *CHAIN)
def broadcast(session: Session, file: str) -> None:
    """Send the signed transaction in FILE: JSON as `tx sign` prints it, or base64 as `tx encode` does."""
    raw = raw_in(file)
    with session.client as client:
        reply = client.broadcast(raw, checked=session.get("broadcast_mode") != "async")
        if not reply.code and session.get("broadcast_mode") == "block":
            reply = client.wait_tx(reply.hash, WAIT_S)
    outcome(session, reply)


@click.command()
@click.argument("file", type=FILE)
@shared("from", "gas_adjustment", "node", *KEYRING)
def simulate(session: Session, file: str) -> None:
    """Say how much gas the transaction in FILE needs, signed or not: a node runs it and forgets it.

    The estimate is the gas that it used, times --gas-adjustment. An account that has never sent shows its
    public key, which costs gas too: name that key with --from.
    """
    factor = parse_factor(str(session.get("gas_adjustment")))
    name = session.get("from")
    keyring = session.keyring() if name else None
    known = {keyring.show(name).address: keyring.public(name)} if keyring else {}
    with session.client as client:
        used = gas_tools.simulate(client, _to_simulate(client, file, known))
    session.emit({"gas_used": str(used), "gas_estimate": str(gas_tools.gas_limit(used, factor))})


def _to_simulate(client: ChainClient, file: str, known: Mapping[str, Any]) -> bytes:
    """The bytes of a transaction; one without signers gets them, with their sequences and keys of now."""
    if not is_json(text := Path(file).read_text(encoding="utf-8").strip()):
        return unpack_base64(text, file)
    tx = read_tx(file)
    if not tx.auth_info.signer_infos:
        for address in signers_of(read_json(file), tx.auth_info.fee.payer):
            account = client.account(address)
            info = tx.auth_info.signer_infos.add(sequence=0 if tx.body.unordered else account.sequence)
            info.mode_info.single.mode = signing_pb2.SIGN_MODE_DIRECT
            key = known.get(address, account.pub_key)
            if key.type_url:
                info.public_key.CopyFrom(key)
    missing = len(tx.auth_info.signer_infos) - len(tx.signatures)
    tx.signatures.extend([b""] * missing)
    return raw_of(tx)


def is_json(text: str) -> bool:
    """Whether the text of a file is JSON rather than base64."""
    return text.startswith(("{", "["))


def raw_in(file: str) -> bytes:
    """The bytes of a signed transaction in a file; raises MessageError."""
    text = Path(file).read_text(encoding="utf-8").strip()
    if not is_json(text):
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
