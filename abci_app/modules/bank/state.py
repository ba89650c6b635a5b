"""What bank keeps. A balance or supply of zero is not kept."""

from __future__ import annotations

from abci_app.kernel.collections import STR, Item, Map
from protocol.gen.cosmos.bank.v1beta1 import bank_pb2

PARAMS: Item[bank_pb2.Params] = Item("bank/params", bank_pb2.Params)
BALANCES: Map[tuple[str, str], int] = Map("bank/balances", (STR, STR), int)  # by address, denom
SUPPLY: Map[str, int] = Map("bank/supply", STR, int)  # by denom
METADATA: Map[str, bank_pb2.Metadata] = Map("bank/metadata", STR, bank_pb2.Metadata)  # by base denom
