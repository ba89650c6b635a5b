"""State of maintenance: the windows, and what each participant may still announce."""

from __future__ import annotations

from abci_app.kernel.collections import STR, U64, Map
from protocol.gen.evergrid.maintenance.v1.maintenance_pb2 import MaintenanceWindow

# By participant, node_id (empty: all of them), first height.
WINDOWS: Map[tuple[str, str, int], MaintenanceWindow] = Map(
    "maintenance/windows", (STR, STR, U64), MaintenanceWindow
)
# By last height, participant, node_id: the first height. What is still to come is found without the past.
BY_END: Map[tuple[int, str, str], int] = Map("maintenance/by_end", (U64, STR, STR), int)
# The same by participant first: what one of them has ahead, without its past.
BY_PARTICIPANT: Map[tuple[str, int, str], int] = Map("maintenance/by_participant", (STR, U64, STR), int)
# Blocks, by participant.
CREDITS: Map[str, int] = Map("maintenance/credits", STR, int)
