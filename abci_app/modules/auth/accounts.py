"""Accounts: who there is, under which number, and with which key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules.auth import state
from protocol import address as addresses
from protocol.gen.cosmos.auth.v1beta1 import auth_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.auth.v1 import auth_pb2 as evergrid_auth

# What the SDK starts with.
PARAMS_DEFAULT = auth_pb2.Params(
    max_memo_characters=256,
    tx_sig_limit=7,
    tx_size_cost_per_byte=10,
    sig_verify_cost_ed25519=590,
    sig_verify_cost_secp256k1=1000,
)


def params(ctx: Context) -> auth_pb2.Params:
    """The limits on what accounts sign."""
    return state.PARAMS.get(ctx) or PARAMS_DEFAULT


def fee_params(ctx: Context) -> evergrid_auth.FeeParams:
    """The denomination of fees and the minimum gas price."""
    return state.FEES.require(ctx)


def account(ctx: Context, address: str) -> auth_pb2.BaseAccount | None:
    """The account, or None."""
    return state.ACCOUNTS.get(ctx, address)


def has_account(ctx: Context, address: str) -> bool:
    """Whether there is such an account."""
    return state.ACCOUNTS.has(ctx, address)


def set_account(ctx: Context, changed: auth_pb2.BaseAccount) -> None:
    """Writes an account that exists."""
    state.ACCOUNTS.set(ctx, changed.address, changed)


def ensure_account(ctx: Context, address: str) -> None:
    """Creates the account, with the next number, where it does not exist."""
    if state.ACCOUNTS.has(ctx, address):
        return
    number = state.ACCOUNT_NUMBER.next(ctx)
    state.ACCOUNTS.set(ctx, address, auth_pb2.BaseAccount(address=address, account_number=number))


def ensure_module_account(ctx: Context, name: str) -> str:
    """The address of a module's account, which is created where it does not exist."""
    address = addresses.module_account(name)
    if not state.MODULE_ACCOUNTS.has(ctx, address):
        ensure_account(ctx, address)
        state.MODULE_ACCOUNTS.set(ctx, address, auth_pb2.ModuleAccount(name=name))
    return address


def create_module_accounts(ctx: Context, names: Iterable[str]) -> None:
    """Creates the accounts of modules in the given order, so that nobody can send coins to them."""
    for name in names:
        ensure_module_account(ctx, name)


def is_module_account(ctx: Context, address: str) -> bool:
    """Whether no key opens this account, a module does."""
    return state.MODULE_ACCOUNTS.has(ctx, address)
