"""The ante chain: what every transaction passes before its messages run, in the order that wallets know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import auth, bank, epochs, hardware

if TYPE_CHECKING:
    from collections.abc import Callable

    from abci_app.kernel.context import Context
    from abci_app.kernel.tx import Tx

# Protocol messages of a registered participant cost no fee, up to a number in each epoch.
FREE_MESSAGES = frozenset(
    {
        "/evergrid.hardware.v1.MsgSubmitHardwareDiff",
        "/evergrid.poc.v1.MsgSubmitPocBatch",
        "/evergrid.poc.v1.MsgSubmitPocValidations",
        "/evergrid.inference.v1.MsgStartInference",
        "/evergrid.inference.v1.MsgFinishInference",
    }
)


def fee_waived(ctx: Context, tx: Tx) -> bool:
    """Whether every message is a free one of a participant that has not used up its free messages."""
    if any(amount.amount not in {"", "0"} for amount in tx.auth_info.fee.amount):
        return False
    if not all(route.type_url in FREE_MESSAGES for route, _ in tx.messages):
        return False
    creators = [getattr(message, route.signer) for route, message in tx.messages]
    if any(hardware.get_participant(ctx, creator) is None for creator in creators):
        return False
    # Each one is counted, also behind one that is refused.
    granted = [epochs.free_message(ctx, creator) for creator in creators]
    return all(granted)


def deduct_fee(ctx: Context, tx: Tx) -> None:
    """Takes the fee, unless it is waived."""
    bank.deduct_fee(ctx, tx, fee_waived(ctx, tx))


def ante_chain() -> tuple[Callable[[Context, Tx], None], ...]:
    """The steps in order."""
    return (*auth.ANTE_BEFORE_FEE, deduct_fee, *auth.ANTE_AFTER_FEE)
