"""Verdicts are counted at once in voting power, the vote is decided at E, and weights follow."""

from __future__ import annotations

import pytest

from abci_app.kernel.context import Context
from abci_app.modules import epochs, hardware, poc
from abci_app.modules.epochs.state import RECORDS, STATE
from abci_app.modules.hardware import state as hardware_state
from abci_app.modules.poc import state
from abci_app.modules.poc.errors import VerdictsRefused
from abci_app.modules.poc.handlers import submit_poc_batch, submit_poc_validations
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.poc.v1.poc_pb2 import VERDICT_ABSTAIN, VERDICT_FRAUD, VERDICT_HONEST
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons
from protocol.poc_samples import sampled_validators
from tests.ground import a_context, events_of, state_of
from tests.poc_ground import (
    BATCHES,
    MINED_IN_8,
    NODES,
    E,
    S,
    T,
    a_batch,
    ask,
    at_height,
    epoch_seven,
    verdicts,
)

PRESERVED = (("alice", "X", "a2"), ("alice", "Y", "a3"), ("bob", "X", "b1"))


def serve_through_poc(ctx: Context, owner: str, model: str, node_id: str) -> None:
    member = epochs.member(ctx, 7, model, owner)
    assert member is not None
    next(node for node in member.ml_nodes if node.node_id == node_id).timeslot_allocation[:] = [True, True]
    epochs.set_member(ctx, 7, model, member)


def at_validation(*mined: str, slots: int = 0) -> Context:
    """The first block in which verdicts are taken; these nodes handed in their nonces."""
    ctx = epoch_seven()
    record = epochs.write_record(ctx)
    for each in PRESERVED:
        serve_through_poc(ctx, *each)
    record.params.poc.validation_slots = slots
    RECORDS.set(ctx, 8, record)
    epochs.open_poc(at_height(ctx, S), record)
    at_height(ctx, BATCHES[0])
    for node_id in mined or MINED_IN_8:
        submit_poc_batch(ctx, a_batch(NODES[node_id][0], node_id, count=MINED_IN_8[node_id]))
    epochs.set_validation_seed(at_height(ctx, T), record)
    ctx.events.clear()
    return at_height(ctx, T + 1)


def the_record(ctx: Context) -> epochs_pb2.EpochRecord:
    record = epochs.upcoming_record(ctx)
    assert record is not None
    return record


def new_weights(ctx: Context) -> dict[str, int]:
    at_height(ctx, E)
    return {each.address: each.weight for each in poc.compute_new_weights(ctx, the_record(ctx))}


def refused(ctx: Context, msg: poc_pb2.MsgSubmitPocValidations) -> list[str]:
    before = state_of(ctx)
    with pytest.raises(VerdictsRefused) as caught:
        submit_poc_validations(ctx, msg)
    assert (caught.value.codespace, caught.value.code) == ("poc", 3)
    assert state_of(ctx) == before
    return str(caught.value).split("; ")


def tally(ctx: Context, participant: str) -> poc_pb2.PocTally:
    return state.TALLIES.require(ctx, (S, participant))


def outcome_of(ctx: Context, participant: str) -> reasons.Reason:
    return state.OUTCOMES.require(ctx, (S, participant)).outcome


# counting


def test_a_verdict_counts_with_the_voting_power_of_its_sender() -> None:
    ctx = at_validation()

    submit_poc_validations(ctx, verdicts("alice", bob=VERDICT_HONEST, carol=VERDICT_FRAUD))
    submit_poc_validations(ctx, verdicts("bob", alice=VERDICT_ABSTAIN, carol=VERDICT_HONEST))

    assert (tally(ctx, "bob").honest_power, tally(ctx, "bob").fraud_power) == (440, 0)
    assert (tally(ctx, "carol").honest_power, tally(ctx, "carol").fraud_power) == (400, 440)
    assert (tally(ctx, "alice").honest_power, tally(ctx, "alice").abstained) == (0, 1)
    assert events_of(ctx)[0] == (
        "poc_validations_submitted",
        {"validator": "alice", "poc_stage_start_height": str(S), "verdicts": "2"},
    )


