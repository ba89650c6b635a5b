"""Known defects of proof of compute and epochs elsewhere, which ours lacks; README.md has the list."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from abci_app.app import STORES
from abci_app.genesis import export_genesis
from abci_app.kernel.store import MemoryStore
from abci_app.modules import epochs
from protocol.gen.cosmos.gov.v1.gov_pb2 import VOTE_OPTION_YES
from protocol.gen.cosmos.gov.v1.tx_pb2 import MsgVote
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import POC_SLOT, MsgUpdateParams
from protocol.gen.evergrid.inference.v1.inference_pb2 import QueryExecutorsRequest, QueryExecutorsResponse
from protocol.gen.evergrid.poc.v1 import poc_pb2
from tests.acceptance.network import (
    BY_ADDRESS,
    NAMES,
    WEIGHT,
    X,
    a_batch,
    a_diff,
    a_network,
    a_node,
    a_start,
    an_epoch,
    epoch_of,
    group,
    heights,
    judge,
    local_params,
    mine,
    next_poc,
    nodes,
    powers,
    served,
    serving,
    settled,
    together,
    verdicts,
    weights,
)
from tests.chain import (
    GOV,
    Chain,
    GenesisParticipant,
    a_model,
    app_state,
    block_hash,
    key_of,
    validator_key_of,
)
from tests.stages.test_governance import proposal_of

if TYPE_CHECKING:
    from google.protobuf.message import Message

PAIR = {"alice": {"gpu": (X,), "gpu2": (X,)}, "bob": {"gpu": (X,)}}


def test_each_nodes_nonces_are_its_own_weight_and_sum_up_to_the_participants() -> None:
    """Node ids were lost on the way into the state, so that weight was split evenly, with a remainder that
    was counted twice. Equal ids at two participants stay apart as well.
    """
    chain = a_network(PAIR)
    mined = {("alice", "gpu"): 7, ("alice", "gpu2"): 14, ("bob", "gpu"): 11}
    stage = poc_pb2.QueryPocBatchesRequest(poc_stage_start_height=next_poc(chain))

    an_epoch(chain, mined)

    batches = chain.query(stage, poc_pb2.QueryPocBatchesResponse).batches
    assert {(BY_ADDRESS[b.participant], b.node_id): b.nonce_count for b in batches} == mined
    assert {key: node.poc_weight for key, node in nodes(chain).items()} == mined
    assert weights(chain) == {"alice": 21, "bob": 11}
    assert group(chain).group.total_weight == 32


def test_a_batch_without_a_node_is_refused_although_all_others_of_its_sender_serve() -> None:
    """A batch with an empty node id of someone all of whose nodes were preserved divided by zero."""
    chain = a_network({"alice": {"gpu": (X,)}})
    an_epoch(chain)
    chain.run_to(next_poc(chain))
    assert serving(chain) == {("alice", "gpu")}

    empty = chain.deliver("alice", a_batch("alice", "", next_poc(chain)))
    own = chain.deliver("alice", a_batch("alice", "gpu", next_poc(chain)))
    chain.run_to(heights(chain).switch)

    assert "unknown_node" in empty.log
    assert "holds_poc_slot" in own.log
    assert (epoch_of(chain), weights(chain)) == (2, {"alice": WEIGHT})


def test_who_serves_gets_its_preserved_weight_once_whatever_else_it_tries_to_mine() -> None:
    """A preserved node that mined as well counted twice."""
    chain = a_network(PAIR)
    an_epoch(chain)
    chain.run_to(next_poc(chain))
    ((name, node_id),) = serving(chain)
    twice = chain.deliver(name, a_batch(name, node_id, next_poc(chain), 1_000))

    an_epoch(chain)

    assert "holds_poc_slot" in twice.log
    assert weights(chain) == {"alice": 2 * WEIGHT, "bob": WEIGHT}


def test_nobody_passes_and_later_pocs_still_find_a_group_that_votes() -> None:
    """An empty next group became effective, nobody could vote any more, and the unit price fell to 0."""
    chain = a_network()
    an_epoch(chain)
    before = (weights(chain), group(chain).group.unit_of_compute_price)
    chain.run_to(next_poc(chain) - 1)
    for name in ("alice", "bob", "carol"):  # nobody preserved either: all of them leave the registry
        chain.must(name, a_diff(name, removed=["gpu"]))
    chain.run_to(heights(chain).validation_end)
    kept = (weights(chain), group(chain).group.unit_of_compute_price)
    extended = epoch_of(chain)
    for name in ("alice", "bob", "carol"):
        chain.must(name, a_diff(name, a_node("gpu")))

    an_epoch(chain)

    assert before == kept
    assert extended == 1
    assert (epoch_of(chain), len(weights(chain))) == (2, 3)


@pytest.mark.parametrize("after", [-6, -2, 0, 4, 7, 10])
def test_an_epoch_that_governance_shortens_at_any_moment_runs_every_stage_once(after: int) -> None:
    """Params that changed in mid-epoch moved the stages of the running one, a height was missed, and the
    chain halted. Ours freezes them in the record one block before S: here the change passes from two blocks
    before S on to one behind E.
    """
    chain = a_network(voting_period_s=3)
    start, names = next_poc(chain), ("alice", "bob", "carol")
    shorter = epochs.params(chain.context())
    shorter.epoch.epoch_length, shorter.epoch.set_validators_delay = 22, 1
    shorter.epoch.poc_validation_duration = 2
    proposal = proposal_of(MsgUpdateParams(authority=GOV, params=shorter))
    due: dict[int, list[tuple[str, Message]]] = defaultdict(list)
    due[start + after].append(("alice", proposal))
    for name in names:
        ballot = MsgVote(proposal_id=1, voter=key_of(name).address, option=VOTE_OPTION_YES)
        due[start + after + 1].append((name, ballot))
        due[start + 3].append((name, a_batch(name, "gpu", start)))
        due[start + 9].append((name, verdicts(name, start, [other for other in names if other != name])))

    while chain.height < start + 15:
        together(chain, *due[chain.height + 1])
    first, frozen = epoch_of(chain), after > -6
    an_epoch(chain)
    an_epoch(chain)

    # Only the change that passes before S-1 shortens record 1, whose V is then at 11 instead of 15.
    records = [record for i in (1, 2, 3) if (record := epochs.record(chain.context(), i)) is not None]
    assert epochs.params(chain.context()).epoch == shorter.epoch
    assert first == 1
    assert [list(record.stages_done) for record in records] == [[name for name, _ in epochs.STAGES]] * 3
    lengths = [30, 22, 22] if frozen else [22, 22, 22]
    assert [record.params.epoch.epoch_length for record in records] == lengths
    starts = [start, start + lengths[0], start + lengths[0] + 22]
    assert [record.height_start for record in records] == starts
    assert records[0].height_switched == start + (15 if frozen else 11)


def test_stages_whose_heights_were_missed_run_late_and_in_order() -> None:
    """A stage that met its height by equality alone never ran once the height had passed. Ours runs what is
    due or past: here a chain that is taken over at a height behind the whole PoC.
    """
    chain = a_network()
    an_epoch(chain)
    chain.run_to(next_poc(chain) - 3)
    later = Chain(export_genesis(chain.context()), MemoryStore(STORES), initial_height=next_poc(chain) + 20)

    later.block()
    kinds = [kind for kind, _ in later.events]
    an_epoch(later)

    stages = ["poc_slots_allocated", "poc_started", "poc_ended", "poc_validation_started"]
    assert [kind for kind in kinds if kind in stages] == stages
    assert "epoch_extended" in kinds  # who serves kept its weight, but that is less than two thirds
    assert (epoch_of(later), len(weights(later))) == (2, 3)


def test_batches_close_before_the_samples_are_known() -> None:
    """The last moment of a batch was the first of its validation, so batches could come after the list of
    validators was made. Ours refuses params in which they touch.
    """
    chain = a_network()
    touching = epochs.params(chain.context())
    touching.epoch.poc_validation_delay = touching.epoch.poc_exchange_duration
    at = heights(chain)
    chain.run_to(at.batches_end)

    late = chain.deliver("alice", a_batch("alice", "gpu", at.start))

    assert at.batches_end < at.validation_start
    assert "outside_window" in late.log
    assert any("poc_validation_delay" in error for error in epochs.params_errors(touching))


@pytest.mark.parametrize(
    ("found", "held"),
    [
        ((20, 10), (10, 10)),
        ((20, 10, 10), (13, 10, 10)),
        ((10, 10, 10, 13), (10, 10, 10, 10)),
        # Ours: no cap takes more than half of all weight away.
        ((100, 10, 10, 10, 10), (30, 10, 10, 10, 10)),
        ((0, 0, 0, 10), (10,)),
        ((1, 1, 1, 1, 1_000), (1, 1, 1, 1, 498)),
    ],
)
def test_voting_power_never_collapses_to_nothing_or_to_equal_ones(
    found: tuple[int, ...], held: tuple[int, ...]
) -> None:
    """Caps by the plain formula left [0, 0, 0, 10] without any power and made one of 1,000 equal to those of
    1. Ours: powers sum to half of the weights at least, and weight 0 is no member.
    """
    owners = [GenesisParticipant(name, weight) for name, weight in zip(NAMES, found, strict=False)]
    chain = Chain(app_state(owners, [a_model()]))
    chain.run_to(1)

    by_name = powers(chain)

    assert tuple(by_name[name] for name in NAMES if name in by_name) == held


def test_an_invalid_executor_is_drawn_for_no_further_request() -> None:
    """INVALID ones stayed in the models' groups and were still handed requests."""
    chain = a_network()
    an_epoch(chain)
    chain.block(misbehaving=[validator_key_of("alice")])

    request = QueryExecutorsRequest(model_id=X)
    executors = chain.query(request, QueryExecutorsResponse).executors
    refused = chain.deliver("client", a_start("i", "alice"))

    assert {e.participant for e in executors} == {key_of("bob").address, key_of("carol").address}
    assert "no_slot_in_force" in refused.log


