"""The vote on a participant and the weights that follow: the worked epoch, and what holds for all numbers."""

from __future__ import annotations

from math import exp, lgamma, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.modules.poc.rules import (
    NODE_WEIGHT_MAX,
    NodeFacts,
    ParticipantFacts,
    active_participants,
    new_weights,
    participant_outcome,
    slots_outcome,
    unit_changed,
    vote_outcome,
)
from protocol.gen.evergrid.epochs.v1.params_pb2 import EpochParams, Params, PocParams
from protocol.gen.evergrid.poc.v1.poc_pb2 import PocTally
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import (
    REASON_ACCEPTED,
    REASON_FRAUD,
    REASON_MINED,
    REASON_NO_NONCES,
    REASON_NOT_IN_REGISTRY,
    REASON_PARTICIPANT_INVALID,
    REASON_PRESERVED,
    REASON_UNDECIDED,
    REASON_UNSPECIFIED,
    Reason,
)

POWERS_EPOCH_7 = {"alice": 440, "bob": 400, "carol": 260}


def outcome(tally: PocTally, powers: dict[str, int], slots: int = 0) -> tuple[Reason, int]:
    found = participant_outcome(tally, powers, sum(powers.values()), slots)
    return found.outcome, found.power


def mined(node_id: str, nonces: int, weight_old: int = 0) -> NodeFacts:
    return NodeFacts(node_id, nonces=nonces, weight_old=weight_old)


def preserved(node_id: str, weight_old: int, unproved_old: int = 0) -> NodeFacts:
    return NodeFacts(node_id, preserved=True, weight_old=weight_old, unproved_old=unproved_old)


EPOCH_8 = (
    ParticipantFacts(
        "alice", (mined("a1", 310, 300), preserved("a2", 280), preserved("a3", 120)), REASON_ACCEPTED
    ),
    ParticipantFacts("bob", (preserved("b1", 260), mined("b2", 138, 140), mined("b3", 90)), REASON_ACCEPTED),
    ParticipantFacts("carol", (mined("c1", 205, 200), mined("c2", 58, 60)), REASON_ACCEPTED),
)


def weights_of(*participants: ParticipantFacts, scale: bool = False) -> dict[str, list[tuple[str, int, int]]]:
    return {
        address: [(each.node_id, each.poc_weight, each.unproved) for each in nodes]
        for address, nodes in new_weights(participants, scale_preserved=scale).items()
    }


# the worked epoch


def test_the_vote_of_the_worked_epoch_accepts_all_three() -> None:
    alice = PocTally(participant="alice", honest_power=400 + 260)
    bob = PocTally(participant="bob", honest_power=440)
    carol = PocTally(participant="carol", honest_power=440 + 400)

    assert outcome(alice, POWERS_EPOCH_7) == (REASON_ACCEPTED, 660)
    assert outcome(bob, POWERS_EPOCH_7) == (REASON_ACCEPTED, 700)
    assert outcome(carol, POWERS_EPOCH_7) == (REASON_ACCEPTED, 840)


def test_the_weights_of_the_worked_epoch() -> None:
    active = active_participants(new_weights(EPOCH_8, scale_preserved=False))

    assert [(each.address, each.weight) for each in active] == [("alice", 710), ("bob", 488), ("carol", 263)]
    assert weights_of(*EPOCH_8) == {
        "alice": [("a1", 310, 0), ("a2", 280, 1), ("a3", 120, 1)],
        "bob": [("b1", 260, 1), ("b2", 138, 0), ("b3", 90, 0)],
        "carol": [("c1", 205, 0), ("c2", 58, 0)],
    }
    sources = {node.node_id: node.weight_source for each in active for node in each.ml_nodes}
    assert {name for name, source in sources.items() if source == REASON_PRESERVED} == {"a2", "a3", "b1"}
    assert {name for name, source in sources.items() if source == REASON_MINED} == {
        "a1",
        "b2",
        "b3",
        "c1",
        "c2",
    }


# the vote


def test_one_of_three_equal_voters_may_be_silent_but_not_hostile() -> None:
    assert vote_outcome(honest=100, fraud=0, power=200) == REASON_ACCEPTED
    assert vote_outcome(honest=100, fraud=100, power=200) == REASON_UNDECIDED


