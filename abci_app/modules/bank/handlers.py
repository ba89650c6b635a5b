"""Sending coins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import InvalidAddress, InvalidCoins, TxError, Unauthorized
from abci_app.kernel.module import handles
from abci_app.modules import auth
from abci_app.modules.bank import state
from abci_app.modules.bank.coins import added, amounts_of, coin_errors, text_of
from abci_app.modules.bank.ledger import require_balance, send_coins
from abci_app.modules.bank.rules import disabled_denoms, multi_send_errors
from protocol import address as addresses
from protocol.gen.cosmos.bank.v1beta1 import tx_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context

# Each one is checked, also where the sender has none of it.
COIN_GAS = 500


class SendDisabled(TxError):
    """The params keep these coins where they are."""

    codespace, code, text = "bank", 5, "send transactions are disabled"


class InputOutputMismatch(TxError):
    """What goes out is not what comes in."""

    codespace, code, text = "bank", 4, "sum inputs != sum outputs"


@handles(tx_pb2.MsgMultiSend)
def multi_send(ctx: Context, msg: tx_pb2.MsgMultiSend) -> None:
    """Moves coins from the one signer to many accounts that are no module's, all or none."""
    counts = [*(len(each.coins) for each in msg.inputs), *(len(each.coins) for each in msg.outputs)]
    ctx.gas.consume(COIN_GAS * sum(max(1, count) for count in counts), "coins")
    _check_multi_send(msg)
    sender = msg.inputs[0]
    amounts = amounts_of(sender.coins)
    params = state.PARAMS.require(ctx)
    if disabled := disabled_denoms(params, amounts):
        raise SendDisabled(f"{', '.join(disabled)} transfers are currently disabled")
    for output in msg.outputs:
        if auth.is_module_account(ctx, output.address):
            raise Unauthorized(f"{output.address} is not allowed to receive funds")

    require_balance(ctx, sender.address, amounts)
    for output in msg.outputs:
        send_coins(ctx, sender.address, output.address, output.coins)


def _check_multi_send(msg: tx_pb2.MsgMultiSend) -> None:
    assert len(msg.inputs) == 1, "a message of none or of many names no signer, so it does not come here"
    if errors := multi_send_errors(msg):
        raise InvalidCoins("; ".join(errors))
    total: dict[str, int] = {}
    for output in msg.outputs:
        total = added(total, amounts_of(output.coins))
    given = amounts_of(msg.inputs[0].coins)
    if total != given:
        raise InputOutputMismatch(f"{text_of(given)} in, {text_of(total)} out")


@handles(tx_pb2.MsgSend)
def send(ctx: Context, msg: tx_pb2.MsgSend) -> None:
    """Moves coins from the signer to an account that is no module's."""
    ctx.gas.consume(COIN_GAS * len(msg.amount), "coins")
    if errors := addresses.problems({"from": msg.from_address, "to": msg.to_address}):
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
