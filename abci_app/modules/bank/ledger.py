"""Moves coins between accounts. Only mint and burn change the supply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import InsufficientFunds
from abci_app.modules import auth
from abci_app.modules.bank import state
from abci_app.modules.bank.coins import AMOUNT_BOUND, Amounts, Coins, amounts_of, text_of
from protocol import address as addresses

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


def balance(ctx: Context, address: str, denom: str) -> int:
    """What the account has of a denomination."""
    return state.BALANCES.get(ctx, (address, denom)) or 0


def supply(ctx: Context, denom: str) -> int:
    """What exists of a denomination."""
    return state.SUPPLY.get(ctx, denom) or 0


def send_coins(ctx: Context, sender: str, recipient: str, coins: Coins | Amounts) -> None:
    """Moves coins (as messages, or amounts by denom); the recipient's account comes into being.

    Raises InsufficientFunds, with nothing changed, where the sender has less.
    """
    amounts = amounts_of(coins)
    if not amounts:
        return
    require_balance(ctx, sender, amounts)
    _subtract(ctx, sender, amounts)
    _add(ctx, recipient, amounts)
    auth.ensure_account(ctx, recipient)
    amount = text_of(amounts)
    ctx.emit("transfer", recipient=recipient, sender=sender, amount=amount)
    ctx.emit("message", sender=sender)


def mint(ctx: Context, module_name: str, coins: Coins | Amounts) -> None:
    """Creates coins in a module's account; a supply of 2^256 or more is our own bug."""
    amounts = amounts_of(coins)
    if not amounts:
        return
    address = auth.ensure_module_account(ctx, module_name)
    for denom, amount in amounts.items():
        total = supply(ctx, denom) + amount
        assert total < AMOUNT_BOUND, f"the supply of {denom} passes 2^256"
        state.SUPPLY.set(ctx, denom, total)
    _add(ctx, address, amounts)
    ctx.emit("coinbase", minter=address, amount=text_of(amounts))


def burn(ctx: Context, module_name: str, coins: Coins | Amounts) -> None:
    """Destroys coins of a module's account; raises InsufficientFunds, nothing changed, where it has less."""
    amounts = amounts_of(coins)
    if not amounts:
        return
    address = addresses.module_account(module_name)
    require_balance(ctx, address, amounts)
    _subtract(ctx, address, amounts)
    for denom, amount in amounts.items():
        _write_supply(ctx, denom, supply(ctx, denom) - amount)
    ctx.emit("burn", burner=address, amount=text_of(amounts))


def require_balance(ctx: Context, address: str, amounts: Amounts) -> None:
    """Raises InsufficientFunds, with the text that wallets know, where the account has less."""
    for denom, amount in amounts.items():
        spendable = balance(ctx, address, denom)
        if spendable < amount:
            raise InsufficientFunds(f"spendable balance {spendable}{denom} is smaller than {amount}{denom}")


def _subtract(ctx: Context, address: str, amounts: Amounts) -> None:
    for denom, amount in amounts.items():
        left = balance(ctx, address, denom) - amount
        assert left >= 0, "the balance was checked"
        if left:
            state.BALANCES.set(ctx, (address, denom), left)
        else:
            state.BALANCES.remove(ctx, (address, denom))
    ctx.emit("coin_spent", spender=address, amount=text_of(amounts))


def _add(ctx: Context, address: str, amounts: Amounts) -> None:
    for denom, amount in amounts.items():
        state.BALANCES.set(ctx, (address, denom), balance(ctx, address, denom) + amount)
    ctx.emit("coin_received", receiver=address, amount=text_of(amounts))


def _write_supply(ctx: Context, denom: str, total: int) -> None:
    assert total >= 0, "no more is burnt than exists"
    if total:
        state.SUPPLY.set(ctx, denom, total)
    else:
        state.SUPPLY.remove(ctx, denom)