def test_a_third_of_the_power_is_not_more_than_a_third() -> None:
    assert vote_outcome(honest=100, fraud=0, power=300) == REASON_UNDECIDED
    assert vote_outcome(honest=0, fraud=100, power=300) == REASON_UNDECIDED
    assert vote_outcome(honest=0, fraud=101, power=300) == REASON_FRAUD


def test_silence_decides_nothing() -> None:
    assert vote_outcome(honest=0, fraud=0, power=0) == REASON_UNDECIDED


def test_a_participant_that_is_alone_is_accepted_by_its_own_voice() -> None:
    tally = PocTally(participant="alice", honest_power=7)

    assert outcome(tally, {"alice": 7}) == (REASON_ACCEPTED, 7)


def test_a_newcomer_is_judged_by_all_the_power_there_is() -> None:
    tally = PocTally(participant="dave", honest_power=440)

    assert outcome(tally, POWERS_EPOCH_7) == (REASON_ACCEPTED, 1100)


def test_drawn_slots_decide_by_more_than_a_third_of_them_and_a_lead_of_more_than_a_sixteenth() -> None:
    assert slots_outcome(honest=85, fraud=0, slots=256) == REASON_UNDECIDED
    assert slots_outcome(honest=86, fraud=0, slots=256) == REASON_ACCEPTED
    assert slots_outcome(honest=116, fraud=100, slots=256) == REASON_UNDECIDED
    assert slots_outcome(honest=117, fraud=100, slots=256) == REASON_ACCEPTED
    assert slots_outcome(honest=90, fraud=106, slots=256) == REASON_UNDECIDED
    assert slots_outcome(honest=90, fraud=107, slots=256) == REASON_FRAUD
    assert slots_outcome(honest=0, fraud=85, slots=256) == REASON_UNDECIDED


def test_drawn_slots_accept_the_honest_and_no_cheats_where_half_of_the_power_is_not_honest() -> None:
    # Given 256 slots that fall by power, of which 30 % is hostile and 20 % silent
    accepted, condemned = odds(256, honest_bps=5_000, hostile_bps=3_000)

    # Then an honest participant is accepted in 99 of 100 PoCs, and condemned less than once in 10^6;
    # a cheat, of whom the hostile say the opposite, has the same odds the other way round
    assert accepted == pytest.approx(0.9932, abs=1e-4)
    assert condemned == pytest.approx(8.3e-7, rel=0.02)

    # And with nobody silent it is less than once in 10^14
    assert odds(256, honest_bps=7_000, hostile_bps=3_000)[1] == pytest.approx(4.1e-15, rel=0.02)

    # And 64 slots are too few for that
    assert odds(64, honest_bps=5_000, hostile_bps=3_000) == pytest.approx((0.8821, 7.2e-3), rel=0.02)


@pytest.mark.parametrize(
    ("slots", "silent_bps", "hostile_after"), [(256, 2_000, 3_017), (512, 2_500, 3_037), (128, 2_000, None)]
)
def test_the_power_of_the_hostile_stays_what_it_was_from_epoch_to_epoch(
    slots: int, silent_bps: int, hostile_after: int | None
) -> None:
    # Given 30 % hostile power, which is always accepted, while the others now and then are not
    hostile = 3_000

    # When their weight decides who is drawn in the next epoch, twelve times
    for _ in range(12):
        honest = (7_000 - silent_bps) * (10_000 - hostile) // 7_000
        accepted, _ = odds(slots, honest_bps=honest, hostile_bps=hostile)
        hostile = round(10_000 * 3_000 / (3_000 + 7_000 * accepted))

    # Then enough slots keep it there; with half of the default the network is lost
    if hostile_after is None:
        assert hostile > 5_000
    else:
        assert hostile == pytest.approx(hostile_after, abs=10)


