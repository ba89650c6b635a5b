"""Scenarios of scheduling, power and models over whole epochs; README.md beside this has the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from abci_app.kernel.errors import QueryError
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from tests.acceptance import network as net
from tests.chain import FUNDS, Chain, key_of, validator_key_of
from tests.stages.test_governance import passed, register

if TYPE_CHECKING:
    from protocol.gen.tendermint.abci import types_pb2 as abci

BOTH = {name: {"gx": (net.X,), "gy": (net.Y,)} for name in ("alice", "bob", "carol")}


def power_given(chain: Chain, name: str) -> int:
    """The power that CometBFT was told last."""
    told = [power for _, updates in chain.updates for key, power in updates if key == validator_key_of(name)]
    return told[-1]


# scheduling


def test_one_of_two_nodes_keeps_serving_through_poc_and_weights_stay_as_they_were() -> None:
    """Basic scheduling: one participant with two nodes of 10, two with one.

    Ours draws over the whole network one block before each PoC instead of half of each participant's nodes at
    formation, and without demand one node a model is enough; 13/10/10 by the cap of 40 % is the same.
    """
    fleet = {"alice": {"a1": (net.X,), "a2": (net.X,)}, "bob": {"b1": (net.X,)}, "carol": {"c1": (net.X,)}}
    chain = net.a_network(fleet)
    net.an_epoch(chain)
    before = (net.weights(chain), net.powers(chain))

    chain.run_to(net.next_poc(chain))
    first = net.serving(chain)
    slots = [tuple(node.timeslot_allocation) for _, node in sorted(net.nodes(chain).items())]
    ((holder, node_id),) = first
    refused = chain.deliver(holder, net.a_batch(holder, node_id, net.next_poc(chain)))
    net.an_epoch(chain)
    after = (net.weights(chain), net.powers(chain))
    back = net.serving(chain)
    chain.run_to(net.next_poc(chain))

    assert (
        before
        == after
        == (
            {"alice": 20, "bob": 10, "carol": 10},
            {"alice": 13, "bob": 10, "carol": 10},
        )
    )
    assert sorted(slots) == [(True, False)] * 3 + [(True, True)]
    assert "holds_poc_slot" in refused.log
    assert {node.poc_weight for node in net.nodes(chain).values()} == {10}
    assert back == set()
    assert len(net.serving(chain)) == 1
    assert net.serving(chain).isdisjoint(first)  # ours: no node is preserved twice in a row


# power


def test_a_participant_that_mines_nothing_leaves_the_validators_and_comes_back_when_it_mines() -> None:
    """Power to zero removes a participant, and back again.

    Ours tells CometBFT in the block of the switch, so it counts two blocks later instead of three.
    """
    chain = net.a_network()
    net.an_epoch(chain)
    chain.run_to(net.next_poc(chain))
    ((keeps, _),) = net.serving(chain)
    idle = next(name for name in ("alice", "bob", "carol") if name != keeps)

    net.an_epoch(chain, {(idle, "gpu"): 0})
    gone = (chain.updates[-1], net.powers(chain), power_given(chain, idle))
    shown = chain.query(epochs_pb2.QueryValidatorsRequest(), epochs_pb2.QueryValidatorsResponse).validators
    net.an_epoch(chain)

    assert gone[0] == (heights_of_switch(chain, 2), [(validator_key_of(idle), 0)])
    assert set(gone[1]) == {"alice", "bob", "carol"} - {idle}
    assert gone[2] == 0
    assert len(shown) == 2
    assert net.weights(chain) == dict.fromkeys(("alice", "bob", "carol"), net.WEIGHT)
    assert power_given(chain, idle) == net.WEIGHT


def heights_of_switch(chain: Chain, epoch: int) -> int:
    request = epochs_pb2.QueryEpochRecordRequest(epoch_index=epoch)
    return chain.query(request, epochs_pb2.QueryEpochRecordResponse).record.height_switched


def test_power_follows_what_was_mined_last() -> None:
    """Change a participant's power: 11, then 10. Ours: a node that serves through the PoC keeps its 11."""
    chain = net.a_network()
    net.an_epoch(chain)
    eleven = {(name, "gpu"): 11 for name in ("alice", "bob", "carol")}

    net.an_epoch(chain, eleven)
    first = net.powers(chain)
    chain.run_to(net.next_poc(chain))
    ((keeps, _),) = net.serving(chain)
    net.an_epoch(chain)

    assert sorted(first.values()) == [10, 11, 11]  # 10: who served through that PoC
    assert net.powers(chain) == {name: 11 if name == keeps else 10 for name in ("alice", "bob", "carol")}
    assert all(power_given(chain, name) == power for name, power in net.powers(chain).items())


