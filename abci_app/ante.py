"""The ante chain: what every transaction passes before its messages run, in the order that wallets know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import InsufficientFee, TxError
from abci_app.modules import auth, authz, bank, epochs, feegrant, hardware
from protocol.gen.cosmos.authz.v1beta1.tx_pb2 import MsgExec

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
        "/evergrid.inference.v1.MsgValidateInference",
    }
)
# Room for one batch of the largest size and its nonces, and for verdicts on 5,000 participants.
FREE_GAS_MAX = 40_000_000


def fee_waived(ctx: Context, tx: Tx) -> bool:
    """Whether every message is a free one of a participant that has not used up its free messages."""
    if any(amount.amount not in {"", "0"} for amount in tx.auth_info.fee.amount):
        return False
    if tx.gas_limit > FREE_GAS_MAX:
        return False
    creators = _free_creators(ctx, tx)
    if not creators or any(hardware.get_participant(ctx, creator) is None for creator in creators):
        return False
    # Each one is counted, also behind one that is refused.
    granted = [epochs.free_message(ctx, creator) for creator in creators]
    return all(granted)


def _free_creators(ctx: Context, tx: Tx) -> list[str]:
    """Whose free messages these are, one entry a message, also within MsgExec; empty where one is not free.

    A stranger uses up nobody's free messages: what is executed for another one must be granted.
    """
    creators: list[str] = []
    for route, message in tx.messages:
        inner = [(route, message)]
        if isinstance(message, MsgExec):
            try:
                inner = authz.executed(message)
            except TxError:
                return []
        for each, content in inner:
            creator = each.signer_of(content)
            if each.type_url not in FREE_MESSAGES:
                return []
            if isinstance(message, MsgExec) and not authz.is_granted(
                ctx, creator, message.grantee, each.type_url
            ):
                return []
            creators.append(creator)
    return creators


def deduct_fee(ctx: Context, tx: Tx) -> None:
    """Takes the fee from its payer or granter; whether it is enough does not matter where it is waived."""
    try:
        bank.deduct_fee(ctx, tx, fee_waived(ctx, tx), feegrant.payer_of)
    except InsufficientFee as error:
        if tx.gas_limit > FREE_GAS_MAX and error.args:
            limit = f"protocol messages are free up to a gas limit of {FREE_GAS_MAX}, this is {tx.gas_limit}"
            error.args = (f"{error.args[0]}; {limit}",)
        raise


def ante_chain() -> tuple[Callable[[Context, Tx], None], ...]:
    """The steps in order."""
    return (*auth.ANTE_BEFORE_FEE, deduct_fee, *auth.ANTE_AFTER_FEE)
