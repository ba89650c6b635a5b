"""auth: accounts, what a transaction must prove before its messages run, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.module import Module
from abci_app.modules.auth import queries as _queries  # noqa: F401 - registers
from abci_app.modules.auth.accounts import (
    account,
    create_module_accounts,
    ensure_account,
    ensure_module_account,
    fee_params,
    has_account,
    is_module_account,
    params,
)
from abci_app.modules.auth.ante import ANTE_AFTER_FEE, ANTE_BEFORE_FEE
from abci_app.modules.auth.genesis import export_genesis, init_genesis, validate_genesis
from abci_app.modules.auth.signatures import is_valid as verify_signature
from abci_app.modules.auth.signatures import key_of, pending
from abci_app.modules.auth.signatures import remember as remember_signatures
from abci_app.modules.auth.unordered import prune
from protocol.gen.evergrid.auth.v1 import auth_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abci_app.kernel.context import Context
    from abci_app.kernel.tx import Tx
    from abci_app.modules.auth.signatures import Signed

__all__ = [
    "ANTE_AFTER_FEE",
    "ANTE_BEFORE_FEE",
    "MODULE",
    "account",
    "create_module_accounts",
    "ensure_account",
    "ensure_module_account",
    "fee_params",
    "has_account",
    "is_module_account",
    "params",
    "pending_signatures",
    "prune",
    "public_key",
    "remember_signatures",
    "verify_signature",
]

MODULE = Module("auth", auth_pb2.GenesisState, init_genesis, export_genesis, validate_genesis)


def pending_signatures(ctx: Context, txs: Sequence[Tx]) -> list[Signed]:
    """What of a block's transactions nobody has verified yet, to be verified at once and then remembered.

    Signers whose account the block itself creates are left to their turn.
    """
    numbers: dict[str, int] = {}
    for signer in sorted({signer for tx in txs for signer in tx.signers if "\0" not in signer}):
        found = account(ctx, signer)
        if found is not None:
            numbers[signer] = found.account_number
    return pending(txs, ctx.chain_id, numbers)


def public_key(ctx: Context, address: str) -> bytes:
    """The account's secp256k1 key (33 bytes); empty where there is no account or it never signed."""
    found = account(ctx, address)
    return (key_of(found.pub_key) or b"") if found is not None else b""
