"""Proposals from submission to their end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from abci_app.kernel.context import Context
from abci_app.kernel.errors import QueryError, TxError
from abci_app.kernel.module import MESSAGES, QUERIES
from abci_app.modules import auth, bank, epochs, gov
from abci_app.modules.gov.times import SECOND_NS, duration
from protocol.gen.cosmos.bank.v1beta1 import tx_pb2 as bank_tx
from protocol.gen.cosmos.base.v1beta1 import coin_pb2
from protocol.gen.cosmos.gov.v1 import genesis_pb2, gov_pb2, query_pb2, tx_pb2
from protocol.gen.google.protobuf import any_pb2
from tests.ground import (
    ALICE,
    BOB,
    CAROL,
    DENOM,
    Key,
    a_context,
    a_ground,
    coins,
    events_of,
    later,
    pack,
    state_of,
)

PERIOD_S = 100
FUNDS = 10**9
MIN_DEPOSIT = 10**7
YES, ABSTAIN, NO, VETO = 1, 2, 3, 4
DEPOSIT_PERIOD, VOTING, PASSED, REJECTED, FAILED = 1, 2, 3, 4, 5
POWERS = {ALICE.address: 60, BOB.address: 40}


def some_params(**changes: Any) -> gov_pb2.Params:
    params = gov.default_params(DENOM, PERIOD_S * SECOND_NS)
    for name, value in changes.items():
        setattr(params, name, value)
    return params


@pytest.fixture(autouse=True)
def powers(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The voting powers of the effective epoch group, which tests change."""
    found = dict(POWERS)
    monkeypatch.setattr(epochs, "voting_powers", lambda _ctx: found)
    return found


def a_chain(**changes: Any) -> Context:
    ctx = a_ground(dict.fromkeys((ALICE.address, BOB.address, CAROL.address), FUNDS))
    gov.MODULE.init_genesis(
        ctx, genesis_pb2.GenesisState(starting_proposal_id=1, params=some_params(**changes))
    )
    return ctx


def deliver(ctx: Context, message: Message) -> Any:
    return MESSAGES["/" + message.DESCRIPTOR.full_name].handler(ctx, message)


def refused(ctx: Context, message: Message) -> tuple[str, int, str]:
    """Codespace, code and text of the refusal; nothing changed, even without the branch of a transaction."""
    before, events = state_of(ctx), len(ctx.events)
    with pytest.raises(TxError) as caught:
        deliver(ctx, message)
    assert state_of(ctx) == before
    assert len(ctx.events) == events
    return caught.value.codespace, caught.value.code, str(caught.value)


def a_proposal(
    *messages: Message, deposit: int = MIN_DEPOSIT, proposer: Key = ALICE, **fields: Any
) -> tx_pb2.MsgSubmitProposal:
    return tx_pb2.MsgSubmitProposal(
        messages=[pack(message) for message in messages],
        initial_deposit=coins(deposit) if deposit else [],
        proposer=proposer.address,
        **{"title": "title", "summary": "summary", "metadata": "metadata", **fields},
    )


def a_payment(amount: int = 1, recipient: Key = CAROL) -> bank_tx.MsgSend:
    return bank_tx.MsgSend(from_address=gov.GOV_ADDRESS, to_address=recipient.address, amount=coins(amount))


def a_vote(voter: Key, option: int = YES, proposal_id: int = 1) -> tx_pb2.MsgVote:
    return tx_pb2.MsgVote(proposal_id=proposal_id, voter=voter.address, option=option)  # type: ignore[arg-type]


def ask(ctx: Context, request: Any) -> Any:
    (query,) = [route for route in QUERIES.values() if route.route.request is type(request)]
    return query.answer(ctx, request)


def proposal_of(ctx: Context, proposal_id: int = 1) -> gov_pb2.Proposal:
    found = ask(ctx, query_pb2.QueryProposalRequest(proposal_id=proposal_id)).proposal
    assert isinstance(found, gov_pb2.Proposal)
    return found


