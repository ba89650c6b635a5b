"""Allowances: written with their indexes, used for fees, pruned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import InvalidAddress, OutOfGas, TxError
from abci_app.modules.feegrant import rules, state
from abci_app.modules.feegrant.errors import GrantNotFound
from protocol import address as addresses
from protocol.gen.cosmos.feegrant.v1beta1 import feegrant_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context
    from abci_app.kernel.tx import Tx
    from abci_app.modules.bank.coins import Amounts

# Of a filter, for each type that it names and each message that is compared, as in the Cosmos SDK.
FILTER_GAS = 10


def opened(grant: feegrant_pb2.Grant) -> rules.Opened:
    """The allowance of a grant that was checked when it was written."""
    allowance = rules.opened(grant.allowance)
    assert allowance is not None, "only what can be opened is granted"
    return allowance


def live(ctx: Context, granter: str, grantee: str) -> feegrant_pb2.Grant | None:
    """The grant between two addresses, unless it is past its end."""
    grant = state.ALLOWANCES.get(ctx, (grantee, granter))
    if grant is None or rules.is_expired(opened(grant), ctx.block.time_ns):
        return None
    return grant


def set_grant(ctx: Context, granter: str, grantee: str, allowance: rules.Opened) -> None:
    """Writes an allowance in place of a former one."""
    remove_grant(ctx, granter, grantee)
    _write(ctx, granter, grantee, allowance)
    state.BY_GRANTER.add(ctx, (granter, grantee))
    end_ns = rules.expiration_ns(allowance)
    if end_ns is not None:
        state.EXPIRATIONS.add(ctx, (end_ns, grantee, granter))


def _write(ctx: Context, granter: str, grantee: str, allowance: rules.Opened) -> None:
    grant = feegrant_pb2.Grant(granter=granter, grantee=grantee, allowance=allowance.packed)
    state.ALLOWANCES.set(ctx, (grantee, granter), grant)


def remove_grant(ctx: Context, granter: str, grantee: str) -> bool:
    """Removes an allowance with its indexes; False where there is none."""
    former = state.ALLOWANCES.get(ctx, (grantee, granter))
    if former is None:
        return False
    state.ALLOWANCES.remove(ctx, (grantee, granter))
    state.BY_GRANTER.remove(ctx, (granter, grantee))
    end_ns = rules.expiration_ns(opened(former))
    if end_ns is not None:
        state.EXPIRATIONS.remove(ctx, (end_ns, grantee, granter))
    return True


def payer_of(ctx: Context, tx: Tx, fee: Amounts) -> str:
    """The account whose coins pay: the fee's payer, or its granter, whose allowance is used for it.

    Raises what keeps the allowance from paying.
    """
    granter, grantee = tx.fee.granter, tx.fee_payer
    if granter in {"", grantee}:
        return grantee
    try:
        addresses.decode(granter)
    except addresses.AddressError as error:
        raise InvalidAddress(f"invalid fee granter address: {error}") from error
    try:
        use(ctx, granter, grantee, fee, [route.type_url for route, _ in tx.messages])
    except OutOfGas:
        raise
    except TxError as error:
        # Code and codespace stay those of the reason.
        error.args = (f"{granter} does not allow to pay fees for {grantee}: {error}",)
        raise
    return granter


def use(ctx: Context, granter: str, grantee: str, fee: Amounts, type_urls: list[str]) -> None:
    """Takes a fee off an allowance, which ends with its last coin; raises where it does not pay."""
    grant = state.ALLOWANCES.get(ctx, (grantee, granter))
    if grant is None:
        raise GrantNotFound
    allowance = opened(grant)
    if allowance.allowed is not None:
        compared = len(allowance.allowed) + len(type_urls)
        ctx.gas.consume(FILTER_GAS * compared, "check msg")
    left = rules.spent(allowance, fee, type_urls, ctx.block.time_ns)
    if left is None:
        remove_grant(ctx, granter, grantee)
        ctx.emit("revoke_feegrant", granter=granter, grantee=grantee)
        ctx.emit("use_feegrant", granter=granter, grantee=grantee)
        return
    # Its end, hence the indexes, stay as they are.
    _write(ctx, granter, grantee, left)
    ctx.emit("use_feegrant", granter=granter, grantee=grantee)
    ctx.emit("update_feegrant", granter=granter, grantee=grantee)


def prune(ctx: Context, budget: int) -> int:
    """Removes allowances that have ended, the oldest first, at most `budget`; returns how many."""
    due: list[tuple[int, str, str]] = []
    for key in state.EXPIRATIONS.walk(ctx):
        if key[0] > ctx.block.time_ns or len(due) >= budget:
            break
        due.append(key)
    for _, grantee, granter in due:
        remove_grant(ctx, granter, grantee)
    return len(due)
