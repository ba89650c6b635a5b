"""What epochs answer: nothing of a group before it is published, and everything in pages after."""

from __future__ import annotations

import pytest

from abci_app.kernel.context import Context
from abci_app.kernel.errors import QueryError
from abci_app.modules import epochs
from protocol.gen.evergrid.epochs.v1 import epochs_pb2 as pb
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_EMPTY_GROUP, REASON_MINED
from tests.fleet import X, Y, a_model, a_node, a_state, ask, at, validator_key, who

NAMES = sorted(["alice", "bob", "carol"], key=who)


def a_chain() -> Context:
    fleet = [
        ("alice", a_node("a1", "org/x", "org/y"), 300),
        ("alice", a_node("a2", Y), 100),
        ("bob", a_node("b1", X), 400),
        ("carol", a_node("c1", X), 200),
    ]
    ctx = a_state([a_model(X), a_model(Y)], fleet)
    epochs.take_validator_updates(ctx)
    return ctx


def form(ctx: Context) -> pb.EpochRecord:
    """Record and group of epoch 1, not published."""
    record = epochs.write_record(at(ctx, 9))
    proved = [
        pb.ActiveParticipant(
            address=who(name),
            ml_nodes=[pb.NodeWeight(node_id=f"{name[0]}1", poc_weight=100, weight_source=REASON_MINED)],
        )
        for name in NAMES
    ]
    epochs.form_upcoming_group(at(ctx, 22), record, proved)
    return record


def info(ctx: Context) -> pb.QueryEpochInfoResponse:
    answer = ask(ctx, pb.QueryEpochInfoRequest())
    assert isinstance(answer, pb.QueryEpochInfoResponse)
    return answer


def test_outside_the_poc_period_the_stage_is_inference_and_the_next_heights_are_planned() -> None:
    ctx = at(a_chain(), 4)

    answer = info(ctx)

    assert (answer.height, answer.stage, answer.slot_in_force) == (4, "inference", pb.PRE_POC_SLOT)
    assert answer.block_hash == ctx.block.hash
    assert not answer.HasField("upcoming")
    assert [(each.stage, each.height, each.done) for each in answer.stages] == [
        ("pre_poc_scheduling", 9, False),
        ("start_of_poc", 10, False),
        ("end_of_poc", 15, False),
        ("start_of_poc_validation", 18, False),
        ("end_of_poc_validation", 22, False),
        ("end_of_epoch", 25, False),
    ]


def test_within_the_poc_period_the_stage_is_the_last_that_was_done() -> None:
    ctx = a_chain()
    record = epochs.write_record(at(ctx, 9))
    for stage in ("pre_poc_scheduling", "start_of_poc"):
        epochs.mark_stage_done(ctx, record, stage)

    answer = info(at(ctx, 11))

    assert (answer.stage, answer.slot_in_force, answer.upcoming.index) == ("start_of_poc", pb.POC_SLOT, 1)
    assert [each.height for each in answer.stages if each.done] == [9, 10]
    assert answer.state.height_next_poc == 40


def test_an_extension_shows_the_dropped_record_and_the_heights_to_come() -> None:
    ctx = a_chain()
    record = epochs.write_record(at(ctx, 9))
    epochs.form_upcoming_group(at(ctx, 22), record, [])
    epochs.extend_epoch(at(ctx, 22), record, REASON_EMPTY_GROUP)

    answer = info(at(ctx, 23))

    assert (answer.stage, answer.dropped.extension_reason, answer.state.extensions) == (
        "inference",
        REASON_EMPTY_GROUP,
        1,
    )
    assert (answer.slot_in_force, answer.stages[1].height) == (pb.PRE_POC_SLOT, 40)


