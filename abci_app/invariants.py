"""What must hold of the state after every block, told as text where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import auth, bank, epochs, inference, rewards
from protocol.address import module_account

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


def broken(ctx: Context) -> list[str]:
    """Every invariant that does not hold, with its numbers; empty: all hold."""
    errors: list[str] = []
    denom = auth.fee_params(ctx).denom
    held = bank.balance(ctx, module_account(inference.ACCOUNT), denom)
    owed = inference.obligations(ctx) + rewards.unpaid_total(ctx)
    if held != owed:
        errors.append(f"the account {inference.ACCOUNT} holds {held}{denom} and owes {owed}{denom}")
    errors += (f"bank: {text}" for text in bank.MODULE.validate_genesis(bank.MODULE.export_genesis(ctx)))
    if epochs.state(ctx).epoch_effective and not any(epochs.voting_powers(ctx).values()):
        errors.append("no member of the effective group has voting power")
    return errors
