"""Which nodes serve while the nonces of a Proof of Compute are validated: chain and API node decide alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.gen.evergrid.reasons.v1.reasons_pb2 import (
    REASON_LOW_MEMORY,
    REASON_SERVES_VALIDATION,
    REASON_SWITCHED_OFF,
)

if TYPE_CHECKING:
    from protocol.gen.evergrid.epochs.v1.params_pb2 import UptimeParams
    from protocol.gen.evergrid.reasons.v1.reasons_pb2 import Reason


def serves_validation(memory_mib: int, v_ram: int, params: UptimeParams) -> Reason:
    """SERVES_VALIDATION, or why a node that mined does not serve again before the switch.

    memory_mib: of the node as its epoch froze it; v_ram: MiB of the epoch's model; params: of the PoC's own
    record. A model that does not say what it needs leaves nothing to decide by.
    """
    if not params.serve_during_validation:
        return REASON_SWITCHED_OFF
    return REASON_SERVES_VALIDATION if 0 < v_ram <= memory_mib - params.poc_v_ram else REASON_LOW_MEMORY