def end_after(ctx: Context, seconds: int) -> None:
    """Ends a block so many seconds on; only its own events are kept."""
    later(ctx, seconds)
    ctx.events.clear()
    gov.end_block(ctx)


def funds(ctx: Context, address: str) -> int:
    return bank.balance(ctx, address, DENOM)


def endowed(ctx: Context, amount: int) -> None:
    """Gives the gov account coins that are nobody's deposit."""
    bank.mint(ctx, "gov", coins(amount))
    ctx.events.clear()


# submission


def test_a_funded_proposal_is_voted_on_at_once() -> None:
    ctx = a_chain()

    answer = deliver(ctx, a_proposal())

    assert answer == tx_pb2.MsgSubmitProposalResponse(proposal_id=1)
    proposal = proposal_of(ctx)
    assert proposal.status == VOTING
    assert proposal.voting_end_time.seconds - proposal.voting_start_time.seconds == PERIOD_S
    assert (funds(ctx, ALICE.address), funds(ctx, gov.GOV_ADDRESS)) == (FUNDS - MIN_DEPOSIT, MIN_DEPOSIT)


def test_the_submission_is_told_in_the_order_that_readers_know() -> None:
    ctx = a_chain()
    endowed(ctx, 10)

    deliver(ctx, a_proposal(a_payment()))

    told = [event for event in events_of(ctx) if event[0] in {"submit_proposal", "proposal_deposit"}]
    assert told == [
        (
            "submit_proposal",
            {
                "proposal_id": "1",
                "proposal_proposer": ALICE.address,
                "proposal_messages": ",/cosmos.bank.v1beta1.MsgSend",
            },
        ),
        ("proposal_deposit", {"depositor": ALICE.address, "amount": "10000000nevg", "proposal_id": "1"}),
        ("submit_proposal", {"voting_period_start": "1"}),
    ]


def test_submission_tries_the_messages_and_leaves_nothing_of_the_trial() -> None:
    ctx = a_chain()
    endowed(ctx, 10)

    deliver(ctx, a_proposal(a_payment(10)))

    assert funds(ctx, CAROL.address) == FUNDS
    assert funds(ctx, gov.GOV_ADDRESS) == MIN_DEPOSIT + 10


SUBMISSIONS: dict[str, tuple[tx_pb2.MsgSubmitProposal, str, int, str]] = {
    "without title and summary": (
        a_proposal(title="", summary=" "),
        "sdk",
        18,
        "proposal title cannot be empty; proposal summary cannot be empty: invalid request",
    ),
    "with long title and metadata": (
        a_proposal(title="t" * 256, metadata="m" * 300),
        "gov",
        15,
        (
            "metadata has 300 characters, more than 255; title has 256 characters, more than 255"
            ": metadata too long"
        ),
    ),
    "with a long summary": (
        a_proposal(summary="s" * 10201),
        "gov",
        22,
        "summary has 10201 characters, more than 10200: summary too long",
    ),
    "of nothing": (
        a_proposal(metadata=""),
        "gov",
        11,
        "either metadata or Msgs length must be non-nil: no messages proposed",
    ),
    "without deposit": (
        a_proposal(deposit=0),
        "gov",
        16,
        "received  but need at least one of the following: 100000nevg: minimum deposit is too small",
    ),
    "with a tiny deposit": (
        a_proposal(deposit=99_999),
        "gov",
        16,
        "received 99999nevg but need at least one of the following: 100000nevg: minimum deposit is too small",
    ),
    "with a deposit above the balance": (
        a_proposal(deposit=FUNDS + 1),
        "sdk",
        5,
        f"spendable balance {FUNDS}nevg is smaller than {FUNDS + 1}nevg: insufficient funds",
    ),
    "with a message that gov does not sign": (
        a_proposal(bank_tx.MsgSend(from_address=ALICE.address, to_address=BOB.address, amount=coins(1))),
        "gov",
        13,
        (
            f"/cosmos.bank.v1beta1.MsgSend of '{ALICE.address}': "
            "expected gov account as only signer for proposal message"
        ),
    ),
    "with a message that its handler refuses": (
        a_proposal(a_payment()),
        "gov",
        12,
        (
            "message 0, /cosmos.bank.v1beta1.MsgSend: spendable balance 0nevg is smaller than 1nevg: "
            "insufficient funds: invalid proposal message"
        ),
    ),
}


