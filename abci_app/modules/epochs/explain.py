"""epochs: why a member of a group has its voting power: the cap and the extension decided again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import not_found
from abci_app.kernel.fixed import BPS
from abci_app.kernel.trace import compare, conclude, source, step, word
from abci_app.modules import guardians, hardware
from abci_app.modules.epochs import groups, rules, state, validators
from protocol.gen.evergrid.explain.v1.explain_pb2 import Explanation
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import PARTICIPANT_STATUS_INVALID
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import EpochRecord, MLNodeInfo, ValidationWeight
    from protocol.gen.evergrid.explain.v1.explain_pb2 import Step
    from protocol.gen.evergrid.guardians.v1.guardians_pb2 import Decision


def places_of(
    ctx: Context, epoch: int, participant: str, node_id: str = ""
) -> Iterator[tuple[str, MLNodeInfo]]:
    """(model, node) for every place that a participant's node has in an epoch; "" is the parent group."""
    parent = groups.group(ctx, epoch)
    for model_id in ("", *(parent.sub_group_models if parent is not None else ())):
        member = groups.member(ctx, epoch, model_id, participant)
        for node in member.ml_nodes if member is not None else ():
            if node_id in {"", node.node_id}:
                yield model_id, node


def explain_validator(ctx: Context, epoch: int, participant: str) -> Explanation:
    """Why a participant has its voting power in an epoch's group, or none; raises not_found without one."""
    record = groups.record_of_poc(ctx, epoch)
    parent = groups.group(ctx, epoch) if groups.is_published(ctx, epoch) else None
    if record is None or (parent is None and not record.extended):
        kept = epoch >= groups.oldest_retained(ctx)
        raise not_found(f"epoch {epoch} {'has no group yet' if kept else 'is not retained'}")
    explanation = Explanation(
        subject="validator", epoch_index=epoch, participant=participant, height=_height(record)
    )
    steps = explanation.steps
    if record.height_start:
        steps.append(_extension_step(record))
    if parent is None:
        return conclude(compare(explanation, [record.extension_reason]), [record.extension_reason])
    members = list(groups.members(ctx, epoch))
    member = next((each for each in members if each.member_address == participant), None)
    if member is None:
        where = source(state.MEMBERS, (epoch, "", participant), _height(record))
        text = "it has no weight in the group, so it is no member"
        steps.append(step("member", text, where, reason=reasons.REASON_NO_WEIGHT))
        none = {"weight": 0, "voting_power": 0}
        return conclude(
            compare(explanation, [reasons.REASON_NO_WEIGHT], **none), [reasons.REASON_NO_WEIGHT], **none
        )
    power = _cap(record, members, member, explanation)
    why = [reasons.REASON_COLLATERAL_SHORT] if member.proved_weight else []
    why += [] if member.validator_key else [reasons.REASON_NO_CONSENSUS_KEY]
    conclude(explanation, why, weight=member.weight, voting_power=power)
    compare(explanation, why, weight=member.weight, voting_power=member.voting_power)
    _guardian(ctx, epoch, participant, explanation)
    if epoch == groups.state(ctx).epoch_effective:
        steps.extend(_now(ctx, member))
    return explanation


def _height(record: EpochRecord) -> int:
    if record.height_start == 0:
        return 0
    return record.height_ready or rules.stage_heights(record.params.epoch, record.height_start).validation_end


def _cap(
    record: EpochRecord, members: list[ValidationWeight], member: ValidationWeight, explanation: Explanation
) -> int:
    """Adds the steps from weight to power; returns the power by the rule."""
    at, epoch, who = _height(record), record.index, member.member_address
    own = source(state.MEMBERS, (epoch, "", who), at)
    weights = [each.weight for each in members if each.validator_key]
    explanation.steps.append(_weight_step(member, epoch, at))
    if not member.validator_key:
        text = "it has given no consensus key, so it has no power and no part in the cap"
        explanation.steps.append(
            step("key", text, own, reason=reasons.REASON_NO_CONSENSUS_KEY, validator_key="")
        )
        return 0
    key = member.validator_key.hex()
    explanation.steps.append(step("key", f"its consensus key is {key}", own, validator_key=key))
    bps = record.params.epoch.max_individual_power_bps
    trace = rules.power_limit_trace([weight for weight in weights if weight], bps)
    power = min(member.weight, trace.limit)
    explanation.steps.append(
        step(
            "cap",
            f"of {len(weights)} members with keys and {sum(weights)} weight none may have more than "
            f"{trace.limit} ({trace.bps} of {BPS} allow {trace.share_limit}; {trace.half_limit} keeps half "
            f"of the weight): its power is {power}",
            source(state.MEMBERS, (epoch, ""), at),
            source(state.RECORDS, (epoch,), at),
            weights_total=sum(weights),
            members=len(weights),
            max_individual_power_bps=bps,
            bps_applied=trace.bps,
            share_limit=trace.share_limit,
            half_limit=trace.half_limit,
            limit=trace.limit,
            voting_power=power,
        )
    )
    return power


