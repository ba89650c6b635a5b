"""guardians: how much power in blocks the guardians get on top of what they proved. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.fixed import bps_of
from protocol.gen.evergrid.guardians.v1.guardians_pb2 import Decision
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import (
    REASON_GUARDIANS_ABSENT,
    REASON_GUARDIANS_ALONE,
    REASON_GUARDIANS_RAISED,
    REASON_GUARDIANS_SUFFICIENT,
    REASON_NETWORK_MATURE,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from protocol.gen.evergrid.epochs.v1.params_pb2 import GuardianParams


def decide(
    powers: Mapping[str, int], guardians: Collection[str], total_weight: int, params: GuardianParams
) -> Decision:
    """What each guardian gets on top of its voting power, with all that it follows from.

    powers: voting powers > 0 behind the cap, by address. guardians: those that are not INVALID. Together the
    guardians get at most multiplier_bps of the others' power; the part missing of it is split equally, so no
    guardian loses anything.
    """
    present = sorted(address for address in guardians if address in powers)
    own = sum(powers[address] for address in present)
    others = sum(powers.values()) - own
    decision = Decision(
        total_weight=total_weight,
        maturity_weight=params.maturity_weight,
        multiplier_bps=params.multiplier_bps,
        own_power=own,
        others_power=others,
        bound=bps_of(others, params.multiplier_bps),
        guardians=present,
    )
    extra = (decision.bound - own) // len(present) if present and decision.bound > own else 0
    if total_weight >= params.maturity_weight:
        decision.reason = REASON_NETWORK_MATURE
    elif not present:
        decision.reason = REASON_GUARDIANS_ABSENT
    elif not others:
        decision.reason = REASON_GUARDIANS_ALONE
    elif not extra:
        decision.reason = REASON_GUARDIANS_SUFFICIENT
    else:
        decision.reason, decision.extra_power = REASON_GUARDIANS_RAISED, extra
    return decision


def block_powers(powers: Mapping[str, int], decision: Decision) -> dict[str, int]:
    """The powers in blocks that follow from a decision, by address in the given order."""
    raised = frozenset(decision.guardians)
    return {
        address: power + (decision.extra_power if address in raised else 0)
        for address, power in powers.items()
    }