@pytest.mark.parametrize(("msg", "codespace", "code", "text"), SUBMISSIONS.values(), ids=SUBMISSIONS.keys())
def test_refused_is_a_submission(msg: tx_pb2.MsgSubmitProposal, codespace: str, code: int, text: str) -> None:
    assert refused(a_chain(), msg) == (codespace, code, text)


def test_a_message_that_nobody_handles_is_refused() -> None:
    msg = a_proposal()
    msg.messages.append(any_pb2.Any(type_url="/x"))

    codespace, code, text = refused(a_chain(), msg)

    assert (codespace, code) == ("gov", 10)
    assert text.startswith("/x: ")


def test_other_coins_are_no_deposit() -> None:
    ctx = a_chain()
    bank.mint(ctx, "community_pool", coins(10**8, "apple"))
    msg = a_proposal(deposit=0)
    msg.initial_deposit.extend(coins(10**8, "apple"))
    ctx.events.clear()

    codespace, code, text = refused(ctx, msg)

    assert (codespace, code) == ("gov", 23)
    assert text.startswith("deposited 100000000apple, but gov accepts only the following denom(s): ['nevg']")


def test_a_first_deposit_below_the_wanted_share_is_refused() -> None:
    ctx = a_chain(min_initial_deposit_ratio="0.5")

    assert refused(ctx, a_proposal(deposit=MIN_DEPOSIT // 2 - 1))[1] == 16
    deliver(ctx, a_proposal(deposit=MIN_DEPOSIT // 2))

    assert proposal_of(ctx).status == DEPOSIT_PERIOD


# deposits


def test_voting_begins_with_the_deposit_that_completes_the_sum() -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal(deposit=MIN_DEPOSIT // 2))
    assert proposal_of(ctx).status == DEPOSIT_PERIOD

    for _ in range(2):
        msg = tx_pb2.MsgDeposit(proposal_id=1, depositor=BOB.address, amount=coins(MIN_DEPOSIT // 4))
        deliver(ctx, msg)

    assert proposal_of(ctx).status == VOTING
    assert list(proposal_of(ctx).total_deposit) == coins(MIN_DEPOSIT)
    deposits = ask(ctx, query_pb2.QueryDepositsRequest(proposal_id=1)).deposits
    assert sorted(each.amount[0].amount for each in deposits) == ["5000000", "5000000"]


def test_an_unfunded_proposal_is_dropped_in_time_and_paid_back() -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal(deposit=MIN_DEPOSIT // 2))

    end_after(ctx, PERIOD_S - 1)
    assert proposal_of(ctx).status == DEPOSIT_PERIOD
    end_after(ctx, 1)

    with pytest.raises(QueryError, match="proposal 1 doesn't exist"):
        proposal_of(ctx)
    assert funds(ctx, ALICE.address) == FUNDS
    assert events_of(ctx)[-1] == (
        "inactive_proposal",
        {"proposal_id": "1", "proposal_result": "proposal_dropped"},
    )


def test_an_unfunded_proposal_is_burnt_where_the_params_say() -> None:
    ctx = a_chain(burn_proposal_deposit_prevote=True)
    deliver(ctx, a_proposal(deposit=MIN_DEPOSIT // 2))

    end_after(ctx, PERIOD_S)

    assert funds(ctx, ALICE.address) == FUNDS - MIN_DEPOSIT // 2
    assert bank.supply(ctx, DENOM) == 3 * FUNDS - MIN_DEPOSIT // 2


@pytest.mark.parametrize(
    ("amount", "code"), [([], 10), (coins(0), 10), (coins(1), 16), (coins(FUNDS + 1), 5)]
)
def test_refused_deposits_change_nothing(amount: list[coin_pb2.Coin], code: int) -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal())

    assert refused(ctx, tx_pb2.MsgDeposit(proposal_id=1, depositor=BOB.address, amount=amount))[1] == code


# votes


def test_the_last_vote_of_a_voter_counts() -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal())
    deliver(ctx, a_vote(ALICE, NO))
    deliver(ctx, a_vote(BOB, YES))

    deliver(ctx, a_vote(ALICE, YES))

    tally = ask(ctx, query_pb2.QueryTallyResultRequest(proposal_id=1)).tally
    assert (tally.yes_count, tally.no_count) == ("100", "0")


def test_a_weighted_vote_is_split_and_told() -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal())
    ctx.events.clear()
    halves = [gov_pb2.WeightedVoteOption(option=kind, weight="0.5") for kind in (YES, NO)]  # type: ignore[arg-type]

    deliver(ctx, tx_pb2.MsgVoteWeighted(proposal_id=1, voter=ALICE.address, options=halves))

    ((kind, attributes),) = events_of(ctx)
    assert (kind, list(attributes)) == ("proposal_vote", ["voter", "option", "proposal_id"])
    assert json.loads(attributes["option"]) == [
        {"option": 1, "weight": "0.500000000000000000"},
        {"option": 3, "weight": "0.500000000000000000"},
    ]
    tally = ask(ctx, query_pb2.QueryTallyResultRequest(proposal_id=1)).tally
    assert (tally.yes_count, tally.no_count) == ("30", "30")


@pytest.mark.parametrize(
    ("msg", "codespace", "code", "text"),
    [
        (a_vote(ALICE, 0), "gov", 7, "0 is no option: invalid vote option"),
        (a_vote(ALICE, 9), "gov", 7, "9 is no option: invalid vote option"),
        (a_vote(ALICE, proposal_id=7), "gov", 2, "7: unknown proposal"),
        (a_vote(ALICE, proposal_id=2), "gov", 3, "2: inactive proposal"),
        (
            tx_pb2.MsgVoteWeighted(proposal_id=1, voter=ALICE.address),
            "sdk",
            18,
            "no options: invalid request",
        ),
        (
            tx_pb2.MsgVote(proposal_id=1, voter=ALICE.address, option=1, metadata="m" * 256),  # type: ignore[arg-type]
            "gov",
            15,
            ("metadata has 256 characters, more than 255: metadata too long"),
        ),
    ],
)
def test_refused_votes_change_nothing(msg: Message, codespace: str, code: int, text: str) -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal())
    deliver(ctx, a_proposal(deposit=MIN_DEPOSIT // 2))

    assert refused(ctx, msg) == (codespace, code, text)


# the end of a vote


def closed(ctx: Context, *votes: tuple[Key, int]) -> gov_pb2.Proposal:
    """Votes on proposal 1 and lets its time run out."""
    for voter, option in votes:
        deliver(ctx, a_vote(voter, option))
    end_after(ctx, PERIOD_S)
    return proposal_of(ctx)


def test_a_passed_proposal_acts_and_gives_the_deposits_back() -> None:
    ctx = a_chain()
    endowed(ctx, 10)
    deliver(ctx, a_proposal(a_payment(7), a_payment(3, BOB)))

    proposal = closed(ctx, (ALICE, YES), (BOB, NO))

    assert (proposal.status, proposal.failed_reason) == (PASSED, "")
    assert (proposal.final_tally_result.yes_count, proposal.final_tally_result.no_count) == ("60", "40")
    assert funds(ctx, ALICE.address) == FUNDS
    assert (funds(ctx, CAROL.address), funds(ctx, BOB.address)) == (FUNDS + 7, FUNDS + 3)
    assert funds(ctx, gov.GOV_ADDRESS) == 0
    assert events_of(ctx)[-1] == (
        "active_proposal",
        {"proposal_id": "1", "proposal_result": "proposal_passed", "proposal_log": "passed"},
    )


def test_nothing_ends_before_its_time() -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal())
    deliver(ctx, a_vote(ALICE))
    before = state_of(ctx)

    end_after(ctx, PERIOD_S - 1)

    assert state_of(ctx) == before
    assert ctx.events == []


def test_of_messages_one_of_which_fails_none_takes_effect() -> None:
    ctx = a_chain()
    endowed(ctx, 10)
    deliver(ctx, a_proposal(a_payment(7), a_payment(3, BOB)))
    bank.burn(ctx, "gov", coins(3))

    proposal = closed(ctx, (ALICE, YES))

    assert proposal.status == FAILED
    assert proposal.failed_reason == (
        "message 1 failed on execution: spendable balance 0nevg is smaller than 3nevg: insufficient funds"
    )
    assert funds(ctx, CAROL.address) == FUNDS
    assert events_of(ctx)[-1][1]["proposal_result"] == "proposal_failed"
    assert not any(attributes.get("receiver") == CAROL.address for _, attributes in events_of(ctx))


def test_an_error_of_our_own_within_a_proposal_fails_it_with_a_constant_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ctx = a_chain()
    bugs: list[tuple[str, BaseException]] = []
    ctx.on_bug = lambda where, bug: bugs.append((where, bug))
    endowed(ctx, 10)
    deliver(ctx, a_proposal(a_payment(7)))
    monkeypatch.setattr(bank.handlers, "send_coins", lambda *_args: next(iter(())))

    proposal = closed(ctx, (ALICE, YES))

    assert (proposal.status, proposal.failed_reason) == (
        FAILED,
        "message 0 failed on execution: internal error",
    )
    assert funds(ctx, gov.GOV_ADDRESS) == 10
    assert [(where, type(bug)) for where, bug in bugs] == [
        ("proposal: /cosmos.bank.v1beta1.MsgSend", StopIteration)
    ]


@pytest.mark.parametrize("failure", [MemoryError, RecursionError, OSError])
def test_a_failure_of_the_machine_is_no_result(
    failure: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = a_chain()
    endowed(ctx, 10)
    deliver(ctx, a_proposal(a_payment(7)))
    deliver(ctx, a_vote(ALICE))

    def fail(*_args: object) -> None:
        raise failure

    monkeypatch.setattr(bank.handlers, "send_coins", fail)

    with pytest.raises(failure):
        end_after(ctx, PERIOD_S)


def test_messages_cannot_spend_the_deposits_of_other_proposals() -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal(proposer=BOB))
    deliver(ctx, a_proposal(a_payment(MIN_DEPOSIT)))
    later(ctx, 1)
    deliver(ctx, a_proposal(proposer=CAROL))
    deliver(ctx, a_vote(ALICE, proposal_id=2))
    end_after(ctx, PERIOD_S - 1)

    proposal = proposal_of(ctx, 2)

    assert proposal.status == FAILED
    assert proposal.failed_reason == (
        "message 0 failed on execution: 0nevg would be left of 10000000nevg: "
        "messages spend deposits of open proposals"
    )
    assert funds(ctx, gov.GOV_ADDRESS) == MIN_DEPOSIT
    end_after(ctx, 1)
    assert funds(ctx, CAROL.address) == FUNDS


@pytest.mark.parametrize(
    ("votes", "log", "burnt"),
    [
        ([], "no_quorum", 0),
        ([(ALICE, ABSTAIN)], "all_abstained", 0),
        ([(ALICE, NO)], "threshold_not_met", 0),
        ([(CAROL, YES)], "no_quorum", 0),
        ([(ALICE, VETO)], "vetoed", MIN_DEPOSIT),
    ],
)
def test_a_rejected_proposal_says_why_and_only_a_veto_costs_the_deposit(
    votes: list[tuple[Key, int]], log: str, burnt: int
) -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal())

    proposal = closed(ctx, *votes)

    assert proposal.status == REJECTED
    assert funds(ctx, ALICE.address) == FUNDS - burnt
    assert bank.supply(ctx, DENOM) == 3 * FUNDS - burnt
    assert events_of(ctx)[-1][1] == {
        "proposal_id": "1",
        "proposal_result": "proposal_rejected",
        "proposal_log": log,
    }


def test_power_counts_as_it_is_when_the_vote_ends(powers: dict[str, int]) -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal())
    deliver(ctx, a_vote(ALICE, YES))
    deliver(ctx, a_vote(CAROL, NO))
    powers.clear()
    powers.update({ALICE.address: 1, CAROL.address: 9})

    end_after(ctx, PERIOD_S)

    assert proposal_of(ctx).status == REJECTED
    assert proposal_of(ctx).final_tally_result.no_count == "9"


def test_without_any_power_nothing_passes(powers: dict[str, int]) -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal())
    powers.clear()

    assert closed(ctx, (ALICE, YES)).status == REJECTED


def test_an_expedited_proposal_that_does_not_pass_goes_on_as_a_regular_one() -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal(deposit=5 * MIN_DEPOSIT, expedited=True))
    deliver(ctx, a_vote(ALICE))  # 60 of 100 is below its threshold where BOB says no
    deliver(ctx, a_vote(BOB, NO))

    end_after(ctx, PERIOD_S // 2)

    proposal = proposal_of(ctx)
    assert (proposal.status, proposal.expedited) == (VOTING, False)
    assert ask(ctx, query_pb2.QueryVotesRequest(proposal_id=1)).votes == []
    assert funds(ctx, ALICE.address) == FUNDS - 5 * MIN_DEPOSIT
    assert events_of(ctx)[-1][1]["proposal_result"] == "expedited_proposal_rejected"

    deliver(ctx, a_vote(ALICE))
    end_after(ctx, PERIOD_S // 2)
    assert proposal_of(ctx).status == PASSED


def test_after_the_end_nobody_votes_or_deposits() -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal())
    closed(ctx, (ALICE, YES))

    assert refused(ctx, a_vote(BOB))[1] == 3
    deposit = tx_pb2.MsgDeposit(proposal_id=1, depositor=BOB.address, amount=coins(MIN_DEPOSIT))
    assert refused(ctx, deposit)[1] == 3


# cancelling


@pytest.mark.parametrize("deposit", [MIN_DEPOSIT // 2, MIN_DEPOSIT])
def test_who_cancels_pays_its_share(deposit: int) -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal(deposit=deposit))

    answer = deliver(ctx, tx_pb2.MsgCancelProposal(proposal_id=1, proposer=ALICE.address))

    assert (answer.proposal_id, answer.canceled_height) == (1, ctx.height)
    assert funds(ctx, ALICE.address) == FUNDS - deposit // 2
    assert bank.supply(ctx, DENOM) == 3 * FUNDS - deposit // 2
    end_after(ctx, 10 * PERIOD_S)
    assert ctx.events == []


def test_the_share_of_a_cancelled_proposal_goes_where_the_params_say() -> None:
    ctx = a_chain(proposal_cancel_dest=CAROL.address)
    deliver(ctx, a_proposal())

    deliver(ctx, tx_pb2.MsgCancelProposal(proposal_id=1, proposer=ALICE.address))

    assert funds(ctx, CAROL.address) == FUNDS + MIN_DEPOSIT // 2
    assert bank.supply(ctx, DENOM) == 3 * FUNDS


def test_nobody_cancels_another_ones_or_an_ended_proposal() -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal())

    assert refused(ctx, tx_pb2.MsgCancelProposal(proposal_id=1, proposer=BOB.address))[:2] == ("gov", 18)
    closed(ctx, (ALICE, YES))
    assert refused(ctx, tx_pb2.MsgCancelProposal(proposal_id=1, proposer=ALICE.address))[:2] == ("gov", 21)


# params


def test_params_are_changed_by_a_passed_proposal_and_by_nobody_else() -> None:
    ctx = a_chain()
    wanted = some_params(quorum="0.100000000000000000")
    by_alice = tx_pb2.MsgUpdateParams(authority=ALICE.address, params=wanted)
    assert refused(ctx, by_alice)[:2] == ("gov", 13)

    deliver(ctx, a_proposal(tx_pb2.MsgUpdateParams(authority=gov.GOV_ADDRESS, params=wanted)))
    closed(ctx, (ALICE, YES))

    assert ask(ctx, query_pb2.QueryParamsRequest()).params == wanted


def test_params_that_cannot_be_are_refused_with_all_reasons() -> None:
    wanted = some_params(quorum="2", threshold="x")

    refusal = refused(a_chain(), tx_pb2.MsgUpdateParams(authority=gov.GOV_ADDRESS, params=wanted))

    assert refusal == (
        "sdk",
        18,
        "quorum is not in [0, 1]: '2'; threshold is not in [0, 1]: 'x': invalid request",
    )


# queries


def test_proposals_are_found_by_status_voter_and_depositor() -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal())
    deliver(ctx, a_proposal(deposit=MIN_DEPOSIT // 2, proposer=BOB))
    deliver(ctx, a_vote(CAROL))

    def ids(**fields: Any) -> list[int]:
        found = ask(ctx, query_pb2.QueryProposalsRequest(**fields)).proposals
        return [proposal.id for proposal in found]

    assert ids() == [1, 2]
    assert ids(proposal_status=VOTING) == [1]
    assert ids(depositor=BOB.address) == [2]
    assert ids(voter=CAROL.address) == [1]
    assert ids(voter=CAROL.address, depositor=BOB.address) == []


def test_single_votes_and_deposits_are_answered() -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal())
    deliver(ctx, a_vote(CAROL, NO))

    vote = ask(ctx, query_pb2.QueryVoteRequest(proposal_id=1, voter=CAROL.address)).vote
    deposit = ask(ctx, query_pb2.QueryDepositRequest(proposal_id=1, depositor=ALICE.address)).deposit

    assert [(each.option, each.weight) for each in vote.options] == [(NO, "1.000000000000000000")]
    assert list(deposit.amount) == coins(MIN_DEPOSIT)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (query_pb2.QueryProposalRequest(), "InvalidArgument"),
        (query_pb2.QueryProposalRequest(proposal_id=9), "NotFound"),
        (query_pb2.QueryVoteRequest(proposal_id=1, voter=BOB.address), "InvalidArgument"),
        (query_pb2.QueryVoteRequest(proposal_id=1, voter="\0"), "InvalidArgument"),
        (query_pb2.QueryDepositRequest(proposal_id=1, depositor=""), "InvalidArgument"),
        (query_pb2.QueryProposalsRequest(voter="\0"), "InvalidArgument"),
        (query_pb2.QueryParamsRequest(params_type="x"), "InvalidArgument"),
    ],
)
def test_questions_without_an_answer_have_a_status(request_: Any, status: str) -> None:
    ctx = a_chain()
    deliver(ctx, a_proposal())

    with pytest.raises(QueryError) as caught:
        ask(ctx, request_)

    assert caught.value.status == status


def test_params_are_answered_in_the_older_forms_too() -> None:
    ctx = a_chain()

    deposit, voting, tallying = (
        ask(ctx, query_pb2.QueryParamsRequest(params_type=kind)) for kind in ("deposit", "voting", "tallying")
    )

    assert list(deposit.deposit_params.min_deposit) == coins(MIN_DEPOSIT)
    assert voting.voting_params.voting_period == duration(PERIOD_S * SECOND_NS)
    assert tallying.tally_params.quorum == "0.334000000000000000"


# genesis

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["submit", "fund", "vote", "wait", "cancel"]),
        st.sampled_from([ALICE, BOB, CAROL]),
        st.integers(1, 4),
        st.integers(1, 12),
    ),
    max_size=15,
)


