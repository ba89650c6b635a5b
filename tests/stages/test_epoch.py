"""Epochs through blocks: the stages in order, weights from batches and verdicts, the switch, the reward."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from abci_app.kernel.errors import QueryError
from abci_app.modules import epochs, inference, rewards
from protocol import address
from protocol.gen.evergrid.epochs.v1 import epochs_pb2 as pb
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_EMPTY_GROUP, REASON_MINED, REASON_PRESERVED
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of, validator_key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

MODEL = "model/x"
S, T, E, V, LENGTH = 10, 18, 22, 25, 30


def two_owners(weight: int = 0, *models: str) -> Chain:
    """alice and bob, one node each; group 0 gives power to them, or to their nodes where weight is set."""
    serves = models or (MODEL,)
    owners = [
        GenesisParticipant(name, 0 if weight else 10, (GenesisNode("gpu", serves, weight),))
        for name in ("alice", "bob")
    ]
    return Chain(app_state(owners, [a_model(model) for model in serves]))


def batch(
    name: str, start: int, count: int, node_id: str = "gpu", first: int = 0
) -> poc_pb2.MsgSubmitPocBatch:
    return poc_pb2.MsgSubmitPocBatch(
        creator=key_of(name).address,
        poc_stage_start_height=start,
        node_id=node_id,
        batch_id=f"{name}-{node_id}-{first}",
        nonce_first=first,
        nonce_count=count,
        claims=b"".join(n.to_bytes(4, "big") for n in range(count)),
    )


def honest(name: str, start: int, *others: str) -> poc_pb2.MsgSubmitPocValidations:
    return poc_pb2.MsgSubmitPocValidations(
        creator=key_of(name).address,
        poc_stage_start_height=start,
        verdicts=[
            poc_pb2.PocVerdict(participant=key_of(other).address, verdict=poc_pb2.VERDICT_HONEST, sampled=5)
            for other in others
        ],
    )


def run_poc(chain: Chain, start: int, nonces: Mapping[str, int]) -> None:
    """One PoC: batches of those with nonces, honest verdicts of each on the other, up to the switch."""
    chain.run_to(start)
    for name, count in nonces.items():
        if count:
            chain.must(name, batch(name, start, count))
    chain.run_to(start + T - S)
    for validator, other in (("alice", "bob"), ("bob", "alice")):
        if nonces.get(other):
            chain.must(validator, honest(validator, start, other))
    chain.run_to(start + V - S)


def group_of(chain: Chain, epoch: int, model: str = "") -> pb.EpochGroupData:
    request = pb.QueryEpochGroupDataRequest(epoch_index=epoch, model_id=model)
    return chain.query(request, pb.QueryEpochGroupDataResponse).epoch_group_data


def weights_of(chain: Chain, epoch: int, model: str = "") -> dict[str, int]:
    names = {key_of(name).address: name for name in ("alice", "bob", "carol")}
    found = group_of(chain, epoch, model).validation_weights
    return {names[each.member_address]: each.weight for each in found}


def test_nonces_of_one_poc_are_the_weights_of_the_next_group() -> None:
    chain = two_owners()

    run_poc(chain, S, {"alice": 300, "bob": 200})

    assert epochs.state(chain.context()).epoch_effective == 1
    assert weights_of(chain, 1) == {"alice": 300, "bob": 200}
    assert weights_of(chain, 1, MODEL) == {"alice": 300, "bob": 200}
    node = group_of(chain, 1, MODEL).validation_weights[0].ml_nodes[0]
    assert (node.poc_weight, node.weight_source, node.throughput) in {
        (300, REASON_MINED, 12000),
        (200, REASON_MINED, 8000),
    }


def test_the_new_powers_are_returned_in_the_block_of_the_switch() -> None:
    chain = two_owners()

    run_poc(chain, S, {"alice": 300, "bob": 200})

    assert chain.updates[0] == (0, sorted((validator_key_of(n), 10) for n in ("alice", "bob")))
    assert chain.updates[-1][0] == V
    powers = dict(chain.updates[-1][1])
    assert (
        powers == {validator_key_of("alice"): 250, validator_key_of("bob"): 200}
        or sum(powers.values()) * 2 >= 500
    )


def test_every_stage_runs_once_and_in_the_tables_order() -> None:
    chain = two_owners()
    seen: list[tuple[int, str]] = []
    kinds = {"poc_slots_allocated", "poc_started", "poc_ended", "poc_validation_started", "next_epoch_ready"}

    chain.run_to(S - 2)
    while chain.height < V:
        if chain.height == S:
            chain.block(chain.sign("alice", batch("alice", S, 30)), chain.sign("bob", batch("bob", S, 20)))
        elif chain.height == T:
            chain.block(
                chain.sign("alice", honest("alice", S, "bob")), chain.sign("bob", honest("bob", S, "alice"))
            )
        else:
            chain.block()
        seen += [(chain.height, kind) for kind, _ in chain.events if kind in kinds | {"epoch_started"}]

    assert seen == [
        (S - 1, "poc_slots_allocated"),
        (S, "poc_started"),
        (15, "poc_ended"),
        (T, "poc_validation_started"),
        (E, "next_epoch_ready"),
        (V, "epoch_started"),
    ]


def test_an_empty_group_extends_the_epoch_and_the_next_poc_comes_an_epoch_later() -> None:
    chain = two_owners()

    chain.run_to(E)

    extended = [facts for kind, facts in chain.events if kind == "epoch_extended"]
    assert extended[0]["reason"] == "empty_group"
    state = epochs.state(chain.context())
    assert (state.epoch_effective, state.height_next_poc, state.extensions) == (0, S + LENGTH, 1)
    info = chain.query(pb.QueryEpochInfoRequest(), pb.QueryEpochInfoResponse)
    assert info.dropped.extension_reason == REASON_EMPTY_GROUP

    run_poc(chain, S + LENGTH, {"alice": 30, "bob": 20})
    assert epochs.state(chain.context()).epoch_effective == 1


def test_a_served_model_keeps_one_node_serving_through_the_second_poc_and_copies_its_weight() -> None:
    chain = two_owners()
    run_poc(chain, S, {"alice": 300, "bob": 200})

    chain.run_to(S + LENGTH)
    members = group_of(chain, 1, MODEL).validation_weights
    serving = [m for m in members if m.ml_nodes[0].timeslot_allocation[pb.POC_SLOT]]
    assert len(serving) == 1
    server = "alice" if serving[0].member_address == key_of("alice").address else "bob"
    miner = "bob" if server == "alice" else "alice"
    refused = chain.deliver(server, batch(server, S + LENGTH, 10))
    assert (refused.codespace, refused.log.split(": ")[2]) == ("poc", "holds_poc_slot")

    run_poc(chain, S + LENGTH, {miner: 250})
    before = {"alice": 300, "bob": 200}
    assert weights_of(chain, 2) == {server: before[server], miner: 250}
    sources = {
        m.member_address: (m.ml_nodes[0].weight_source, m.ml_nodes[0].unproved)
        for m in group_of(chain, 2, MODEL).validation_weights
    }
    assert sources == {
        key_of(server).address: (REASON_PRESERVED, 1),
        key_of(miner).address: (REASON_MINED, 0),
    }


def test_genesis_weights_serve_at_once_but_nothing_is_preserved_in_the_first_poc() -> None:
    chain = two_owners(50)

    chain.run_to(S)

    members = group_of(chain, 0, MODEL).validation_weights
    assert [m.weight for m in members] == [50, 50]
    assert all(m.ml_nodes[0].timeslot_allocation[pb.PRE_POC_SLOT] for m in members)
    assert not any(m.ml_nodes[0].timeslot_allocation[pb.POC_SLOT] for m in members)


def test_an_epoch_is_paid_when_it_ends_and_every_unit_is_accounted_for() -> None:
    chain = two_owners()
    run_poc(chain, S, {"alice": 300, "bob": 200})
    before = {name: chain.balance(name) for name in ("alice", "bob")}

    run_poc(chain, S + LENGTH, {"alice": 300, "bob": 200} | _preserved(chain))

    ctx = chain.context()
    gained = {name: chain.balance(name) - before[name] for name in ("alice", "bob")}
    assert gained["alice"] == 323_000 * 10**9 * 300 // 500
    assert gained["bob"] == 323_000 * 10**9 * 200 // 500
    account = address.module_account(inference.ACCOUNT)
    assert chain.balance(account) == inference.obligations(ctx) + rewards.unpaid_total(ctx) == 0


def _preserved(chain: Chain) -> dict[str, int]:
    chain.run_to(S + LENGTH)
    names = {key_of(name).address: name for name in ("alice", "bob")}
    return {
        names[m.member_address]: 0
        for m in group_of(chain, 1, MODEL).validation_weights
        if m.ml_nodes[0].timeslot_allocation[pb.POC_SLOT]
    }


def test_a_batch_outside_of_its_window_is_refused_with_its_reason() -> None:
    chain = two_owners()

    early = chain.deliver("alice", batch("alice", S, 5))
    chain.run_to(S + 7)
    late = chain.deliver("alice", batch("alice", S, 5))

    assert "outside_window" in early.log or "wrong_start_height" in early.log
    assert "outside_window" in late.log


def test_misbehaviour_takes_the_power_in_that_block() -> None:
    owners = [
        GenesisParticipant(name, 10, (GenesisNode("gpu", (MODEL,)),)) for name in ("alice", "bob", "carol")
    ]
    chain = Chain(app_state(owners, [a_model()]))
    chain.run_to(3)

    chain.block(misbehaving=[validator_key_of("bob")])

    assert (validator_key_of("bob"), 0) in chain.updates[-1][1]
    assert chain.updates[-1][0] == 4
    assert key_of("bob").address not in epochs.voting_powers(chain.context())


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_same_blocks_give_the_same_app_hash(seed: str) -> None:
    def run() -> bytes:
        chain = two_owners(50)
        run_poc(chain, S, {"alice": 30 + int(seed), "bob": 20})
        return chain.store.app_hash

    assert run() == run()


def test_the_upcoming_group_stands_empty_from_s_on_is_filled_at_e_and_goes_with_an_extension() -> None:
    chain = two_owners()
    heads = {}

    for height in (S - 1, S, T - 1, T, E - 1, E):
        chain.run_to(height)
        found = chain.query(pb.QueryUpcomingEpochRequest(), pb.QueryUpcomingEpochResponse)
        heads[height] = (found.HasField("group"), found.group.member_count, found.group.height_formed)
        if height == S:
            chain.must("alice", batch("alice", S, 20))
            chain.must("bob", batch("bob", S, 20))
        if height == T:
            chain.must("alice", honest("alice", S, "bob"))
            chain.must("bob", honest("bob", S, "alice"))

    assert heads[S - 1] == (False, 0, 0)
    assert {heads[height] for height in (S, T - 1, T, E - 1)} == {(True, 0, 0)}
    assert heads[E] == (True, 2, E)
    chain.run_to(S + LENGTH)
    with pytest.raises(QueryError, match="epoch 2 has no group here"):
        group_of(chain, 2)
    chain.run_to(E + LENGTH)
    assert epochs.upcoming_record(chain.context()) is None
    assert epochs.group(chain.context(), 2) is None
