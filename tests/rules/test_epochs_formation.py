"""How weights become groups: the worked epochs, and what holds for every fleet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from abci_app.modules.epochs.formation import Candidate, Formed, form_group, node_throughput
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import NodeWeight
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_MINED, REASON_PRESERVED
from tests.fleet import X, Y, a_model, a_node, a_participant, registered, who

MODELS = [a_model(X, throughput_per_nonce=40_000_000), a_model(Y, throughput_per_nonce=90_000_000)]
CAP = 2500


def a_candidate(
    name: str, *nodes: tuple[str, tuple[str, ...], int], weight: int = 0, **fields: bytes
) -> Candidate:
    """Nodes as (id, declared models, weight), in the registry's order."""
    pairs = tuple(
        (
            registered(name, sequence, a_node(node_id, *models)),
            NodeWeight(node_id=node_id, poc_weight=poc_weight, weight_source=REASON_MINED),
        )
        for sequence, (node_id, models, poc_weight) in enumerate(nodes)
    )
    return Candidate(a_participant(name, **fields), pairs, weight)


def by_model(formed: list[Formed]) -> dict[str, Formed]:
    return {each.group.model_id: each for each in formed}


def weights_of(formed: Formed) -> dict[str, int]:
    return {each.member_address: each.weight for each in formed.members}


def test_epoch_7_of_the_protocols_example() -> None:
    fleet = [
        a_candidate("carol", ("c1", (X,), 200), ("c2", (X,), 60)),
        a_candidate("alice", ("a1", (X,), 300), ("a2", (X,), 280), ("a3", (Y,), 120)),
        a_candidate("bob", ("b1", (X,), 260), ("b2", (Y,), 140)),
    ]

    groups = by_model(form_group(7, 4434, fleet, MODELS, CAP))

    parent = groups[""]
    powers = {each.member_address: each.voting_power for each in parent.members}
    assert weights_of(parent) == {who("alice"): 700, who("bob"): 400, who("carol"): 260}
    assert powers == {who("alice"): 440, who("bob"): 400, who("carol"): 260}
    assert (parent.group.total_weight, parent.group.total_voting_power) == (1360, 1100)
    assert list(parent.group.sub_group_models) == [X, Y]
    assert [groups[m].group.total_throughput for m in (X, Y)] == [44_000, 23_400]


def test_epoch_8_of_the_protocols_example() -> None:
    fleet = [
        a_candidate("alice", ("a1", (X,), 310), ("a2", (X,), 280), ("a3", (Y,), 120)),
        a_candidate("bob", ("b1", (X,), 260), ("b2", (Y,), 138), ("b3", (Y,), 90)),
        a_candidate("carol", ("c1", (X,), 205), ("c2", (X,), 58)),
    ]

    groups = by_model(form_group(8, 5154, fleet, MODELS, CAP))

    assert weights_of(groups[""]) == {who("alice"): 710, who("bob"): 488, who("carol"): 263}
    assert sorted(each.voting_power for each in groups[""].members) == [263, 488, 500]
    assert (groups[""].group.total_weight, groups[""].group.total_voting_power) == (1461, 1251)
    assert weights_of(groups[X]) == {who("alice"): 590, who("bob"): 260, who("carol"): 263}
    assert weights_of(groups[Y]) == {who("alice"): 120, who("bob"): 228}
    throughputs = {
        (model, each.member_address): sum(node.throughput for node in each.ml_nodes)
        for model in (X, Y)
        for each in groups[model].members
    }
    assert throughputs == {
        (X, who("alice")): 23_600,
        (X, who("bob")): 10_400,
        (X, who("carol")): 10_520,
        (Y, who("alice")): 10_800,
        (Y, who("bob")): 20_520,
    }
    assert [(groups[m].group.total_weight, groups[m].group.total_throughput) for m in (X, Y)] == [
        (1113, 44_520),
        (348, 31_320),
    ]


def test_a_node_serves_its_first_model_and_is_only_listed_under_the_others() -> None:
    fleet = [a_candidate("alice", ("a1", (Y, X), 10), ("a2", (X,), 20))]

    groups = by_model(form_group(1, 5, fleet, MODELS, CAP))

    in_x = {node.node_id: node for node in groups[X].members[0].ml_nodes}
    in_y = {node.node_id: node for node in groups[Y].members[0].ml_nodes}
    assert list(in_y["a1"].timeslot_allocation) == [True, False]
    assert (in_y["a1"].poc_weight, in_y["a1"].throughput) == (10, 900)
    assert list(in_x["a1"].timeslot_allocation) == [False, False]
    assert (in_x["a1"].poc_weight, in_x["a1"].throughput) == (0, 0)
    assert list(in_x["a2"].timeslot_allocation) == [True, False]
    assert groups[X].group.total_weight == 20


def test_a_model_that_no_node_serves_gets_no_subgroup_though_nodes_declare_it() -> None:
    groups = by_model(form_group(1, 5, [a_candidate("alice", ("a1", (X, Y), 10))], MODELS, CAP))

    assert sorted(groups) == ["", X]
    assert list(groups[""].group.sub_group_models) == [X]


