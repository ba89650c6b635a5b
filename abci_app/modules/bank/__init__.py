"""bank: who has how many coins of which denomination."""

from __future__ import annotations

from abci_app.kernel.module import Module
from abci_app.modules.bank import handlers as _handlers  # noqa: F401 - registers
from abci_app.modules.bank import queries as _queries  # noqa: F401 - registers
from abci_app.modules.bank.coins import (
    Amounts,
    Coins,
    added,
    amounts_of,
    coin,
    coin_errors,
    coins_of,
    covers,
    parse_amount,
    scale,
    text_of,
)
from abci_app.modules.bank.fees import FEE_COLLECTOR, deduct_fee
from abci_app.modules.bank.genesis import COMMUNITY_POOL, export_genesis, init_genesis
from abci_app.modules.bank.ledger import balance, burn, mint, require_balance, send_coins, supply
from abci_app.modules.bank.rules import genesis_errors
from protocol.gen.cosmos.bank.v1beta1 import genesis_pb2

__all__ = [
    "COMMUNITY_POOL",
    "FEE_COLLECTOR",
    "MODULE",
    "Amounts",
    "Coins",
    "added",
    "amounts_of",
    "balance",
    "burn",
    "coin",
    "coin_errors",
    "coins_of",
    "covers",
    "deduct_fee",
    "mint",
    "parse_amount",
    "require_balance",
    "scale",
    "send_coins",
    "supply",
    "text_of",
]

MODULE = Module(
    "bank",
    genesis_pb2.GenesisState,
    init_genesis,
    export_genesis,
    genesis_errors,
    accounts=(FEE_COLLECTOR, COMMUNITY_POOL),
)
