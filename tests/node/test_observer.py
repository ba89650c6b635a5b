"""Chain metrics from real blocks of a chain in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from abci_app import block_ends
from abci_app.app import BlockReport
from abci_app.kernel.block import TxResult
from abci_app.kernel.context import Event
from abci_app.node import gauges
from abci_app.node.observer import BATCH_TYPE_URL, Observer, reasons_in
from protocol.gen.cosmos.bank.v1beta1 import tx_pb2 as bank_tx
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from tests.chain import DENOM, FUNDS, Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of

MODEL = "model/x"


class Watched:
    """A chain whose metrics can be read."""

    def __init__(self, participants_max: int = 100) -> None:
        self.registry = CollectorRegistry()
        self.observer = Observer(self.registry, participants_max)
        alice = GenesisParticipant(
            "alice", nodes=(GenesisNode("a1", (MODEL,), 300), GenesisNode("a2", (MODEL,), 200))
        )
        bob = GenesisParticipant("bob", nodes=(GenesisNode("b1", (MODEL,), 260),))
        self.chain = Chain(app_state([alice, bob], [a_model(MODEL)], funded=["carol"]))
        self.chain.app._on_commit = self.observer.on_commit
        self.chain.app._around_step = self.observer.around_step

    def run_to(self, height: int) -> None:
        """One block after another, each read before the next, as blocks of a second would be."""
        while self.chain.height < height:
            self.chain.block()
            self.observer.settle()

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"evergrid_{name}", labels)


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    yield made
    made.observer.close()


def test_after_the_first_block_the_genesis_group_is_shown(watched: Watched) -> None:
    watched.run_to(1)

    alice = key_of("alice").address
    node = {"participant": alice, "node_id": "a1", "model_id": MODEL}
    assert watched.value("epoch_index") == 0
    assert watched.value("epoch_stage", stage="inference") == 1
    assert watched.value("epoch_next_poc_blocks") == 9
    assert watched.value("model_weight", model_id=MODEL) == 760
    assert watched.value("model_nodes", model_id=MODEL, tier="registry") == 3
    assert watched.value("model_nodes", model_id=MODEL, tier="epoch") == 3
    assert watched.value("participant_weight", participant=alice) == 500
    assert watched.value("mlnode_poc_weight", **node) == 300
    assert watched.value("mlnode_weight_source", **node, source="genesis") == 1
    assert watched.value("mlnode_slot", **node, slot="pre_poc_slot") == 1
    assert watched.value("mlnode_slot", **node, slot="poc_slot") == 0
    assert watched.value("validators") == 2


def test_exactly_one_stage_is_set_at_every_height_of_an_epoch(watched: Watched) -> None:
    seen = []
    for height in range(1, 30):
        watched.run_to(height)
        stages = {stage: watched.value("epoch_stage", stage=stage) for stage in gauges.STAGES}
        assert sum(value or 0 for value in stages.values()) == 1, height
        seen += [stage for stage, value in stages.items() if value]

    assert seen[8:10] == ["pre_poc_scheduling", "start_of_poc"]
    assert seen[14] == "end_of_poc"
    # Nobody mined: the epoch is extended, and goes on as it was.
    assert seen[21] == "inference"


def test_the_start_heights_and_the_distance_are_those_of_the_next_poc(watched: Watched) -> None:
    watched.run_to(12)

    assert watched.value("epoch_stage_start_height", stage="start_of_poc") == 10
    assert watched.value("epoch_stage_start_height", stage="end_of_epoch") == 25
    assert watched.value("epoch_next_poc_blocks") == 28


def test_an_extension_is_counted_as_one(watched: Watched) -> None:
    watched.run_to(24)

    assert watched.value("epoch_transition_total", result="extended") == 1
    assert watched.value("epoch_transition_total", result="switched") is None


def test_a_draw_shows_why_it_stopped_and_who_was_left_out(watched: Watched) -> None:
    watched.run_to(9)

    # Weights of the genesis are not proved, so nobody may keep serving.
    assert watched.value("slot_allocation_stop_total", model_id=MODEL, reason="no_eligible") == 1
    assert watched.value("slot_excluded_nodes", model_id=MODEL, reason="unproved") == 3
    assert watched.value("model_slot_coverage_ratio", model_id=MODEL) == 0


def test_transactions_are_counted_by_message_and_code(watched: Watched) -> None:
    def send(amount: int) -> bank_tx.MsgSend:
        coins = [Coin(denom=DENOM, amount=str(amount))]
        return bank_tx.MsgSend(
            from_address=key_of("carol").address, to_address=key_of("dave").address, amount=coins
        )

    good = watched.chain.deliver("carol", send(5))
    bad = watched.chain.deliver("carol", send(2 * FUNDS))
    watched.chain.block(b"no transaction")

    name = "cosmos.bank.v1beta1.MsgSend"
    assert (good.code, bad.code) == (0, 5)
    assert watched.value("tx_total", msg=name, code="0") == 1
    assert watched.value("tx_total", msg=name, code="sdk/5") == 1
    assert watched.value("tx_total", msg="undecoded", code="sdk/2") == 1
    assert watched.value("tx_gas_used_total", msg=name) == good.gas_used + bad.gas_used


def test_each_step_at_the_end_of_a_block_is_timed(watched: Watched) -> None:
    watched.run_to(70)

    def count(step: str) -> float | None:
        return watched.value("end_block_step_seconds_count", step=step)

    assert count("close_inferences") == count("prune") == 70
    assert count("assign_poc_slots") == len([9, 39, 69])


def test_the_keys_of_each_part_of_the_state_are_counted(watched: Watched) -> None:
    watched.run_to(2)

    keys = sum(1 for _ in watched.chain.store.iterate(b"bank/", b"bank0"))
    assert watched.value("state_keys", prefix="bank") == keys > 0


def test_what_pruning_removes_is_counted_by_module(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        block_ends, "PRUNED", (("poc", lambda _ctx, _budget: 498), ("epochs", lambda _ctx, left: left))
    )

    watched.run_to(2)

    assert watched.value("prune_deleted_total", collection="poc") == 2 * 498
    assert watched.value("prune_deleted_total", collection="epochs") == 2 * 2


def report(*results: tuple[str, TxResult], events: tuple[Event, ...] = ()) -> BlockReport:
    return BlockReport(1, results, events)


def test_a_refused_batch_is_counted_under_each_of_its_reasons(watched: Watched) -> None:
    watched.run_to(1)
    log = (
        "failed to execute message; message index: 0: outside_window: batches are taken from 11 to 17; "
        "unknown_node: no node x"
    )

    watched.observer.on_commit(watched.chain.app, report((BATCH_TYPE_URL, TxResult(2, "poc", log))))

    assert watched.value("poc_batches_rejected_total", reason="outside_window") == 1
    assert watched.value("poc_batches_rejected_total", reason="unknown_node") == 1


def test_nonces_and_rewards_are_counted_for_a_bounded_number_of_participants() -> None:
    watched = Watched(participants_max=1)
    watched.run_to(1)

    def batch(participant: str) -> tuple[str, TxResult]:
        attributes = (("participant", participant), ("node_id", "n"), ("nonce_count", "40"))
        return BATCH_TYPE_URL, TxResult(events=(Event("poc_batch_submitted", attributes),))

    paid = Event("reward_paid", (("epoch", "1"), ("participant", "p1"), ("amount", "1500000000")))
    watched.observer.on_commit(
        watched.chain.app, report(batch("p1"), batch("p2"), batch("p3"), events=(paid,))
    )

    assert watched.value("poc_nonces_total", participant="p1", node_id="n") == 40
    assert watched.value("poc_nonces_total", participant="others", node_id="others") == 80
    assert watched.value("reward_settled_coins_total", participant="p1") == 1.5
    shown = [
        sample
        for family in watched.registry.collect()
        if family.name == "evergrid_participant_weight"
        for sample in family.samples
    ]
    assert [sample.value for sample in shown] == [500]
    watched.observer.close()


def test_a_bug_is_counted_and_never_leaves_the_observer(watched: Watched) -> None:
    broken = Event("reward_paid", ())

    watched.observer.on_commit(watched.chain.app, report(events=(broken,)))
    watched.observer.on_bug("/evergrid.poc.v1.MsgSubmitPocBatch", ZeroDivisionError("in a handler"))

    assert watched.value("internal_errors_total", where="observer") == 1
    assert watched.value("internal_errors_total", where="/evergrid.poc.v1.MsgSubmitPocBatch") == 1


def test_a_scrape_reads_nothing_of_the_chain(watched: Watched) -> None:
    watched.run_to(2)
    watched.chain.app.store.close()

    text = generate_latest(watched.registry).decode()

    assert 'evergrid_model_weight{model_id="model/x"} 760.0' in text


def test_reasons_are_found_in_the_text_of_a_refusal() -> None:
    assert reasons_in("outside_window: a; not_a_member: b") == ["outside_window", "not_a_member"]
    assert reasons_in("something: else") == ["unknown"]
