"""The worked epoch of the protocol (section 13), explained: the numbers that decided, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from abci_app.kernel.errors import QueryError
from abci_app.kernel.trace import word
from abci_app.modules.uptime import explain, rules
from protocol.gen.evergrid.epochs.v1.params_pb2 import UptimeParams
from protocol.gen.evergrid.explain.v1 import explain_pb2 as pb
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons
from protocol.gen.evergrid.uptime.v1.uptime_pb2 import SlotAllocation, SlotTurn
from tests.chain import key_of, validator_key_of
from tests.stages.test_worked_epoch import ALICE, BOB, CAROL, EPOCH, E, S, V, imported, owner, poc

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from tests.chain import Chain


@pytest.fixture(scope="module")
def chain() -> Chain:
    """The chain behind V of epoch 8."""
    worked = imported()
    poc(worked)
    return worked


def ask(chain: Chain, request: Message) -> list[pb.Explanation]:
    return list(chain.query(request, pb.QueryExplainResponse).explanations)


def slot(chain: Chain, node_id: str) -> pb.Explanation:
    request = pb.QueryExplainSlotRequest(
        epoch_index=EPOCH + 1, participant=key_of(owner(node_id)).address, node_id=node_id
    )
    (found,) = ask(chain, request)
    return found


def weight(chain: Chain, node_id: str, epoch: int = EPOCH + 1) -> pb.Explanation:
    request = pb.QueryExplainWeightRequest(
        epoch_index=epoch, participant=key_of(owner(node_id)).address, node_id=node_id
    )
    (found,) = ask(chain, request)
    return found


def figures(explanation: pb.Explanation, rule: str) -> dict[str, str]:
    return {f.name: f.value for step in explanation.steps if step.rule == rule for f in step.figures}


def results(explanation: pb.Explanation) -> dict[str, str]:
    assert explanation.reasons == explanation.reasons_stored
    assert explanation.results == explanation.results_stored
    return {f.name: f.value for f in explanation.results}


def test_a1_mines_since_with_it_more_than_the_limit_of_x_would_serve(chain: Chain) -> None:
    told = slot(chain, "a1")

    assert list(told.reasons) == [reasons.REASON_OVER_LIMIT]
    assert results(told)["serves"] == "false"
    assert figures(told, "turn") | {"drawn": "564", "weight_total": "960"} == figures(told, "turn")
    limit = figures(told, "limit")
    assert int(limit["selected_before"]) + int(limit["throughput"]) > int(limit["limit"]) == 22000
    (step,) = [step for step in told.steps if step.rule == "limit"]
    assert step.reason == reasons.REASON_OVER_LIMIT
    assert [(s.collection, s.key, s.height) for s in step.sources] == [("~uptime/allocations", "8/X", S - 1)]
    assert told.height == S - 1
    assert not told.not_retained


def test_the_steps_of_a_draw_are_told_in_the_order_in_which_the_rules_ran(chain: Chain) -> None:
    rules = [step.rule for step in slot(chain, "a2").steps]

    checks = [rule for rule in rules if rule.startswith("eligible.")]
    assert rules == ["demand", *checks, "turn", "limit", "voting_guard", "stop"]
    assert (checks[0], checks[-1]) == ("eligible.participant_invalid", "eligible.availability")
    assert {"eligible.pending_model_change", "eligible.unproved", "eligible.min_served"} < set(checks)


def test_every_check_of_eligibility_is_told_in_words_of_its_own() -> None:
    params = UptimeParams()
    checks = rules.eligibility_checks(rules.facts_of(SlotTurn()), params, anyone_served=True)

    told = explain._facts(SlotAllocation(), SlotTurn(), params)

    assert set(told) == {reason for _, reason in checks}
    assert len({text for text, _, _ in told.values()}) == len(checks)


def test_a_reason_that_this_version_does_not_know_is_told_by_its_number() -> None:
    assert word(reasons.REASON_MINED) == "mined"
    assert word(cast("reasons.Reason", 9_999)) == "reason_9999"


def test_each_verdict_that_counted_stands_before_the_tally(chain: Chain) -> None:
    told = weight(chain, "a1")

    verdicts = [step for step in told.steps if step.rule == "vote.verdict"]
    power = sum(int(f.value) for step in verdicts for f in step.figures if f.name == "voting_power")
    assert str(power) == figures(told, "vote")["honest_power"]
    assert [step.sources[0].key for step in verdicts] == [
        f"{S}/{key_of(who).address}" for who in (BOB, CAROL)
    ]
    order = [step.rule for step in told.steps]
    assert order.index("vote.verdict") < order.index("vote")


def test_a_preserved_and_a_mined_weight_say_where_they_come_from(chain: Chain) -> None:
    mined, preserved = weight(chain, "a1"), weight(chain, "a2")

    assert results(mined) == {"poc_weight": "310", "unproved": "0"}
    assert figures(mined, "weight") | {"nonces": "310"} == figures(mined, "weight")
    assert figures(mined, "vote") | {"honest_power": "660", "fraud_power": "0"} == figures(mined, "vote")
    assert figures(mined, "model")["throughput"] == "12400"
    assert list(preserved.reasons) == [reasons.REASON_PRESERVED]
    assert results(preserved) == {"poc_weight": "280", "unproved": "1"}
    assert mined.height == E


def test_a_group_that_was_given_says_so_and_names_what_is_missing(chain: Chain) -> None:
    told = weight(chain, "a1", EPOCH)

    assert [step.rule for step in told.steps] == ["given", "model"]
    assert results(told)["poc_weight"] == "300"
    assert list(told.not_retained) == [f"~poc/weights/{S - 720}/{key_of(ALICE).address}/a1"]


def test_bobs_reward_names_the_misses_that_a_quarter_of_it_was_lost_for(chain: Chain) -> None:
    (told,) = ask(chain, pb.QueryExplainRewardRequest(epoch_index=EPOCH, participant=key_of(BOB).address))

    assert list(told.reasons) == [reasons.REASON_COVERED, reasons.REASON_MISSED_INFERENCES]
    assert results(told) == {"base": "220588", "bonus": "22058", "fees": "0", "total": "242646"}
    available = figures(told, "availability")
    assert (available["inferences_total"], available["missed_counted"]) == ("200", "50")
    assert available["availability_bps"] == "7500"
    assert figures(told, "emission")["reward"] == "1000000"
    assert told.height == V


def test_carol_is_told_which_model_she_does_not_cover(chain: Chain) -> None:
    (told,) = ask(chain, pb.QueryExplainRewardRequest(epoch_index=EPOCH, participant=key_of(CAROL).address))

    (y,) = [step for step in told.steps if step.text.startswith("Y:")]
    assert {f.name: f.value for f in y.figures}["weight"] == "0"
    assert reasons.REASON_NOT_COVERED in told.reasons


def test_alices_power_is_capped_at_two_fifths(chain: Chain) -> None:
    request = pb.QueryExplainValidatorRequest(epoch_index=EPOCH + 1, participant=key_of(ALICE).address)

    (told,) = ask(chain, request)

    assert results(told) == {"weight": "710", "voting_power": "500"}
    cap = figures(told, "cap")
    assert (cap["limit"], cap["bps_applied"], cap["weights_total"]) == ("500", "4000", "1461")
    assert figures(told, "extension")["retained_power"] == "1100"
    assert figures(told, "validator")["power"] == "500"


def test_who_fell_behind_the_switch_is_told_the_height_at_which_its_power_went() -> None:
    worked = imported()
    poc(worked)
    worked.run_to(worked.height + 3)
    worked.block(misbehaving=[validator_key_of(ALICE)])
    fell = worked.height
    worked.run_to(fell + 2)
    request = pb.QueryExplainValidatorRequest(epoch_index=EPOCH + 1, participant=key_of(ALICE).address)

    (told,) = ask(worked, request)

    last = told.steps[-1]
    assert (last.rule, figures(told, "validator")["power"]) == ("validator", "0")
    assert [each.height for each in last.sources] == [fell]


def test_the_exclusions_of_a_node_are_those_of_group_and_draw_and_its_registry(chain: Chain) -> None:
    request = pb.QueryExplainExclusionRequest(epoch_index=EPOCH + 1, participant=key_of(ALICE).address)

    told = {each.node_id: each for each in ask(chain, request)}

    assert set(told) == {"", "a1", "a2", "a3"}
    assert list(told["a1"].reasons) == [reasons.REASON_OVER_LIMIT]
    assert told["a1"].steps[0].rule == "excluded.draw"
    assert [step.rule for step in told["a2"].steps] == ["included"]


def test_a_node_that_the_draw_never_saw_is_said_to_be_in_no_draw(chain: Chain) -> None:
    request = pb.QueryExplainSlotRequest(epoch_index=EPOCH + 1, participant=key_of(BOB).address, node_id="b3")
    with pytest.raises(QueryError, match="was in no draw"):
        ask(chain, request)


def test_the_reward_of_the_epoch_that_rules_is_told_as_it_stands() -> None:
    worked = imported()
    worked.block()

    (told,) = ask(worked, pb.QueryExplainRewardRequest(epoch_index=EPOCH, participant=key_of(ALICE).address))

    assert (told.height, list(told.results_stored)) == (0, [])
    assert {f.name: f.value for f in told.results}["base"] == "514705"


def test_a_disabled_node_is_excluded_from_the_next_draw() -> None:
    worked = imported()
    diff = hardware_pb2.MsgSubmitHardwareDiff(creator=key_of(CAROL).address)
    diff.new_or_modified.add(
        node_id="c2", models=["X"], host="127.0.0.1", port=8080, status=hardware_pb2.ML_NODE_STATUS_DISABLED
    )
    worked.must(CAROL, diff)

    worked.run_to(S)

    told = slot(worked, "c2")
    assert list(told.reasons) == [reasons.REASON_NODE_DISABLED]
    assert told.steps[-1].rule == "eligible.node_disabled"
    request = pb.QueryExplainExclusionRequest(
        epoch_index=EPOCH + 1, participant=key_of(CAROL).address, node_id="c2"
    )
    assert list(ask(worked, request)[0].reasons) == [reasons.REASON_NODE_DISABLED]
