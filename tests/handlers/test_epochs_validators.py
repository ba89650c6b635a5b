"""Who makes blocks, who is out of it for a while, what is forgotten, and what is exported."""

from __future__ import annotations

from abci_app.modules import epochs, hardware
from protocol.gen.evergrid.epochs.v1 import epochs_pb2 as pb
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import (
    PARTICIPANT_STATUS_ACTIVE,
    PARTICIPANT_STATUS_INVALID,
    MsgSubmitHardwareDiff,
)
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import (
    REASON_MISBEHAVIOUR,
)
from tests.fleet import (
    X,
    Y,
    a_model,
    a_node,
    a_state,
    at,
    contents,
    deliver,
    events,
    joining,
    validator_key,
    who,
)
from tests.fleet_epochs import ALL, FLEET, give_poc_slot, mined, run_poc, slots, three_members, weights

# Validators


def test_the_whole_set_is_given_once_and_then_only_differences() -> None:
    ctx = a_state([a_model(X), a_model(Y)], FLEET)

    first = epochs.take_validator_updates(ctx)

    powers = {validator_key("alice"): 400, validator_key("bob"): 400, validator_key("carol"): 200}
    assert first == sorted(powers.items())
    assert epochs.take_validator_updates(ctx) == []

    switched = run_poc(ctx, [mined("alice", a1=400), mined("bob", b1=500)])
    # Of two, none holds more than half: bob's power stays at alice's, so nothing but carol's changes.
    assert epochs.take_validator_updates(switched) == [(validator_key("carol"), 0)]


def test_a_new_key_takes_the_power_at_the_next_switch_and_the_old_one_gets_zero() -> None:
    ctx = three_members()
    assert deliver(ctx, joining("carol", key_of="carol-2")) is None
    assert epochs.take_validator_updates(ctx) == []

    switched = run_poc(ctx, [mined("alice", a1=400), mined("bob", b1=400), mined("carol", c1=200)])

    assert epochs.take_validator_updates(switched) == sorted(
        [(validator_key("carol"), 0), (validator_key("carol-2"), 200)]
    )


def test_an_invalid_participant_loses_power_and_slots_in_that_block() -> None:
    ctx = at(three_members(), 12)
    give_poc_slot(ctx, 0, X, "bob")

    epochs.invalidate(ctx, who("bob"), REASON_MISBEHAVIOUR)

    bob = hardware.get_participant(ctx, who("bob"))
    assert bob is not None
    assert (bob.status, bob.status_reason, bob.height_invalid) == (
        PARTICIPANT_STATUS_INVALID,
        REASON_MISBEHAVIOUR,
        12,
    )
    assert epochs.take_validator_updates(ctx) == [(validator_key("bob"), 0)]
    assert slots(ctx, 0, X, "bob") == [False, False]
    assert slots(ctx, 0, X, "alice") == [True, False]
    assert who("bob") not in epochs.voting_powers(ctx)
    assert events(ctx) == [
        ("participant_invalidated", {"participant": who("bob"), "reason": "misbehaviour", "epoch": "0"})
    ]

    epochs.invalidate(ctx, who("bob"), REASON_MISBEHAVIOUR)
    assert len(events(ctx)) == 1


def test_the_set_of_validators_is_never_emptied() -> None:
    ctx = at(three_members(), 12)
    for name in ("alice", "bob"):
        epochs.invalidate(ctx, who(name), REASON_MISBEHAVIOUR)
    assert len(epochs.take_validator_updates(ctx)) == 2

    epochs.invalidate(ctx, who("carol"), REASON_MISBEHAVIOUR)

    assert epochs.take_validator_updates(ctx) == []
    assert list(epochs.voting_powers(ctx)) == [who("carol")]


def test_a_set_taken_over_from_a_genesis_file_is_replaced_at_the_switch() -> None:
    ctx = a_state([a_model(X)])
    assert epochs.take_validator_updates(ctx) == []
    epochs.adopt_validators(ctx, [(b"k" * 32, 10)])
    deliver(ctx, joining("alice"))
    deliver(ctx, MsgSubmitHardwareDiff(creator=who("alice"), new_or_modified=[a_node("a1")]))

    switched = run_poc(ctx, [mined("alice", a1=5)])

    assert dict(epochs.take_validator_updates(switched)) == {b"k" * 32: 0, validator_key("alice"): 5}