@pytest.mark.parametrize("height", [T + 1, E])
def test_both_ends_of_the_validation_window_are_inside(height: int) -> None:
    ctx = at_height(at_validation(), height)

    submit_poc_validations(ctx, verdicts("alice", bob=VERDICT_HONEST))

    assert tally(ctx, "bob").honest_power == 440


# refusing


@pytest.mark.parametrize("height", [T, E + 1])
def test_outside_of_the_window_verdicts_are_refused(height: int) -> None:
    ctx = at_height(at_validation(), height)

    (error,) = refused(ctx, verdicts("alice", bob=VERDICT_HONEST))

    assert error.startswith("outside_window: ")


def test_verdicts_without_a_poc_or_on_another_one_are_refused() -> None:
    assert refused(epoch_seven(), verdicts("alice", bob=VERDICT_HONEST))[0].startswith("outside_window: ")
    msg = verdicts("alice", bob=VERDICT_HONEST)
    msg.poc_stage_start_height = 4380
    assert refused(at_validation(), msg)[0].startswith("wrong_start_height: ")


def test_who_is_not_in_the_effective_group_has_no_verdict() -> None:
    (error,) = refused(at_validation(), verdicts("dave", bob=VERDICT_HONEST))

    assert error == "not_a_member: dave is no member of the effective group"


def test_an_invalid_member_has_no_verdict() -> None:
    ctx = at_validation()
    epochs.invalidate(ctx, "alice", reasons.REASON_MISBEHAVIOUR)

    (error,) = refused(ctx, verdicts("alice", bob=VERDICT_HONEST))

    assert error == "no_voting_power: alice has no voting power"


def test_all_bad_verdicts_of_a_message_are_named_at_once_and_the_good_one_is_not_counted() -> None:
    ctx = at_validation("a1", "b2")
    submit_poc_validations(ctx, verdicts("bob", alice=VERDICT_HONEST))
    msg = verdicts("alice", alice=VERDICT_HONEST, bob=VERDICT_HONEST, carol=VERDICT_HONEST)
    msg.verdicts.add(participant="bob", verdict=VERDICT_FRAUD, sampled=1, mismatches=2)
    msg.verdicts.add(participant="nobody\0")

    assert refused(ctx, msg) == [
        "self_verdict: alice judges itself",
        "no_nonces: carol submitted no nonces in this PoC",
        "malformed_verdict: on bob: 2 mismatches among 1 samples",
        "repeated_verdict: a second verdict on bob",
        "malformed_verdict: on nobody\0: neither honest, fraud nor abstain",
        "no_nonces: nobody\0 submitted no nonces in this PoC",
    ]
    assert tally(ctx, "bob").honest_power == 0


def test_a_second_verdict_on_the_same_participant_is_refused_even_after_an_abstention() -> None:
    ctx = at_validation()
    submit_poc_validations(ctx, verdicts("alice", bob=VERDICT_ABSTAIN))

    assert refused(ctx, verdicts("alice", bob=VERDICT_FRAUD)) == ["repeated_verdict: a second verdict on bob"]


def test_a_message_without_verdicts_is_refused() -> None:
    assert refused(at_validation(), verdicts("alice")) == ["malformed_verdict: the message has no verdicts"]


def test_who_is_alone_judges_itself() -> None:
    ctx = at_validation("a1")
    for name in ("bob", "carol"):
        epochs.invalidate(ctx, name, reasons.REASON_MISBEHAVIOUR)

    submit_poc_validations(ctx, verdicts("alice", alice=VERDICT_HONEST))

    assert new_weights(ctx) == {"alice": 310 + 280 + 120}


# the decision


def all_honest_but_carol_on_bob(ctx: Context) -> None:
    submit_poc_validations(ctx, verdicts("alice", bob=VERDICT_HONEST, carol=VERDICT_HONEST))
    submit_poc_validations(ctx, verdicts("bob", alice=VERDICT_HONEST, carol=VERDICT_HONEST))
    submit_poc_validations(ctx, verdicts("carol", alice=VERDICT_HONEST))


