"""The state of a participant: what the registry, the effective group and its inferences together say.

INVALID: the registry says so, until the quarantine ends; out of votes, inference, batches, verdicts, reward
and the next weights. INACTIVE: no weight in the effective group; out of votes, inference, verdicts, reward.
RAMPING: fewer inferences in the effective epoch than availability is measured from; out of nothing.

Only INVALID is stored; it outlasts leaving and joining again. The others follow from what is stored anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import invalid_argument, not_found
from abci_app.kernel.module import answers
from abci_app.kernel.paging import page
from abci_app.modules import epochs, hardware, inference
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import PARTICIPANT_STATUS_INVALID
from protocol.gen.evergrid.participants.v1 import participants_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.hardware.v1.hardware_pb2 import Participant

ACTIVE, RAMPING = pb.PARTICIPANT_STATE_ACTIVE, pb.PARTICIPANT_STATE_RAMPING
INVALID, INACTIVE = pb.PARTICIPANT_STATE_INVALID, pb.PARTICIPANT_STATE_INACTIVE

# What each state excludes from; the decisions themselves are taken where they belong, a test compares.
EXCLUDED: dict[pb.ParticipantState, pb.Exclusions] = {
    ACTIVE: pb.Exclusions(),
    RAMPING: pb.Exclusions(),
    INVALID: pb.Exclusions(
        vote=True,
        execute_inference=True,
        submit_poc_batch=True,
        validate_poc=True,
        reward=True,
        next_weight=True,
    ),
    INACTIVE: pb.Exclusions(vote=True, execute_inference=True, validate_poc=True, reward=True),
}


def state_of(*, invalid: bool, weight: int, inferences: int, measured_from: int) -> pb.ParticipantState:
    """The first state that holds, the most excluding one first."""
    if invalid:
        return INVALID
    if weight == 0:
        return INACTIVE
    return RAMPING if inferences < measured_from else ACTIVE


def _facts(ctx: Context, participant: Participant, inferences: int) -> pb.ParticipantFacts:
    record = epochs.effective_record(ctx)
    member = epochs.member(ctx, record.index, "", participant.address)
    invalid = participant.status == PARTICIPANT_STATUS_INVALID
    weight = member.weight if member is not None else 0
    measured_from = record.params.rewards.min_inferences_measured
    found = state_of(invalid=invalid, weight=weight, inferences=inferences, measured_from=measured_from)
    facts = pb.ParticipantFacts(
        address=participant.address,
        state=found,
        excluded=EXCLUDED[found],
        epoch_index=record.index,
        weight=weight,
        voting_power=member.voting_power if member is not None and not invalid else 0,
        inferences=inferences,
        min_ramp_up_measurements=measured_from,
    )
    if invalid:
        facts.reason = participant.status_reason
        facts.height_invalid = participant.height_invalid
        facts.epoch_quarantine_end = participant.epoch_invalid + record.params.epoch.quarantine_epochs
    return facts


def _inferences(ctx: Context) -> dict[str, int]:
    """Inferences that became final in the effective epoch, by participant."""
    epoch = epochs.state(ctx).epoch_effective
    return {each.participant: each.total for each in inference.statistics(ctx, epoch)}


@answers(pb.QueryParticipantStateRequest)
def participant_state(
    ctx: Context, request: pb.QueryParticipantStateRequest
) -> pb.QueryParticipantStateResponse:
    """The state of one participant, and what it is excluded from."""
    if not request.address:
        raise invalid_argument("address is empty")
    participant = hardware.get_participant(ctx, request.address)
    if participant is None:
        raise not_found(f"{request.address} is not a participant")
    inferences = _inferences(ctx).get(request.address, 0)
    return pb.QueryParticipantStateResponse(participant=_facts(ctx, participant, inferences))


@answers(pb.QueryParticipantStatesRequest)
def participant_states(
    ctx: Context, request: pb.QueryParticipantStatesRequest
) -> pb.QueryParticipantStatesResponse:
    """The states of participants, by address; of one state where it is named."""
    found, pagination = page(_all(ctx, request.state), request.pagination)
    return pb.QueryParticipantStatesResponse(participants=found, pagination=pagination)


def _all(ctx: Context, wanted: pb.ParticipantState) -> Iterator[tuple[str, pb.ParticipantFacts]]:
    inferences = _inferences(ctx)
    for participant in hardware.participants(ctx):
        facts = _facts(ctx, participant, inferences.get(participant.address, 0))
        if wanted in {pb.PARTICIPANT_STATE_UNSPECIFIED, facts.state}:
            yield participant.address, facts