def test_what_was_said_once_of_a_poc_cannot_be_said_otherwise_nor_of_oneself() -> None:
    """Votes and seeds could be rewritten until the epoch was formed, and one could vote for oneself. Ours has
    no seeds of participants: they are hashes of blocks.
    """
    chain = a_network()
    start = next_poc(chain)
    mine(chain)
    together(chain, ("alice", verdicts("alice", start, ["bob"])))

    again = chain.deliver("alice", verdicts("alice", start, ["bob"], frauds=["bob"]))
    oneself = chain.deliver("alice", verdicts("alice", start, ["alice"]))
    judge_rest(chain, start)

    record = epochs.record(chain.context(), 1)
    assert record is not None
    assert (record.poc_seed, record.validation_seed) == (block_hash(start), block_hash(start + 8))
    assert "repeated_verdict" in again.log
    assert "self_verdict" in oneself.log
    assert weights(chain)["bob"] == WEIGHT


def judge_rest(chain: Chain, start: int) -> None:
    """All verdicts but those that alice gave, up to the switch."""
    told = [("alice", ["carol"]), ("bob", ["alice", "carol"]), ("carol", ["alice", "bob"])]
    together(chain, *((name, verdicts(name, start, others)) for name, others in told))
    chain.run_to(heights(chain).switch)


