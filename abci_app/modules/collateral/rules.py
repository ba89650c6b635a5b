"""collateral: what weight it covers, when it is paid back, what a slash takes. Pure; amounts in nevg."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from abci_app.kernel.fixed import BPS, bps_of, div_ceil, mul_div_floor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from protocol.gen.evergrid.epochs.v1.params_pb2 import CollateralParams


@dataclass(frozen=True, slots=True)
class Covered:
    """A member's weight behind collateral, and what it follows from."""

    weight: int
    # The part that needs no collateral, and the weight that the deposit pays for.
    base: int
    covered: int


def weight_applies(epoch: int, params: CollateralParams) -> bool:
    """Whether weight in this epoch needs collateral."""
    return params.collateral_per_weight > 0 and epoch > params.grace_end_epoch


def cover(proved: int, deposit: int, params: CollateralParams) -> Covered:
    """The weight that collateral leaves of what was proved: the base, rounded up, and what is paid for.

    So no weight > 0 sinks to nothing, and none rises.
    """
    base = div_ceil(proved * params.base_weight_bps, BPS)
    covered = deposit // params.collateral_per_weight
    return Covered(base + min(proved - base, covered), base, covered)


def part(subgroup_weight: int, weight: int, proved: int) -> int:
    """A member's weight within a subgroup, cut as the whole is; rounded down, so parts stay within it."""
    return mul_div_floor(subgroup_weight, weight, proved)


def epoch_release(epoch: int, params: CollateralParams) -> int:
    """From the switch to which epoch on a withdrawal in an epoch is paid back: whole epochs lie between."""
    return epoch + params.unbonding_epochs + 1


@dataclass(frozen=True, slots=True)
class Cut:
    """What a slash takes from a deposit, and from each withdrawal by its epoch of release."""

    deposit: int
    unbonding: dict[int, int]

    @property
    def total(self) -> int:
        """All of it."""
        return self.deposit + sum(self.unbonding.values())


def slash(deposit: int, unbonding: Mapping[int, int], fraction_bps: int, epoch: int) -> Cut:
    """The same fraction, rounded down, of the deposit and of every withdrawal not yet due in an epoch."""
    return Cut(
        bps_of(deposit, fraction_bps),
        {
            release: bps_of(amount, fraction_bps)
            for release, amount in sorted(unbonding.items())
            if release > epoch and bps_of(amount, fraction_bps)
        },
    )
