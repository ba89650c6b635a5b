"""State of collateral; nothing is written while the module is off. Amounts in nevg."""

from __future__ import annotations

from abci_app.kernel.collections import STR, U64, Item, KeySet, Map
from protocol.gen.evergrid.collateral.v1.collateral_pb2 import CollateralWeight, DowntimeDue, Slash

# By participant; what is gone has no entry.
DEPOSITS: Map[str, int] = Map("collateral/deposits", STR, int)
# By participant and the epoch from whose switch on it is paid back.
UNBONDING: Map[tuple[str, int], int] = Map("collateral/unbonding", (STR, U64), int)
# The same by epoch first: the queue.
QUEUE: KeySet[tuple[int, str]] = KeySet("collateral/queue", (U64, STR))
# By epoch of the offence, participant and height.
SLASHES: Map[tuple[int, str, int], Slash] = Map("collateral/slashes", (U64, STR, U64), Slash)
# By epoch and participant.
WEIGHTS: Map[tuple[int, str], CollateralWeight] = Map("collateral/weights", (U64, STR), CollateralWeight)
# Set from the end of an epoch until its downtime is charged.
DOWNTIME_DUE: Item[DowntimeDue] = Item("collateral/downtime_due", DowntimeDue)
