"""Granting, revoking, clearing away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import InvalidAddress, InvalidRequest, Unauthorized
from abci_app.kernel.module import handles
from abci_app.kernel.tx import may_be_packed
from abci_app.modules import auth
from abci_app.modules.feegrant import rules
from abci_app.modules.feegrant.allowances import live, prune, remove_grant, set_grant
from abci_app.modules.feegrant.errors import GrantNotFound
from protocol.gen.cosmos.feegrant.v1beta1 import feegrant_pb2, tx_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context

# At most so many in one message, as in the Cosmos SDK; the end of a block clears away what is left.
PRUNED_MAX = 75

for kind in (
    feegrant_pb2.BasicAllowance,
    feegrant_pb2.PeriodicAllowance,
    feegrant_pb2.AllowedMsgAllowance,
):
    may_be_packed(kind)


@handles(tx_pb2.MsgGrantAllowance)
def grant_allowance(ctx: Context, msg: tx_pb2.MsgGrantAllowance) -> None:
    """Lets the grantee's transactions be paid by the granter, within the allowance."""
    if errors := rules.parties_errors(msg.granter, msg.grantee):
        raise InvalidAddress("; ".join(errors))
    if auth.is_module_account(ctx, msg.granter):
        # What a module's account owes is kept by the module, which could no longer see to it.
        raise Unauthorized(f"{msg.granter} is a module's account")
    allowance = _checked(ctx, msg)
    if live(ctx, msg.granter, msg.grantee) is not None:
        raise InvalidRequest("fee allowance already exists")

    # The grantee needs an account to sign with.
    auth.ensure_account(ctx, msg.grantee)
    set_grant(ctx, msg.granter, msg.grantee, rules.begun(allowance, ctx.block.time_ns))
    ctx.emit("set_feegrant", granter=msg.granter, grantee=msg.grantee)


def _checked(ctx: Context, msg: tx_pb2.MsgGrantAllowance) -> rules.Opened:
    """The allowance of a message; raises, with the code of the first, all that is wrong with it."""
    allowance, problems = rules.opened(msg.allowance), rules.problems(msg.allowance)
    if allowance is not None:
        problems += rules.denom_problems(allowance)
    if problems:
        kind, _ = problems[0]
        raise kind("; ".join(text for _, text in problems))
    assert allowance is not None, "what cannot be opened has a problem"
    if rules.is_expired(allowance, ctx.block.time_ns):
        raise InvalidRequest("expiration is before current block time")
    return allowance


@handles(tx_pb2.MsgRevokeAllowance)
def revoke_allowance(ctx: Context, msg: tx_pb2.MsgRevokeAllowance) -> None:
    """Takes an allowance back, in effect at once."""
    if errors := rules.parties_errors(msg.granter, msg.grantee):
        raise InvalidAddress("; ".join(errors))
    if not remove_grant(ctx, msg.granter, msg.grantee):
        raise GrantNotFound

    ctx.emit("revoke_feegrant", granter=msg.granter, grantee=msg.grantee)


@handles(tx_pb2.MsgPruneAllowances)
def prune_allowances(ctx: Context, msg: tx_pb2.MsgPruneAllowances) -> None:
    """Removes some allowances that have ended; the end of a block does the same."""
    prune(ctx, PRUNED_MAX)
    ctx.emit("prune_feegrant", pruner=msg.pruner)