def odds(slots: int, honest_bps: int, hostile_bps: int) -> tuple[float, float]:
    """The probabilities that an honest participant is accepted and condemned, over all draws of slots."""
    shares = [honest_bps / 10_000, hostile_bps / 10_000, 1 - (honest_bps + hostile_bps) / 10_000]
    logs = [log(max(share, 1e-300)) for share in shares]
    found = dict.fromkeys((REASON_ACCEPTED, REASON_FRAUD, REASON_UNDECIDED), 0.0)
    for honest in range(slots + 1):
        for fraud in range(slots + 1 - honest):
            counts = (honest, fraud, slots - honest - fraud)
            ways = lgamma(slots + 1) - sum(lgamma(count + 1) for count in counts)
            chance = ways + sum(count * share for count, share in zip(counts, logs, strict=True))
            found[slots_outcome(honest, fraud, slots)] += exp(chance)
    return found[REASON_ACCEPTED], found[REASON_FRAUD]


def test_with_slots_the_power_behind_them_does_not_count_again() -> None:
    tally = PocTally(participant="bob", honest_power=440, honest_slots=2, fraud_slots=0)

    assert outcome(tally, POWERS_EPOCH_7, slots=8)[0] == REASON_UNDECIDED


power = st.integers(0, 2**53)


@given(power, power, power)
def test_more_honest_power_never_turns_an_accepted_vote(honest: int, fraud: int, more: int) -> None:
    total = honest + fraud + more

    if vote_outcome(honest, fraud, total) == REASON_ACCEPTED:
        assert vote_outcome(honest + more, fraud, total) == REASON_ACCEPTED


@given(power, power, power)
def test_accepted_and_fraud_exclude_each_other_when_sides_are_swapped(
    honest: int, fraud: int, silent: int
) -> None:
    total = honest + fraud + silent

    both = {vote_outcome(honest, fraud, total), vote_outcome(fraud, honest, total)}

    assert both in ({REASON_ACCEPTED, REASON_FRAUD}, {REASON_UNDECIDED})


@given(st.integers(0, 256), st.integers(0, 256))
def test_slots_accept_and_condemn_by_opposite_majorities(honest: int, fraud: int) -> None:
    found, swapped = slots_outcome(honest, fraud, 256), slots_outcome(fraud, honest, 256)

    assert (found == REASON_ACCEPTED) == (swapped == REASON_FRAUD)
    if found == REASON_ACCEPTED:
        assert honest > fraud
        assert vote_outcome(honest, fraud, 256) == REASON_ACCEPTED


# weights


def test_fraud_takes_mined_and_preserved_weight() -> None:
    alice = ParticipantFacts("alice", (mined("a1", 310), preserved("a2", 280)), REASON_FRAUD)

    weights = new_weights([alice], scale_preserved=False)

    assert [(each.poc_weight, each.weight_source) for each in weights["alice"]] == [(0, REASON_FRAUD)] * 2
    assert active_participants(weights) == []


def test_an_undecided_vote_takes_mined_weight_only() -> None:
    alice = ParticipantFacts("alice", (mined("a1", 310), preserved("a2", 280)), REASON_UNDECIDED)

    weights = new_weights([alice], scale_preserved=False)["alice"]

    assert [(each.poc_weight, each.weight_source) for each in weights] == [
        (0, REASON_UNDECIDED),
        (280, REASON_PRESERVED),
    ]


def test_a_participant_whose_nodes_all_serve_needs_no_vote() -> None:
    alice = ParticipantFacts("alice", (preserved("a2", 280, unproved_old=1),), REASON_UNSPECIFIED)

    assert weights_of(alice) == {"alice": [("a2", 280, 2)]}


def test_weight_without_a_cause_is_none_and_says_why() -> None:
    gone = NodeFacts("a1", registered=False, nonces=10)
    idle = NodeFacts("a2", weight_old=70)
    alice = ParticipantFacts("alice", (gone, idle), REASON_ACCEPTED)
    barred = ParticipantFacts("bob", (mined("b1", 10), preserved("b2", 10)), REASON_ACCEPTED, barred=True)

    weights = new_weights([alice, barred], scale_preserved=False)

    assert [each.weight_source for each in weights["alice"]] == [REASON_NOT_IN_REGISTRY, REASON_NO_NONCES]
    assert {each.weight_source for each in weights["bob"]} == {REASON_PARTICIPANT_INVALID}
    assert active_participants(weights) == []


