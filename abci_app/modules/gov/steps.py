"""What becomes of proposals whose time has come, at the end of a block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import epochs
from abci_app.modules.gov import rules, state
from abci_app.modules.gov.deposits import burn_deposits, return_deposits
from abci_app.modules.gov.messages import run_messages
from abci_app.modules.gov.times import nanoseconds, timestamp
from protocol.gen.cosmos.gov.v1 import gov_pb2

if TYPE_CHECKING:
    from abci_app.kernel.collections import KeySet
    from abci_app.kernel.context import Context


# A count goes through all who have power, and deposits come back: so many proposals must not end in one block
# that nobody can follow. The rest waits for the next blocks.
DROPPED_PER_BLOCK = 100
CLOSED_PER_BLOCK = 10


def end_block(ctx: Context) -> None:
    """Drops the next proposals that were not funded in time, then closes the next whose voting has ended."""
    for proposal_id in _due(ctx, state.DEPOSIT_ENDS, DROPPED_PER_BLOCK):
        _drop(ctx, state.PROPOSALS.require(ctx, proposal_id))
    for proposal_id in _due(ctx, state.VOTING_ENDS, CLOSED_PER_BLOCK):
        proposal = state.PROPOSALS.get(ctx, proposal_id)
        # One that passed just now may have cancelled it.
        if proposal is not None:
            _close(ctx, proposal)


def _due(ctx: Context, queue: KeySet[tuple[int, int]], most: int) -> list[int]:
    due: list[int] = []
    for end_ns, proposal_id in queue.walk(ctx):
        if end_ns > ctx.block.time_ns or len(due) >= most:
            break
        due.append(proposal_id)
    return due


def _drop(ctx: Context, proposal: gov_pb2.Proposal) -> None:
    if state.PARAMS.require(ctx).burn_proposal_deposit_prevote:
        burn_deposits(ctx, proposal.id)
    else:
        return_deposits(ctx, proposal.id)
    state.DEPOSIT_ENDS.remove(ctx, (nanoseconds(proposal.deposit_end_time), proposal.id))
    state.PROPOSALS.remove(ctx, proposal.id)
    ctx.emit("inactive_proposal", proposal_id=proposal.id, proposal_result="proposal_dropped")


def tally_of(ctx: Context, proposal_id: int) -> rules.Tally:
    """The tally as it stands: whoever has power now, by its vote."""
    powers = epochs.voting_powers(ctx)
    votes = (
        (power, found.options)
        for voter, power in powers.items()
        if (found := state.VOTES.get(ctx, (proposal_id, voter))) is not None
    )
    return rules.count_votes(votes, sum(powers.values()))


def _close(ctx: Context, proposal: gov_pb2.Proposal) -> None:
    """Counts, settles the deposits, and lets a passed proposal act."""
    params = state.PARAMS.require(ctx)
    tally = tally_of(ctx, proposal.id)
    verdict = rules.decide(tally, params, expedited=proposal.expedited)
    state.VOTES.clear(ctx, (proposal.id,))
    state.VOTING_ENDS.remove(ctx, (nanoseconds(proposal.voting_end_time), proposal.id))
    if proposal.expedited and verdict is not rules.Verdict.PASSED:
        _make_regular(ctx, proposal, params, verdict)
        return

    if rules.burns_deposits(verdict, params):
        burn_deposits(ctx, proposal.id)
    else:
        return_deposits(ctx, proposal.id)
    proposal.final_tally_result.CopyFrom(tally.result())
    if verdict is not rules.Verdict.PASSED:
        _finish(ctx, proposal, gov_pb2.PROPOSAL_STATUS_REJECTED, "proposal_rejected", verdict.value)
        return
    failure = run_messages(ctx, proposal.messages)
    proposal.failed_reason = failure
    if failure:
        _finish(ctx, proposal, gov_pb2.PROPOSAL_STATUS_FAILED, "proposal_failed", failure)
    else:
        _finish(ctx, proposal, gov_pb2.PROPOSAL_STATUS_PASSED, "proposal_passed", verdict.value)


def _make_regular(
    ctx: Context, proposal: gov_pb2.Proposal, params: gov_pb2.Params, verdict: rules.Verdict
) -> None:
    """An expedited proposal that did not pass goes on as a regular one; votes start anew, deposits stay."""
    end_ns = nanoseconds(proposal.voting_start_time) + nanoseconds(params.voting_period)
    proposal.expedited = False
    proposal.voting_end_time.CopyFrom(timestamp(end_ns))
    state.VOTING_ENDS.add(ctx, (end_ns, proposal.id))
    state.PROPOSALS.set(ctx, proposal.id, proposal)
    _announce(ctx, proposal.id, "expedited_proposal_rejected", verdict.value)


def _finish(
    ctx: Context, proposal: gov_pb2.Proposal, status: gov_pb2.ProposalStatus, result: str, log: str
) -> None:
    proposal.status = status
    state.PROPOSALS.set(ctx, proposal.id, proposal)
    _announce(ctx, proposal.id, result, log)


def _announce(ctx: Context, proposal_id: int, result: str, log: str) -> None:
    ctx.emit("active_proposal", proposal_id=proposal_id, proposal_result=result, proposal_log=log)
