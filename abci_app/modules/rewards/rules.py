"""Pure rules of settlement (protocol, section 7): emission, coverage, members' shares, the pool's rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from abci_app.kernel.fixed import BPS, TRILLION, bps_of, mul_div_floor
from protocol.gen.evergrid.epochs.v1.params_pb2 import COVERAGE_BONUS_MODE_SHARED
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import (
    REASON_COVERED,
    REASON_MISSED_INFERENCES,
    REASON_NO_WEIGHT,
    REASON_NOT_COVERED,
    REASON_PARTICIPANT_INVALID,
    REASON_SUPPLY_CAP,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from protocol.gen.evergrid.epochs.v1.params_pb2 import RewardParams
    from protocol.gen.evergrid.reasons.v1.reasons_pb2 import Reason


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the ending epoch: weight of its nodes that have a model, availability, coverage."""

    address: str
    weight: int
    availability_bps: int
    covered: bool
    invalid: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """What one member gets, in nevg, and why it is not more."""

    member: Member
    base: int
    bonus: int
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an epoch's reward is split; minted = paid bases and bonuses and what goes to the community pool."""

    reward: int
    bonuses: int
    community_pool: int
    shares: tuple[Share, ...]
    # What it began with: the emission's reward, and what could still be minted under the cap.
    reward_before_cap: int = 0
    left_under_cap: int = 0

    @property
    def minted(self) -> int:
        """nevg that come into being."""
        return self.reward + self.bonuses


@dataclass(frozen=True, slots=True)
class Coverage:
    """Whether a participant covers every model that counts; the weights that it has and needs, by model."""

    covered: bool
    models: tuple[tuple[str, int, int, bool], ...] = field(default=())


def next_reward(reward: int, decay_per_trillion: int) -> int:
    """The reward of the following epoch."""
    return mul_div_floor(reward, TRILLION - decay_per_trillion, TRILLION)


def coverage(
    weights: Mapping[str, int],
    models: Sequence[str],
    models_before: Sequence[str],
    *,
    weight: int,
    weight_min: int,
    share_bps: int,
) -> Coverage:
    """Whether the weights on each model reach max(weight_min, weight * share / models).

    Models without a subgroup in the epoch before are left out: nobody had a chance to prepare for them. If
    none remains, no one is covered.
    """
    needed = max(weight_min, weight * share_bps // (BPS * len(models))) if models else weight_min
    rows = tuple(
        (model_id, weights.get(model_id, 0), needed, model_id in models_before) for model_id in sorted(models)
    )
    counted = [row for row in rows if row[3]]
    return Coverage(bool(counted) and all(has >= need for _, has, need, _ in counted), rows)


def settle(params: RewardParams, reward: int, left_under_cap: int, members: Sequence[Member]) -> Settlement:
    """Splits an epoch's reward over its members, given what may still be minted.

    Forfeits and rounding go to the community pool, never to the other members: nobody gains from another's
    loss.
    """
    weight_total = sum(member.weight for member in members)
    if weight_total == 0:
        none = tuple(Share(member, 0, 0, no_share(invalid=member.invalid)) for member in members)
        return Settlement(0, 0, 0, none, reward, left_under_cap)
    capped = min(reward, left_under_cap)
    if params.coverage_bonus_mode == COVERAGE_BONUS_MODE_SHARED:
        bases, bonuses = _shared(params, capped, members), [0] * len(members)
    else:
        bases = [
            mul_div_floor(capped, member.weight * member.availability_bps, weight_total * BPS)
            for member in members
        ]
        bonuses = [
            bps_of(base, params.coverage_bonus_bps) if member.covered else 0
            for base, member in zip(bases, members, strict=True)
        ]
    left, wanted = left_under_cap - capped, sum(bonuses)
    cut = wanted > left
    if cut:
        bonuses = [mul_div_floor(bonus, left, wanted) for bonus in bonuses]
    shares = tuple(
        Share(member, base, bonus, _reasons(member, capped=cut or capped < reward))
        for member, base, bonus in zip(members, bases, bonuses, strict=True)
    )
    return Settlement(capped, sum(bonuses), capped - sum(bases), shares, reward, left_under_cap)


def no_share(*, invalid: bool) -> tuple[Reason, ...]:
    """Why one without weight, or in an epoch without weight, gets nothing."""
    return (REASON_NO_WEIGHT, REASON_PARTICIPANT_INVALID) if invalid else (REASON_NO_WEIGHT,)


def _shared(params: RewardParams, reward: int, members: Sequence[Member]) -> list[int]:
    """The bonus raises a covered member's share; the sum stays the reward."""
    raised = [
        member.weight * (BPS + (params.coverage_bonus_bps if member.covered else 0)) for member in members
    ]
    total = sum(raised)
    return [
        mul_div_floor(reward, share * member.availability_bps, total * BPS)
        for share, member in zip(raised, members, strict=True)
    ]


def _reasons(member: Member, *, capped: bool) -> tuple[Reason, ...]:
    reasons = [REASON_COVERED if member.covered else REASON_NOT_COVERED]
    if member.weight == 0:
        reasons.append(REASON_NO_WEIGHT)
    if member.invalid:
        reasons.append(REASON_PARTICIPANT_INVALID)
    elif member.availability_bps < BPS:
        reasons.append(REASON_MISSED_INFERENCES)
    if capped:
        reasons.append(REASON_SUPPLY_CAP)
    return tuple(reasons)