def play(ctx: Context, moves: list[tuple[str, Key, int, int]]) -> None:
    for move, key, number, amount in moves:
        coins_ = coins(amount * 10**6)
        try:
            with ctx.branch() as branch:
                match move:
                    case "submit":
                        deliver(
                            branch, a_proposal(deposit=amount * 10**6, proposer=key, expedited=number == 4)
                        )
                    case "fund":
                        deliver(
                            branch,
                            tx_pb2.MsgDeposit(proposal_id=number, depositor=key.address, amount=coins_),
                        )
                    case "vote":
                        deliver(branch, a_vote(key, 1 + amount % 4, number))
                    case "cancel":
                        deliver(branch, tx_pb2.MsgCancelProposal(proposal_id=number, proposer=key.address))
        except TxError:
            continue
        if move == "wait":
            end_after(ctx, amount * 10)


@given(STEPS)
def test_an_exported_genesis_goes_on_as_the_chain_would_have(moves: list[tuple[str, Key, int, int]]) -> None:
    ctx = a_chain()
    play(ctx, moves)
    again = a_context()
    again.block = ctx.block
    for module in (auth.MODULE, bank.MODULE, gov.MODULE):
        exported = module.export_genesis(ctx)
        assert module.validate_genesis(exported) == []
        module.init_genesis(again, exported)
        assert module.export_genesis(again) == exported
    assert state_of(again) == state_of(ctx)

    for each in (ctx, again):
        end_after(each, 3 * PERIOD_S)

    assert state_of(again) == state_of(ctx)


