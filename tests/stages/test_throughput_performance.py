"""Real throughput during PoC is checked before the next group is formed, where governance turned that on."""

from __future__ import annotations

from typing import Any

from abci_app.genesis import export_genesis
from abci_app.modules import epochs, inference, poc, uptime
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import ActiveParticipant, NodeWeight
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons
from protocol.gen.evergrid.uptime.v1 import uptime_pb2
from tests.chain import Chain, key_of
from tests.stages import test_worked_epoch as worked
from tests.stages.test_worked_epoch import ALICE, BOB, CAROL, EPOCH, E, S, T, batch, honest, owner


def short_lived(params: dict[str, Any], *, on: bool = True) -> None:
    params["inference"]["expiration"] = 20
    params["uptime"]["validate_throughput"] = on


def an_epoch(*, on: bool = True) -> Chain:
    """X is served for little of what is expected: bob finishes 1 of 4 requests, alice her only one."""
    chain = worked.imported(change=lambda params: short_lived(params, on=on))
    chain.run_to(S)
    mined = {"a1": 310, "b2": 138, "c1": 205, "c2": 58}
    chain.block(*(chain.sign(owner(node_id), batch(node_id, count)) for node_id, count in mined.items()))
    requests = [(f"x-{i}", BOB) for i in range(4)] + [("x-a", ALICE)]
    chain.block(*(chain.sign("client", request(i, name)) for i, name in requests))
    chain.block(chain.sign(BOB, finish("x-0", BOB)), chain.sign(ALICE, finish("x-a", ALICE)))
    assert all(result.code == 0 for result in chain.last.tx_results), chain.last.tx_results
    chain.run_to(T)
    for name in (ALICE, BOB, CAROL):
        chain.must(name, honest(name, *(other for other in (ALICE, BOB, CAROL) if other != name)))
    chain.run_to(E)
    return chain


def request(inference_id: str, executor: str) -> inference_pb2.MsgStartInference:
    message = worked.request(0)
    message.inference_id, message.executor = inference_id, key_of(executor).address
    return message


def finish(inference_id: str, name: str) -> inference_pb2.MsgFinishInference:
    return inference_pb2.MsgFinishInference(
        creator=key_of(name).address, inference_id=inference_id, model_id="X", response_hash="00" * 32
    )


def checks(chain: Chain) -> dict[str, uptime_pb2.ThroughputValidation]:
    found = chain.query(
        uptime_pb2.QueryThroughputValidationsRequest(epoch_index=EPOCH + 1),
        uptime_pb2.QueryThroughputValidationsResponse,
    )
    return {each.model_id: each for each in found.validations}


def weights(chain: Chain) -> dict[str, tuple[int, int, int]]:
    return {
        node.node_id: (node.poc_weight, node.weight_source, node.unproved)
        for model in ("X", "Y")
        for member in epochs.members(chain.context(), EPOCH + 1, model)
        for node in member.ml_nodes
        if node.poc_weight
    }


def test_validate_throughput_performance_cuts_those_alone_who_missed_requests_of_a_short_model() -> None:
    chain = an_epoch()

    assert inference.poc_requests(chain.context(), S, "X", key_of(BOB).address) == (1, 3)
    x, y = checks(chain)["X"], checks(chain)["Y"]
    assert (x.short, y.short, x.expected, x.height) == (True, True, 9600, E)
    nodes = {n.node_id: (n.finished, n.missed, n.weight_before, n.weight_after, n.reason) for n in x.nodes}
    assert nodes == {
        "a2": (1, 0, 280, 280, reasons.REASON_PRESERVED),
        "b1": (1, 3, 260, 65, reasons.REASON_THROUGHPUT_SHORTFALL),
    }
    # Nobody asked for Y at all: that costs nothing.
    assert [(n.node_id, n.weight_after, n.reason) for n in y.nodes] == [("a3", 120, reasons.REASON_PRESERVED)]
    assert weights(chain)["b1"] == (65, reasons.REASON_THROUGHPUT_SHORTFALL, 1)
    assert weights(chain)["a2"] == (280, reasons.REASON_PRESERVED, 1)
    assert (
        "throughput_shortfall",
        {"epoch": "8", "model_id": "X", "expected": "9600", "real": "0"},
    ) in chain.events


def test_the_cut_weight_counts_for_the_member_and_its_stored_reason_follows_from_the_same_rule() -> None:
    chain = an_epoch()
    ctx = chain.context()

    member = epochs.member(ctx, EPOCH + 1, "", key_of(BOB).address)
    stored = poc.get_node_weight(ctx, S, key_of(BOB).address, "b1")

    assert member is not None and member.weight == 65 + 138
    assert stored is not None
    assert (stored.poc_weight, stored.weight_source) == (65, reasons.REASON_THROUGHPUT_SHORTFALL)
    assert export_genesis(ctx)["uptime"]["throughput_validations"][0]["model_id"] == "X"


def test_with_the_switch_off_nothing_is_checked_and_nobody_pays() -> None:
    chain = an_epoch(on=False)

    assert checks(chain) == {}
    assert weights(chain)["b1"] == (260, reasons.REASON_PRESERVED, 1)


def test_who_finished_nothing_of_many_requests_keeps_no_preserved_weight() -> None:
    chain = worked.imported(change=short_lived)
    chain.run_to(S + 1)
    chain.block(*(chain.sign("client", request(f"x-{i}", BOB)) for i in range(3)))
    chain.run_to(E)
    record = epochs.upcoming_record(chain.context())

    # Nobody mined: alice's preserved nodes alone hold less than two thirds of the power.
    assert record is None
    assert inference.poc_requests(chain.context(), S, "X", key_of(BOB).address) == (0, 3)
    (b1,) = (n for n in checks(chain)["X"].nodes if n.node_id == "b1")
    assert (b1.weight_before, b1.weight_after) == (260, 0)


def test_who_is_left_without_weight_is_no_active_participant() -> None:
    chain = worked.imported(change=short_lived)
    chain.run_to(S + 1)
    chain.block(chain.sign("client", request("x-0", BOB)))
    chain.run_to(E - 1)
    ctx = chain.context()
    record = epochs.upcoming_record(ctx)
    assert record is not None
    nodes = [NodeWeight(node_id="b1", poc_weight=260, weight_source=reasons.REASON_PRESERVED, unproved=1)]
    bob = ActiveParticipant(address=key_of(BOB).address, weight=260, ml_nodes=nodes)

    assert uptime.validate_throughput_performance(ctx, record, [bob]) == []
