"""Participants and their nodes through messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.kernel.context import Context
from abci_app.kernel.errors import QueryError
from abci_app.modules import hardware
from protocol import possession
from protocol.address import consensus_address
from protocol.gen.evergrid.hardware.v1 import hardware_pb2 as pb
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_MISBEHAVIOUR
from tests.fleet import (
    CHAIN_ID,
    GOV,
    X,
    Y,
    a_model,
    a_node,
    a_state,
    ask,
    at,
    contents,
    deliver,
    events,
    joining,
    validator_key,
    validator_seed,
    who,
)


def a_chain() -> Context:
    """Two models and the participant alice, at height 5."""
    ctx = at(a_state([a_model(X), a_model(Y)]), 5)
    assert deliver(ctx, joining("alice")) is None
    return at(ctx, 6)


def diff(name: str = "alice", *nodes: pb.MLNode, removed: tuple[str, ...] = ()) -> pb.MsgSubmitHardwareDiff:
    return pb.MsgSubmitHardwareDiff(creator=who(name), new_or_modified=nodes, removed=removed)


def node_ids(ctx: Context, name: str = "alice") -> list[str]:
    return [each.node.node_id for each in hardware.nodes_of(ctx, who(name))]


# Participants


def test_an_account_becomes_a_participant_and_is_announced() -> None:
    ctx = at(a_state(), 5)

    assert deliver(ctx, joining("alice", worker_key="w1")) is None

    alice = hardware.get_participant(ctx, who("alice"))
    assert alice is not None
    assert (alice.status, alice.height_joined) == (pb.PARTICIPANT_STATUS_ACTIVE, 5)
    assert (alice.validator_key, alice.worker_key) == (validator_key("alice"), "w1")
    announced = {"participant": who("alice"), "url": "https://alice.test:9000", "new": "true"}
    assert events(ctx) == [("participant_submitted", announced)]


def test_sent_again_it_updates_url_and_keys_and_nothing_else() -> None:
    ctx = a_chain()
    hardware.set_status(ctx, who("alice"), pb.PARTICIPANT_STATUS_INVALID, REASON_MISBEHAVIOUR, 3)

    assert deliver(ctx, joining("alice", key_of="alice-2", url="http://new.test", worker_key="w2")) is None

    alice = hardware.get_participant(ctx, who("alice"))
    assert alice is not None
    assert (alice.url, alice.worker_key) == ("http://new.test", "w2")
    assert alice.validator_key == validator_key("alice-2")
    assert (alice.status, alice.epoch_invalid, alice.height_joined) == (pb.PARTICIPANT_STATUS_INVALID, 3, 5)


def test_an_empty_key_leaves_the_one_there_is() -> None:
    ctx = a_chain()

    assert deliver(ctx, joining("alice", validator_key=b"", proof_of_possession=b"")) is None

    alice = hardware.get_participant(ctx, who("alice"))
    assert alice is not None
    assert alice.validator_key == validator_key("alice")


@pytest.mark.parametrize(
    "proof",
    [
        b"",
        possession.sign(validator_seed("bob"), "another-chain", who("bob")),
        possession.sign(validator_seed("bob"), CHAIN_ID, who("alice")),
        possession.sign(validator_seed("alice"), CHAIN_ID, who("bob")),
    ],
)
def test_a_key_without_its_own_proof_is_refused(proof: bytes) -> None:
    ctx = a_chain()
    before = contents(ctx)

    error = deliver(ctx, joining("bob", proof_of_possession=proof))

    assert error is not None
    assert (error.codespace, error.code) == ("hardware", 5)
    assert "proof_of_possession is no signature of the validator key" in str(error)
    assert contents(ctx) == before


def test_a_key_that_another_holds_is_refused() -> None:
    ctx = a_chain()
    before = contents(ctx)

    error = deliver(ctx, joining("bob", key_of="alice"))

    assert error is not None
    assert (error.codespace, error.code) == ("hardware", 6)
    assert who("alice") in str(error)
    assert contents(ctx) == before


def test_a_key_that_was_given_up_is_refused_to_others_within_evidence_age_and_free_to_its_owner() -> None:
    ctx = a_chain()
    deliver(ctx, joining("alice", key_of="alice-2"))
    age = hardware.params(ctx).evidence_age

    assert deliver(at(ctx, 6 + age), joining("bob", key_of="alice")) is not None
    with ctx.branch() as attempt:
        assert deliver(attempt, joining("alice")) is None
        assert deliver(attempt, joining("bob", key_of="alice-2")) is not None
        assert deliver(attempt, joining("alice", key_of="alice-2")) is None
    late = at(ctx, 6 + age + 1)
    assert deliver(late, joining("bob", key_of="alice")) is not None  # it may be in use until it is looked at
    assert hardware.prune(late, 10, unused) == 1
    assert deliver(at(late, late.height + age), joining("bob", key_of="alice")) is not None
    assert deliver(at(late, late.height + age + 1), joining("bob", key_of="alice")) is None


def test_a_given_up_key_still_leads_to_its_participant_until_it_is_pruned() -> None:
    ctx = a_chain()
    deliver(ctx, joining("alice", key_of="alice-2"))
    late = at(ctx, 7 + hardware.params(ctx).evidence_age)

    for name in ("alice", "alice-2"):
        holder = hardware.participant_by_consensus_address(ctx, consensus_address(validator_key(name)))
        assert holder is not None
        assert holder.address == who("alice")

    assert hardware.prune(ctx, 10, unused) == 0
    assert hardware.prune(late, 10, unused) == 1
    address = consensus_address(validator_key("alice"))
    assert hardware.participant_by_consensus_address(late, address) is not None
    last = at(late, late.height + hardware.params(ctx).evidence_age + 1)
    assert hardware.prune(last, 10, unused) == 1
    assert hardware.participant_by_consensus_address(last, address) is None


def unused(_retired: pb.RetiredKey) -> bool:
    return False


names = st.sampled_from(["p", "q", "r"])


@given(st.lists(st.tuples(names, st.sampled_from("abcd")), max_size=12))
def test_no_two_participants_ever_hold_the_same_consensus_key(moves: list[tuple[str, str]]) -> None:
    ctx = at(a_state(), 5)

    for name, key in moves:
        deliver(ctx, joining(name, key_of=key))

    keys = [each.validator_key for each in hardware.participants(ctx)]
    assert len(keys) == len(set(keys))


# Hardware


def test_nodes_are_stored_in_the_order_in_which_they_were_added_and_announced() -> None:
    ctx = a_chain()

    assert deliver(ctx, diff("alice", a_node("z"), a_node("a", Y, X))) is None

    assert node_ids(ctx) == ["z", "a"]
    node = hardware.get_node(ctx, who("alice"), "a")
    assert node is not None
    assert (list(node.node.models), node.height_registered) == ([Y, X], 6)
    assert events(ctx) == [
        ("hardware_changed", {"participant": who("alice"), "nodes_changed": "2", "nodes_removed": "0"})
    ]


def test_a_changed_node_keeps_its_place_and_one_added_again_moves_to_the_end() -> None:
    ctx = a_chain()
    deliver(ctx, diff("alice", a_node("a"), a_node("b"), a_node("c")))
    later = at(ctx, 9)

    deliver(later, diff("alice", a_node("a", Y)))
    assert node_ids(later) == ["a", "b", "c"]
    changed = hardware.get_node(later, who("alice"), "a")
    assert changed is not None
    assert changed.height_registered == 6

    deliver(later, diff("alice", removed=("a",)))
    deliver(later, diff("alice", a_node("a")))
    assert node_ids(later) == ["b", "c", "a"]


def test_unregistered_models_are_all_named_with_their_nodes_and_nothing_is_written() -> None:
    ctx = a_chain()
    before = contents(ctx)

    error = deliver(
        ctx, diff("alice", a_node("n2", "zeta", X), a_node("n1", "alpha", "zeta"), a_node("n3", port=0))
    )

    assert error is not None
    assert (error.codespace, error.code) == ("hardware", 2)
    assert str(error) == (
        "alpha (n1), zeta (n1, n2); node n3: port 0 is not 1 to 65535: "
        "hardware names models that governance has not registered"
    )
    assert (contents(ctx), ctx.events) == (before, [])


def test_a_broken_diff_is_refused_with_all_its_faults_and_nothing_is_written() -> None:
    ctx = a_chain()
    before = contents(ctx)

    error = deliver(ctx, diff("alice", a_node("a", host="a b"), removed=("gone",)))

    assert error is not None
    assert (error.codespace, error.code) == ("hardware", 3)
    assert str(error) == (
        "node a: host a b is no host name or address; node gone in removed is unknown: invalid hardware diff"
    )
    assert (contents(ctx), ctx.events) == (before, [])


def test_who_is_no_participant_declares_nothing() -> None:
    ctx = a_chain()

    error = deliver(ctx, diff("bob", a_node("a")))

    assert error is not None
    assert (error.codespace, error.code) == ("hardware", 4)


def test_no_more_nodes_than_the_params_allow() -> None:
    ctx = a_chain()
    few = pb.Params(max_nodes_per_participant=2, evidence_age=10)
    assert deliver(ctx, pb.MsgUpdateParams(authority=GOV, params=few)) is None
    assert deliver(ctx, diff("alice", a_node("a"), a_node("b"))) is None

    assert str(deliver(ctx, diff("alice", a_node("c")))).startswith("3 nodes are more than 2")
    assert deliver(ctx, diff("alice", a_node("c"), removed=("a",))) is None


def test_participants_with_equal_node_ids_do_not_meet() -> None:
    ctx = a_chain()
    deliver(ctx, joining("bob"))
    for name in ("alice", "bob"):
        deliver(ctx, diff(name, a_node("gpu")))

    deliver(ctx, diff("alice", removed=("gpu",)))

    assert (node_ids(ctx), node_ids(ctx, "bob")) == ([], ["gpu"])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([(X,), (Y,), (X, Y), ()])), max_size=12))
def test_nodes_for_a_model_are_those_that_declare_it_now(moves: list[tuple[str, tuple[str, ...]]]) -> None:
    ctx = a_chain()
    declared: dict[str, tuple[str, ...]] = {}

    for node_id, model_ids in moves:
        if model_ids:
            deliver(ctx, diff("alice", a_node(node_id, *model_ids)))
            declared[node_id] = model_ids
        elif declared.pop(node_id, None):
            deliver(ctx, diff("alice", removed=(node_id,)))

    for model_id in (X, Y):
        found = {each.node.node_id for each in hardware.get_nodes_for_model(ctx, model_id)}
        assert found == {node_id for node_id, models in declared.items() if model_id in models}


def test_validated_hardware_nodes_are_those_whose_models_are_all_registered() -> None:
    ctx = a_state([a_model(X)])
    hardware.MODULE.init_genesis(
        ctx,
        pb.GenesisState(
            participants=[pb.Participant(address=who("alice"))],
            nodes=[
                pb.RegisteredNode(participant=who("alice"), node=node)
                for node in (a_node("b", X), a_node("a", X, "gone"))
            ],
        ),
    )

    nodes = ask(ctx, pb.QueryValidatedHardwareNodesRequest()).nodes

    assert [each.node.node_id for each in nodes] == ["b"]
    assert [n.node.node_id for n in ask(ctx, pb.QueryNodesForModelRequest(model_id=X)).nodes] == ["b", "a"]
    assert [
        n.node.node_id for n in ask(ctx, pb.QueryHardwareNodesRequest(participant=who("alice"))).nodes
    ] == [
        "b",
        "a",
    ]


def test_queries_page_participants_and_say_what_is_not_there() -> None:
    ctx = a_chain()
    deliver(ctx, joining("bob"))

    page = ask(ctx, pb.QueryParticipantsRequest(pagination={"limit": 1, "count_total": True}))

    assert [each.address for each in page.participants] == [min(who("alice"), who("bob"))]
    assert page.pagination.total == 2
    assert ask(ctx, pb.QueryParticipantRequest(address=who("bob"))).participant.url == "https://bob.test:9000"
    with pytest.raises(QueryError, match="is not a participant"):
        ask(ctx, pb.QueryParticipantRequest(address=who("carol")))


def test_only_governance_changes_the_params_and_only_to_right_ones() -> None:
    ctx = a_chain()
    before = contents(ctx)

    assert (
        deliver(ctx, pb.MsgUpdateParams(authority=who("alice"), params=hardware.DEFAULT_PARAMS)) is not None
    )
    error = deliver(ctx, pb.MsgUpdateParams(authority=GOV, params=pb.Params()))

    assert str(error).startswith(
        "max_nodes_per_participant must be 1 to 100000; evidence_age must be 1 to 1000000000"
    )
    assert contents(ctx) == before


def test_export_and_import_are_inverses() -> None:
    ctx = a_chain()
    deliver(ctx, joining("alice", key_of="alice-2"))
    deliver(ctx, joining("bob"))
    deliver(ctx, diff("alice", a_node("b"), a_node("a", Y, status=pb.ML_NODE_STATUS_DISABLED)))
    deliver(ctx, diff("alice", removed=("b",)))
    hardware.set_status(ctx, who("bob"), pb.PARTICIPANT_STATUS_INVALID, REASON_MISBEHAVIOUR, 2)
    exported = hardware.MODULE.export_genesis(ctx)
    other = at(a_state([a_model(X), a_model(Y)]), 6)

    hardware.MODULE.init_genesis(other, exported)

    assert hardware.MODULE.validate_genesis(exported) == []
    assert hardware.MODULE.export_genesis(other) == exported
    # The indexes came along: everything that the module keeps is the same.
    kept = [[pair for pair in contents(each) if pair[0].startswith(b"hardware/")] for each in (ctx, other)]
    assert kept[0] == kept[1]


def test_a_genesis_names_all_that_is_wrong_with_it() -> None:
    node = pb.RegisteredNode(participant=who("bob"), node=a_node("n", port=0))
    state = pb.GenesisState(
        params=pb.Params(max_nodes_per_participant=1, evidence_age=1),
        participants=[
            pb.Participant(address="x", validator_key=b"k"),
            pb.Participant(address=who("a"), validator_key=b"k", public_key=b"p", url="x"),
        ],
        nodes=[node, node],
    )

    errors = hardware.MODULE.validate_genesis(state)

    assert len(errors) == 11
    assert any("another holds or held its validator_key" in error for error in errors)
    assert any("its participant is not in the genesis" in error for error in errors)