# many models


def test_a_model_that_governance_adds_is_answered_after_the_next_switch() -> None:
    """A simple second model. Ours: a node serves the first model that it declares, and a change counts
    from the next formation on.
    """
    chain = net.a_network(
        {"alice": {"a1": (net.X,), "a2": (net.X,)}, "bob": {"b1": (net.X,)}}, models=(net.X,)
    )
    passed(chain, register(net.Y, throughput_per_nonce=40_000_000))
    chain.must("alice", net.a_diff("alice", net.a_node("a2", net.Y, net.X)))

    early = chain.deliver("client", net.a_start("early", "alice", model_id=net.Y))
    net.an_epoch(chain)
    net.served(chain, "alice", "answered", model=net.Y)

    assert "is no model of epoch 0" in early.log
    assert net.weights(chain, net.Y) == {"alice": 10}
    found = net.inference_of(chain, "answered")
    assert (found.status, found.executed_by) == (
        inference_pb2.INFERENCE_STATUS_FINISHED,
        key_of("alice").address,
    )


def test_a_bad_answer_of_the_second_model_is_invalidated_within_five_tries() -> None:
    """An invalid response of one of two models. Ours: the subgroup of that model votes, by weight there."""
    rates = {"validation_rate_bps": 10_000, "validation_rate_min_bps": 10_000}
    chain = net.a_network(BOTH, params=net.local_params(**rates))
    net.an_epoch(chain)
    tries = [f"try-{i}" for i in range(5)]
    net.served(chain, "alice", *tries, model=net.Y)
    bad = next(each for each in tries if net.drawn(chain, each))
    first = net.drawn(chain, bad)[0]
    other = next(name for name in ("bob", "carol") if name != first)

    chain.must(first, net.a_verdict(first, bad, 0))
    chain.must(other, net.a_verdict(other, bad, 0))
    chain.run_to(chain.height + 4)

    statuses = {each: net.inference_of(chain, each).status for each in tries}
    assert statuses.pop(bad) == inference_pb2.INFERENCE_STATUS_INVALIDATED
    assert set(statuses.values()) == {inference_pb2.INFERENCE_STATUS_FINAL}
    net.check_account(chain)


def test_thirty_parallel_requests_over_two_models_are_paid_to_the_last_unit() -> None:
    """Inferences over two models get validated and claimed: balances equal the formula.

    Ours pays without a claim, exactly rather than within 3 coins, adds the 10 % of coverage, and takes
    nothing from a validator that validates nothing: nobody gives a verdict here.
    """
    chain = net.a_network(BOTH)
    net.an_epoch(chain)
    before = {name: chain.balance(name) for name in BOTH}
    total = net.supply(chain)
    who = ["alice"] * 10 + ["bob"] * 15 + ["carol"] * 5
    requests = [(f"r{i}", name, (net.X, net.Y)[i % 2]) for i, name in enumerate(who)]

    net.together(chain, *(("client", net.a_start(i, name, model_id=model)) for i, name, model in requests))
    net.together(chain, *((name, net.a_finish(i, name, model_id=model)) for i, name, model in requests))
    net.an_epoch(chain)

    reward = 323_000 * 10**9
    base = reward * 20 // 60
    bonus = base // 10
    fee = 30 * 1000
    expected = {name: base + bonus + who.count(name) * fee for name in BOTH}
    assert {name: chain.balance(name) - before[name] for name in BOTH} == expected
    assert chain.balance("client") == FUNDS - 30 * fee
    assert net.supply(chain) == total + reward + 3 * bonus
    assert net.settled(chain, 1).settlement.community_pool == reward - 3 * base
    assert all(each.covered and each.availability_bps == 10_000 for each in net.amounts(chain, 1).values())


# who joins later, what stays, what is large


class Recorded(Chain):
    """Keeps the blocks as CometBFT would hand them to a node that joins later."""

    def request(self, *args: Any, **options: Any) -> abci.RequestFinalizeBlock:
        made = super().request(*args, **options)
        self.blocks = [*getattr(self, "blocks", []), made]
        return made


def test_a_node_that_joins_later_replays_the_blocks_to_the_same_app_hash() -> None:
    """A node added after a snapshot is above height 99. Ours has no state sync: it replays from genesis."""
    genesis = net.a_network().state
    chain = Recorded(genesis)
    while chain.height < 60:
        net.an_epoch(chain)
    net.served(chain, "alice", "last")
    chain.run_to(100)

    late = Chain(genesis)
    for block in chain.blocks:
        late.app.finalize_block(block)
        late.app.commit()

    assert late.store.version == chain.height == 100
    assert late.store.app_hash == chain.store.app_hash