@given(STEPS)
def test_the_gov_account_holds_exactly_the_deposits_of_open_proposals(
    moves: list[tuple[str, Key, int, int]],
) -> None:
    ctx = a_chain()

    play(ctx, moves)

    deposits = gov.MODULE.export_genesis(ctx).deposits  # type: ignore[attr-defined]
    assert funds(ctx, gov.GOV_ADDRESS) == sum(int(each.amount[0].amount) for each in deposits)
    people = sum(funds(ctx, key.address) for key in (ALICE, BOB, CAROL))
    assert people + funds(ctx, gov.GOV_ADDRESS) == bank.supply(ctx, DENOM)
    end_after(ctx, 100 * PERIOD_S)
    end_after(ctx, 100 * PERIOD_S)
    assert funds(ctx, gov.GOV_ADDRESS) == 0


def test_everything_wrong_with_a_genesis_is_named_at_once() -> None:
    genesis = genesis_pb2.GenesisState(
        params=some_params(),
        proposals=[gov_pb2.Proposal(id=3, status=VOTING, total_deposit=coins(5))],  # type: ignore[arg-type]
        deposits=[gov_pb2.Deposit(proposal_id=8, depositor=ALICE.address, amount=coins(5))],
        votes=[gov_pb2.Vote(proposal_id=9, voter=ALICE.address)],
    )

    errors = gov.MODULE.validate_genesis(genesis)

    assert errors == [
        "starting_proposal_id is 0",
        "proposals[0]: the id 3 is taken, 0 or not given out yet",
        "deposits[0]: proposal 8 is not open",
        "votes[0]: total weight lower than 1.00",
        "votes[0]: proposal 9 is not voted on",
    ]


def test_a_genesis_in_which_gov_owes_more_than_it_has_is_refused() -> None:
    ctx = a_ground()
    genesis = genesis_pb2.GenesisState(
        starting_proposal_id=2,
        params=some_params(),
        proposals=[gov_pb2.Proposal(id=1, status=VOTING, total_deposit=coins(5))],  # type: ignore[arg-type]
        deposits=[gov_pb2.Deposit(proposal_id=1, depositor=ALICE.address, amount=coins(5))],
    )
    assert gov.MODULE.validate_genesis(genesis) == []

    with pytest.raises(ValueError, match="the gov account owes 5nevg and has less"):
        gov.MODULE.init_genesis(ctx, genesis)
