"""The genesis of gov, read and written; one is the inverse of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import auth, bank
from abci_app.modules.bank.coins import amounts_of, coin_errors
from abci_app.modules.gov import state
from abci_app.modules.gov.deposits import GOV, GOV_ADDRESS, OPEN, deposits_held
from abci_app.modules.gov.rules import params_errors, vote_errors
from abci_app.modules.gov.times import SECOND_NS, duration, nanoseconds
from protocol import address as addresses
from protocol.gen.cosmos.gov.v1 import genesis_pb2, gov_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context

MINUTE_NS = 60 * SECOND_NS


def default_params(denom: str, voting_period_ns: int = 48 * 60 * MINUTE_NS) -> gov_pb2.Params:
    """Params to start with: an expedited vote lasts half as long and needs five times the deposit."""
    return gov_pb2.Params(
        min_deposit=[bank.coin(denom, 10**7)],
        max_deposit_period=duration(voting_period_ns),
        voting_period=duration(voting_period_ns),
        quorum="0.334000000000000000",
        threshold="0.500000000000000000",
        veto_threshold="0.334000000000000000",
        min_initial_deposit_ratio="0.000000000000000000",
        proposal_cancel_ratio="0.500000000000000000",
        expedited_voting_period=duration(voting_period_ns // 2),
        expedited_threshold="0.667000000000000000",
        expedited_min_deposit=[bank.coin(denom, 5 * 10**7)],
        burn_vote_veto=True,
        min_deposit_ratio="0.010000000000000000",
    )


def validate_genesis(genesis: genesis_pb2.GenesisState) -> list[str]:
    """All that is wrong with the state, in order."""
    errors = [f"params: {text}" for text in params_errors(genesis.params)]
    if genesis.starting_proposal_id == 0:
        errors.append("starting_proposal_id is 0")
    status: dict[int, int] = {}
    for index, proposal in enumerate(genesis.proposals):
        if not 0 < proposal.id < genesis.starting_proposal_id or proposal.id in status:
            errors.append(f"proposals[{index}]: the id {proposal.id} is taken, 0 or not given out yet")
        if proposal.status not in gov_pb2.ProposalStatus.values()[1:]:
            errors.append(f"proposals[{index}]: no status")
        status[proposal.id] = proposal.status
    errors += _deposit_errors(genesis, status)
    for index, vote in enumerate(genesis.votes):
        found = vote_errors(vote.options)
        if status.get(vote.proposal_id) != gov_pb2.PROPOSAL_STATUS_VOTING_PERIOD:
            found.append(f"proposal {vote.proposal_id} is not voted on")
        errors += (f"votes[{index}]: {text}" for text in found)
    return errors


def _deposit_errors(genesis: genesis_pb2.GenesisState, status: dict[int, int]) -> list[str]:
    errors: list[str] = []
    sums: dict[int, dict[str, int]] = {}
    for index, deposit in enumerate(genesis.deposits):
        found = [*coin_errors(deposit.amount), *addresses.problems({"depositor": deposit.depositor})]
        if status.get(deposit.proposal_id) not in OPEN:
            found.append(f"proposal {deposit.proposal_id} is not open")
        errors += (f"deposits[{index}]: {text}" for text in found)
        if not found:
            so_far = sums.get(deposit.proposal_id, {})
            sums[deposit.proposal_id] = bank.added(so_far, amounts_of(deposit.amount))
    if errors:
        return errors
    return [
        f"proposal {proposal.id}: total_deposit is not the sum of its deposits"
        for proposal in genesis.proposals
        if proposal.status in OPEN
        and (
            coin_errors(proposal.total_deposit)
            or amounts_of(proposal.total_deposit) != sums.get(proposal.id, {})
        )
    ]


def init_genesis(ctx: Context, genesis: genesis_pb2.GenesisState) -> None:
    """Writes the state, after bank's; raises ValueError where the gov account has less than it owes."""
    auth.ensure_module_account(ctx, GOV)
    state.PARAMS.set(ctx, genesis.params)
    if genesis.constitution:
        state.CONSTITUTION.set(ctx, genesis.constitution)
    state.PROPOSAL_ID.set(ctx, genesis.starting_proposal_id)
    for proposal in genesis.proposals:
        state.PROPOSALS.set(ctx, proposal.id, proposal)
        if proposal.status == gov_pb2.PROPOSAL_STATUS_DEPOSIT_PERIOD:
            state.DEPOSIT_ENDS.add(ctx, (nanoseconds(proposal.deposit_end_time), proposal.id))
        if proposal.status == gov_pb2.PROPOSAL_STATUS_VOTING_PERIOD:
            state.VOTING_ENDS.add(ctx, (nanoseconds(proposal.voting_end_time), proposal.id))
    for deposit in genesis.deposits:
        state.DEPOSITS.set(ctx, (deposit.proposal_id, deposit.depositor), deposit)
    for vote in genesis.votes:
        state.VOTES.set(ctx, (vote.proposal_id, vote.voter), vote)

    owed = deposits_held(ctx)
    if not bank.covers({denom: bank.balance(ctx, GOV_ADDRESS, denom) for denom in owed}, owed):
        raise ValueError(f"the gov account owes {bank.text_of(owed)} and has less")


def export_genesis(ctx: Context) -> genesis_pb2.GenesisState:
    """Everything in order of proposals."""
    return genesis_pb2.GenesisState(
        starting_proposal_id=state.PROPOSAL_ID.peek(ctx),
        deposits=list(state.DEPOSITS.values(ctx)),
        votes=list(state.VOTES.values(ctx)),
        proposals=list(state.PROPOSALS.values(ctx)),
        params=state.PARAMS.get(ctx),
        constitution=state.CONSTITUTION.get(ctx) or "",
    )