def test_the_worked_epoch_from_batches_to_the_next_group() -> None:
    ctx = at_validation()
    all_honest_but_carol_on_bob(ctx)

    at_height(ctx, E)
    record = the_record(ctx)
    active = poc.compute_new_weights(ctx, record)
    epochs.form_upcoming_group(ctx, record, active)

    assert [(each.address, each.weight, each.url) for each in active] == [
        ("alice", 710, "http://alice.test"),
        ("bob", 488, "http://bob.test"),
        ("carol", 263, "http://carol.test"),
    ]
    outcomes = {each.participant: each for each in state.OUTCOMES.values(ctx, (S,))}
    assert {name: (each.honest_power, each.power) for name, each in outcomes.items()} == {
        "alice": (660, 660),
        "bob": (440, 700),
        "carol": (840, 840),
    }
    powers = {each.member_address: each.voting_power for each in epochs.members(ctx, 8)}
    assert powers == {"alice": 500, "bob": 488, "carol": 263}
    heads = [epochs.group(ctx, 8, model) for model in ("X", "Y")]
    assert [(head.total_weight, head.total_throughput) for head in heads if head] == [
        (1113, 44_520),
        (348, 31_320),
    ]
    assert poc.calculate_model_power(ctx, S, "X") == 1113
    assert poc.calculate_model_power(ctx, S, "Y") == 348


def test_a_fraud_loses_everything_and_an_undecided_one_only_what_it_mined() -> None:
    ctx = at_validation()
    submit_poc_validations(ctx, verdicts("alice", bob=VERDICT_FRAUD, carol=VERDICT_HONEST))
    submit_poc_validations(ctx, verdicts("bob", carol=VERDICT_HONEST))

    weights = new_weights(ctx)

    assert outcome_of(ctx, "bob") == reasons.REASON_FRAUD
    assert outcome_of(ctx, "alice") == reasons.REASON_UNDECIDED
    assert weights == {"alice": 280 + 120, "carol": 263}
    announced = [facts for kind, facts in events_of(ctx) if kind == "poc_not_accepted"]
    assert announced == [
        {"epoch": "8", "participant": "alice", "reason": "undecided"},
        {"epoch": "8", "participant": "bob", "reason": "fraud"},
    ]


def test_the_reason_of_every_nodes_weight_can_be_asked_for() -> None:
    ctx = at_validation("a1", "b2")
    submit_poc_validations(ctx, verdicts("alice", bob=VERDICT_HONEST))

    new_weights(ctx)

    found = {}
    for node_id, (owner, _, _) in NODES.items():
        asked = poc_pb2.QueryNodeWeightRequest(poc_stage_start_height=S, participant=owner, node_id=node_id)
        weight = ask(ctx, asked, poc_pb2.QueryNodeWeightResponse).weight
        found[node_id] = (weight.poc_weight, weight.weight_source)
    assert found == {
        "a1": (0, reasons.REASON_UNDECIDED),
        "a2": (280, reasons.REASON_PRESERVED),
        "a3": (120, reasons.REASON_PRESERVED),
        "b1": (260, reasons.REASON_PRESERVED),
        "b2": (138, reasons.REASON_MINED),
        "c1": (0, reasons.REASON_NO_NONCES),
        "c2": (0, reasons.REASON_NO_NONCES),
        "b3": (0, reasons.REASON_NO_NONCES),
    }


def test_what_a_member_said_does_not_count_once_it_is_invalid() -> None:
    ctx = at_validation()
    submit_poc_validations(ctx, verdicts("alice", bob=VERDICT_FRAUD))
    submit_poc_validations(ctx, verdicts("carol", bob=VERDICT_HONEST))
    epochs.invalidate(at_height(ctx, T + 5), "alice", reasons.REASON_MISBEHAVIOUR)

    weights = new_weights(ctx)

    assert outcome_of(ctx, "bob") == reasons.REASON_ACCEPTED
    assert weights == {"bob": 260 + 138 + 90}


