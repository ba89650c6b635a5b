"""Scenarios of votes, and of what rewards may be done with; README.md beside this has the list."""

from __future__ import annotations

import pytest

from abci_app.modules import epochs, models
from abci_app.modules.epochs.profiles import default_params
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.cosmos.gov.v1 import gov_pb2, query_pb2
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import MsgUpdateParams
from tests.acceptance.network import a_network, an_epoch, powers, supply
from tests.chain import DENOM, GOV, Chain, GenesisParticipant, a_model, app_state, key_of
from tests.stages.test_governance import propose, register, vote

NO, YES = gov_pb2.VOTE_OPTION_NO, gov_pb2.VOTE_OPTION_YES


def voters(**weights: int) -> Chain:
    """Participants with these weights, and no nodes."""
    chain = Chain(
        app_state([GenesisParticipant(name, weight) for name, weight in weights.items()], [a_model()])
    )
    chain.run_to(1)
    return chain


def ended(chain: Chain, proposal_id: int) -> gov_pb2.Proposal:
    """The proposal in the block that ends its vote of ten seconds."""
    request = query_pb2.QueryProposalRequest(proposal_id=proposal_id)
    for _ in range(12):
        chain.block()
        found = chain.query(request, query_pb2.QueryProposalResponse).proposal
        if found.status != gov_pb2.PROPOSAL_STATUS_VOTING_PERIOD:
            return found
    raise AssertionError("the vote does not end")


@pytest.mark.parametrize(("option", "length"), [(YES, 40), (NO, 30)])
def test_params_change_only_where_the_proposal_passes_and_then_for_the_next_record(
    option: int, length: int
) -> None:
    """Setting params passes or fails. Ours: what passes waits for the next epoch's record."""
    chain = a_network()
    changed = default_params("local")
    changed.epoch.epoch_length = 40
    chain.run_to(9)  # record 1 is written
    proposal_id = propose(chain, MsgUpdateParams(authority=GOV, params=changed))

    vote(chain, proposal_id, "alice", "bob", "carol", option=option)
    ended(chain, proposal_id)

    latest, record = epochs.params(chain.context()), epochs.record(chain.context(), 1)
    assert latest.epoch.epoch_length == length
    assert record is not None
    assert record.params.epoch.epoch_length == 30


@pytest.mark.parametrize(
    ("weights", "held", "status"),
    [
        # The cap leaves the powerful one 40, which is more than both others.
        ((100, 10, 10), (40, 10, 10), gov_pb2.PROPOSAL_STATUS_PASSED),
        ((11, 12), (11, 11), gov_pb2.PROPOSAL_STATUS_REJECTED),
        ((11, 6, 6), (8, 6, 6), gov_pb2.PROPOSAL_STATUS_REJECTED),
        # More than half of the weight, but not of the power.
        ((25, 10, 10), (13, 10, 10), gov_pb2.PROPOSAL_STATUS_REJECTED),
    ],
)
def test_a_vote_counts_with_the_power_that_was_proved(
    weights: tuple[int, ...], held: tuple[int, ...], status: int
) -> None:
    """The powerful voter: 100 against 20 passes, 11 against 12 does not.

    Ours counts voting power, which is the weight under the cap: at most half for each of two, 40 % of three.
    """
    names = ("alice", "bob", "carol")[: len(weights)]
    chain = voters(**dict(zip(names, weights, strict=True)))
    proposal_id = propose(chain, register("model/new"))

    vote(chain, proposal_id, "alice")
    vote(chain, proposal_id, *names[1:], option=NO)

    assert powers(chain) == dict(zip(names, held, strict=True))
    assert ended(chain, proposal_id).status == status


def test_a_voter_without_weight_decides_nothing() -> None:
    """The voter with power zero: its yes is counted as nothing, and the proposal misses its quorum."""
    chain = voters(alice=0, bob=10, carol=10)
    proposal_id = propose(chain, register("model/new"))

    vote(chain, proposal_id, "alice")
    found = ended(chain, proposal_id)

    assert found.status == gov_pb2.PROPOSAL_STATUS_REJECTED
    assert found.final_tally_result.yes_count == "0"
    assert not models.is_valid_governance_model(chain.context(), "model/new")


def test_a_reward_can_be_spent_in_the_block_after_it_was_paid() -> None:
    """Vesting of rewards, and its governance. Ours has none: what an epoch brought is paid when it ends, by
    weight alone; no list of top miners is paid beside it, so supply grows by the emission and its bonus.
    """
    chain = a_network()
    an_epoch(chain)
    before, total = chain.balance("alice"), supply(chain)
    an_epoch(chain)
    base = 323_000 * 10**9 // 3
    gained = chain.balance("alice") - before
    away = MsgSend(from_address=key_of("alice").address, to_address=key_of("client").address)
    away.amount.add(denom=DENOM, amount=str(before + gained))

    chain.must("alice", away)

    assert gained == base + base // 10
    assert chain.balance("alice") == 0
    assert supply(chain) - total == 323_000 * 10**9 + 3 * (base // 10)
