"""uptime: why a node serves through a PoC or does not: the draw made again from its trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import not_found
from abci_app.kernel.fixed import BPS
from abci_app.kernel.trace import compare, conclude, source, step, word
from abci_app.modules import epochs
from abci_app.modules.uptime import rules, state
from abci_app.modules.uptime.steps import group_of
from protocol.gen.evergrid.explain.v1.explain_pb2 import Explanation
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons
from protocol.slots import serves_validation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import EpochRecord
    from protocol.gen.evergrid.epochs.v1.params_pb2 import UptimeParams
    from protocol.gen.evergrid.explain.v1.explain_pb2 import Source, Step
    from protocol.gen.evergrid.reasons.v1.reasons_pb2 import Reason
    from protocol.gen.evergrid.uptime.v1.uptime_pb2 import SlotAllocation, SlotTurn

TURNED = (reasons.REASON_SELECTED, reasons.REASON_OVER_LIMIT, reasons.REASON_VOTING_GUARD)


def explain_slot(ctx: Context, epoch: int, participant: str, node_id: str = "") -> list[Explanation]:
    """By model, then node: what the draw before the PoC of an epoch decided, and by which rules.

    Raises not_found where no draw was made, or none is kept, or the node was in none.
    """
    stored = sorted(state.ALLOCATIONS.values(ctx, (epoch,)), key=lambda each: each.order)
    if not stored:
        why = "was made" if epoch > epochs.oldest_retained(ctx) else "is retained"
        raise not_found(f"no draw before the PoC of epoch {epoch} {why}")
    record = epochs.record_of_poc(ctx, epoch)
    missing = _missing(ctx, record, epoch)
    made = stored if missing or record is None else replay(ctx, record, stored)
    found = [
        _explain_turn(ctx, record, (before, after), place, missing)
        for before, after in zip(stored, made, strict=True)
        for place, turn in enumerate(before.turns)
        if turn.participant == participant and node_id in {"", turn.node_id}
    ]
    if not found:
        who = f"node {node_id} of {participant}" if node_id else participant
        members = f"only nodes with weight in the group of epoch {epoch - 1} are"
        raise not_found(f"{who} was in no draw before the PoC of epoch {epoch}: {members}")
    return found


def _missing(ctx: Context, record: EpochRecord | None, epoch: int) -> list[str]:
    """What the draw began with that the state does not hold any more."""
    missing = [] if record is not None else [f"epochs/records/{epoch}"]
    if epochs.group(ctx, epoch - 1) is None:
        missing.append(f"epochs/groups/{epoch - 1}")
    return missing


def replay(ctx: Context, record: EpochRecord, stored: list[SlotAllocation]) -> list[SlotAllocation]:
    """The draws made again by the rules of consensus, in the order in which they were made."""
    params = record.params.uptime
    silent = set(stored[0].without_vote)
    powers = {
        member.member_address: member.voting_power
        for member in epochs.members(ctx, record.index - 1)
        if member.member_address not in silent
    }
    made = rules.allocate_slots(
        [rules.demand_of(each, params) for each in stored],
        group_of(ctx, record.index - 1, powers),
        params,
        rules.Seed(ctx.chain_id, record.index, stored[0].block_hash),
    )
    for each in made:
        each.height = stored[0].height
    return made


def _explain_turn(
    ctx: Context,
    record: EpochRecord | None,
    draws: tuple[SlotAllocation, SlotAllocation],
    place: int,
    missing: list[str],
) -> Explanation:
    """`draws`: as stored, and as made again."""
    stored, made = draws
    turn, replayed = stored.turns[place], made.turns[place]
    explanation = Explanation(
        subject="slot",
        epoch_index=stored.epoch_index,
        participant=turn.participant,
        node_id=turn.node_id,
        model_id=stored.model_id,
        height=stored.height,
        steps=_steps(ctx, record, made, place),
        not_retained=missing,
    )
    for tell, each in ((conclude, replayed), (compare, turn)):
        tell(
            explanation,
            [each.reason],
            serves=each.reason == reasons.REASON_SELECTED,
            throughput=each.throughput,
            selected_before=each.selected_before,
            drawn=each.drawn,
            weight_total=each.weight_total,
        )
    return explanation


def _steps(ctx: Context, record: EpochRecord | None, made: SlotAllocation, place: int) -> Iterator[Step]:
    turn = made.turns[place]
    yield _demand_step(made)
    if record is not None:
        yield from _eligibility_steps(made, turn, record.params.uptime)
    if turn.reason in TURNED:
        yield from _turn_steps(ctx, record, made, place)
    elif turn.reason == reasons.REASON_NOT_DRAWN:
        text = f"the draw ended ({word(made.stop)}) before its turn came: {made.selected} were selected"
        yield step("not_drawn", text, _trace(made), reason=turn.reason, selected=made.selected)
    if turn.reason in {*TURNED, reasons.REASON_NOT_DRAWN}:
        text = f"the draw ended with {made.selected} selected: {word(made.stop)}"
        yield step("stop", text, _trace(made), selected=made.selected, stop=word(made.stop))
    if record is not None and turn.serves and turn.reason != reasons.REASON_SELECTED:
        yield from _validation_steps(ctx, record, made, turn)


def _validation_steps(
    ctx: Context, record: EpochRecord, made: SlotAllocation, turn: SlotTurn
) -> Iterator[Step]:
    """Whether a node that mines serves again while nonces are validated; nothing where that is off."""
    params, former = record.params.uptime, made.epoch_index - 1
    group = epochs.group(ctx, former, made.model_id)
    member = epochs.member(ctx, former, made.model_id, turn.participant)
    nodes = member.ml_nodes if member is not None else ()
    node = next((each for each in nodes if each.node_id == turn.node_id), None)
    if not params.serve_during_validation or group is None or node is None:
        return
    if not any(node.timeslot_allocation):
        return  # its participant became INVALID
    v_ram = group.model_snapshot.v_ram
    reason = serves_validation(node.memory_mib, v_ram, params)
    at = epochs.stage_heights(record.params.epoch, record.height_start)
    last = at.validation_end if record.extended else at.switch - 1
    verdict = "it does not serve before the switch"
    if reason == reasons.REASON_SERVES_VALIDATION:
        verdict = f"it serves again from {at.end + 1} to {last}"
    needs = f"the model needs {v_ram} and the PoC {params.poc_v_ram} beside it"
    yield step(
        "validation",
        f"its memory is {node.memory_mib} MiB, {needs}: {verdict}",
        source("epochs/members", (former, made.model_id, turn.participant), made.height),
        source("epochs/groups", (former, made.model_id), made.height),
        source("epochs/records", (made.epoch_index,), made.height),
        reason=reason,
        memory_mib=node.memory_mib,
        v_ram=v_ram,
        poc_v_ram=params.poc_v_ram,
    )


def _trace(made: SlotAllocation) -> Source:
    return source(state.ALLOCATIONS, (made.epoch_index, made.model_id), made.height)


def _demand_step(made: SlotAllocation) -> Step:
    text = (
        f"model {made.model_id} is drawn in place {made.order + 1}: of a capacity of {made.capacity} tokens "
        f"per PoC window at most {made.limit} may serve; {made.target} are wanted, {made.expected} expected"
    )
    group = source("epochs/groups", (made.epoch_index - 1, made.model_id), made.height)
    record = source("epochs/records", (made.epoch_index,), made.height)
    return step(
        "demand",
        text,
        group,
        record,
        order=made.order,
        capacity=made.capacity,
        limit=made.limit,
        expected=made.expected,
        target=made.target,
        block_hash=made.block_hash.hex(),
    )


def _eligibility_steps(made: SlotAllocation, turn: SlotTurn, params: UptimeParams) -> Iterator[Step]:
    checks = rules.eligibility_checks(rules.facts_of(turn), params, anyone_served=made.anyone_served)
    told = _facts(made, turn, params)
    for wrong, reason in checks:
        text, values, sources = told.get(reason, (word(reason).replace("_", " "), {}, [_trace(made)]))
        verdict = f"not eligible: {word(reason)}" if wrong else "no obstacle"
        yield step(
            f"eligible.{word(reason)}",
            f"{text}: {verdict}",
            *sources,
            reason=reason if wrong else rules.ELIGIBLE,
            **values,
        )
        if wrong:
            return


def _facts(
    made: SlotAllocation, turn: SlotTurn, params: UptimeParams
) -> dict[Reason, tuple[str, dict[str, int | str | bool], list[Source]]]:
    """What each check of eligibility looks at: in words, in figures, and where it stands."""
    at, former, node = made.height, made.epoch_index - 1, (turn.participant, turn.node_id)
    member = source("epochs/members", (former, made.model_id, turn.participant), at)
    registry = source("hardware/nodes", node, at)
    who = source("hardware/participants", (turn.participant,), at)
    limit, least = params.max_consecutive_preserved_epochs, params.min_served
    measured = "" if made.anyone_served else ", but nobody finished as many, so it does not count"
    return {
        reasons.REASON_PARTICIPANT_INVALID: (
            f"the participant is {'' if turn.participant_invalid else 'not '}INVALID",
            {"participant_invalid": turn.participant_invalid},
            [who],
        ),
        reasons.REASON_NOT_SERVING: (
            f"the node {'serves' if turn.serves else 'does not serve'} the model in the epoch that ends",
            {"serves": turn.serves},
            [member],
        ),
        reasons.REASON_ZERO_THROUGHPUT: (
            f"its throughput is {turn.throughput}",
            {"throughput": turn.throughput},
            [member],
        ),
        reasons.REASON_PENDING_MODEL_CHANGE: (
            f"its next model is {'another or none' if turn.pending_model_change else 'the same'}",
            {"pending_model_change": turn.pending_model_change},
            [registry],
        ),
        reasons.REASON_NODE_DISABLED: (
            f"it is {'disabled' if turn.disabled else 'enabled'}",
            {"disabled": turn.disabled},
            [registry],
        ),
        reasons.REASON_UNPROVED: (
            f"PoCs since its weight was mined: {turn.unproved}; at {limit} it has to mine again",
            {"unproved": turn.unproved, "max_consecutive_preserved_epochs": limit},
            [member],
        ),
        reasons.REASON_MIN_SERVED: (
            f"its participant finished {turn.served} inferences of the model, {least} are needed{measured}",
            {"served": turn.served, "min_served": least, "anyone_served": made.anyone_served},
            [source("inference/served", (former, made.model_id, turn.participant), at)],
        ),
        reasons.REASON_MAINTENANCE: (
            f"maintenance is {'' if turn.maintenance else 'not '}announced for the PoC period",
            {"maintenance": turn.maintenance},
            [source("maintenance/windows", (turn.participant,), at)],
        ),
        reasons.REASON_AVAILABILITY: (
            f"its participant was available to {turn.availability_bps} of {BPS}",
            {"availability_bps": turn.availability_bps},
            [source("inference/statistics", (former, turn.participant), at)],
        ),
    }


def _turn_steps(ctx: Context, record: EpochRecord | None, made: SlotAllocation, place: int) -> Iterator[Step]:
    turn = made.turns[place]
    number = sum(1 for each in made.turns[: place + 1] if each.weight_total)
    member = epochs.member(ctx, made.epoch_index - 1, "", turn.participant)
    weight = member.weight if member is not None else 0
    preserved = f"for epoch {turn.epoch_preserved}" if turn.epoch_preserved else "never"
    yield step(
        "turn",
        f"turn {number}: {turn.drawn} of {turn.weight_total} fell on its participant (weight {weight}), and "
        f"of its nodes still waiting it was preserved longest ago ({preserved})",
        _trace(made),
        source("epochs/members", (made.epoch_index - 1, "", turn.participant), made.height),
        source("uptime/last_preserved", (turn.participant, turn.node_id), made.height),
        turn=number,
        drawn=turn.drawn,
        weight_total=turn.weight_total,
        weight=weight,
        epoch_preserved=turn.epoch_preserved,
    )
    yield _limit_step(made, turn)
    if turn.reason != reasons.REASON_OVER_LIMIT and record is not None:
        yield _guard_step(made, turn, record.params.uptime)


def _limit_step(made: SlotAllocation, turn: SlotTurn) -> Step:
    over, then = turn.reason == reasons.REASON_OVER_LIMIT, turn.selected_before + turn.throughput
    sums = f"{turn.selected_before} selected so far and its {turn.throughput} make {then}"
    verdict = f"{'over' if over else 'within'} the limit of {made.limit}"
    if not turn.selected_before:
        verdict = "a model's first node has no limit"
    return step(
        "limit",
        f"{sums}: {verdict}",
        _trace(made),
        reason=turn.reason if over else rules.ELIGIBLE,
        selected_before=turn.selected_before,
        throughput=turn.throughput,
        limit=made.limit,
    )


def _guard_step(made: SlotAllocation, turn: SlotTurn, params: UptimeParams) -> Step:
    forbidden = turn.reason == reasons.REASON_VOTING_GUARD
    bound = params.voting_guard_bps
    return step(
        "voting_guard",
        f"with it, participants with {turn.power_held} of {made.power_total} voting power have no node left "
        f"to mine (the guard is {bound} of {BPS}): it {'mines' if forbidden else 'serves'}",
        _trace(made),
        source("epochs/members", (made.epoch_index - 1, ""), made.height),
        reason=turn.reason,
        power_held=turn.power_held,
        power_total=made.power_total,
        voting_guard_bps=bound,
    )