def test_a_node_that_left_the_registry_has_no_weight_mined_or_preserved() -> None:
    ctx = at_validation()
    all_honest_but_carol_on_bob(ctx)
    for owner, node_id in (("alice", "a2"), ("bob", "b2")):
        hardware_state.NODES.remove(ctx, (owner, node_id))

    weights = new_weights(ctx)

    assert weights == {"alice": 310 + 120, "bob": 260 + 90, "carol": 263}
    gone = state.WEIGHTS.require(ctx, (S, "bob", "b2"))
    assert (gone.poc_weight, gone.weight_source) == (0, reasons.REASON_NOT_IN_REGISTRY)


def test_preserved_weight_is_scaled_when_the_window_changes() -> None:
    ctx = at_validation()
    all_honest_but_carol_on_bob(ctx)
    record = epochs.effective_record(ctx)
    record.params.epoch.poc_stage_duration -= 1
    RECORDS.set(ctx, 7, record)

    weights = new_weights(ctx)

    assert weights["alice"] == 310 + 280 * 711 // 700 + 120 * 711 // 700
    assert weights["bob"] == 138 + 90 + 260 * 711 // 700


# verdicts by place


def by_place(validator: str, *groups: tuple[poc_pb2.Verdict, list[int]]) -> poc_pb2.MsgSubmitPocValidations:
    return poc_pb2.MsgSubmitPocValidations(
        creator=validator,
        poc_stage_start_height=S,
        groups=[
            poc_pb2.PocVerdictGroup(verdict=verdict, sampled=200, places=places) for verdict, places in groups
        ],
    )


def test_groups_of_places_say_what_verdicts_by_address_say() -> None:
    by_address, grouped = at_validation(), at_validation()
    places = {name: tally(grouped, name).place for name in ("alice", "bob", "carol")}

    submit_poc_validations(by_address, verdicts("alice", bob=VERDICT_HONEST, carol=VERDICT_FRAUD))
    msg = by_place("alice", (VERDICT_HONEST, [places["bob"]]), (VERDICT_FRAUD, [places["carol"]]))
    submit_poc_validations(grouped, msg)

    assert state_of(grouped) == state_of(by_address)


def test_places_are_given_in_the_order_in_which_participants_show_nonces() -> None:
    ctx = at_validation("c1", "a1", "c2", "b2")

    assert [tally(ctx, name).place for name in ("carol", "alice", "bob")] == [0, 1, 2]


def test_a_place_that_nobody_has_and_one_named_twice_are_refused_together() -> None:
    ctx = at_validation()
    bob = tally(ctx, "bob").place

    errors = refused(ctx, by_place("alice", (VERDICT_HONEST, [bob, 3]), (VERDICT_FRAUD, [bob])))

    assert errors == [
        "no_nonces: nobody has the place 3 in this PoC",
        "repeated_verdict: a second verdict on bob",
    ]


def test_groups_count_against_the_limit_of_verdicts_in_a_message() -> None:
    (error,) = refused(at_validation(), by_place("alice", (VERDICT_HONEST, [0] * 10_001)))

    assert error == "malformed_verdict: 10001 verdicts in one message, at most 10000 are taken"


def test_a_validator_has_one_entry_in_the_state_and_each_verdict_is_still_told_apart() -> None:
    ctx = at_validation()

    submit_poc_validations(ctx, verdicts("alice", bob=VERDICT_HONEST))
    submit_poc_validations(at_height(ctx, T + 2), verdicts("alice", carol=VERDICT_FRAUD))

    assert len(list(state.VALIDATIONS.keys(ctx))) == 1
    request = poc_pb2.QueryPocValidationsRequest(poc_stage_start_height=S, validator="alice")
    said = ask(ctx, request, poc_pb2.QueryPocValidationsResponse).validations
    assert [(each.participant, each.verdict, each.height_submitted, each.voting_power) for each in said] == [
        ("bob", VERDICT_HONEST, T + 1, 440),
        ("carol", VERDICT_FRAUD, T + 2, 440),
    ]
    request.validator = "bob"
    assert not ask(ctx, request, poc_pb2.QueryPocValidationsResponse).validations
    assert refused(ctx, verdicts("alice", bob=VERDICT_FRAUD)) == ["repeated_verdict: a second verdict on bob"]


