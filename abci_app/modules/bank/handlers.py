"""Sending coins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import InvalidAddress, InvalidCoins, TxError, Unauthorized
from abci_app.kernel.module import handles
from abci_app.modules import auth
from abci_app.modules.bank import state
from abci_app.modules.bank.coins import amounts_of, coin_errors
from abci_app.modules.bank.ledger import send_coins
from abci_app.modules.bank.rules import address_errors, disabled_denoms
from protocol.gen.cosmos.bank.v1beta1 import tx_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context

# Each one is checked, also where the sender has none of it.
COIN_GAS = 500


class SendDisabled(TxError):
    """The params keep these coins where they are."""

    codespace, code, text = "bank", 5, "send transactions are disabled"


@handles(tx_pb2.MsgSend)
def send(ctx: Context, msg: tx_pb2.MsgSend) -> None:
    """Moves coins from the signer to an account that is no module's."""
    ctx.gas.consume(COIN_GAS * len(msg.amount), "coins")
    if errors := address_errors({"from": msg.from_address, "to": msg.to_address}):
        raise InvalidAddress("; ".join(errors + coin_errors(msg.amount)))
    if errors := coin_errors(msg.amount) or ([] if msg.amount else ["no coins"]):
        raise InvalidCoins("; ".join(errors))
    amounts = amounts_of(msg.amount)
    params = state.PARAMS.require(ctx)
    if disabled := disabled_denoms(params, amounts):
        raise SendDisabled(f"{', '.join(disabled)} transfers are currently disabled")
    if auth.is_module_account(ctx, msg.to_address):
        raise Unauthorized(f"{msg.to_address} is not allowed to receive funds")

    send_coins(ctx, msg.from_address, msg.to_address, amounts)