def test_size_count_and_owner_of_batches_are_bounded_and_repeated_nonces_refused() -> None:
    """Batches, nonces and sizes had no bound, a nonce sent twice counted twice, and nobody looked whose node
    it was.
    """
    params = local_params()
    params.poc.max_nonces_per_batch, params.poc.max_nonces_per_node = 20, 30
    chain = a_network(PAIR, params=params)
    start = next_poc(chain)
    chain.run_to(start)

    large = chain.deliver("bob", a_batch("bob", "gpu", start, 21))
    together(chain, ("bob", a_batch("bob", "gpu", start, 20)))
    twice = chain.deliver("bob", a_batch("bob", "gpu", start, 5, first=10))
    beyond = chain.deliver("bob", a_batch("bob", "gpu", start, 11, first=20))
    foreign = chain.deliver("bob", a_batch("bob", "gpu2", start, 5))
    found = chain.query(
        poc_pb2.QueryNodeNoncesRequest(poc_stage_start_height=start), poc_pb2.QueryNodeNoncesResponse
    ).nodes

    refusals = ("too_many_nonces", "nonces_not_rising", "too_many_nonces", "unknown_node")
    for result, reason in zip((large, twice, beyond, foreign), refusals, strict=True):
        assert result.codespace == "poc"
        assert reason in result.log
    assert [(n.node_id, n.nonces_total) for n in found] == [("gpu", 20)]


def test_what_is_drawn_is_decided_one_block_before_the_poc_by_that_blocks_hash() -> None:
    """Slots were fixed at formation, by the epoch's number alone: known to all for all epochs to come."""
    chain = a_network()
    an_epoch(chain)
    chain.run_to(next_poc(chain) - 2)
    before = serving(chain)

    chain.block()

    record = epochs.upcoming_record(chain.context())
    assert record is not None
    assert before == set()
    assert len(serving(chain)) == 1
    assert chain.height == record.height_start - 1


def test_every_participant_with_one_node_still_leaves_one_that_serves_through_poc() -> None:
    """Half of one node, rounded down, is none: where all have one, nobody served through PoC."""
    chain = a_network()
    an_epoch(chain)
    chain.run_to(next_poc(chain))
    ((name, _),) = serving(chain)
    chain.run_to(chain.height + 3)  # behind the grace of the slot before

    assert epochs.slot_in_force(chain.context(), chain.height) == POC_SLOT
    served(chain, name, "through")
    judge_after_mining(chain)
    assert weights(chain) == dict.fromkeys(("alice", "bob", "carol"), WEIGHT)


def judge_after_mining(chain: Chain) -> None:
    """The rest of a PoC that began already."""
    start = next_poc(chain)
    held = serving(chain)
    rest = [name for name in ("alice", "bob", "carol") if (name, "gpu") not in held]
    together(chain, *((name, a_batch(name, "gpu", start)) for name in rest))
    chain.run_to(heights(chain).validation_start)
    judge(chain)


def test_a_settlement_without_anyone_to_pay_does_not_stop_the_chain() -> None:
    """An error while amounts were computed left an empty list that was then indexed."""
    chain = a_network()
    an_epoch(chain)
    for name in ("alice", "bob"):
        chain.block(misbehaving=[validator_key_of(name)])
    chain.run_to(next_poc(chain))
    together(
        chain,
        *((n, a_batch(n, "gpu", next_poc(chain))) for n in ("carol",) if (n, "gpu") not in serving(chain)),
    )
    chain.run_to(150)

    assert chain.height == 150
    assert all(each.total >= 0 for each in settled(chain, 1).amounts)