def _weight_step(member: ValidationWeight, epoch: int, at: int) -> Step:
    who = member.member_address
    own = source(state.MEMBERS, (epoch, "", who), at)
    if not member.proved_weight:
        text = f"the weight of its nodes sums to {member.weight}"
        return step("weight", text, own, weight=member.weight)
    return step(
        "weight",
        f"the weight of its nodes sums to {member.proved_weight}; its collateral leaves {member.weight}",
        own,
        source("collateral/weights", (epoch, who), at),
        reason=reasons.REASON_COLLATERAL_SHORT,
        weight=member.weight,
        proved_weight=member.proved_weight,
    )


def _guardian(ctx: Context, epoch: int, participant: str, explanation: Explanation) -> None:
    """Of a guardian: what it has in blocks on top; in the epoch that rules it is decided again."""
    stored = guardians.decision_of(ctx, epoch)
    if stored is None or participant not in guardians.named(ctx):
        return
    rules_now = epoch == groups.state(ctx).epoch_effective
    again = validators.decide_guardians(ctx) if rules_now else stored
    explanation.steps.append(_guardian_step(again, stored.height, participant))
    for tell, decision in ((conclude, again), (compare, stored)):
        extra = decision.extra_power if participant in decision.guardians else 0
        tell(explanation, [decision.reason], guardian_power=extra)


def _guardian_step(decision: Decision, height: int, participant: str) -> Step:
    multiplier, count = decision.multiplier_bps, len(decision.guardians)
    bound = f"{multiplier} of {BPS} of the others' {decision.others_power} power is {decision.bound}"
    texts = {
        reasons.REASON_GUARDIANS_RAISED: (
            f"{bound}, and the {count} guardians have {decision.own_power}: each gets "
            f"{decision.extra_power} on top, in blocks alone"
        ),
        reasons.REASON_GUARDIANS_SUFFICIENT: (
            f"{bound}, and the {count} guardians have {decision.own_power}: nothing is missing to share"
        ),
        reasons.REASON_GUARDIANS_ABSENT: "no guardian has voting power, so none gets anything on top",
        reasons.REASON_GUARDIANS_ALONE: "nobody but guardians has voting power: there is nothing to guard",
        reasons.REASON_NETWORK_MATURE: (
            f"the group's weight of {decision.total_weight} reached {decision.maturity_weight}: "
            "guardians have ended for good"
        ),
    }
    text = texts[decision.reason]
    if participant not in decision.guardians and decision.extra_power:
        text += "; this one is INVALID, or has no voting power, and gets nothing"
    return step(
        "guardian",
        text,
        source("guardians/decisions", (decision.epoch_index,), height),
        source("guardians/named", (participant,)),
        reason=decision.reason,
        total_weight=decision.total_weight,
        maturity_weight=decision.maturity_weight,
        multiplier_bps=multiplier,
        own_power=decision.own_power,
        others_power=decision.others_power,
        bound=decision.bound,
        guardians=count,
        extra_power=decision.extra_power if participant in decision.guardians else 0,
    )


def _extension_step(record: EpochRecord) -> Step:
    params = record.params.epoch
    part = f"{params.min_retained_power_numerator}/{params.min_retained_power_denominator}"
    kept = f"{record.retained_power} of the {record.effective_power} voting power before has weight here"
    verdict = f"the epoch was extended: {word(record.extension_reason)}" if record.extended else "it may rule"
    return step(
        "extension",
        f"{kept}, {part} are wanted unless {params.max_extensions} extensions came before "
        f"({record.extensions} did): {verdict}",
        source(state.RECORDS, (record.index,), _height(record)),
        reason=record.extension_reason,
        retained_power=record.retained_power,
        effective_power=record.effective_power,
        extensions=record.extensions,
        extended=record.extended,
    )


def _now(ctx: Context, member: ValidationWeight) -> Iterator[Step]:
    """Of the epoch that rules: what CometBFT was given."""
    participant = hardware.get_participant(ctx, member.member_address)
    given_at = groups.state(ctx).height_effective
    if participant is not None and participant.status == PARTICIPANT_STATUS_INVALID:
        # Who falls loses its power in that block; who fell earlier was not in the set of the switch.
        given_at = max(given_at, participant.height_invalid)
        yield step(
            "status",
            f"it is INVALID since height {participant.height_invalid} ({word(participant.status_reason)})",
            source("hardware/participants", (member.member_address,), participant.height_invalid),
            reason=reasons.REASON_PARTICIPANT_INVALID,
            epoch_invalid=participant.epoch_invalid,
        )
    given = state.VALIDATORS.get(ctx, member.validator_key) if member.validator_key else None
    yield step(
        "validator",
        f"CometBFT has it with power {given}" if given else "CometBFT does not have it as a validator",
        source(state.VALIDATORS, (member.validator_key,), given_at),
        power=given or 0,
    )