# drawn validators


def drawn(ctx: Context, participant: str) -> dict[str, int]:
    return sampled_validators(
        epochs.voting_powers(ctx),
        8,
        chain_id="evergrid-test-1",
        height_start=S,
        block_hash=the_record(ctx).validation_seed,
        participant=participant,
    )


def test_with_validation_slots_each_drawn_slot_is_one_vote() -> None:
    ctx = at_validation(slots=8)
    slots = drawn(ctx, "bob")
    assert set(slots) == {"alice", "carol"}

    submit_poc_validations(ctx, verdicts("alice", bob=VERDICT_HONEST))

    assert tally(ctx, "bob").honest_slots == slots["alice"]
    new_weights(ctx)
    accepted = 3 * slots["alice"] > 8
    assert (outcome_of(ctx, "bob") == reasons.REASON_ACCEPTED) == accepted
    assert state.OUTCOMES.require(ctx, (S, "bob")).slots == 8


def test_who_drew_no_slot_of_a_participant_does_not_judge_it() -> None:
    ctx = at_validation(slots=1)
    (chosen,) = drawn_one(ctx)
    other = "alice" if chosen == "carol" else "carol"

    assert refused(ctx, verdicts(other, bob=VERDICT_HONEST)) == [
        f"not_sampled: {other} drew no slot to judge bob"
    ]
    submit_poc_validations(ctx, verdicts(chosen, bob=VERDICT_HONEST))
    assert tally(ctx, "bob").honest_slots == 1


def drawn_one(ctx: Context) -> list[str]:
    powers, seed = epochs.voting_powers(ctx), the_record(ctx).validation_seed
    found = sampled_validators(
        powers, 1, chain_id="evergrid-test-1", height_start=S, block_hash=seed, participant="bob"
    )
    return list(found)


def test_the_draw_of_validators_stays_when_a_member_falls_after_it() -> None:
    ctx = at_validation(slots=8)
    before = drawn(ctx, "bob")
    submit_poc_validations(ctx, verdicts("alice", bob=VERDICT_HONEST))

    epochs.invalidate(at_height(ctx, T + 3), "alice", reasons.REASON_MISBEHAVIOUR)
    submit_poc_validations(ctx, verdicts("carol", bob=VERDICT_HONEST))

    assert tally(ctx, "bob").honest_slots == before["alice"] + before["carol"] == 8


def test_voters_are_answered_as_the_draw_sees_them() -> None:
    ctx = at_validation(slots=8)
    epochs.invalidate(at_height(ctx, T + 3), "alice", reasons.REASON_MISBEHAVIOUR)

    answer = ask(ctx, poc_pb2.QueryPocVotersRequest(poc_stage_start_height=S), poc_pb2.QueryPocVotersResponse)

    assert answer.validation_slots == 8
    assert [(each.address, each.voting_power) for each in answer.voters] == [
        ("alice", 440),
        ("bob", 400),
        ("carol", 260),
    ]


# the life of the data


def decided() -> Context:
    ctx = at_validation()
    all_honest_but_carol_on_bob(ctx)
    new_weights(ctx)
    return ctx


def test_verdicts_tallies_and_outcomes_are_answered() -> None:
    request = poc_pb2.QueryPocValidationsRequest(poc_stage_start_height=S)

    answer = ask(decided(), request, poc_pb2.QueryPocValidationsResponse)

    assert [(each.participant, each.validator) for each in answer.validations] == [
        ("alice", "bob"),
        ("alice", "carol"),
        ("bob", "alice"),
        ("carol", "alice"),
        ("carol", "bob"),
    ]
    assert [each.participant for each in answer.tallies] == ["alice", "bob", "carol"]
    assert {each.outcome for each in answer.outcomes} == {reasons.REASON_ACCEPTED}


