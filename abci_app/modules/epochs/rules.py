"""The arithmetic of epochs: heights of stages, slots in force, voting power, when to extend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from abci_app.kernel.fixed import BPS, div_ceil
from abci_app.modules.epochs.param_checks import params_errors
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import POC_SLOT, PRE_POC_SLOT
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import (
    REASON_EMPTY_GROUP,
    REASON_RETAINED_POWER,
    REASON_SERVES_VALIDATION,
)
from protocol.slots import serves_validation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import MLNodeInfo, TimeSlot
    from protocol.gen.evergrid.epochs.v1.params_pb2 import EpochParams, UptimeParams
    from protocol.gen.evergrid.reasons.v1.reasons_pb2 import Reason

__all__ = [
    "STAGES",
    "Extension",
    "PocPeriod",
    "StageHeights",
    "extension",
    "params_errors",
    "power_cap",
    "power_limit",
    "quarantine_over",
    "scale_powers",
    "serves_between",
    "slots_between",
    "stage_heights",
    "validator_updates",
]

# CometBFT halts above 2^60; below 2^53 every client reads the powers exactly.
POWER_TOTAL_MAX = 2**53
# With few members the cap of many would leave nobody enough to decide anything.
_CAP_AT_LEAST = {2: 5_000, 3: 4_000}


@dataclass(frozen=True, slots=True)
class StageHeights:
    """The heights of one record: S and all that follows from it."""

    pre_poc: int
    start: int
    end: int
    batches_end: int
    validation_start: int
    validation_end: int
    switch: int


# The stages by name, in the order of the table, and where StageHeights has their height.
STAGES: tuple[tuple[str, str], ...] = (
    ("pre_poc_scheduling", "pre_poc"),
    ("start_of_poc", "start"),
    ("end_of_poc", "end"),
    ("start_of_poc_validation", "validation_start"),
    ("end_of_poc_validation", "validation_end"),
    ("end_of_epoch", "switch"),
)


def stage_heights(params: EpochParams, height_start: int) -> StageHeights:
    """The heights of the stages of a record with these params that starts at S (protocol, section 2)."""
    end = height_start + params.poc_stage_duration
    validation_start = end + params.poc_validation_delay
    validation_end = validation_start + params.poc_validation_duration
    return StageHeights(
        pre_poc=height_start - 1,
        start=height_start,
        end=end,
        batches_end=end + params.poc_exchange_duration,
        validation_start=validation_start,
        validation_end=validation_end,
        switch=validation_end + params.set_validators_delay,
    )


def slots_between(height_from: int, height_to: int, poc_periods: Iterable[tuple[int, int]]) -> list[TimeSlot]:
    """The slots in force at some height of a range, sorted; a PoC period is (first height, last height)."""
    heights = max(0, height_to - height_from + 1)
    within = sum(
        max(0, min(last, height_to) - max(first, height_from) + 1) for first, last in sorted(poc_periods)
    )
    return [slot for slot, here in ((PRE_POC_SLOT, within < heights), (POC_SLOT, within > 0)) if here]


@dataclass(frozen=True, slots=True)
class PocPeriod:
    """One PoC: POC_SLOT is in force from `first` to `last`; at `generated` nonces are no longer generated."""

    first: int
    last: int
    generated: int
    # Of its own record: whether nodes that mined serve again behind `generated`.
    uptime: UptimeParams


def serves_between(
    node: MLNodeInfo, v_ram: int, height_from: int, height_to: int, periods: Sequence[PocPeriod]
) -> bool:
    """Whether a node serves at some height of a range, both ends included; v_ram: MiB of its model.

    It does where a slot of its own is in force; and a node that serves outside PoC also from the end of the
    generation until the end of the PoC period, if its memory suffices and the params of that PoC allow it.
    """
    slots = slots_between(height_from, height_to, [(period.first, period.last) for period in periods])
    if any(slot < len(node.timeslot_allocation) and node.timeslot_allocation[slot] for slot in slots):
        return True
    if not any(node.timeslot_allocation[PRE_POC_SLOT : PRE_POC_SLOT + 1]):
        return False
    return any(
        max(period.generated + 1, height_from) <= min(period.last, height_to)
        and serves_validation(node.memory_mib, v_ram, period.uptime) == REASON_SERVES_VALIDATION
        for period in periods
    )


def power_cap(weights: Sequence[int], max_individual_power_bps: int) -> list[int]:
    """The voting power of each weight, in their order: min(weight, power_limit). Weights 0 have power 0."""
    limit = power_limit([weight for weight in weights if weight > 0], max_individual_power_bps)
    return [min(weight, limit) for weight in weights]


@dataclass(frozen=True, slots=True)
class PowerLimit:
    """The most power that one member may have, and what it follows from: the larger of the two limits."""

    limit: int
    # At which the largest power is just the share of the sum that `bps` allows.
    share_limit: int
    # At which the powers sum to half of the weights.
    half_limit: int
    bps: int


def power_limit(weights: Sequence[int], max_individual_power_bps: int) -> int:
    """The most power that one member may have (protocol, section 9); weights > 0, in any order.

    No one holds more than the cap's share of the sum, unless powers then summed to less than half of the
    weights: so no one's share more than doubles by capping others.
    """
    return power_limit_trace(weights, max_individual_power_bps).limit


def power_limit_trace(weights: Sequence[int], max_individual_power_bps: int) -> PowerLimit:
    """`power_limit` with what it follows from; of one member there is no cap."""
    ascending = sorted(weights)
    if len(ascending) <= 1:
        alone = ascending[0] if ascending else 0
        return PowerLimit(alone, alone, alone, BPS)
    bps = max(max_individual_power_bps, _CAP_AT_LEAST.get(len(ascending), 0))
    share, half = _share_limit(ascending, bps), _half_limit(ascending)
    return PowerLimit(max(share, half), share, half, bps)


def _share_limit(ascending: Sequence[int], bps: int) -> int:
    """The limit at which the largest power is just the share of the sum that the cap allows."""
    before, former = 0, 1
    for k, weight in enumerate(ascending):
        count = len(ascending) - k
        if BPS * weight > bps * (before + count * weight):
            room = BPS - bps * count
            return max(bps * before // room if room > 0 else weight, former)
        before, former = before + weight, weight
    return ascending[-1]


def _half_limit(ascending: Sequence[int]) -> int:
    """The least limit at which powers sum to half of the weights."""
    half = div_ceil(sum(ascending), 2)
    before = 0
    for k, weight in enumerate(ascending):
        count = len(ascending) - k
        if before + count * weight >= half:
            return div_ceil(half - before, count)
        before += weight
    raise AssertionError("the weights sum to more than half of them")


def scale_powers(powers: Mapping[bytes, int]) -> dict[bytes, int]:
    """Powers by key, sorted, scaled down where they sum to more than 2^53; none becomes 0."""
    total = sum(powers.values())
    if total <= POWER_TOTAL_MAX:
        return {key: powers[key] for key in sorted(powers)}
    return {key: max(1, powers[key] * POWER_TOTAL_MAX // total) for key in sorted(powers)}


def validator_updates(last: Mapping[bytes, int], powers: Mapping[bytes, int]) -> list[tuple[bytes, int]]:
    """What turns the set last given into the powers, by key; power 0 only for keys that were given."""
    keys = sorted({*last, *powers})
    return [(key, powers.get(key, 0)) for key in keys if last.get(key, 0) != powers.get(key, 0)]


@dataclass(frozen=True, slots=True)
class Extension:
    """Whether the switch is refused, and the numbers that decided it. reason None: the switch happens."""

    reason: Reason | None
    retained_power: int
    effective_power: int
    waived: bool


def extension(
    powers: Mapping[str, int],
    next_powers: Mapping[str, int],
    next_weights: Mapping[str, int],
    extensions: int,
    params: EpochParams,
) -> Extension:
    """Refuses an empty next group always, one that keeps too little of the effective power a few times.

    powers: of the effective group. A next group without voting power has no validators: it counts as empty.
    """
    effective = sum(powers.values())
    retained = sum(power for address, power in powers.items() if next_weights.get(address, 0) > 0)
    numerator, denominator = params.min_retained_power_numerator, params.min_retained_power_denominator
    too_little = retained * denominator < effective * numerator
    waived = too_little and extensions >= params.max_extensions
    reason = None
    if sum(next_powers.values()) == 0:
        reason = REASON_EMPTY_GROUP
    elif too_little and not waived:
        reason = REASON_RETAINED_POWER
    return Extension(reason, retained, effective, waived)


def quarantine_over(
    epoch_invalid: int, epoch_effective: int, quarantine_epochs: int, *, member: bool
) -> bool:
    """Whether an INVALID participant may mine again at a switch: after so many whole epochs without weight.

    One that is still a member of the group that becomes effective (it fell after the formation) waits on.
    """
    return not member and epoch_effective >= epoch_invalid + quarantine_epochs
