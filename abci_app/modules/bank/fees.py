"""The step of the ante chain that takes a transaction's fee."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from abci_app.kernel.context import Mode
from abci_app.kernel.errors import InsufficientFee, InsufficientFunds, UnknownAddress
from abci_app.kernel.fixed import MILLION, div_ceil
from abci_app.modules import auth
from abci_app.modules.bank.coins import Amounts, amounts_of, coin_errors, text_of
from abci_app.modules.bank.ledger import send_coins
from protocol import address as addresses

if TYPE_CHECKING:
    from collections.abc import Callable

    from abci_app.kernel.context import Context
    from abci_app.kernel.tx import Tx

FEE_COLLECTOR: Final = "fee_collector"
# A simulation has no fee to move yet. Two balances read twice and written, one account looked up, with
# amounts of up to 20 bytes.
MOVE_GAS: Final = 3 * 1060 + 2 * 2600 + 1000


def deduct_fee(
    ctx: Context,
    tx: Tx,
    waived: bool,  # noqa: FBT001 - the application decides it
    payer_of: Callable[[Context, Tx, Amounts], str],
) -> None:
    """Takes the fee; whether it is enough only a mempool asks, and not where it is waived.

    `payer_of` names the account whose coins it takes, and raises where that account does not let it.
    """
    # Where gas costs nothing, wallets write a fee of zero.
    offered = [] if all(coin.amount == "0" for coin in tx.fee.amount) else tx.fee.amount
    if errors := coin_errors(offered):
        raise InsufficientFee(f"invalid fee amount: {'; '.join(errors)}")
    amounts = amounts_of(offered)
    if ctx.mode in (Mode.CHECK, Mode.RECHECK) and not waived:
        _require_minimum(ctx, tx, amounts)
    payer = payer_of(ctx, tx, amounts)
    if not auth.has_account(ctx, payer):
        raise UnknownAddress(f"fee payer address: {payer} does not exist")
    if ctx.mode is Mode.SIMULATE and not amounts:
        ctx.gas.consume(MOVE_GAS, "simulated fee")
    try:
        send_coins(ctx, payer, addresses.module_account(FEE_COLLECTOR), amounts)
    except InsufficientFunds as error:
        # Wallets know the text with its end twice.
        raise InsufficientFunds(str(error)) from error
    ctx.emit("tx", fee=text_of(amounts), fee_payer=payer)


def _require_minimum(ctx: Context, tx: Tx, amounts: Amounts) -> None:
    params = auth.fee_params(ctx)
    required = div_ceil(params.minimum_gas_price_micro * tx.gas_limit, MILLION)
    if amounts.get(params.denom, 0) < required:
        raise InsufficientFee(
            f"insufficient fees; got: {text_of(amounts)} required: {required}{params.denom}"
        )
