"""uptime: what the chain keeps. The slots and the throughput vectors themselves stand in the epoch groups."""

from __future__ import annotations

from abci_app.kernel.collections import STR, U64, KeySet, Map
from protocol.gen.evergrid.uptime.v1.uptime_pb2 import PreservedNodes, SlotAllocation, ThroughputValidation

# By upcoming epoch and model: which draws were made. It is in the tree, so all nodes prune alike.
ALLOCATED: KeySet[tuple[int, str]] = KeySet("uptime/allocated", (U64, STR))
# The traces of the draws, beside the tree since consensus does not read them again.
ALLOCATIONS: Map[tuple[int, str], SlotAllocation] = Map("~uptime/allocations", (U64, STR), SlotAllocation)
# By participant: for each of its nodes the epoch for whose PoC it was preserved last, within the retention.
LAST_PRESERVED: Map[str, PreservedNodes] = Map("uptime/last_preserved", STR, PreservedNodes)
# The same of the checks of real throughput.
VALIDATED: KeySet[tuple[int, str]] = KeySet("uptime/validated", (U64, STR))
THROUGHPUT_VALIDATIONS: Map[tuple[int, str], ThroughputValidation] = Map(
    "~uptime/throughput_validations", (U64, STR), ThroughputValidation
)
