"""Submitting, funding, voting on and cancelling proposals; changing gov's own params."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from abci_app.kernel.errors import InvalidCoins, InvalidRequest
from abci_app.kernel.module import handles
from abci_app.modules import bank
from abci_app.modules.gov import rules, state
from abci_app.modules.gov.decimals import ONE, decimal, decimal_text
from abci_app.modules.gov.deposits import GOV_ADDRESS, OPEN, add_deposit, cancel_deposits, check_deposit
from abci_app.modules.gov.errors import (
    DepositTooSmall,
    InactiveProposal,
    InvalidProposal,
    InvalidProposer,
    InvalidSigner,
    InvalidVote,
    MetadataTooLong,
    NoMessages,
    SummaryTooLong,
    UnknownProposal,
)
from abci_app.modules.gov.messages import check_messages
from abci_app.modules.gov.times import nanoseconds, timestamp
from protocol.gen.cosmos.gov.v1 import gov_pb2, tx_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abci_app.kernel.context import Context


def _require(ctx: Context, proposal_id: int) -> gov_pb2.Proposal:
    proposal = state.PROPOSALS.get(ctx, proposal_id)
    if proposal is None:
        raise UnknownProposal(str(proposal_id))
    return proposal


@handles(tx_pb2.MsgSubmitProposal)
def submit_proposal(ctx: Context, msg: tx_pb2.MsgSubmitProposal) -> tx_pb2.MsgSubmitProposalResponse:
    """Opens a proposal with its first deposit."""
    _check_texts(msg)
    if not msg.messages and not msg.metadata:
        raise NoMessages("either metadata or Msgs length must be non-nil")
    amounts = check_deposit(ctx, msg.proposer, msg.initial_deposit, expedited=msg.expedited)
    _check_initial_deposit(ctx, amounts, expedited=msg.expedited)
    check_messages(ctx, msg.messages)

    proposal = _new_proposal(ctx, msg)
    ctx.emit(
        "submit_proposal",
        proposal_id=proposal.id,
        proposal_proposer=msg.proposer,
        # The SDK begins each type with a comma, and readers split by it.
        proposal_messages="".join(f",{packed.type_url}" for packed in msg.messages),
    )
    if amounts:
        add_deposit(ctx, proposal, msg.proposer, amounts)
    return tx_pb2.MsgSubmitProposalResponse(proposal_id=proposal.id)


def _check_texts(msg: tx_pb2.MsgSubmitProposal) -> None:
    if errors := rules.text_errors(msg.title, msg.summary):
        raise InvalidRequest("; ".join(errors))
    long = [
        f"{name} has {len(text)} characters, more than {rules.METADATA_MAX}"
        for name, text in (("metadata", msg.metadata), ("title", msg.title))
        if len(text) > rules.METADATA_MAX
    ]
    if long:
        raise MetadataTooLong("; ".join(long))
    if len(msg.summary) > rules.SUMMARY_MAX:
        raise SummaryTooLong(f"summary has {len(msg.summary)} characters, more than {rules.SUMMARY_MAX}")


def _check_initial_deposit(ctx: Context, amounts: bank.Amounts, *, expedited: bool) -> None:
    params = state.PARAMS.require(ctx)
    wanted = rules.deposit_wanted(params, expedited=expedited)
    ratio = decimal(params.min_initial_deposit_ratio)
    if not rules.is_initial_deposit_enough(amounts, wanted, ratio):
        need = bank.text_of(bank.scale(wanted, ratio, ONE))
        raise DepositTooSmall(f"was ({bank.text_of(amounts)}), need ({need})")


def _new_proposal(ctx: Context, msg: tx_pb2.MsgSubmitProposal) -> gov_pb2.Proposal:
    now_ns = ctx.block.time_ns
    end_ns = now_ns + nanoseconds(state.PARAMS.require(ctx).max_deposit_period)
    proposal = gov_pb2.Proposal(
        id=state.PROPOSAL_ID.next(ctx),
        messages=msg.messages,
        status=gov_pb2.PROPOSAL_STATUS_DEPOSIT_PERIOD,
        final_tally_result=rules.count_votes((), 0).result(),
        submit_time=timestamp(now_ns),
        deposit_end_time=timestamp(end_ns),
        metadata=msg.metadata,
        title=msg.title,
        summary=msg.summary,
        proposer=msg.proposer,
        expedited=msg.expedited,
    )
    state.PROPOSALS.set(ctx, proposal.id, proposal)
    state.DEPOSIT_ENDS.add(ctx, (end_ns, proposal.id))
    return proposal


@handles(tx_pb2.MsgDeposit)
def deposit(ctx: Context, msg: tx_pb2.MsgDeposit) -> None:
    """Adds to the deposits of an open proposal."""
    proposal = _require(ctx, msg.proposal_id)
    if proposal.status not in OPEN:
        raise InactiveProposal(str(msg.proposal_id))
    if not msg.amount:
        raise InvalidCoins("no coins")
    amounts = check_deposit(ctx, msg.depositor, msg.amount, expedited=proposal.expedited)

    add_deposit(ctx, proposal, msg.depositor, amounts)


@handles(tx_pb2.MsgVote)
def vote(ctx: Context, msg: tx_pb2.MsgVote) -> None:
    """Puts the whole weight on one option; the last vote of a voter counts."""
    whole = gov_pb2.WeightedVoteOption(option=msg.option, weight=decimal_text(ONE))
    _vote(ctx, msg.proposal_id, msg.voter, [whole], msg.metadata)


@handles(tx_pb2.MsgVoteWeighted)
def vote_weighted(ctx: Context, msg: tx_pb2.MsgVoteWeighted) -> None:
    """Splits the weight over options; the last vote of a voter counts."""
    if not msg.options:
        raise InvalidRequest("no options")
    _vote(ctx, msg.proposal_id, msg.voter, msg.options, msg.metadata)


def _vote(
    ctx: Context,
    proposal_id: int,
    voter: str,
    options: Sequence[gov_pb2.WeightedVoteOption],
    metadata: str,
) -> None:
    if errors := rules.vote_errors(options):
        raise InvalidVote("; ".join(errors))
    if len(metadata) > rules.METADATA_MAX:
        raise MetadataTooLong(f"metadata has {len(metadata)} characters, more than {rules.METADATA_MAX}")
    proposal = _require(ctx, proposal_id)
    is_over = nanoseconds(proposal.voting_end_time) <= ctx.block.time_ns
    if proposal.status != gov_pb2.PROPOSAL_STATUS_VOTING_PERIOD or is_over:
        raise InactiveProposal(str(proposal_id))

    cast = gov_pb2.Vote(proposal_id=proposal_id, voter=voter, options=options, metadata=metadata)
    state.VOTES.set(ctx, (proposal_id, voter), cast)
    shown = [{"option": each.option, "weight": decimal_text(decimal(each.weight))} for each in options]
    text = json.dumps(shown, separators=(",", ":"))
    ctx.emit("proposal_vote", voter=voter, option=text, proposal_id=proposal_id)


@handles(tx_pb2.MsgCancelProposal)
def cancel_proposal(ctx: Context, msg: tx_pb2.MsgCancelProposal) -> tx_pb2.MsgCancelProposalResponse:
    """Takes an open proposal back at the cost of a share of the deposits."""
    proposal = _require(ctx, msg.proposal_id)
    if proposal.proposer != msg.proposer:
        raise InvalidProposer(f"{msg.proposer} did not submit proposal {msg.proposal_id}")
    if proposal.status not in OPEN:
        raise InvalidProposal(f"proposal {msg.proposal_id} has ended")

    cancel_deposits(ctx, proposal.id)
    state.DEPOSIT_ENDS.remove(ctx, (nanoseconds(proposal.deposit_end_time), proposal.id))
    state.VOTING_ENDS.remove(ctx, (nanoseconds(proposal.voting_end_time), proposal.id))
    state.VOTES.clear(ctx, (proposal.id,))
    state.PROPOSALS.remove(ctx, proposal.id)
    ctx.emit("cancel_proposal", sender=msg.proposer, proposal_id=proposal.id)
    return tx_pb2.MsgCancelProposalResponse(
        proposal_id=proposal.id,
        canceled_time=timestamp(ctx.block.time_ns),
        canceled_height=ctx.height,
    )


@handles(tx_pb2.MsgUpdateParams)
def update_params(ctx: Context, msg: tx_pb2.MsgUpdateParams) -> None:
    """Replaces all params; only a passed proposal can."""
    if msg.authority != GOV_ADDRESS:
        raise InvalidSigner(f"invalid authority; expected {GOV_ADDRESS}, got {msg.authority}")
    if errors := rules.params_errors(msg.params):
        raise InvalidRequest("; ".join(errors))

    state.PARAMS.set(ctx, msg.params)