def test_a_changed_unit_scales_preserved_weight_by_the_nodes_that_mined_in_both_epochs() -> None:
    # a1, b2, c1, c2: 310 + 138 + 205 + 58 = 711 after 300 + 140 + 200 + 60 = 700; b3 is new.
    weights = weights_of(*EPOCH_8, scale=True)

    assert weights["alice"] == [("a1", 310, 0), ("a2", 280 * 711 // 700, 1), ("a3", 120 * 711 // 700, 1)]
    assert weights["bob"][0] == ("b1", 260 * 711 // 700, 1)


def test_scaled_weights_and_their_sums_stay_within_what_the_state_can_hold() -> None:
    old = NodeFacts("a1", nonces=10**9, weight_old=1)
    nodes = (old, *(preserved(f"p{number}", 10**12) for number in range(20_000)))
    alice = ParticipantFacts("alice", nodes, REASON_ACCEPTED)

    weights = new_weights([alice], scale_preserved=True)
    active = active_participants(weights)

    assert {each.poc_weight for each in weights["alice"]} == {10**9, NODE_WEIGHT_MAX}
    assert active[0].weight == 2**64 - 1


def test_without_a_node_that_mined_in_both_epochs_nothing_is_scaled() -> None:
    alice = ParticipantFacts("alice", (mined("a1", 310), preserved("a2", 280)), REASON_ACCEPTED)

    assert weights_of(alice, scale=True) == {"alice": [("a1", 310, 0), ("a2", 280, 1)]}


def test_the_unit_changes_with_the_window_or_the_puzzle_but_not_with_the_form_of_a_batch() -> None:
    old = Params(epoch=EpochParams(poc_stage_duration=5), poc=PocParams(dim=32, inline_batches=True))
    window = Params(epoch=EpochParams(poc_stage_duration=6), poc=old.poc)
    puzzle = Params(epoch=old.epoch, poc=PocParams(dim=64, inline_batches=True))
    form = Params(epoch=old.epoch, poc=PocParams(dim=32, committed_batches=True, validation_slots=256))

    assert unit_changed(old, window)
    assert unit_changed(old, puzzle)
    assert not unit_changed(old, form)


node = st.builds(
    NodeFacts,
    node_id=st.sampled_from(["n1", "n2", "n3"]),
    registered=st.booleans(),
    nonces=st.integers(0, 1000),
    preserved=st.booleans(),
    weight_old=st.integers(0, 1000),
    unproved_old=st.integers(0, 3),
)
participant = st.builds(
    ParticipantFacts,
    address=st.sampled_from(["alice", "bob", "carol"]),
    nodes=st.lists(node, max_size=3, unique_by=lambda each: each.node_id).map(tuple),
    outcome=st.sampled_from([REASON_ACCEPTED, REASON_FRAUD, REASON_UNDECIDED]),
    barred=st.booleans(),
)
participants = st.lists(participant, max_size=3, unique_by=lambda each: each.address)


@given(participants, st.booleans())
def test_a_participant_weighs_what_its_nodes_weigh_and_is_listed_only_with_weight(
    given_participants: list[ParticipantFacts], scale: bool
) -> None:
    weights = new_weights(given_participants, scale_preserved=scale)
    active = active_participants(weights)

    assert [each.address for each in active] == sorted(
        address for address, nodes in weights.items() if any(each.poc_weight for each in nodes)
    )
    for each in active:
        assert each.weight == sum(node.poc_weight for node in each.ml_nodes) > 0
        assert all(node.weight_source in (REASON_MINED, REASON_PRESERVED) for node in each.ml_nodes)


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.sampled_from([REASON_ACCEPTED, REASON_UNDECIDED]))
def test_a_mined_weight_never_falls_when_nonces_are_added(nonces: int, more: int, vote: Reason) -> None:
    few = weights_of(ParticipantFacts("alice", (mined("a1", nonces),), vote))["alice"][0][1]
    many = weights_of(ParticipantFacts("alice", (mined("a1", nonces + more),), vote))["alice"][0][1]

    assert few <= many
    assert many in (0, nonces + more)
