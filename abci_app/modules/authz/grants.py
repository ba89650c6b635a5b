"""Grants: written with their indexes, asked for, pruned; and what a MsgExec carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from abci_app.kernel.errors import InvalidRequest, TxParseError
from abci_app.kernel.tx import unpack
from abci_app.modules.authz import rules, state
from abci_app.modules.authz.errors import AuthorizationExpired, NoAuthorization

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from abci_app.kernel.context import Context
    from abci_app.kernel.module import MessageRoute
    from protocol.gen.cosmos.authz.v1beta1 import authz_pb2, tx_pb2


def set_grant(ctx: Context, granter: str, grantee: str, type_url: str, grant: authz_pb2.Grant) -> None:
    """Writes a grant in place of a former one for the same type."""
    remove_grant(ctx, granter, grantee, type_url)
    state.GRANTS.set(ctx, (granter, grantee, type_url), grant)
    state.BY_GRANTEE.add(ctx, (grantee, granter, type_url))
    end_ns = rules.expiration_ns(grant)
    if end_ns is not None:
        state.EXPIRATIONS.add(ctx, (end_ns, granter, grantee, type_url))


def remove_grant(ctx: Context, granter: str, grantee: str, type_url: str) -> bool:
    """Removes a grant with its indexes; False where there is none."""
    former = state.GRANTS.get(ctx, (granter, grantee, type_url))
    if former is None:
        return False
    state.GRANTS.remove(ctx, (granter, grantee, type_url))
    state.BY_GRANTEE.remove(ctx, (grantee, granter, type_url))
    end_ns = rules.expiration_ns(former)
    if end_ns is not None:
        state.EXPIRATIONS.remove(ctx, (end_ns, granter, grantee, type_url))
    return True


def check_granted(ctx: Context, granter: str, grantee: str, type_url: str) -> None:
    """Raises NoAuthorization or AuthorizationExpired unless the grantee may sign for the granter."""
    if granter == grantee:
        return
    grant = None if "\0" in granter else state.GRANTS.get(ctx, (granter, grantee, type_url))
    what = f"{granter[: rules.SHOWN]} for {type_url} by {grantee}"
    if grant is None:
        raise NoAuthorization(what)
    if rules.is_expired(grant, ctx.block.time_ns):
        raise AuthorizationExpired(what)


def is_granted(ctx: Context, granter: str, grantee: str, type_url: str) -> bool:
    """Whether the grantee may sign such a message for the granter, in a block of this time."""
    try:
        check_granted(ctx, granter, grantee, type_url)
    except (NoAuthorization, AuthorizationExpired):
        return False
    return True


def executed(msg: tx_pb2.MsgExec) -> list[tuple[MessageRoute, Message]]:
    """The messages within, with their routes; raises TxError where there is none, or one that cannot be."""
    if not msg.msgs:
        raise InvalidRequest("messages cannot be empty")
    found: list[tuple[MessageRoute, Message]] = []
    for index, packed in enumerate(msg.msgs):
        if packed.type_url == rules.EXEC:
            raise InvalidRequest(f"message {index}: a MsgExec within a MsgExec")
        try:
            found.append(unpack(packed.type_url, packed.value))
        except DecodeError as error:
            raise TxParseError(f"message {index}: {packed.type_url[: rules.SHOWN]}: {error}") from error
    return found


def prune(ctx: Context, budget: int) -> int:
    """Removes grants that have ended, the oldest first, at most `budget`; returns how many."""
    due: list[tuple[int, str, str, str]] = []
    for key in state.EXPIRATIONS.walk(ctx):
        if key[0] > ctx.block.time_ns or len(due) >= budget:
            break
        due.append(key)
    for _, granter, grantee, type_url in due:
        remove_grant(ctx, granter, grantee, type_url)
    return len(due)