def poc_state(ctx: Context) -> dict[bytes, bytes]:
    return {key: value for key, value in state_of(ctx).items() if key.startswith((b"poc/", b"~poc/"))}


def test_an_exported_state_is_imported_as_it_was() -> None:
    ctx = decided()
    poc.drop_stage(ctx, 4380)
    exported = poc.MODULE.export_genesis(ctx)

    fresh = a_context()
    poc.MODULE.init_genesis(fresh, exported)

    assert poc.MODULE.validate_genesis(exported) == []
    assert poc_state(fresh) == poc_state(ctx) != {}
    assert poc.MODULE.export_genesis(fresh) == exported


def test_a_genesis_with_claims_of_another_batch_or_a_node_given_twice_is_refused() -> None:
    exported = poc.MODULE.export_genesis(decided())
    assert isinstance(exported, poc_pb2.GenesisState)
    exported.batches[0].batch.claims = b"1234"
    exported.nodes.append(exported.nodes[0])

    errors = poc.MODULE.validate_genesis(exported)

    assert [error.rpartition(": ")[0] for error in errors] == [
        "batch 0 of node 'a1' of alice",
        "node given twice",
    ]


def test_pruning_takes_claims_when_their_epoch_is_over_and_the_rest_after_its_retention() -> None:
    ctx = decided()
    record = the_record(ctx)
    assert poc.prune(ctx, 1000) == 0

    def make_effective(index: int, height_start: int) -> None:
        RECORDS.set(
            ctx, index, epochs_pb2.EpochRecord(index=index, height_start=height_start, params=record.params)
        )
        now = epochs.state(ctx)
        now.epoch_effective = index
        STATE.set(ctx, now)

    make_effective(8, S)
    assert poc.prune(ctx, 1000) == 0
    make_effective(9, S + 720)
    assert poc.prune(ctx, 1000) == 0
    assert list(state.CLAIMS.keys(ctx)) == []
    assert len(list(state.BATCHES.keys(ctx))) == len(MINED_IN_8)
    make_effective(16, S + 8 * 720)
    assert poc.prune(ctx, 1000) == 0
    make_effective(17, S + 9 * 720)
    removed = poc.prune(ctx, 10)
    while more := poc.prune(ctx, 10):
        assert more <= 10
        removed += more
    assert removed == 5 + 5 + 3 + 3 + 3 + 3  # batches, nodes, validators, places, tallies, outcomes
    assert poc_state(ctx) == {}


def test_a_dropped_stage_is_pruned_at_once_within_the_budget() -> None:
    ctx = decided()
    entries = sum(1 for key in poc_state(ctx) if key.startswith(b"poc/"))
    poc.drop_stage(ctx, S)

    steps = []
    while removed := poc.prune(ctx, 7):
        steps.append(removed)

    assert sum(steps) == entries
    assert max(steps) == 7
    assert all(key.startswith(b"~poc/") for key in poc_state(ctx))


def test_what_pruning_does_to_the_tree_does_not_depend_on_bulk_data() -> None:
    whole, bare = decided(), decided()
    for table in (state.CLAIMS, state.WEIGHTS):
        table.clear(bare)
    for ctx in (whole, bare):
        poc.drop_stage(ctx, S)

        while poc.prune(ctx, 4):
            pass

    trees = [{key for key in poc_state(ctx) if key.startswith(b"poc/")} for ctx in (whole, bare)]
    assert trees[0] == trees[1] == set()


def test_the_registry_of_participants_is_untouched_by_a_decision() -> None:
    ctx = at_validation()
    before = [each.SerializeToString() for each in hardware.participants(ctx)]

    new_weights(ctx)

    assert [each.SerializeToString() for each in hardware.participants(ctx)] == before
