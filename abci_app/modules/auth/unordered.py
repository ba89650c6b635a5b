"""Unordered transactions: a time instead of a sequence tells those of one signer apart, until it is past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from abci_app.kernel.errors import InvalidRequest
from abci_app.modules.auth import state

if TYPE_CHECKING:
    from abci_app.kernel.context import Context
    from abci_app.kernel.tx import Tx

SECOND_NS: Final = 10**9
# How far ahead of the block such a time may lie, and so for how long it is remembered.
AHEAD_MAX_NS: Final = 10 * 60 * SECOND_NS
# On top of what its entry in the state costs: it is looked up and removed later.
GAS: Final = 2240


def timeout_ns(tx: Tx) -> int:
    """The time after which the transaction is not valid, in nanoseconds since 1970; 0: none."""
    stamp = tx.body.timeout_timestamp
    return stamp.seconds * SECOND_NS + stamp.nanos


def check_unordered(ctx: Context, tx: Tx) -> None:
    """An unordered transaction has no sequence, and a time at most ten minutes ahead of the block."""
    if not tx.body.unordered:
        return
    if any(info.sequence for info in tx.auth_info.signer_infos):
        raise InvalidRequest("sequence is not allowed for unordered transactions")
    time_ns = timeout_ns(tx)
    if time_ns <= 0:
        raise InvalidRequest("unordered transaction must have timeout_timestamp set")
    if time_ns > ctx.block.time_ns + AHEAD_MAX_NS:
        raise InvalidRequest(
            f"unordered tx ttl exceeds {AHEAD_MAX_NS // SECOND_NS} s: block time {ctx.block.time_ns} ns, "
            f"timeout timestamp {time_ns} ns"
        )


def use_time(ctx: Context, tx: Tx) -> None:
    """Takes the transaction's time for each signer; raises InvalidRequest where it was taken already."""
    time_ns = timeout_ns(tx)
    for signer in tx.signers:
        ctx.gas.consume(GAS, "unordered")
        if state.UNORDERED.has(ctx, (time_ns, signer)):
            raise InvalidRequest(f"already used timeout {time_ns} for address {signer}")
        state.UNORDERED.add(ctx, (time_ns, signer))


def prune(ctx: Context, budget: int) -> int:
    """Forgets times that are past, the oldest first, at most `budget`; returns how many.

    What is forgotten cannot come again: a transaction whose time is before the block's is refused.
    """
    due: list[tuple[int, str]] = []
    for key in state.UNORDERED.walk(ctx):
        if key[0] >= ctx.block.time_ns or len(due) >= budget:
            break
        due.append(key)
    for key in due:
        state.UNORDERED.remove(ctx, key)
    return len(due)
