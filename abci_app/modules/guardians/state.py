"""State of guardians; nothing is written while the genesis names none."""

from __future__ import annotations

from abci_app.kernel.collections import STR, U64, Item, KeySet, Map
from protocol.gen.evergrid.guardians.v1.guardians_pb2 import Decision, Ended

# Addresses of participants, from the genesis; never written again.
NAMED: KeySet[str] = KeySet("guardians/named", STR)
ENDED: Item[Ended] = Item("guardians/ended", Ended)
# The last one of each epoch.
DECISIONS: Map[int, Decision] = Map("guardians/decisions", U64, Decision)
