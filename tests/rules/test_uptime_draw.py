"""The draw of POC_SLOT: the worked epoch, and what holds for every fleet."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.modules.uptime.rules import (
    ELIGIBLE,
    Candidate,
    Group,
    ModelDemand,
    NodeFacts,
    Seed,
    allocate_slots,
    eligibility,
    expected_at_formation,
    expected_in_poc,
    real_outside_poc,
)
from protocol.gen.evergrid.epochs.v1.params_pb2 import UptimeParams
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons
from protocol.gen.evergrid.uptime.v1.uptime_pb2 import SlotAllocation

PARAMS = UptimeParams(
    poc_slot_fraction_bps=5000,
    poc_slot_headroom_bps=12_500,
    max_consecutive_preserved_epochs=1,
    min_served=1,
    voting_guard_bps=3333,
    max_demand_ratio=3,
)
SEED = Seed("evergrid-test-1", 8, sha256(b"block 5099").digest())


def node(name: str, participant: str, throughput: int, sequence: int, preserved: int = 0) -> Candidate:
    return Candidate(participant, name, throughput, sequence, preserved)


X = ModelDemand(
    "X",
    capacity=44_000,
    expected=9600,
    candidates=(
        node("a1", "alice", 12_000, 1),
        node("a2", "alice", 11_200, 2),
        node("b1", "bob", 10_400, 4),
        node("c1", "carol", 8000, 6),
        node("c2", "carol", 2400, 7),
    ),
)
Y = ModelDemand(
    "Y",
    capacity=23_400,
    expected=5000,
    candidates=(node("a3", "alice", 10_800, 3), node("b2", "bob", 12_600, 5)),
)
EPOCH_7 = Group(
    weights={"alice": 700, "bob": 400, "carol": 260},
    powers={"alice": 440, "bob": 400, "carol": 260},
    nodes_weighted={"alice": 3, "bob": 2, "carol": 2},
)


def turns(allocation: SlotAllocation) -> list[tuple[str, str, int, int]]:
    return [
        (each.node_id, reasons.Reason.Name(each.reason)[7:].lower(), each.drawn, each.weight_total)
        for each in allocation.turns
    ]


def selected(allocation: SlotAllocation) -> list[tuple[str, str]]:
    return [
        (each.participant, each.node_id)
        for each in allocation.turns
        if each.reason == reasons.REASON_SELECTED
    ]


def one_model(group: Group, *candidates: Candidate, expected: int = 0, seed: Seed = SEED) -> SlotAllocation:
    capacity = sum(each.throughput for each in candidates)
    (allocation,) = allocate_slots([ModelDemand("X", capacity, expected, candidates)], group, PARAMS, seed)
    return allocation


def group_of(nodes: dict[str, int], weight: int = 100) -> Group:
    return Group(dict.fromkeys(nodes, weight), dict.fromkeys(nodes, weight), nodes)


# the worked epoch


def test_the_draw_of_the_worked_epoch() -> None:
    y, x = allocate_slots([X, Y], EPOCH_7, PARAMS, SEED)

    assert (y.model_id, y.order, y.limit, y.target, y.selected) == ("Y", 0, 11_700, 6250, 10_800)
    assert y.stop == reasons.REASON_TARGET_MET
    assert turns(y) == [("a3", "selected", 297, 1100), ("b2", "not_drawn", 0, 0)]
    assert (x.model_id, x.order, x.limit, x.target, x.selected) == ("X", 1, 22_000, 12_000, 21_600)
    assert x.stop == reasons.REASON_TARGET_MET
    assert turns(x) == [
        ("b1", "selected", 838, 1360),
        ("a1", "over_limit", 564, 960),
        ("a2", "selected", 323, 960),
        ("c1", "not_drawn", 0, 0),
        ("c2", "not_drawn", 0, 0),
    ]


def test_the_order_in_which_models_are_given_does_not_matter() -> None:
    assert allocate_slots([X, Y], EPOCH_7, PARAMS, SEED) == allocate_slots([Y, X], EPOCH_7, PARAMS, SEED)


# the guard


def test_a_sole_participant_may_serve_with_its_only_node() -> None:
    allocation = one_model(group_of({"alice": 1}), node("a1", "alice", 10, 1))

    assert selected(allocation) == [("alice", "a1")]


def test_of_three_one_node_participants_one_serves_and_the_guard_stops_the_next() -> None:
    candidates = [node("n", name, 10, place) for place, name in enumerate(("alice", "bob", "carol"))]

    allocation = one_model(group_of({"alice": 1, "bob": 1, "carol": 1}), *candidates, expected=1000)

    assert len(selected(allocation)) == 1
    # Half of 30 is 15, so the limit stops the others before the guard does.
    assert [reason for _, reason, _, _ in turns(allocation)][1:] == ["over_limit", "over_limit"]


def test_four_equal_one_node_participants_keep_three_that_can_validate() -> None:
    names = ("alice", "bob", "carol", "dave")
    candidates = [node("n", name, 10, place) for place, name in enumerate(names)]

    allocation = one_model(group_of(dict.fromkeys(names, 1)), *candidates, expected=1000)

    assert [reason for _, reason, _, _ in turns(allocation)] == ["selected"] + ["voting_guard"] * 3
    assert allocation.stop == reasons.REASON_NO_ELIGIBLE


def test_in_a_group_of_four_a_participant_above_the_guard_leaves_its_model_dark() -> None:
    group = Group(
        weights={"alice": 400, "bob": 100, "carol": 100, "dave": 100},
        powers={"alice": 400, "bob": 100, "carol": 100, "dave": 100},
        nodes_weighted={"alice": 1, "bob": 1, "carol": 1, "dave": 1},
    )

    allocation = one_model(group, node("a1", "alice", 10, 1))

    assert turns(allocation)[0][:2] == ("a1", "voting_guard")
    assert allocation.selected == 0


@pytest.mark.parametrize("names", [("alice", "bob"), ("alice", "bob", "carol")])
def test_behind_a_first_node_that_was_waived_nodes_that_leave_their_owner_one_to_mine_still_serve(
    names: tuple[str, ...],
) -> None:
    # Given small groups, in which alice's only node is the only one of its model
    nodes = {"alice": 1} | dict.fromkeys(names[1:], 4)
    others = tuple(node(f"{name}{n}", name, 10, n) for name in names[1:] for n in range(4))
    demands = [
        ModelDemand("Y", 10, 100, (node("a1", "alice", 10, 9),)),
        ModelDemand("X", 10 * len(others), 1000, others),
    ]
    seeds_tried = [Seed("chain", n, sha256(b"%d" % n).digest()) for n in range(40)]

    for seed in seeds_tried:
        found = {each.model_id: each for each in allocate_slots(demands, group_of(nodes), PARAMS, seed)}

        # Then alice serves alone, and half of the others' nodes do, since each keeps one that mines
        assert found["Y"].selected == 10
        assert found["X"].selected * 2 == found["X"].capacity
        assert found["X"].stop == reasons.REASON_HALF_CAPACITY


def test_behind_a_first_node_that_was_waived_no_other_participant_serves_with_all_its_nodes() -> None:
    # Given alice with one node of Y, bob with one of many of Z, carol with two small ones of Z
    demands = [
        ModelDemand("Y", 10, 100, (node("a1", "alice", 10, 1),)),
        ModelDemand(
            "Z", 110, 1000, (node("b1", "bob", 50, 2), *(node(f"c{n}", "carol", 5, n) for n in (3, 4)))
        ),
    ]
    group = group_of({"alice": 1, "bob": 9, "carol": 2})

    for n in range(40):
        seed = Seed("chain", n, sha256(b"%d" % n).digest())
        serving = [who for each in allocate_slots(demands, group, PARAMS, seed) for who, _ in selected(each)]

        assert serving.count("carol") <= 1


def test_the_guard_looks_at_all_models_together() -> None:
    names = ("alice", "bob", "carol", "dave")
    models = [
        ModelDemand(model, 20, 20, (node(f"{name}-{model}", name, 10, 1),))
        for model, name in (("X", "alice"), ("Y", "bob"))
    ]

    allocations = allocate_slots(models, group_of(dict.fromkeys(names, 1)), PARAMS, SEED)

    # 25 % of the power may be without a mining node, 50 % may not: the second model goes dark.
    assert sorted(len(selected(each)) for each in allocations) == [0, 1]


# order within a participant


def test_the_node_preserved_longest_ago_comes_first_and_ties_go_by_the_order_added() -> None:
    candidates = (
        node("n1", "alice", 1, 1, preserved=7),
        node("n2", "alice", 1, 2, preserved=5),
        node("n3", "alice", 1, 4),
        node("n4", "alice", 1, 3),
    )

    allocation = one_model(group_of({"alice": 4}), *candidates, expected=0)
    order = [each.node_id for each in allocation.turns]

    assert order == ["n4", "n3", "n2", "n1"]


# eligibility


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (NodeFacts(serves=True, throughput=1, served=1), ELIGIBLE),
        (NodeFacts(serves=False, throughput=0), reasons.REASON_NOT_SERVING),
        (NodeFacts(serves=True, throughput=0), reasons.REASON_ZERO_THROUGHPUT),
        (
            NodeFacts(serves=True, throughput=1, pending_model_change=True),
            reasons.REASON_PENDING_MODEL_CHANGE,
        ),
        (NodeFacts(serves=True, throughput=1, disabled=True), reasons.REASON_NODE_DISABLED),
        (
            NodeFacts(serves=True, throughput=1, participant_invalid=True),
            reasons.REASON_PARTICIPANT_INVALID,
        ),
        (NodeFacts(serves=True, throughput=1, unproved=1), reasons.REASON_UNPROVED),
        (NodeFacts(serves=True, throughput=1, served=0), reasons.REASON_MIN_SERVED),
        (
            NodeFacts(serves=True, throughput=1, served=1, availability_bps=9999),
            reasons.REASON_AVAILABILITY,
        ),
    ],
)
def test_a_node_may_be_drawn_only_without_any_reason_against_it(
    facts: NodeFacts, reason: reasons.Reason
) -> None:
    assert eligibility(facts, PARAMS, anyone_served=True) == reason


def test_having_served_nothing_is_excused_while_nobody_served_the_model() -> None:
    facts = NodeFacts(serves=True, throughput=1, served=0)

    assert eligibility(facts, PARAMS, anyone_served=False) == ELIGIBLE


def test_nodes_that_are_not_eligible_stand_in_the_trace_and_are_never_drawn() -> None:
    disabled = Candidate("alice", "a1", 10, 1, reason=reasons.REASON_NODE_DISABLED)

    allocation = one_model(group_of({"alice": 2}), node("a2", "alice", 10, 2), disabled)

    assert turns(allocation)[0] == ("a1", "node_disabled", 0, 0)
    assert selected(allocation) == [("alice", "a2")]


# throughput


def test_throughput_outside_poc_is_told_per_window_and_rounds_down() -> None:
    assert real_outside_poc(tokens=1000, duration=24, blocks=617) == 38
    assert real_outside_poc(tokens=1000, duration=24, blocks=0) == 0


def test_a_burst_before_poc_counts_at_most_three_times_the_usual_demand() -> None:
    assert expected_in_poc(5000, 2000, PARAMS) == 5000
    assert expected_in_poc(50_000, 2000, PARAMS) == 6000
    assert expected_in_poc(50_000, 0, PARAMS) == 0


def test_expected_throughput_at_formation_follows_history_up_to_capacity_and_limit() -> None:
    assert expected_at_formation([], 44_001, PARAMS) == (44_001, 22_000)
    assert expected_at_formation([9000, 9600], 44_001, PARAMS) == (9000, 9600)
    assert expected_at_formation([90_000, 90_000], 44_001, PARAMS) == (44_001, 22_000)


# properties


@st.composite
def fleets(draw: st.DrawFn) -> tuple[list[ModelDemand], Group]:
    names = draw(st.lists(st.sampled_from("abcdef"), min_size=1, unique=True))
    per_model: dict[str, list[Candidate]] = {"X": [], "Y": []}
    counts, weights = Counter[str](), Counter[str]()
    against = st.sampled_from([ELIGIBLE, ELIGIBLE, ELIGIBLE, reasons.REASON_NODE_DISABLED])
    for sequence in range(draw(st.integers(1, 14))):
        owner, model = draw(st.sampled_from(names)), draw(st.sampled_from("XY"))
        weight = draw(st.integers(1, 1000))
        counts[owner] += 1
        weights[owner] += weight
        per_model[model].append(
            Candidate(owner, f"n{sequence}", 40 * weight, sequence, draw(st.integers(0, 3)), draw(against))
        )
    models = [
        ModelDemand(model, sum(each.throughput for each in nodes), draw(st.integers(0, 10**6)), tuple(nodes))
        for model, nodes in per_model.items()
        if nodes
    ]
    return models, Group(dict(weights), dict(weights), dict(counts))


seeds = st.binary(min_size=32, max_size=32).map(lambda block_hash: Seed("chain", 2, block_hash))


def eligible(model: ModelDemand) -> list[Candidate]:
    return [each for each in model.candidates if each.reason == ELIGIBLE]


@given(fleets(), seeds)
def test_a_model_with_an_eligible_node_goes_dark_only_by_the_voting_guard(
    fleet: tuple[list[ModelDemand], Group], seed: Seed
) -> None:
    models, group = fleet
    by_id = {model.model_id: model for model in models}

    for allocation in allocate_slots(models, group, PARAMS, seed):
        drawn = [each.reason for each in allocation.turns if each.weight_total]
        if eligible(by_id[allocation.model_id]) and not selected(allocation):
            assert set(drawn) == {reasons.REASON_VOTING_GUARD}
            assert len(group.powers) >= 4


@given(fleets(), seeds)
def test_a_model_with_two_nodes_keeps_one_mining_and_half_at_most_serves_but_for_the_first_node(
    fleet: tuple[list[ModelDemand], Group], seed: Seed
) -> None:
    models, group = fleet
    by_id = {model.model_id: model for model in models}

    for allocation in allocate_slots(models, group, PARAMS, seed):
        model = by_id[allocation.model_id]
        serving = selected(allocation)
        assert len(serving) < len(model.candidates) or len(model.candidates) == 1
        assert len(serving) <= 1 or allocation.selected * 2 <= model.capacity


@given(fleets(), seeds)
def test_the_draw_stops_for_the_reason_that_it_gives(
    fleet: tuple[list[ModelDemand], Group], seed: Seed
) -> None:
    models, group = fleet
    by_id = {model.model_id: model for model in models}

    for allocation in allocate_slots(models, group, PARAMS, seed):
        model = by_id[allocation.model_id]
        carried = sum(each.throughput for each in allocation.turns if each.reason == reasons.REASON_SELECTED)
        drawn = {each.node_id for each in allocation.turns if each.weight_total}
        assert carried == allocation.selected
        if allocation.stop == reasons.REASON_TARGET_MET:
            assert carried >= allocation.target
        elif allocation.stop == reasons.REASON_HALF_CAPACITY:
            assert allocation.limit <= carried < allocation.target
        else:
            assert drawn == {each.node_id for each in eligible(model)}


@given(fleets(), seeds)
def test_every_node_stands_in_the_trace_once_with_its_reason(
    fleet: tuple[list[ModelDemand], Group], seed: Seed
) -> None:
    models, group = fleet
    by_id = {model.model_id: model for model in models}

    for allocation in allocate_slots(models, group, PARAMS, seed):
        candidates = {each.node_id: each for each in by_id[allocation.model_id].candidates}
        assert sorted(each.node_id for each in allocation.turns) == sorted(candidates)
        for turn in allocation.turns:
            against = candidates[turn.node_id].reason
            assert turn.reason == against if against != ELIGIBLE else turn.reason != ELIGIBLE


@given(fleets(), seeds)
def test_nodes_of_a_participant_are_taken_longest_ago_first(
    fleet: tuple[list[ModelDemand], Group], seed: Seed
) -> None:
    models, group = fleet
    by_id = {model.model_id: model for model in models}

    for allocation in allocate_slots(models, group, PARAMS, seed):
        for owner in group.weights:
            waiting = [each for each in eligible(by_id[allocation.model_id]) if each.participant == owner]
            waiting.sort(key=lambda each: (each.epoch_preserved, each.sequence))
            taken = [
                each.node_id for each in allocation.turns if each.participant == owner and each.weight_total
            ]
            assert taken == [each.node_id for each in waiting[: len(taken)]]


@given(fleets(), seeds)
def test_participants_without_a_mining_node_hold_a_third_of_the_power_at_most_in_groups_of_four(
    fleet: tuple[list[ModelDemand], Group], seed: Seed
) -> None:
    models, group = fleet

    allocations = allocate_slots(models, group, PARAMS, seed)

    serving = Counter(owner for each in allocations for owner, _ in selected(each))
    held = sum(
        power for owner, power in group.powers.items() if serving[owner] == group.nodes_weighted[owner]
    )
    if len(group.powers) >= 4:
        assert held * 10_000 <= 3333 * sum(group.powers.values())


def test_participants_are_drawn_as_often_as_their_weight_says() -> None:
    weights = {"alice": 100, "bob": 200, "carol": 300, "dave": 400}
    group = Group(weights, weights, dict.fromkeys(weights, 2))
    candidates = [node("n", name, 10, place) for place, name in enumerate(weights)]

    first = Counter(
        selected(one_model(group, *candidates, seed=Seed("chain", 2, sha256(b"%d" % number).digest())))[0][0]
        for number in range(4000)
    )

    chi_square = sum((first[name] - 4 * weight) ** 2 / (4 * weight) for name, weight in weights.items())
    # With 3 degrees of freedom this is exceeded by chance once in 100,000 times.
    assert chi_square < 26


def test_measured_throughput_and_targets_stay_within_64_bits() -> None:
    real = real_outside_poc(2**60, 10**9, 1)
    params = UptimeParams()
    params.CopyFrom(PARAMS)
    params.poc_slot_headroom_bps = 100_000
    expected = expected_in_poc(2**70, real, params)
    model = ModelDemand("X", 2**64 - 1, expected, (node("a", "ann", 2**63, 1),))

    allocation = allocate_slots([model], Group({"ann": 1}, {"ann": 1}, {"ann": 1}), params, SEED)[0]

    assert (real, allocation.expected, allocation.target) == (2**64 - 1,) * 3
