"""Answers about proposals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import invalid_argument, not_found
from abci_app.kernel.module import answers
from abci_app.kernel.paging import page
from abci_app.modules.gov import state
from abci_app.modules.gov.steps import tally_of
from protocol.gen.cosmos.gov.v1 import gov_pb2, query_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context


def _require(ctx: Context, proposal_id: int) -> gov_pb2.Proposal:
    if proposal_id == 0:
        raise invalid_argument("proposal id can not be 0")
    found = state.PROPOSALS.get(ctx, proposal_id)
    if found is None:
        raise not_found(f"proposal {proposal_id} doesn't exist")
    return found


def _check_text_key(name: str, text: str) -> None:
    if not text or "\0" in text:
        raise invalid_argument(f"empty or invalid {name} address")


@answers(query_pb2.QueryProposalRequest)
def proposal(ctx: Context, request: query_pb2.QueryProposalRequest) -> query_pb2.QueryProposalResponse:
    """One proposal, open or ended."""
    return query_pb2.QueryProposalResponse(proposal=_require(ctx, request.proposal_id))


@answers(query_pb2.QueryProposalsRequest)
def proposals(ctx: Context, request: query_pb2.QueryProposalsRequest) -> query_pb2.QueryProposalsResponse:
    """Proposals by id, of a status, voter or depositor where these are given."""
    for name, text in (("voter", request.voter), ("depositor", request.depositor)):
        if text:
            _check_text_key(name, text)
    wanted = (
        (proposal_id, found)
        for proposal_id, found in state.PROPOSALS.walk(ctx)
        if (not request.proposal_status or found.status == request.proposal_status)
        and (not request.voter or state.VOTES.has(ctx, (proposal_id, request.voter)))
        and (not request.depositor or state.DEPOSITS.has(ctx, (proposal_id, request.depositor)))
    )
    found, pagination = page(wanted, request.pagination)
    return query_pb2.QueryProposalsResponse(proposals=found, pagination=pagination)


@answers(query_pb2.QueryVoteRequest)
def vote(ctx: Context, request: query_pb2.QueryVoteRequest) -> query_pb2.QueryVoteResponse:
    """One vote, while voting lasts."""
    _require(ctx, request.proposal_id)
    _check_text_key("voter", request.voter)
    found = state.VOTES.get(ctx, (request.proposal_id, request.voter))
    if found is None:
        raise invalid_argument(f"voter: {request.voter} not found for proposal: {request.proposal_id}")
    return query_pb2.QueryVoteResponse(vote=found)


@answers(query_pb2.QueryVotesRequest)
def votes(ctx: Context, request: query_pb2.QueryVotesRequest) -> query_pb2.QueryVotesResponse:
    """The votes on a proposal by voter, while voting lasts."""
    _require(ctx, request.proposal_id)
    found, pagination = page(state.VOTES.walk(ctx, (request.proposal_id,)), request.pagination)
    return query_pb2.QueryVotesResponse(votes=found, pagination=pagination)


@answers(query_pb2.QueryDepositRequest)
def deposit(ctx: Context, request: query_pb2.QueryDepositRequest) -> query_pb2.QueryDepositResponse:
    """What one account has deposited."""
    _require(ctx, request.proposal_id)
    _check_text_key("depositor", request.depositor)
    found = state.DEPOSITS.get(ctx, (request.proposal_id, request.depositor))
    if found is None:
        raise invalid_argument(
            f"depositor: {request.depositor} not found for proposal: {request.proposal_id}"
        )
    return query_pb2.QueryDepositResponse(deposit=found)


@answers(query_pb2.QueryDepositsRequest)
def deposits(ctx: Context, request: query_pb2.QueryDepositsRequest) -> query_pb2.QueryDepositsResponse:
    """The deposits of a proposal by depositor."""
    _require(ctx, request.proposal_id)
    found, pagination = page(state.DEPOSITS.walk(ctx, (request.proposal_id,)), request.pagination)
    return query_pb2.QueryDepositsResponse(deposits=found, pagination=pagination)


@answers(query_pb2.QueryTallyResultRequest)
def tally_result(
    ctx: Context, request: query_pb2.QueryTallyResultRequest
) -> query_pb2.QueryTallyResultResponse:
    """The tally as it stands while voting lasts, the final one after it."""
    found = _require(ctx, request.proposal_id)
    if found.status == gov_pb2.PROPOSAL_STATUS_VOTING_PERIOD:
        return query_pb2.QueryTallyResultResponse(tally=tally_of(ctx, found.id).result())
    return query_pb2.QueryTallyResultResponse(tally=found.final_tally_result)


@answers(query_pb2.QueryParamsRequest)
def gov_params(ctx: Context, request: query_pb2.QueryParamsRequest) -> query_pb2.QueryParamsResponse:
    """All params; of the named kind in the older form as well."""
    params = state.PARAMS.require(ctx)
    response = query_pb2.QueryParamsResponse(params=params)
    match request.params_type:
        case "":
            pass
        case "deposit":
            response.deposit_params.CopyFrom(
                gov_pb2.DepositParams(
                    min_deposit=params.min_deposit, max_deposit_period=params.max_deposit_period
                )
            )
        case "voting":
            response.voting_params.CopyFrom(gov_pb2.VotingParams(voting_period=params.voting_period))
        case "tallying":
            response.tally_params.CopyFrom(
                gov_pb2.TallyParams(
                    quorum=params.quorum,
                    threshold=params.threshold,
                    veto_threshold=params.veto_threshold,
                )
            )
        case other:
            raise invalid_argument(f"unknown params type: {other[:100]}")
    return response


@answers(query_pb2.QueryConstitutionRequest)
def constitution(
    ctx: Context, _request: query_pb2.QueryConstitutionRequest
) -> query_pb2.QueryConstitutionResponse:
    """The text that the genesis gave."""
    return query_pb2.QueryConstitutionResponse(constitution=state.CONSTITUTION.get(ctx) or "")