def test_a_node_whose_models_are_gone_keeps_its_weight_in_the_parent_alone() -> None:
    fleet = [a_candidate("alice", ("a1", ("gone",), 30), ("a2", (X,), 10))]

    groups = by_model(form_group(1, 5, fleet, MODELS, CAP))

    (alice,) = groups[""].members
    assert alice.weight == alice.voting_power == 40
    assert [(node.node_id, node.poc_weight, node.throughput) for node in alice.ml_nodes] == [("a1", 30, 0)]
    assert list(alice.ml_nodes[0].timeslot_allocation) == [False, False]
    assert groups[X].group.total_weight == 10


def test_nodes_and_participants_without_weight_stay_out() -> None:
    fleet = [a_candidate("alice", ("a1", (X,), 0), ("a2", (X,), 5)), a_candidate("bob", ("b1", (Y,), 0))]

    groups = by_model(form_group(1, 5, fleet, MODELS, CAP))

    assert sorted(groups) == ["", X]
    assert [node.node_id for node in groups[X].members[0].ml_nodes] == ["a2"]
    assert weights_of(groups[""]) == {who("alice"): 5}


def test_a_member_without_a_consensus_key_has_weight_but_no_power_and_no_part_in_the_cap() -> None:
    fleet = [
        a_candidate("alice", ("a1", (X,), 100)),
        a_candidate("bob", ("b1", (X,), 900), validator_key=b""),
    ]

    (parent, _) = form_group(1, 5, fleet, MODELS, CAP)

    assert {m.member_address: (m.weight, m.voting_power) for m in parent.members} == {
        who("alice"): (100, 100),
        who("bob"): (900, 0),
    }
    assert (parent.group.total_weight, parent.group.total_voting_power) == (1000, 100)


def test_a_participants_own_weight_counts_in_the_parent_alone() -> None:
    (parent,) = form_group(0, 0, [a_candidate("alice", weight=50)], MODELS, CAP)

    assert (parent.members[0].weight, parent.members[0].voting_power) == (50, 50)
    assert list(parent.group.sub_group_models) == []


def test_the_snapshot_holds_the_whole_model_and_the_node_its_source_and_counter() -> None:
    pair = (
        registered("alice", 3, a_node("a1", X, host="h", port=7)),
        NodeWeight(node_id="a1", poc_weight=9, weight_source=REASON_PRESERVED, unproved=1),
    )

    (_, formed) = form_group(4, 99, [Candidate(a_participant("alice"), (pair,))], MODELS, CAP)

    node = formed.members[0].ml_nodes[0]
    assert formed.group.model_snapshot == MODELS[0]
    assert (formed.group.epoch_index, formed.group.height_formed, formed.group.member_count) == (4, 99, 1)
    assert (node.weight_source, node.unproved, node.sequence, node.host, node.port) == (
        REASON_PRESERVED,
        1,
        3,
        "h",
        7,
    )


def test_throughput_is_in_millionths_of_a_token_per_nonce() -> None:
    assert node_throughput(300, 40_000_000) == 12_000
    assert node_throughput(3, 500_000) == 1
    assert node_throughput(10**15, 10**12) == 2**64 - 1


@st.composite
def fleets(draw: st.DrawFn) -> list[Candidate]:
    names = draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=6))
    models = st.lists(st.sampled_from([X, Y, "gone"]), min_size=1, unique=True).map(tuple)
    nodes = st.lists(st.tuples(models, st.integers(0, 10**6)), max_size=5)
    return [
        a_candidate(name, *((f"n{i}", declared, weight) for i, (declared, weight) in enumerate(draw(nodes))))
        for name in names
    ]


@given(fleets())
def test_every_weight_counts_once_and_totals_are_sums(fleet: list[Candidate]) -> None:
    formed = form_group(1, 5, fleet, MODELS, CAP)

    parent, subgroups = formed[0], formed[1:]
    given_weight = sum(proved.poc_weight for each in fleet for _, proved in each.nodes)
    idle = sum(node.poc_weight for member in parent.members for node in member.ml_nodes)
    assert parent.group.total_weight == given_weight
    assert sum(each.group.total_weight for each in subgroups) + idle == given_weight
    for each in formed:
        assert each.group.total_weight == sum(member.weight for member in each.members)
        assert [m.member_address for m in each.members] == sorted(m.member_address for m in each.members)
        assert each.group.member_count == len(each.members)
    for each in subgroups:
        nodes = [node for member in each.members for node in member.ml_nodes]
        assert each.group.total_throughput == sum(node.throughput for node in nodes)
        assert all(node.timeslot_allocation[0] == (node.poc_weight > 0) for node in nodes)
        assert all(len(node.timeslot_allocation) == 2 and not node.timeslot_allocation[1] for node in nodes)
        assert each.group.total_weight > 0


@given(fleets(), st.randoms(use_true_random=False))
def test_the_order_of_the_fleet_changes_nothing(fleet: list[Candidate], random: object) -> None:
    shuffled = [Candidate(each.participant, each.nodes[::-1], each.weight) for each in fleet[::-1]]

    assert form_group(1, 5, shuffled, MODELS, CAP) == form_group(1, 5, fleet, MODELS, CAP)
