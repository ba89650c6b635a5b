"""rewards: why an epoch brought a participant its amount: the split made again from what it began with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import not_found
from abci_app.kernel.fixed import BPS
from abci_app.kernel.trace import compare, conclude, source, step, word
from abci_app.modules import epochs, inference
from abci_app.modules.rewards import rules, state, steps
from protocol.gen.evergrid.epochs.v1.params_pb2 import CoverageBonusMode
from protocol.gen.evergrid.explain.v1.explain_pb2 import Explanation
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.params_pb2 import RewardParams
    from protocol.gen.evergrid.explain.v1.explain_pb2 import Step
    from protocol.gen.evergrid.rewards.v1.rewards_pb2 import EpochSettlement

# Of every member it is said whether it covered the models.
MEMBER_REASONS = frozenset([reasons.REASON_COVERED, reasons.REASON_NOT_COVERED])


def explain_reward(ctx: Context, epoch: int, participant: str) -> Explanation:
    """What an epoch brought to a participant, by which rules; of the epoch that rules: as it stands now.

    Raises not_found of other epochs, and of participants that had no part in it.
    """
    settlement = state.SETTLEMENTS.get(ctx, epoch)
    record = epochs.record(ctx, epoch)
    if record is None:
        begun = epoch <= epochs.state(ctx).epoch_effective
        raise not_found(f"the reward of epoch {epoch} {'is not retained' if begun else 'is not due yet'}")
    params = record.params.rewards
    if settlement is None:
        if epoch != epochs.state(ctx).epoch_effective:
            raise not_found(f"epoch {epoch} is not settled")
        split = steps.get_settle_amounts(ctx, epoch, params)
    else:
        split = _replay(ctx, params, settlement)
    share = next((each for each in split.shares if each.member.address == participant), None)
    counted = next((e for e in inference.statistics(ctx, epoch) if e.participant == participant), None)
    if share is None and counted is None:
        raise not_found(f"{participant} had no part in epoch {epoch}")
    fees = counted.accrued if counted is not None else 0
    explanation = Explanation(
        subject="reward",
        epoch_index=epoch,
        participant=participant,
        height=settlement.height if settlement is not None else 0,
    )
    _explain_share(ctx, params, split, share, explanation)
    base, bonus = (share.base, share.bonus) if share is not None else (0, 0)
    total = base + bonus + fees
    key = (epoch, participant)
    at = explanation.height or ctx.height
    explanation.steps.append(
        step(
            "fees",
            f"its inferences that became final brought {fees} nevg; with base and bonus it gets {total}",
            source("inference/statistics", key, at),
            fees=fees,
            total=total,
        )
    )
    why = share.reasons if share is not None else _without_share(ctx, epoch, participant)
    conclude(explanation, why, base=base, bonus=bonus, fees=fees, total=total)
    _compare_stored(ctx, explanation, settled=settlement is not None)
    return explanation


def _without_share(ctx: Context, epoch: int, participant: str) -> tuple[reasons.Reason, ...]:
    settled = state.AMOUNTS.get(ctx, (epoch, participant))
    if settled is not None:
        # What it is since says nothing of what it was when the epoch was settled.
        return rules.no_share(invalid=reasons.REASON_PARTICIPANT_INVALID in settled.reasons)
    availability = inference.availability(ctx, epoch, participant)
    return rules.no_share(invalid=availability.reason == reasons.REASON_PARTICIPANT_INVALID)


def _compare_stored(ctx: Context, explanation: Explanation, *, settled: bool) -> None:
    key = (explanation.epoch_index, explanation.participant)
    amount = state.AMOUNTS.get(ctx, key)
    if amount is not None:
        compare(
            explanation,
            amount.reasons,
            base=amount.base,
            bonus=amount.bonus,
            fees=amount.fees,
            total=amount.total,
        )
        paid = f"paid at height {amount.height_paid}" if amount.height_paid else "not paid yet"
        where = source(state.AMOUNTS, key, amount.height_paid or explanation.height)
        explanation.steps.append(
            step(
                "payment",
                paid if amount.total else "nothing to pay",
                where,
                height_paid=amount.height_paid,
                total=amount.total,
            )
        )
    elif settled:
        explanation.not_retained.append(f"{state.AMOUNTS.name}/{key[0]}/{key[1]}")


def _replay(ctx: Context, params: RewardParams, settlement: EpochSettlement) -> rules.Settlement:
    """The split made again from the weights, availabilities and coverage that were settled with."""
    members = [
        rules.Member(
            each.participant,
            each.weight,
            each.availability_bps,
            each.covered,
            invalid=reasons.REASON_PARTICIPANT_INVALID in each.reasons,
        )
        for each in state.AMOUNTS.values(ctx, (settlement.epoch_index,))
        # Others have fees or statistics alone: they were no members, and had no part in the split.
        if not MEMBER_REASONS.isdisjoint(each.reasons)
    ]
    return rules.settle(params, settlement.reward_before_cap, settlement.left_under_cap, members)


def _explain_share(
    ctx: Context,
    params: RewardParams,
    split: rules.Settlement,
    share: rules.Share | None,
    explanation: Explanation,
) -> None:
    """Adds the steps from the emission to base and bonus."""
    epoch, at = explanation.epoch_index, explanation.height or ctx.height
    explanation.steps.append(_emission_step(split, epoch, at))
    if share is None:
        where = source("epochs/members", (epoch, "", explanation.participant), at)
        text = "it was no member of the epoch, so it has no part in its reward"
        explanation.steps.append(step("weight", text, where, reason=reasons.REASON_NO_WEIGHT, weight=0))
        return
    total = sum(each.member.weight for each in split.shares)
    weight = share.member.weight
    explanation.steps.append(
        step(
            "weight",
            f"its nodes that serve models have {weight} of the {total} weight",
            source("epochs/members", (epoch, "*", explanation.participant), at),
            reason=reasons.REASON_UNSPECIFIED if weight else reasons.REASON_NO_WEIGHT,
            weight=weight,
            weight_total=total,
        )
    )
    explanation.steps.append(_availability_step(ctx, params, share.member, explanation))
    explanation.steps.extend(_coverage_steps(ctx, share.member, explanation))
    explanation.steps.append(_share_step(params, split, share, total, epoch=epoch, at=at))


def _emission_step(split: rules.Settlement, epoch: int, at: int) -> Step:
    capped = split.reward < split.reward_before_cap and bool(split.shares) and split.reward > 0
    text = f"the reward of the epoch is {split.reward} of an emission of {split.reward_before_cap}"
    return step(
        "emission",
        f"{text}; {split.left_under_cap} could still be minted",
        source(state.SETTLEMENTS, (epoch,), at),
        source(state.EMISSION, (), at),
        reason=reasons.REASON_SUPPLY_CAP if capped else reasons.REASON_UNSPECIFIED,
        reward=split.reward,
        reward_before_cap=split.reward_before_cap,
        left_under_cap=split.left_under_cap,
    )


def _availability_step(
    ctx: Context, params: RewardParams, member: rules.Member, explanation: Explanation
) -> Step:
    epoch, at = explanation.epoch_index, explanation.height or ctx.height
    counted = next((e for e in inference.statistics(ctx, epoch) if e.participant == member.address), None)
    total, missed = (counted.total, counted.missed) if counted is not None else (0, 0)
    found = inference.availability_if(ctx, epoch, member.address, invalid=member.invalid)
    text = f"of {total} inferences it missed {missed}, {found.missed} count (a quarter for each creator)"
    if member.invalid:
        text = "it was INVALID"
    elif total < params.min_inferences_measured:
        text += f"; below {params.min_inferences_measured} nothing is measured"
    else:
        text += f"; {params.miss_tolerance_bps} of {BPS} are tolerated"
    return step(
        "availability",
        f"{text}: available to {found.bps} of {BPS}",
        source("inference/statistics", (epoch, member.address), at),
        source("inference/missed_by", (epoch, member.address), at),
        reason=found.reason,
        inferences_total=total,
        inferences_missed=missed,
        missed_counted=found.missed,
        availability_bps=found.bps,
        min_inferences_measured=params.min_inferences_measured,
        miss_tolerance_bps=params.miss_tolerance_bps,
    )


def _coverage_steps(ctx: Context, member: rules.Member, explanation: Explanation) -> Iterator[Step]:
    epoch, at = explanation.epoch_index, explanation.height or ctx.height
    verdict = reasons.REASON_COVERED if member.covered else reasons.REASON_NOT_COVERED
    if epoch and epochs.group(ctx, epoch - 1) is None and epochs.record(ctx, epoch - 1) is None:
        explanation.not_retained.append(f"epochs/groups/{epoch - 1}")
        text = f"its models were judged at the settlement: {word(verdict)}"
        where = source(state.AMOUNTS, (epoch, member.address), at)
        yield step("coverage", text, where, reason=verdict, covered=member.covered)
        return
    coverage = steps.get_participant_model_coverage(ctx, epoch, member.address)
    for model_id, weight, needed, counts in coverage.models:
        told = "enough" if weight >= needed else "too little"
        if not counts:
            told = "left out, since the epoch before did not have it"
        yield step(
            "coverage.model",
            f"{model_id}: {weight} weight where {needed} are needed, {told}",
            source("epochs/members", (epoch, model_id, member.address), at),
            source("epochs/groups", (epoch - 1, "") if epoch else (epoch, ""), at),
            model_id=model_id,
            weight=weight,
            weight_needed=needed,
            counts=counts,
        )
    now = reasons.REASON_COVERED if coverage.covered else reasons.REASON_NOT_COVERED
    yield step(
        "coverage",
        f"{'all' if coverage.covered else 'not all'} models that count are covered: {word(now)}",
        source("epochs/members", (epoch, "*", member.address), at),
        source("epochs/records", (epoch,), at),
        reason=now,
        covered=coverage.covered,
    )


def _share_step(
    params: RewardParams, split: rules.Settlement, share: rules.Share, total: int, *, epoch: int, at: int
) -> Step:
    member, mode = share.member, params.coverage_bonus_mode
    name = CoverageBonusMode.Name(mode).removeprefix("COVERAGE_BONUS_MODE_").lower()
    if name == "shared":
        how = f"its share, {params.coverage_bonus_bps} of {BPS} larger where covered, times its availability"
    else:
        parts = f"{split.reward} * {member.weight} / {total} * {member.availability_bps} / {BPS}"
        how = f"{parts}, and {params.coverage_bonus_bps} of {BPS} on top where covered"
    why = next((r for r in share.reasons if r in {reasons.REASON_SUPPLY_CAP, reasons.REASON_NO_WEIGHT}), None)
    return step(
        "share",
        f"{how}: base {share.base}, bonus {share.bonus}",
        source("epochs/records", (epoch,), at),
        source(state.SETTLEMENTS, (epoch,), at),
        reason=why or reasons.REASON_UNSPECIFIED,
        mode=name,
        coverage_bonus_bps=params.coverage_bonus_bps,
        base=share.base,
        bonus=share.bonus,
    )
