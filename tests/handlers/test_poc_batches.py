"""Batches: taken within their window and counted; refused with every reason, and then nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest

from abci_app.kernel.context import Context
from abci_app.kernel.errors import QueryError
from abci_app.modules import epochs, hardware, poc
from abci_app.modules.epochs.state import RECORDS
from abci_app.modules.hardware import state as hardware_state
from abci_app.modules.poc import state
from abci_app.modules.poc.errors import BatchRefused
from abci_app.modules.poc.handlers import submit_poc_batch
from protocol.claims import decode_claims, encode_claims, encode_nonces
from protocol.gen.evergrid.epochs.v1.params_pb2 import PocParams
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import (
    ML_NODE_STATUS_DISABLED,
    Participant,
    RegisteredNode,
)
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from protocol.merkle import Tree, claim_leaf
from tests.ground import events_of, state_of
from tests.poc_ground import BATCHES, S, a_batch, ask, at_height, epoch_seven


@pytest.fixture
def ctx() -> Context:
    """PoC of epoch 8 is open, the first block in which batches are taken; a2 serves, all others mine."""
    ctx = epoch_seven()
    record = epochs.write_record(ctx)
    member = epochs.member(ctx, 7, "X", "alice")
    assert member is not None
    next(node for node in member.ml_nodes if node.node_id == "a2").timeslot_allocation[:] = [True, True]
    epochs.set_member(ctx, 7, "X", member)
    epochs.open_poc(at_height(ctx, S), record)
    ctx.events.clear()
    return at_height(ctx, BATCHES[0])


def refused(ctx: Context, msg: poc_pb2.MsgSubmitPocBatch) -> str:
    before = state_of(ctx)
    with pytest.raises(BatchRefused) as caught:
        submit_poc_batch(ctx, msg)
    assert (caught.value.codespace, caught.value.code) == ("poc", 2)
    assert state_of(ctx) == before
    return str(caught.value)


def set_params(ctx: Context, change: Callable[[PocParams], None]) -> None:
    record = epochs.record(ctx, 8)
    assert record is not None
    change(record.params.poc)
    RECORDS.set(ctx, 8, record)


def explicit_nonces(params: PocParams) -> None:
    params.acceptance_bps, params.z_target = 5000, 100


def set_participant(ctx: Context, name: str, change: Callable[[Participant], None]) -> None:
    participant = hardware.get_participant(ctx, name)
    assert participant is not None
    change(participant)
    hardware_state.PARTICIPANTS.set(ctx, name, participant)


def set_node(ctx: Context, owner: str, node_id: str, change: Callable[[RegisteredNode], None]) -> None:
    node = hardware.get_node(ctx, owner, node_id)
    assert node is not None
    change(node)
    hardware_state.NODES.set(ctx, (owner, node_id), node)


# what is taken


def test_a_batch_is_kept_with_the_hash_of_its_claims_and_its_nonces_count(ctx: Context) -> None:
    msg = a_batch("alice", "a1", count=3)

    submit_poc_batch(ctx, msg)

    (kept,) = poc.get_poc_batches_for_node(ctx, S, "alice", "a1")
    assert (kept.nonce_first, kept.nonce_count, kept.height_submitted) == (0, 3, S + 1)
    assert kept.claims_sha256 == sha256(msg.claims).digest()
    assert kept.claims == b""
    assert state.CLAIMS.get(ctx, (S, "alice", "a1", 0)) == msg.claims
    assert poc.calculate_node_weight(ctx, S, "alice", "a1") == 3
    assert events_of(ctx) == [
        (
            "poc_batch_submitted",
            {
                "participant": "alice",
                "node_id": "a1",
                "poc_stage_start_height": str(S),
                "nonce_first": "0",
                "nonce_count": "3",
            },
        )
    ]


def test_later_batches_of_a_node_add_up_and_may_leave_gaps(ctx: Context) -> None:
    submit_poc_batch(ctx, a_batch("alice", "a1", count=3))
    submit_poc_batch(ctx, a_batch("alice", "a1", count=4, first=3))
    submit_poc_batch(ctx, a_batch("alice", "a1", count=2, first=100))

    nonces = state.NODES.require(ctx, (S, "alice", "a1"))
    assert (nonces.nonce_next, nonces.nonces_total, nonces.batches) == (102, 9, 3)


def test_the_same_nonces_of_two_nodes_are_different_work(ctx: Context) -> None:
    submit_poc_batch(ctx, a_batch("alice", "a1"))
    submit_poc_batch(ctx, a_batch("bob", "b2"))

    assert poc.calculate_node_weight(ctx, S, "alice", "a1") == 5
    assert poc.calculate_node_weight(ctx, S, "bob", "b2") == 5


def test_a_node_that_joined_the_registry_by_the_start_of_poc_may_mine(ctx: Context) -> None:
    set_node(ctx, "bob", "b3", lambda node: setattr(node, "height_registered", S))

    submit_poc_batch(ctx, a_batch("bob", "b3"))

    assert poc.calculate_node_weight(ctx, S, "bob", "b3") == 5


@pytest.mark.parametrize("height", BATCHES)
def test_both_ends_of_the_window_are_inside(ctx: Context, height: int) -> None:
    submit_poc_batch(at_height(ctx, height), a_batch("alice", "a1"))

    assert poc.calculate_node_weight(ctx, S, "alice", "a1") == 5


def test_where_not_every_nonce_counts_a_batch_lists_those_that_do(ctx: Context) -> None:
    set_params(ctx, explicit_nonces)
    claims = encode_claims([100, 2_000_000, 101])

    submit_poc_batch(
        ctx,
        poc_pb2.MsgSubmitPocBatch(
            creator="alice", poc_stage_start_height=S, node_id="a1", nonces=[4, 9, 70], claims=claims
        ),
    )

    (kept,) = poc.get_poc_batches_for_node(ctx, S, "alice", "a1")
    assert (kept.nonce_first, kept.nonce_count) == (4, 3)
    assert kept.nonces_sha256 == sha256(encode_nonces([4, 9, 70])).digest()
    assert state.NODES.require(ctx, (S, "alice", "a1")).nonce_next == 71


# what is refused


@pytest.mark.parametrize("height", [S, BATCHES[1] + 1])
def test_outside_of_the_window_a_batch_is_refused(ctx: Context, height: int) -> None:
    assert refused(at_height(ctx, height), a_batch("alice", "a1")).startswith("outside_window: ")


def test_without_a_poc_under_way_a_batch_is_refused() -> None:
    ctx = epoch_seven()

    assert refused(ctx, a_batch("alice", "a1")) == "outside_window: no PoC is under way at height 5099"


def test_a_batch_of_another_poc_is_refused(ctx: Context) -> None:
    msg = a_batch("alice", "a1")
    msg.poc_stage_start_height = 4380

    assert refused(ctx, msg) == "wrong_start_height: the PoC under way began at height 5100, not 4380"


def test_a_stranger_and_its_node_are_refused_with_both_reasons(ctx: Context) -> None:
    assert refused(ctx, a_batch("dave", "d1")) == (
        "unknown_participant: dave is no participant; unknown_node: node 'd1' of dave is not in the registry"
    )


def test_a_node_of_another_participant_is_refused(ctx: Context) -> None:
    assert refused(ctx, a_batch("bob", "a1")).startswith("unknown_node: ")


def test_text_that_can_be_no_node_id_is_an_unknown_node(ctx: Context) -> None:
    assert refused(ctx, a_batch("bob", "b\0")).startswith("unknown_node: ")


def test_a_node_registered_after_the_start_of_poc_is_refused(ctx: Context) -> None:
    set_node(ctx, "bob", "b3", lambda node: setattr(node, "height_registered", S + 1))

    assert refused(ctx, a_batch("bob", "b3")).startswith("node_too_new: ")


def test_a_disabled_node_is_refused(ctx: Context) -> None:
    set_node(ctx, "bob", "b2", lambda node: setattr(node.node, "status", ML_NODE_STATUS_DISABLED))

    assert refused(ctx, a_batch("bob", "b2")).startswith("node_disabled: ")


def test_a_node_that_serves_through_the_poc_is_refused(ctx: Context) -> None:
    assert refused(ctx, a_batch("alice", "a2")).startswith("holds_poc_slot: ")


def test_a_participant_without_its_keys_is_refused(ctx: Context) -> None:
    set_participant(ctx, "bob", lambda bob: bob.ClearField("validator_key"))
    set_participant(ctx, "bob", lambda bob: bob.ClearField("public_key"))

    assert refused(ctx, a_batch("bob", "b2")) == (
        "no_consensus_key: bob has no consensus key; no_public_key: the account key of bob is unknown"
    )


def test_an_invalid_participant_is_refused(ctx: Context) -> None:
    epochs.invalidate(ctx, "bob", reasons_pb2.REASON_MISBEHAVIOUR)

    assert refused(ctx, a_batch("bob", "b2")).startswith("participant_invalid: ")


def test_nonces_at_or_below_the_last_accepted_one_are_refused(ctx: Context) -> None:
    submit_poc_batch(ctx, a_batch("alice", "a1", count=5))

    assert refused(ctx, a_batch("alice", "a1", count=5)).startswith("nonces_not_rising: ")
    assert refused(ctx, a_batch("alice", "a1", count=5, first=4)).startswith("nonces_not_rising: ")


def test_too_many_nonces_in_a_batch_or_for_a_node_are_refused(ctx: Context) -> None:
    set_params(ctx, lambda params: setattr(params, "max_nonces_per_batch", 5))
    set_params(ctx, lambda params: setattr(params, "max_nonces_per_node", 7))

    submit_poc_batch(ctx, a_batch("alice", "a1", count=5))

    assert refused(ctx, a_batch("alice", "a1", count=3, first=5)) == (
        "too_many_nonces: a node has at most 7 nonces, with these 8"
    )
    assert refused(ctx, a_batch("alice", "a1", count=6, first=5)).count("too_many_nonces: ") == 2


def test_claims_that_do_not_fit_the_nonces_are_refused(ctx: Context) -> None:
    msg = a_batch("alice", "a1", count=3)
    msg.claims = msg.claims[:-1]

    assert refused(ctx, msg) == "claims_mismatch: 3 nonces need 12 bytes of claims, there are 11"


def test_an_empty_batch_and_nonces_past_their_range_are_refused(ctx: Context) -> None:
    assert refused(ctx, a_batch("alice", "a1", count=0)).startswith("malformed_batch: ")
    assert refused(ctx, a_batch("alice", "a1", count=2, first=2**64 - 2)).startswith("malformed_batch: ")


def test_an_over_long_batch_id_is_refused(ctx: Context) -> None:
    msg = a_batch("alice", "a1")
    msg.batch_id = "x" * 65

    assert refused(ctx, msg) == "malformed_batch: batch_id is longer than 64 bytes"


def test_the_committed_form_is_refused_with_a_clear_reason(ctx: Context) -> None:
    msg = a_batch("alice", "a1")
    msg.root, msg.claims = b"\1" * 32, b""

    assert refused(ctx, msg) == "batch_form_closed: the committed form (root) is not open"


def open_committed(params: PocParams) -> None:
    params.committed_batches = True


def a_commitment(name: str, node_id: str, count: int = 5) -> poc_pb2.MsgSubmitPocBatch:
    """The committed form of `a_batch`."""
    msg = a_batch(name, node_id, count=count)
    leaves = [claim_leaf(node_id, nonce, claim) for nonce, claim in enumerate(decode_claims(msg.claims))]
    msg.root, msg.claims = Tree(leaves).root, b""
    return msg


def test_a_commitment_weighs_as_much_as_the_same_nonces_inline(ctx: Context) -> None:
    set_params(ctx, open_committed)

    submit_poc_batch(ctx, a_batch("alice", "a1", count=7))
    submit_poc_batch(ctx, a_commitment("bob", "b2", count=7))

    assert poc.calculate_node_weight(ctx, S, "alice", "a1") == 7
    assert poc.calculate_node_weight(ctx, S, "bob", "b2") == 7


def test_of_a_commitment_the_chain_keeps_the_root_and_no_claims(ctx: Context) -> None:
    set_params(ctx, open_committed)
    msg = a_commitment("alice", "a1")

    submit_poc_batch(ctx, msg)

    kept = state.BATCHES.require(ctx, (S, "alice", "a1", 0))
    assert (kept.root, kept.nonce_count, kept.claims_sha256) == (msg.root, 5, b"")
    assert list(state.CLAIMS.walk(ctx)) == []


def test_a_node_commits_once_and_not_beside_inline_batches(ctx: Context) -> None:
    set_params(ctx, open_committed)
    submit_poc_batch(ctx, a_commitment("alice", "a1"))
    submit_poc_batch(ctx, a_batch("bob", "b2", count=5))
    later = a_commitment("alice", "a1")
    later.nonce_first = 5

    assert refused(ctx, later).startswith("malformed_batch: node 'a1' has committed")
    assert refused(ctx, a_batch("alice", "a1", count=5, first=5)).startswith(
        "malformed_batch: node 'a1' has c"
    )
    beside = a_commitment("bob", "b2")
    beside.nonce_first = 5
    assert refused(ctx, beside).startswith("malformed_batch: node 'b2' has inline batches")


def test_a_commitment_may_hold_more_than_an_inline_batch_but_no_more_than_a_node(ctx: Context) -> None:
    set_params(ctx, open_committed)
    set_params(ctx, lambda params: setattr(params, "max_nonces_per_batch", 5))
    set_params(ctx, lambda params: setattr(params, "max_nonces_per_node", 7))

    assert refused(ctx, a_commitment("alice", "a1", count=8)) == (
        "too_many_nonces: a node has at most 7 nonces, with these 8"
    )
    submit_poc_batch(ctx, a_commitment("alice", "a1", count=7))


def test_a_root_of_another_length_and_one_beside_claims_are_refused_with_both_reasons(ctx: Context) -> None:
    set_params(ctx, open_committed)
    msg = a_batch("alice", "a1")
    msg.root = b"\1" * 31

    assert refused(ctx, msg) == (
        "malformed_batch: a root has 32 bytes, this one 31; "
        "malformed_batch: a batch holds claims or their root, not both"
    )


def test_the_inline_form_is_refused_where_the_record_does_not_open_it(ctx: Context) -> None:
    set_params(ctx, lambda params: params.ClearField("inline_batches"))

    assert refused(ctx, a_batch("alice", "a1")).startswith("batch_form_closed: the inline form")


def test_listed_nonces_are_refused_where_every_nonce_counts(ctx: Context) -> None:
    msg = poc_pb2.MsgSubmitPocBatch(
        creator="alice", poc_stage_start_height=S, node_id="a1", nonces=[1, 2], claims=encode_claims([1, 2])
    )

    assert refused(ctx, msg).startswith("batch_form_closed: every nonce counts")


def test_where_not_every_nonce_counts_a_first_nonce_and_a_count_are_refused(ctx: Context) -> None:
    set_params(ctx, explicit_nonces)

    assert "batch_form_closed: not every nonce counts" in refused(ctx, a_batch("alice", "a1"))


def test_listed_nonces_must_rise_and_their_claims_must_qualify(ctx: Context) -> None:
    set_params(ctx, explicit_nonces)
    msg = poc_pb2.MsgSubmitPocBatch(
        creator="alice",
        poc_stage_start_height=S,
        node_id="a1",
        nonces=[1, 5, 5],
        claims=encode_claims([100, 99, 7]),
    )

    assert refused(ctx, msg) == (
        "nonces_not_rising: nonces rise strictly, and the next one is at least 0; "
        "claim_below_target: 2 of 3 claims are below 100, the first of them at place 1"
    )


# queries


def batches(ctx: Context, **asked: object) -> list[tuple[str, int, bytes]]:
    request = poc_pb2.QueryPocBatchesRequest(poc_stage_start_height=S, **asked)  # type: ignore[arg-type]
    return [
        (each.node_id, each.nonce_first, each.claims)
        for each in ask(ctx, request, poc_pb2.QueryPocBatchesResponse).batches
    ]


def test_batches_are_found_by_participant_by_node_and_by_model(ctx: Context) -> None:
    for owner, node_id in (("alice", "a1"), ("alice", "a3"), ("bob", "b1"), ("bob", "b2")):
        submit_poc_batch(ctx, a_batch(owner, node_id))

    claims = encode_claims(range(5))
    assert [name for name, _, _ in batches(ctx)] == ["a1", "a3", "b1", "b2"]
    assert batches(ctx, participant="bob", node_id="b2", with_claims=True) == [("b2", 0, claims)]
    assert batches(ctx, participant="alice") == [("a1", 0, b""), ("a3", 0, b"")]
    request = poc_pb2.QueryPocBatchesForModelRequest(poc_stage_start_height=S, model_id="Y")
    of_y = ask(ctx, request, poc_pb2.QueryPocBatchesResponse)
    assert [each.node_id for each in of_y.batches] == ["a3", "b2"]
    assert poc.calculate_model_power(ctx, S, "Y") == 10
    nodes = ask(
        ctx, poc_pb2.QueryNodeNoncesRequest(poc_stage_start_height=S), poc_pb2.QueryNodeNoncesResponse
    ).nodes
    assert [(each.node_id, each.nonces_total) for each in nodes] == [
        ("a1", 5),
        ("a3", 5),
        ("b1", 5),
        ("b2", 5),
    ]


def test_batches_come_in_pages(ctx: Context) -> None:
    for first in (0, 5, 10):
        submit_poc_batch(ctx, a_batch("alice", "a1", first=first))
    request = poc_pb2.QueryPocBatchesRequest(poc_stage_start_height=S)
    request.pagination.limit = 2

    page = ask(ctx, request, poc_pb2.QueryPocBatchesResponse)
    request.pagination.key = page.pagination.next_key
    rest = ask(ctx, request, poc_pb2.QueryPocBatchesResponse)

    assert [each.nonce_first for each in page.batches] == [0, 5]
    assert [each.nonce_first for each in rest.batches] == [10]
    assert rest.pagination.next_key == b""


def test_queries_that_can_have_no_answer_say_so(ctx: Context) -> None:
    with pytest.raises(QueryError, match="name the participant too"):
        batches(ctx, node_id="a1")
    with pytest.raises(QueryError, match="is negative"):
        ask(ctx, poc_pb2.QueryNodeNoncesRequest(poc_stage_start_height=-1), poc_pb2.QueryNodeNoncesResponse)
    with pytest.raises(QueryError, match="zero byte"):
        batches(ctx, participant="a\0")
    with pytest.raises(QueryError, match="says nothing of node"):
        ask(
            ctx,
            poc_pb2.QueryNodeWeightRequest(poc_stage_start_height=S, participant="alice", node_id="a1"),
            poc_pb2.QueryNodeWeightResponse,
        )