def test_batches_and_verdicts_are_there_after_one_epoch_and_gone_after_the_retention() -> None:
    """Pruning of PoC data. Ours keeps as many epochs as governance says, here 2, and claims only one."""
    params = net.local_params()
    params.epoch.retention_epochs = 2
    chain = net.a_network(params=params)
    first = net.next_poc(chain)

    def counts() -> tuple[int, int]:
        batches = chain.query(
            poc_pb2.QueryPocBatchesRequest(poc_stage_start_height=first), poc_pb2.QueryPocBatchesResponse
        )
        found = chain.query(
            poc_pb2.QueryPocValidationsRequest(poc_stage_start_height=first),
            poc_pb2.QueryPocValidationsResponse,
        )
        return len(batches.batches), len(found.validations)

    net.an_epoch(chain)
    after_one = counts()
    for _ in range(3):
        net.an_epoch(chain)
    chain.block()

    assert after_one == (3, 6)
    assert counts() == (0, 0)


def test_inferences_are_there_after_one_epoch_and_gone_after_the_retention() -> None:
    """Pruning of inferences. Ours: by epochs that governance says, here 2."""
    params = net.local_params()
    params.epoch.retention_epochs = 2
    chain = net.a_network(params=params)
    net.served(chain, "alice", "old")

    net.an_epoch(chain)
    kept = net.inference_of(chain, "old").status
    for _ in range(3):
        net.an_epoch(chain)
    chain.block()

    assert kept == inference_pb2.INFERENCE_STATUS_FINAL
    with pytest.raises(QueryError, match="old not found"):
        net.inference_of(chain, "old")


def test_batches_of_the_largest_size_pass_and_the_epoch_goes_on() -> None:
    """A PoC with large payloads: the cycle completes. Ours: 100,000 nonces are the most in a batch."""
    chain = net.a_network({"alice": {"gpu": (net.X,)}, "bob": {"gpu": (net.X,)}})
    most = 100_000
    start = net.next_poc(chain)
    chain.run_to(start)

    net.together(chain, *((name, net.a_batch(name, "gpu", start, most)) for name in ("alice", "bob")))
    net.together(chain, ("alice", net.a_batch("alice", "gpu", start, most, first=most)))
    beyond = chain.deliver("bob", net.a_batch("bob", "gpu", start, most + 1, first=most))
    chain.run_to(net.heights(chain).validation_start)
    net.judge(chain)

    assert "too_many_nonces" in beyond.log
    assert net.epoch_of(chain) == 1
    assert net.weights(chain) == {"alice": 2 * most, "bob": most}


# nodes that come and go


def test_a_node_disabled_between_pocs_serves_its_epoch_and_is_out_of_the_next_until_enabled() -> None:
    """Disable a node during inference, two of them, and enable it again.

    Ours: the operator's diff disables; power 0 comes with the switch, which would not happen if more than a
    third of the power left at once: so there are four others.
    """
    others = {name: {"gpu": (net.X,)} for name in ("bob", "carol", "dan", "erin")}
    chain = net.a_network({"alice": {"a1": (net.X,), "a2": (net.X,)}, **others})
    net.an_epoch(chain)
    chain.must("alice", net.a_diff("alice", net.a_node("a1", disabled=True), net.a_node("a2", disabled=True)))

    net.served(chain, "alice", "still")
    chain.run_to(net.next_poc(chain))
    refused = chain.deliver("alice", net.a_batch("alice", "a1", net.next_poc(chain)))
    kept = net.weights(chain)["alice"]
    slots = net.serving(chain)
    net.an_epoch(chain)
    gone = (net.weights(chain).get("alice"), power_given(chain, "alice"))
    chain.must("alice", net.a_diff("alice", net.a_node("a1")))
    net.an_epoch(chain)

    assert net.inference_of(chain, "still").status == inference_pb2.INFERENCE_STATUS_FINAL
    assert "node_disabled" in refused.log
    assert kept == 20
    assert "alice" not in {name for name, _ in slots}
    assert gone == (None, 0)
    assert net.weights(chain)["alice"] == power_given(chain, "alice") == 10


def test_a_node_disabled_after_it_mined_keeps_its_weight_for_one_epoch() -> None:
    """Disable a node during PoC: its weight counts this epoch and is 0 in the next."""
    chain = net.a_network()
    net.mine(chain)
    chain.must("bob", net.a_diff("bob", net.a_node("gpu", disabled=True)))

    net.judge(chain)
    first = net.weights(chain)
    net.an_epoch(chain)

    assert first["bob"] == net.WEIGHT
    assert "bob" not in net.weights(chain)
    assert power_given(chain, "bob") == 0
