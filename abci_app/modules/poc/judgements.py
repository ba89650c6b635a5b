"""poc: what validators said, one entry of the state for each of them, however many it judged."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from abci_app.modules.poc import state
from protocol.gen.evergrid.poc.v1.poc_pb2 import (
    JudgedGroup,
    JudgementPart,
    PocTally,
    PocValidation,
    ValidatorJudgements,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from abci_app.kernel.context import Context

# What a validator said before is unpacked, sorted and packed anew with each of its messages.
KEPT_GAS = 200


# places: short names of participants within one PoC


def new_tally(ctx: Context, height_start: int, participant: str) -> None:
    """Gives a participant its tally and its place, behind all who showed nonces before it."""
    last = next(state.PLACES.walk(ctx, (height_start,), reverse=True), None)
    place = 0 if last is None else last[0][1] + 1
    state.PLACES.set(ctx, (height_start, place), participant)
    state.TALLIES.set(ctx, (height_start, participant), PocTally(participant=participant, place=place))


def participant_at(ctx: Context, height_start: int, place: int) -> str | None:
    """Who has a place; None where nobody has it."""
    return state.PLACES.get(ctx, (height_start, place))


# judgements


def add(ctx: Context, height_start: int, validator: str, said: Iterable[tuple[int, PocValidation]]) -> None:
    """Keeps what a validator says; each judgement comes with the place of the participant judged."""
    kept = state.VALIDATIONS.get(ctx, (height_start, validator)) or ValidatorJudgements()
    groups = {(part.height_submitted, part.voting_power): list(_entries(part)) for part in kept.parts}
    ctx.gas.consume(KEPT_GAS * sum(map(len, groups.values())), "judgements")
    for place, each in said:
        entry = ((each.verdict, each.sampled, each.mismatches), place, each.slots)
        groups.setdefault((each.height_submitted, each.voting_power), []).append(entry)
    parts = [_part(*key, sorted(groups[key])) for key in sorted(groups)]
    state.VALIDATIONS.set(ctx, (height_start, validator), ValidatorJudgements(parts=parts))


_What = tuple[Verdict, int, int]  # verdict, sampled, mismatches
_Entry = tuple[_What, int, int]  # and place, slots


def _entries(part: JudgementPart) -> Iterator[_Entry]:
    for group in part.groups:
        what = (group.verdict, group.sampled, group.mismatches)
        slots = group.slots or [0] * len(group.places)
        yield from ((what, place, drawn) for place, drawn in zip(group.places, slots, strict=True))


def _part(height: int, power: int, entries: Sequence[_Entry]) -> JudgementPart:
    """One form for one content: grouped by what is said, by place within."""
    part = JudgementPart(height_submitted=height, voting_power=power)
    for what, place, slots in entries:
        last = part.groups[-1] if part.groups else None
        if last is None or (last.verdict, last.sampled, last.mismatches) != what:
            verdict, sampled, mismatches = what
            part.groups.append(JudgedGroup(verdict=verdict, sampled=sampled, mismatches=mismatches))
        part.groups[-1].places.append(place)
        part.groups[-1].slots.append(slots)
    for group in part.groups:
        if not any(group.slots):
            group.ClearField("slots")
    return part


def places_judged(ctx: Context, height_start: int, validator: str) -> set[int]:
    """The places of whom one validator judged."""
    kept = state.VALIDATIONS.get(ctx, (height_start, validator)) or ValidatorJudgements()
    return {place for part in kept.parts for group in part.groups for place in group.places}


def of_validator(ctx: Context, height_start: int, validator: str) -> dict[str, PocValidation]:
    """What one validator said, by the participant judged."""
    kept = state.VALIDATIONS.get(ctx, (height_start, validator))
    return {each.participant: each for each in _expanded(ctx, height_start, validator, kept)}


def of_stage(ctx: Context, height_start: int) -> list[PocValidation]:
    """All that was said in one PoC, by the participant judged, then by validator."""
    found = [
        each
        for (_, validator), kept in state.VALIDATIONS.walk(ctx, (height_start,))
        for each in _expanded(ctx, height_start, validator, kept)
    ]
    return sorted(found, key=lambda each: (each.participant, each.validator))


def of_participant(ctx: Context, height_start: int, participant: str) -> Iterator[PocValidation]:
    """What was said of one participant, by validator."""
    tally = state.TALLIES.get(ctx, (height_start, participant))
    if tally is None:
        return
    for (_, validator), kept in state.VALIDATIONS.walk(ctx, (height_start,)):
        for part in kept.parts:
            for group in part.groups:
                at = bisect_left(group.places, tally.place)
                if at == len(group.places) or group.places[at] != tally.place:
                    continue
                yield PocValidation(
                    participant=participant,
                    validator=validator,
                    verdict=group.verdict,
                    sampled=group.sampled,
                    mismatches=group.mismatches,
                    voting_power=part.voting_power,
                    height_submitted=part.height_submitted,
                    slots=group.slots[at] if group.slots else 0,
                )


def _expanded(
    ctx: Context, height_start: int, validator: str, kept: ValidatorJudgements | None
) -> Iterator[PocValidation]:
    for part in kept.parts if kept else ():
        for (verdict, sampled, mismatches), place, slots in _entries(part):
            yield PocValidation(
                participant=state.PLACES.require(ctx, (height_start, place)),
                validator=validator,
                verdict=verdict,
                sampled=sampled,
                mismatches=mismatches,
                voting_power=part.voting_power,
                height_submitted=part.height_submitted,
                slots=slots,
            )