# Quarantine


def test_an_invalid_participant_has_no_weight_for_two_epochs_and_then_may_mine_again() -> None:
    ctx = three_members()
    epochs.invalidate(at(ctx, 5), who("carol"), REASON_MISBEHAVIOUR)

    statuses = []
    for _ in range(3):
        run_poc(ctx, ALL)
        carol = hardware.get_participant(ctx, who("carol"))
        assert carol is not None
        statuses.append((who("carol") in weights(ctx, epochs.state(ctx).epoch_effective), carol.status))

    assert statuses == [
        (False, PARTICIPANT_STATUS_INVALID),
        (False, PARTICIPANT_STATUS_ACTIVE),
        (True, PARTICIPANT_STATUS_ACTIVE),
    ]


def test_who_falls_between_formation_and_switch_has_no_power_in_the_new_group() -> None:
    ctx = three_members()
    record = epochs.write_record(at(ctx, 9))
    epochs.form_upcoming_group(at(ctx, 22), record, ALL)
    epochs.publish_group(at(ctx, 22), record)

    epochs.invalidate(at(ctx, 23), who("bob"), REASON_MISBEHAVIOUR)
    epochs.switch_epoch(at(ctx, 25), record)

    assert sorted(epochs.voting_powers(ctx)) == sorted([who("alice"), who("carol")])
    assert slots(ctx, 1, X, "bob") == [False, False]


# Messages without a fee, pruning


def test_messages_without_a_fee_are_counted_by_participant_and_epoch() -> None:
    params = epochs.default_params("local")
    params.epoch.free_messages_per_epoch = 2
    ctx = a_state([a_model(X), a_model(Y)], FLEET, params=params)

    assert [epochs.free_message(ctx, who("alice")) for _ in range(3)] == [True, True, False]
    assert epochs.free_message(ctx, who("bob"))
    assert not epochs.free_message(ctx, who("stranger"))

    run_poc(ctx, ALL)
    assert epochs.free_message(ctx, who("alice"))


def test_epochs_before_the_retained_ones_are_forgotten_within_the_budget() -> None:
    ctx = three_members()
    epochs.free_message(ctx, who("alice"))
    for _ in range(6):
        run_poc(ctx, ALL)

    rounds = []
    while removed := epochs.prune(ctx, 4):
        rounds.append(removed)

    assert max(rounds) == 4
    kept = [epoch for epoch in range(7) if epochs.record(ctx, epoch) is not None]
    assert kept == [epoch for epoch in range(7) if epochs.group(ctx, epoch) is not None] == [2, 3, 4, 5, 6]
    assert [list(epochs.members(ctx, epoch, model)) for epoch in (0, 1) for model in ("", X, Y)] == [[]] * 6
    assert len(list(epochs.members(ctx, 2))) == 3
    exported = epochs.MODULE.export_genesis(ctx)
    assert isinstance(exported, pb.GenesisState)
    assert list(exported.free_messages) == []


# Export


def test_export_and_import_are_inverses_in_the_middle_of_an_epoch() -> None:
    ctx = three_members()
    run_poc(ctx, [])
    switched = run_poc(ctx, ALL)
    epochs.take_validator_updates(switched)
    epochs.free_message(ctx, who("alice"))
    record = epochs.write_record(at(ctx, 69))
    epochs.open_poc(at(ctx, 70), record)
    epochs.mark_stage_done(at(ctx, 70), record, "start_of_poc")
    exported = epochs.MODULE.export_genesis(ctx)
    other = three_members()
    for key, _ in contents(other):
        if key.startswith(b"epochs/"):
            other.kv.delete(key)

    epochs.MODULE.init_genesis(other, exported)

    assert epochs.MODULE.validate_genesis(exported) == []
    assert epochs.MODULE.export_genesis(other) == exported
    powers = {validator_key("alice"): 380, validator_key("bob"): 380, validator_key("carol"): 190}
    assert epochs.take_validator_updates(other) == sorted(powers.items())
    kept = [[pair for pair in contents(each) if pair[0].startswith(b"epochs/")] for each in (ctx, other)]
    assert kept[0] == kept[1]
