"""`evergrid tx authz`: let another key sign in an account's name, use and take back what was granted."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import click
from google.protobuf.timestamp_pb2 import Timestamp

from cli.files import FILE, read_json
from cli.options import TX, shared
from cli.send import checked_address, sender, submit
from cli.tx_msg import found_messages
from client.registry import message_types
from client.tx import pack
from protocol.descriptors import signer_field
from protocol.gen.cosmos.authz.v1beta1 import authz_pb2, tx_pb2

if TYPE_CHECKING:
    from cli.session import Session

# Where the messages of an API node are declared: what a `creator` signs there is its, the rest governance's.
PROTOCOL_FILES = ("hardware.v1.hardware_pb2", "poc.v1.poc_pb2", "inference.v1.inference_pb2")
_EXPIRES = click.option(
    "--expires",
    metavar="TIME",
    default="",
    help="End of the grant, such as 2030-01-31T00:00:00Z (default: none).",
)


def protocol_messages() -> list[str]:
    """Type URLs of the messages that an API node sends for its participant, sorted."""
    found = []
    for name in PROTOCOL_FILES:
        file = importlib.import_module(f"protocol.gen.evergrid.{name}").DESCRIPTOR
        found += [
            f"/{method.input_type.full_name}"
            for service in file.services_by_name.values()
            for method in service.methods
            if signer_field(method.input_type) == "creator"
        ]
    return sorted(found)


def grant_messages(granter: str, grantee: str, types: list[str], expires: str) -> list[tx_pb2.MsgGrant]:
    """One grant a type; raises ClickException where `expires` is no time."""
    grant = authz_pb2.Grant()
    if expires:
        grant.expiration.FromNanoseconds(time_ns("--expires", expires))
    messages = []
    for type_url in types:
        grant.authorization.CopyFrom(pack(authz_pb2.GenericAuthorization(msg=type_url)))
        messages.append(tx_pb2.MsgGrant(granter=granter, grantee=grantee, grant=grant))
    return messages


def time_ns(option: str, text: str) -> int:
    """A time such as 2030-01-31T00:00:00Z as nanoseconds since 1970; raises ClickException."""
    stamp = Timestamp()
    try:
        stamp.FromJsonString(text)
    except ValueError as error:
        raise click.ClickException(f"{option} {text!r} is no time: {error}") from error
    return stamp.ToNanoseconds()


def checked_types(types: tuple[str, ...]) -> list[str]:
    """Type URLs of messages of the chain; raises ClickException that names the others."""
    known = {f"/{name}" for name in message_types()}
    if unknown := [each for each in types if each not in known]:
        raise click.ClickException(
            f"unknown message types {', '.join(unknown)}: `evergrid tx msg --list-types` lists them"
        )
    return list(types)


@click.group()
def authz() -> None:
    """Let another key sign in an account's name."""


@authz.command()
@click.argument("grantee")
@_EXPIRES
@shared(*TX)
def grant_api_node(session: Session, grantee: str, *, expires: str) -> None:
    """Let GRANTEE, an API node's own key, send all messages of the protocol for this participant.

    Coins, votes and grants stay with the participant's key, which need not be on the API node's machine.
    """
    to = checked_address(grantee)
    submit(session, grant_messages(sender(session), to, protocol_messages(), expires))


@authz.command()
@click.argument("grantee")
@click.argument("types", nargs=-1, required=True, metavar="TYPE...")
@_EXPIRES
@shared(*TX)
def grant(session: Session, grantee: str, types: tuple[str, ...], *, expires: str) -> None:
    """Let GRANTEE sign messages of each TYPE, such as /cosmos.gov.v1.MsgVote."""
    to = checked_address(grantee)
    submit(session, grant_messages(sender(session), to, checked_types(types), expires))


@authz.command()
@click.argument("grantee")
@click.argument("types", nargs=-1, metavar="[TYPE]...")
@shared(*TX)
def revoke(session: Session, grantee: str, types: tuple[str, ...]) -> None:
    """Take back what GRANTEE may sign: each TYPE, or all that grant-api-node gives."""
    granter, to = sender(session), checked_address(grantee)
    revoked = checked_types(types) or protocol_messages()
    submit(session, [tx_pb2.MsgRevoke(granter=granter, grantee=to, msg_type_url=each) for each in revoked])


@authz.command(name="exec")
@click.argument("file", type=FILE)
@shared(*TX)
def execute(session: Session, file: str) -> None:
    """Send the messages in FILE, as `tx msg` reads them, in the name of the signers that they state."""
    messages = found_messages(read_json(file))
    submit(session, [tx_pb2.MsgExec(grantee=sender(session), msgs=[pack(each) for each in messages])])
