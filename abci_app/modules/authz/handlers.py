"""Granting, revoking, and running messages in another account's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.context import Event
from abci_app.kernel.errors import InvalidAddress, InvalidRequest, OutOfGas, TxError, Unauthorized
from abci_app.kernel.module import MESSAGES, handles
from abci_app.kernel.tx import may_be_packed
from abci_app.modules import auth
from abci_app.modules.authz import rules
from abci_app.modules.authz.errors import (
    GranteeIsGranter,
    InvalidExpiration,
    NoAuthorization,
    UnknownAuthorization,
)
from abci_app.modules.authz.grants import check_granted, executed, remove_grant, set_grant
from protocol.gen.cosmos.authz.v1beta1 import authz_pb2, tx_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from abci_app.kernel.context import Context
    from abci_app.kernel.module import MessageRoute

may_be_packed(authz_pb2.GenericAuthorization)


@handles(tx_pb2.MsgGrant)
def grant(ctx: Context, msg: tx_pb2.MsgGrant) -> None:
    """Lets the grantee sign messages of one type; a former grant for it is replaced."""
    if errors := rules.parties_errors(msg.granter, msg.grantee):
        raise InvalidAddress("; ".join(errors))
    if msg.granter == msg.grantee:
        raise GranteeIsGranter
    if auth.is_module_account(ctx, msg.granter):
        # What a module's account owes is kept by the module, which could no longer see to it.
        raise Unauthorized(f"{msg.granter} is a module's account")
    type_url = rules.granted_type(msg.grant)
    if type_url is None:
        raise UnknownAuthorization(msg.grant.authorization.type_url[: rules.SHOWN])
    if errors := rules.type_errors(type_url, MESSAGES) + rules.expiration_errors(msg.grant):
        raise InvalidRequest("; ".join(errors))
    if rules.is_expired(msg.grant, ctx.block.time_ns):
        raise InvalidExpiration(f"it is {rules.expiration_ns(msg.grant)} ns, now {ctx.block.time_ns} ns")

    # The grantee needs an account to sign with.
    auth.ensure_account(ctx, msg.grantee)
    set_grant(ctx, msg.granter, msg.grantee, type_url, msg.grant)
    ctx.emit("authorization_granted", granter=msg.granter, grantee=msg.grantee, msg_type_url=type_url)


@handles(tx_pb2.MsgRevoke)
def revoke(ctx: Context, msg: tx_pb2.MsgRevoke) -> None:
    """Takes a grant back, in effect at once."""
    if errors := rules.parties_errors(msg.granter, msg.grantee):
        raise InvalidAddress("; ".join(errors))
    if "\0" in msg.msg_type_url or not remove_grant(ctx, msg.granter, msg.grantee, msg.msg_type_url):
        raise NoAuthorization(f"{msg.granter} for {msg.msg_type_url[: rules.SHOWN]} by {msg.grantee}")

    ctx.emit("authorization_revoked", granter=msg.granter, grantee=msg.grantee, msg_type_url=msg.msg_type_url)


@handles(tx_pb2.MsgExec)
def execute(ctx: Context, msg: tx_pb2.MsgExec) -> tx_pb2.MsgExecResponse:
    """Runs messages of the grantee or of who granted it their type, all or none, in order."""
    results = [
        _run(ctx, msg.grantee, index, route, message).SerializeToString(deterministic=True)
        for index, (route, message) in enumerate(executed(msg))
    ]
    return tx_pb2.MsgExecResponse(results=results)


def _run(ctx: Context, grantee: str, index: int, route: MessageRoute, message: Message) -> Message:
    first = len(ctx.events)
    signer = route.signer_of(message)
    ctx.emit("message", action=route.type_url, sender=signer, module=route.module)
    try:
        # Only now: a message before it may have granted or revoked what it needs.
        check_granted(ctx, signer, grantee, route.type_url)
        answer = route.handler(ctx, message) or route.response()
    except OutOfGas:
        raise
    except TxError as error:
        # Code and codespace stay those of the message that was refused.
        error.args = (f"authorized message {index}: {error}",)
        raise
    place = (("authz_msg_index", str(index)),)
    ctx.events[first:] = [Event(event.type, event.attributes + place) for event in ctx.events[first:]]
    return answer
