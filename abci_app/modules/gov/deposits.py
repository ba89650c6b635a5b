"""Deposits: the gov account holds them until a proposal ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import InvalidCoins
from abci_app.modules import bank
from abci_app.modules.gov import state
from abci_app.modules.gov.decimals import ONE, decimal
from abci_app.modules.gov.errors import DepositTooSmall, InvalidDepositDenom
from abci_app.modules.gov.rules import deposit_wanted, is_deposit_large_enough
from abci_app.modules.gov.times import nanoseconds, timestamp
from protocol import address as addresses
from protocol.gen.cosmos.gov.v1 import gov_pb2

if TYPE_CHECKING:
    from abci_app.kernel.context import Context

GOV = "gov"
GOV_ADDRESS = addresses.module_account(GOV)
OPEN = (gov_pb2.PROPOSAL_STATUS_DEPOSIT_PERIOD, gov_pb2.PROPOSAL_STATUS_VOTING_PERIOD)


def check_deposit(ctx: Context, depositor: str, coins: bank.Coins, *, expedited: bool) -> dict[str, int]:
    """The amounts of an acceptable deposit; raises TxError with what is wrong with it."""
    if errors := bank.coin_errors(coins):
        raise InvalidCoins("; ".join(errors))
    params = state.PARAMS.require(ctx)
    amounts = bank.amounts_of(coins)
    wanted = deposit_wanted(params, expedited=expedited)
    accepted = list(bank.amounts_of(params.min_deposit))
    if any(denom not in accepted for denom in amounts):
        raise InvalidDepositDenom(
            f"deposited {bank.text_of(amounts)}, but gov accepts only the following denom(s): {accepted}"
        )
    ratio = decimal(params.min_deposit_ratio)
    if not is_deposit_large_enough(amounts, wanted, ratio):
        least = bank.text_of(bank.scale(wanted, ratio, ONE))
        raise DepositTooSmall(
            f"received {bank.text_of(amounts)} but need at least one of the following: {least}"
        )
    bank.require_balance(ctx, depositor, amounts)
    return amounts


def add_deposit(ctx: Context, proposal: gov_pb2.Proposal, depositor: str, amounts: bank.Amounts) -> None:
    """Takes a checked deposit and writes the proposal; voting begins once the deposits suffice."""
    assert proposal.status in OPEN, "the status was checked"
    bank.send_coins(ctx, depositor, GOV_ADDRESS, amounts)
    key = (proposal.id, depositor)
    former = state.DEPOSITS.get(ctx, key)
    total = bank.added(bank.amounts_of(former.amount) if former else {}, amounts)
    deposit = gov_pb2.Deposit(proposal_id=proposal.id, depositor=depositor, amount=bank.coins_of(total))
    state.DEPOSITS.set(ctx, key, deposit)

    held = bank.added(bank.amounts_of(proposal.total_deposit), amounts)
    del proposal.total_deposit[:]
    proposal.total_deposit.extend(bank.coins_of(held))
    ctx.emit("proposal_deposit", depositor=depositor, amount=bank.text_of(amounts), proposal_id=proposal.id)
    if proposal.status == gov_pb2.PROPOSAL_STATUS_DEPOSIT_PERIOD:
        wanted = deposit_wanted(state.PARAMS.require(ctx), expedited=proposal.expedited)
        if bank.covers(held, wanted):
            _begin_voting(ctx, proposal)
    state.PROPOSALS.set(ctx, proposal.id, proposal)


def _begin_voting(ctx: Context, proposal: gov_pb2.Proposal) -> None:
    params = state.PARAMS.require(ctx)
    period = params.expedited_voting_period if proposal.expedited else params.voting_period
    end_ns = ctx.block.time_ns + nanoseconds(period)
    state.DEPOSIT_ENDS.remove(ctx, (nanoseconds(proposal.deposit_end_time), proposal.id))
    state.VOTING_ENDS.add(ctx, (end_ns, proposal.id))
    proposal.status = gov_pb2.PROPOSAL_STATUS_VOTING_PERIOD
    proposal.voting_start_time.CopyFrom(timestamp(ctx.block.time_ns))
    proposal.voting_end_time.CopyFrom(timestamp(end_ns))
    ctx.emit("submit_proposal", voting_period_start=proposal.id)


def return_deposits(ctx: Context, proposal_id: int) -> None:
    """Gives every depositor its own back."""
    for (_, depositor), deposit in list(state.DEPOSITS.walk(ctx, (proposal_id,))):
        bank.send_coins(ctx, GOV_ADDRESS, depositor, deposit.amount)
        state.DEPOSITS.remove(ctx, (proposal_id, depositor))


def burn_deposits(ctx: Context, proposal_id: int) -> None:
    """Destroys all deposits of a proposal."""
    for (_, depositor), deposit in list(state.DEPOSITS.walk(ctx, (proposal_id,))):
        bank.burn(ctx, GOV, deposit.amount)
        state.DEPOSITS.remove(ctx, (proposal_id, depositor))


def cancel_deposits(ctx: Context, proposal_id: int) -> None:
    """Keeps a share of each deposit, burnt or sent where the params say, and returns the rest."""
    params = state.PARAMS.require(ctx)
    ratio = decimal(params.proposal_cancel_ratio)
    for (_, depositor), deposit in list(state.DEPOSITS.walk(ctx, (proposal_id,))):
        amounts = bank.amounts_of(deposit.amount)
        kept = bank.scale(amounts, ratio, ONE)
        if params.proposal_cancel_dest:
            bank.send_coins(ctx, GOV_ADDRESS, params.proposal_cancel_dest, kept)
        else:
            bank.burn(ctx, GOV, kept)
        rest = {denom: amount - kept[denom] for denom, amount in amounts.items()}
        bank.send_coins(ctx, GOV_ADDRESS, depositor, rest)
        state.DEPOSITS.remove(ctx, (proposal_id, depositor))


def deposits_held(ctx: Context) -> dict[str, int]:
    """What the gov account owes to the depositors of open proposals."""
    held: dict[str, int] = {}
    for queue in (state.DEPOSIT_ENDS, state.VOTING_ENDS):
        for _, proposal_id in queue.walk(ctx):
            held = bank.added(held, bank.amounts_of(state.PROPOSALS.require(ctx, proposal_id).total_deposit))
    return held
