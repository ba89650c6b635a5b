"""What governance changes, and when it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import epochs, models
from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.gov.steps import CLOSED_PER_BLOCK
from client.tx import pack
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.gov.v1 import gov_pb2, query_pb2
from protocol.gen.cosmos.gov.v1 import tx_pb2 as gov_tx
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.models.v1.models_pb2 import MsgRegisterModel, MsgRetireModel
from tests.chain import DENOM, GOV, Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of
from tests.stages.test_epoch import LENGTH, MODEL, E, S, V, group_of, run_poc, two_owners

if TYPE_CHECKING:
    from google.protobuf.message import Message


def proposal_of(*messages: Message, deposit: int = 10**7) -> gov_tx.MsgSubmitProposal:
    return gov_tx.MsgSubmitProposal(
        messages=[pack(message) for message in messages],
        initial_deposit=[Coin(denom=DENOM, amount=str(deposit))],
        proposer=key_of("alice").address,
        title="a change",
        summary="a change",
    )


def propose(chain: Chain, *messages: Message) -> int:
    result = chain.must("alice", proposal_of(*messages))
    return int(next(a.value for e in result.events for a in e.attributes if a.key == "proposal_id"))


def vote(chain: Chain, proposal_id: int, *names: str, option: int = gov_pb2.VOTE_OPTION_YES) -> None:
    for name in names:
        message = gov_tx.MsgVote(proposal_id=proposal_id, voter=key_of(name).address)
        message.option = option  # type: ignore[assignment]
        chain.must(name, message)


def passed(chain: Chain, *messages: Message) -> gov_pb2.Proposal:
    """Proposed, voted for by both, and over: the proposal as it ended."""
    proposal_id = propose(chain, *messages)
    vote(chain, proposal_id, "alice", "bob")
    request = query_pb2.QueryProposalRequest(proposal_id=proposal_id)
    for _ in range(15):
        chain.block()
        found = chain.query(request, query_pb2.QueryProposalResponse).proposal
        if found.status != gov_pb2.PROPOSAL_STATUS_VOTING_PERIOD:
            return found
    raise AssertionError("the vote does not end")


def register(model_id: str, throughput_per_nonce: int = 1000) -> MsgRegisterModel:
    return MsgRegisterModel(authority=GOV, model=a_model(model_id, throughput_per_nonce))


def test_a_model_comes_by_a_passed_proposal_alone() -> None:
    chain = two_owners()

    direct = chain.deliver("alice", register("model/new"))
    proposal = passed(chain, register("model/new"))

    assert direct.code != 0
    assert proposal.status == gov_pb2.PROPOSAL_STATUS_PASSED
    assert models.is_valid_governance_model(chain.context(), "model/new")


def test_a_rejected_proposal_changes_nothing() -> None:
    chain = two_owners()
    proposal_id = propose(chain, register("model/new"))

    vote(chain, proposal_id, "alice", "bob", option=gov_pb2.VOTE_OPTION_NO)
    chain.run_to(chain.height + 11)

    assert not models.is_valid_governance_model(chain.context(), "model/new")


def test_all_messages_of_a_proposal_run_or_none_and_the_reason_is_kept() -> None:
    chain = two_owners(0, MODEL, "model/old")
    retire = MsgRetireModel(authority=GOV, model_id="model/old")
    both = [propose(chain, register("model/one"), retire), propose(chain, register("model/two"), retire)]

    for proposal_id in both:
        vote(chain, proposal_id, "alice", "bob")
    chain.run_to(chain.height + 11)

    request = query_pb2.QueryProposalRequest(proposal_id=both[1])
    second = chain.query(request, query_pb2.QueryProposalResponse).proposal
    assert second.status == gov_pb2.PROPOSAL_STATUS_FAILED
    assert "model/old" in second.failed_reason
    assert models.is_valid_governance_model(chain.context(), "model/one")
    assert not models.is_valid_governance_model(chain.context(), "model/two")


def test_the_effective_epoch_keeps_its_frozen_model_when_the_registry_changes() -> None:
    chain = two_owners()
    run_poc(chain, S, {"alice": 300, "bob": 200})
    frozen = group_of(chain, 1, MODEL).group.model_snapshot

    proposal = passed(chain, register(MODEL, throughput_per_nonce=7))

    assert proposal.status == gov_pb2.PROPOSAL_STATUS_PASSED
    latest = models.get_governance_model(chain.context(), MODEL)
    assert latest is not None
    assert latest.throughput_per_nonce == 7
    assert group_of(chain, 1, MODEL).group.model_snapshot == frozen


def test_params_changed_behind_the_record_wait_for_the_next_one() -> None:
    chain = two_owners()
    changed = default_params("local")
    changed.epoch.epoch_length = 40
    chain.run_to(S - 1)  # record 1 is written

    proposal = passed(chain, epochs_pb2.MsgUpdateParams(authority=GOV, params=changed))

    ctx = chain.context()
    assert proposal.status == gov_pb2.PROPOSAL_STATUS_PASSED
    assert epochs.params(ctx).epoch.epoch_length == 40
    upcoming = epochs.upcoming_record(ctx)
    assert upcoming is not None
    assert upcoming.params.epoch.epoch_length == 30
    chain.run_to(S + LENGTH - 1)
    upcoming = epochs.upcoming_record(chain.context())
    assert upcoming is not None
    assert (upcoming.height_start, upcoming.params.epoch.epoch_length) == (S + LENGTH, 40)


def test_params_that_cannot_work_are_refused_with_every_reason_before_anyone_votes() -> None:
    chain = two_owners()
    wrong = default_params("local")
    wrong.epoch.epoch_length = 16
    wrong.uptime.voting_guard_bps = 10_001

    result = chain.deliver("alice", proposal_of(epochs_pb2.MsgUpdateParams(authority=GOV, params=wrong)))

    assert result.code != 0
    assert "epoch.epoch_length must be at least 22" in result.log
    assert "uptime.voting_guard_bps must be at most 10000" in result.log


def test_votes_weigh_by_voting_power_not_by_coins() -> None:
    owners = [GenesisParticipant("alice", 10), GenesisParticipant("bob", 30), GenesisParticipant("carol", 30)]
    chain = Chain(app_state(owners, [a_model()], funded=["rich"]))
    proposal_id = propose(chain, register("model/new"))

    vote(chain, proposal_id, "alice", "rich")
    vote(chain, proposal_id, "bob", option=gov_pb2.VOTE_OPTION_NO)
    chain.run_to(chain.height + 11)

    assert not models.is_valid_governance_model(chain.context(), "model/new")


def test_a_retired_model_counts_at_the_next_formation_and_not_at_the_one_after() -> None:
    nodes = (GenesisNode("gpu", ("model/old", MODEL)),)
    owners = [GenesisParticipant(name, 10, nodes) for name in ("alice", "bob")]
    chain = Chain(app_state(owners, [a_model(), a_model("model/old")]))
    chain.run_to(1)
    proposal_id = propose(chain, MsgRetireModel(authority=GOV, model_id="model/old"))
    vote(chain, proposal_id, "alice", "bob")

    run_poc(chain, S, {"alice": 30, "bob": 20})
    first = list(group_of(chain, 1).group.sub_group_models)
    chain.run_to(S + LENGTH)
    serving = {
        m.member_address
        for m in group_of(chain, 1, "model/old").validation_weights
        if m.ml_nodes[0].timeslot_allocation[epochs_pb2.POC_SLOT]
    }
    run_poc(
        chain,
        S + LENGTH,
        {name: 0 if key_of(name).address in serving else 25 for name in ("alice", "bob")},
    )

    assert "model/old" in first
    assert list(group_of(chain, 2).group.sub_group_models) == [MODEL]
    assert chain.height == S + LENGTH + V - S >= E


def test_proposals_that_end_together_are_closed_over_blocks_and_nobody_votes_meanwhile() -> None:
    # Given more proposals than one block closes, whose voting ends together
    chain = two_owners()
    many = CLOSED_PER_BLOCK + 2
    submitted = chain.block(*(chain.sign("alice", proposal_of(register("model/new"))) for _ in range(many)))
    assert [result.code for result in submitted] == [0] * many
    while not closed(chain):
        chain.block()

    # Then the first block closes its part of them
    assert closed(chain) == CLOSED_PER_BLOCK
    # And on the others nobody votes any more
    ballot = gov_tx.MsgVote(proposal_id=many, voter=key_of("bob").address, option=gov_pb2.VOTE_OPTION_YES)
    assert "inactive proposal" in chain.deliver("bob", ballot).log
    assert closed(chain) == many


def closed(chain: Chain) -> int:
    found = chain.query(query_pb2.QueryProposalsRequest(), query_pb2.QueryProposalsResponse).proposals
    return sum(each.status == gov_pb2.PROPOSAL_STATUS_REJECTED for each in found)
