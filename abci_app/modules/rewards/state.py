"""State of rewards: the emission so far, what each epoch brought, what is still to be paid."""

from __future__ import annotations

from abci_app.kernel.collections import STR, U64, Item, KeySet, Map
from protocol.gen.evergrid.rewards.v1.rewards_pb2 import Emission, EpochSettlement, SettleAmount

EMISSION: Item[Emission] = Item("rewards/emission", Emission)
SETTLEMENTS: Map[int, EpochSettlement] = Map("rewards/settlements", U64, EpochSettlement)
AMOUNTS: Map[tuple[int, str], SettleAmount] = Map("rewards/amounts", (U64, STR), SettleAmount)
UNPAID: KeySet[tuple[int, str]] = KeySet("rewards/unpaid", (U64, STR))