def test_a_group_is_answered_as_a_whole_only_once_it_is_published() -> None:
    ctx = a_chain()
    record = form(ctx)
    request = pb.QueryEpochGroupDataRequest(epoch_index=1, model_id=X)

    for hidden in (
        request,
        pb.QueryEpochModelsRequest(epoch_index=1),
        pb.QueryActiveParticipantsRequest(epoch_index=1),
    ):
        with pytest.raises(QueryError, match="epoch 1 has no group here"):
            ask(ctx, hidden)
    # Its head stands since S, and shows nothing of what was formed.
    assert ask(ctx, pb.QueryUpcomingEpochRequest()).group == pb.EpochGroup(epoch_index=1)

    epochs.publish_group(at(ctx, 22), record)
    assert len(ask(ctx, request).epoch_group_data.validation_weights) == 3
    assert ask(ctx, pb.QueryUpcomingEpochRequest()).group.total_weight == 300
    assert ask(ctx, pb.QueryUpcomingEpochRequest()).record.height_ready == 22


def test_the_current_group_is_the_effective_one_until_the_switch() -> None:
    ctx = a_chain()
    record = form(ctx)
    epochs.publish_group(at(ctx, 22), record)

    current = pb.QueryCurrentEpochGroupDataRequest()
    before = ask(ctx, current).epoch_group_data.group
    epochs.switch_epoch(at(ctx, 25), record)
    after = ask(ctx, current).epoch_group_data.group

    assert [(each.epoch_index, each.total_weight) for each in (before, after)] == [(0, 1000), (1, 300)]
    with pytest.raises(QueryError, match="there is no upcoming epoch"):
        ask(ctx, pb.QueryUpcomingEpochRequest())


def test_members_come_in_pages_by_address() -> None:
    ctx = a_chain()

    first = ask(ctx, pb.QueryEpochGroupDataRequest(pagination={"limit": 2}))
    second = ask(ctx, pb.QueryEpochGroupDataRequest(pagination={"key": first.pagination.next_key}))

    pages = [answer.epoch_group_data.validation_weights for answer in (first, second)]
    assert [[each.member_address for each in page] for page in pages] == [
        [who(name) for name in NAMES[:2]],
        [who(NAMES[2])],
    ]
    assert first.epoch_group_data.group.member_count == 3


def test_epoch_models_are_the_snapshots_of_the_epoch() -> None:
    ctx = a_chain()

    assert [m.id for m in ask(ctx, pb.QueryEpochModelsRequest(current=True)).models] == [X, Y]

    record = form(ctx)
    epochs.publish_group(at(ctx, 22), record)
    assert [m.id for m in ask(ctx, pb.QueryEpochModelsRequest(epoch_index=1)).models] == [X]
    assert ask(ctx, pb.QueryEpochModelsRequest(current=True)).epoch_index == 0


def test_active_participants_have_weights_models_and_nodes() -> None:
    ctx = a_chain()

    answer = ask(ctx, pb.QueryActiveParticipantsRequest(current=True))

    alice = next(each for each in answer.participants if each.address == who("alice"))
    assert (alice.weight, alice.voting_power, list(alice.models)) == (400, 400, [X, Y])
    assert [(node.node_id, node.poc_weight, node.unproved) for node in alice.ml_nodes] == [
        ("a1", 300, 1),
        ("a2", 100, 1),
    ]
    assert [each.address for each in answer.participants] == [who(name) for name in NAMES]


def test_records_params_and_validators_are_answered() -> None:
    ctx = a_chain()

    validators = ask(ctx, pb.QueryValidatorsRequest()).validators

    assert {each.validator_key: each.power for each in validators} == {
        validator_key("alice"): 400,
        validator_key("bob"): 400,
        validator_key("carol"): 200,
    }
    assert ask(ctx, pb.QueryEpochRecordRequest(epoch_index=0)).record.params == epochs.params(ctx)
    assert ask(ctx, pb.QueryParamsRequest()).params == epochs.default_params("local")


@pytest.mark.parametrize(
    "request_of_nothing",
    [
        pb.QueryEpochRecordRequest(epoch_index=9),
        pb.QueryEpochGroupDataRequest(epoch_index=9),
        pb.QueryEpochGroupDataRequest(model_id="org/none"),
        pb.QueryCurrentEpochGroupDataRequest(model_id="a\0b"),
        pb.QueryEpochModelsRequest(epoch_index=2**64 - 1),
    ],
)
def test_what_is_not_there_is_not_found(request_of_nothing: pb.QueryEpochGroupDataRequest) -> None:
    with pytest.raises(QueryError) as refused:
        ask(a_chain(), request_of_nothing)

    assert refused.value.status == "NotFound"
