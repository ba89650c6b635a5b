"""Sampled re-execution through blocks: who must, what a vote decides, who becomes INVALID."""

from __future__ import annotations

from typing import Any

import pytest

from abci_app.app import STORES
from abci_app.genesis import export_genesis
from abci_app.kernel.errors import QueryError
from abci_app.kernel.store import MemoryStore
from abci_app.modules import epochs, inference, rewards
from abci_app.modules.epochs.profiles import default_params
from protocol import address
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2 as pb
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_INVALID_INFERENCES
from tests.chain import FUNDS, Chain, GenesisNode, GenesisParticipant, a_model, app_state, block_hash, key_of
from tests.handlers.test_inference import MODEL, PRICE, WINDOW, finish, start
from tests.stages.test_epoch import run_poc

NAMES = ("alice", "bob", "carol", "dan")
BY_ADDRESS = {key_of(name).address: name for name in NAMES}
ACCOUNT = address.module_account(inference.ACCOUNT)


def a_chain(**fields: Any) -> Chain:
    """Four members of equal weight; each of the other three validates one in three of alice's."""
    owners = [GenesisParticipant(name, 0, (GenesisNode("gpu", (MODEL,), 50),)) for name in NAMES]
    params = default_params("local")
    params.epoch.first_poc_height = 60  # a long first epoch
    params.epoch.epoch_length = 60
    params.inference.validation_rate_bps = params.inference.validation_rate_min_bps = 10_000
    for name, value in fields.items():
        setattr(params.inference, name, value)
    chain = Chain(app_state(owners, [a_model()], params, funded=["client"]))
    chain.run_to(1)
    return chain


def finished(chain: Chain, *ids: str, executor: str = "alice") -> None:
    """Inferences that the executor has answered, each in two blocks for all of them."""
    who = key_of(executor).address
    chain.block(*(chain.sign("client", start(inference_id=each, executor=who)) for each in ids))
    chain.block(*(chain.sign(executor, finish(inference_id=each, creator=who)) for each in ids))
    assert all(result.code == 0 for result in chain.last.tx_results), chain.last.tx_results


def verdict(
    name: str, inference_id: str = "i1", value: int = 9_500, **fields: Any
) -> pb.MsgValidateInference:
    result = pb.VALIDATION_RESULT_VALID if value >= 9_000 else pb.VALIDATION_RESULT_INVALID
    defaults: dict[str, Any] = {
        "creator": key_of(name).address,
        "inference_id": inference_id,
        "result": result,
    }
    return pb.MsgValidateInference(**(defaults | {"value_bps": value} | fields))


def drawn(chain: Chain, inference_id: str) -> list[str]:
    found = chain.query(
        pb.QueryInferenceValidatorsRequest(inference_id=inference_id), pb.QueryInferenceValidatorsResponse
    )
    return [BY_ADDRESS[draw.validator] for draw in found.draws if draw.sampled]


def found(chain: Chain, inference_id: str) -> pb.Inference:
    return chain.query(
        pb.QueryInferenceRequest(inference_id=inference_id), pb.QueryInferenceResponse
    ).inference


def a_sampled_one(chain: Chain, wanted: int = 1) -> tuple[str, str, list[str]]:
    """An inference of alice with one member drawn: its id, who is drawn, and who else could vote."""
    ids = [f"s{i}" for i in range(12)]
    finished(chain, *ids)
    inference_id = next(each for each in ids if len(drawn(chain, each)) == wanted)
    (first,) = drawn(chain, inference_id)
    return inference_id, first, [name for name in NAMES if name not in {"alice", first}]


def owed(chain: Chain) -> int:
    return inference.obligations(chain.context()) + rewards.unpaid_total(chain.context())


def status(chain: Chain, name: str) -> hardware_pb2.Participant:
    request = hardware_pb2.QueryParticipantRequest(address=key_of(name).address)
    return chain.query(request, hardware_pb2.QueryParticipantResponse).participant


def test_who_must_validate_follows_from_the_hash_of_the_block_of_the_finish() -> None:
    chain = a_chain()

    inference_id, first, _ = a_sampled_one(chain)

    one = found(chain, inference_id)
    assert (one.validation_seed, one.weight_voting) == (block_hash(chain.height), 150)
    pending = chain.query(
        pb.QueryPendingValidationsRequest(participant=key_of(first).address),
        pb.QueryPendingValidationsResponse,
    ).pending
    due = {each.inference.inference_id: (each.sampled, each.height_last) for each in pending}
    assert due[inference_id] == (True, chain.height + WINDOW)

    def by_ids(*inference_ids: str) -> list[pb.PendingValidation]:
        asked = pb.QueryPendingValidationsRequest(
            participant=key_of(first).address, inference_ids=inference_ids
        )
        return list(chain.query(asked, pb.QueryPendingValidationsResponse).pending)

    assert by_ids(inference_id, "unknown", inference_id) == [
        each for each in pending if each.inference.inference_id == inference_id
    ]
    assert by_ids("unknown") == []
    with pytest.raises(QueryError, match="at most 1000 ids"):
        by_ids(*map(str, range(1001)))


def test_a_valid_verdict_is_counted_once_for_executor_and_validator_and_the_executor_is_paid() -> None:
    chain = a_chain()
    inference_id, first, _ = a_sampled_one(chain)

    chain.must(first, verdict(first, inference_id))
    again = chain.deliver(first, verdict(first, inference_id))
    chain.run_to(chain.height + WINDOW)

    assert "repeated_verdict" in again.log
    assert found(chain, inference_id).status == pb.INFERENCE_STATUS_FINAL
    counted = {BY_ADDRESS[each.participant]: each for each in inference.statistics(chain.context(), 0)}
    assert (counted["alice"].total, counted["alice"].validated, counted["alice"].invalidated) == (12, 1, 0)
    assert counted[first].verdicts == 1
    standing = chain.query(
        pb.QueryStandingRequest(participant=key_of("alice").address), pb.QueryStandingResponse
    )
    assert (standing.standing.measured, standing.standing.invalid) == (1, 0)


def test_an_inference_that_the_subgroup_votes_invalid_is_refunded_in_full() -> None:
    chain = a_chain()
    inference_id, first, others = a_sampled_one(chain)
    chain.must(first, verdict(first, inference_id, 100))
    disputed = chain.height
    chain.must(others[0], verdict(others[0], inference_id, 100))
    chain.must(others[1], verdict(others[1], inference_id))

    chain.run_to(disputed + WINDOW - 1)
    before = found(chain, inference_id).status
    chain.block()

    assert before == pb.INFERENCE_STATUS_FINISHED
    assert found(chain, inference_id).status == pb.INFERENCE_STATUS_INVALIDATED
    # The eleven others were paid for.
    assert chain.balance("client") == FUNDS - 11 * 30 * PRICE
    assert chain.balance(ACCOUNT) == owed(chain)
    (alice,) = (
        each
        for each in inference.statistics(chain.context(), 0)
        if each.participant == key_of("alice").address
    )
    assert (alice.total, alice.missed, alice.invalidated, alice.accrued) == (12, 0, 1, 11 * 30 * PRICE)
    told = {"inference_id": inference_id, "executor": key_of("alice").address, "refund": str(30 * PRICE)}
    assert ("inference_invalidated", told) in chain.events


def test_a_single_accuser_below_a_half_of_who_spoke_takes_nothing() -> None:
    chain = a_chain()
    inference_id, first, others = a_sampled_one(chain)
    chain.must(first, verdict(first, inference_id, 100))
    chain.block(*(chain.sign(name, verdict(name, inference_id)) for name in others))

    chain.run_to(chain.height + WINDOW)

    assert found(chain, inference_id).status == pb.INFERENCE_STATUS_FINAL
    assert chain.balance("client") == FUNDS - 12 * 30 * PRICE


def test_who_is_not_drawn_may_speak_only_once_another_found_it_invalid() -> None:
    chain = a_chain()
    inference_id, first, (other, _) = a_sampled_one(chain)

    early = chain.deliver(other, verdict(other, inference_id))
    chain.must(first, verdict(first, inference_id, 0))

    assert (early.codespace, early.code) == ("inference", 9)
    assert "not_sampled" in early.log
    chain.must(other, verdict(other, inference_id))


@pytest.mark.parametrize(
    ("name", "fields", "text"),
    [
        ("alice", {}, "self_verdict"),
        ("client", {}, "not_a_member"),
        ("bob", {"inference_id": "none"}, "outside_window"),
        ("bob", {"result": 0, "value_bps": 10_001}, "malformed_verdict: result must be"),
    ],
)
def test_a_verdict_that_cannot_be_is_refused(name: str, fields: dict[str, Any], text: str) -> None:
    chain = a_chain()
    finished(chain, "i1")

    result = chain.deliver(name, verdict(name, **fields))

    assert result.code
    assert text in result.log


def test_a_verdict_that_contradicts_its_value_or_comes_too_late_is_refused() -> None:
    chain = a_chain()
    inference_id, first, _ = a_sampled_one(chain)

    wrong = chain.deliver(first, verdict(first, inference_id, 9_500, result=pb.VALIDATION_RESULT_INVALID))
    chain.run_to(chain.height + WINDOW)
    late = chain.deliver(first, verdict(first, inference_id))

    assert "a value of 9500 is not INVALID by the threshold of 9000" in wrong.log
    assert "outside_window" in late.log


def test_five_invalid_answers_make_the_executor_invalid_by_the_binomial_rule() -> None:
    chain = a_chain()
    ids = [f"s{i}" for i in range(20)]
    finished(chain, *ids)
    accused = [each for each in ids if drawn(chain, each)][:5]
    first = {each: drawn(chain, each)[0] for each in accused}
    chain.block(*(chain.sign(first[each], verdict(first[each], each, 0)) for each in accused))
    chain.block(
        *(
            chain.sign(name, verdict(name, each, 0))
            for each in accused
            for name in NAMES
            if name not in {"alice", first[each]}
        )
    )
    assert all(result.code == 0 for result in chain.last.tx_results), chain.last.tx_results

    chain.run_to(chain.height + WINDOW)

    alice = status(chain, "alice")
    assert (alice.status, alice.status_reason) == (
        hardware_pb2.PARTICIPANT_STATUS_INVALID,
        REASON_INVALID_INFERENCES,
    )
    assert key_of("alice").address not in epochs.voting_powers(chain.context())
    assert {found(chain, each).status for each in accused} == {pb.INFERENCE_STATUS_INVALIDATED}
    late = chain.deliver("client", start(inference_id="later"))
    assert "no_slot_in_force" in late.log


def test_a_verdict_costs_a_member_no_fee_and_the_export_holds_every_judgement() -> None:
    chain = a_chain()
    inference_id, first, _ = a_sampled_one(chain)
    before = chain.balance(first)
    chain.must(first, verdict(first, inference_id, 0))

    exported = export_genesis(chain.context())
    imported = Chain(exported, MemoryStore(STORES), initial_height=chain.height + 1)

    assert chain.balance(first) == before
    assert exported["inference"]["validations"][0]["validator"] == key_of(first).address
    assert export_genesis(imported.context()) == exported
    for each in (chain, imported):
        each.run_to(chain.height + 2 * WINDOW if each is chain else chain.height)
    assert export_genesis(imported.context()) == export_genesis(chain.context())


def test_a_good_epoch_adds_reputation_but_that_of_the_genesis_group_is_none() -> None:
    owners = [GenesisParticipant(name, 0, (GenesisNode("gpu", (MODEL,), 50),)) for name in NAMES[:2]]
    chain = Chain(app_state(owners, [a_model()], funded=["client"]))
    request = pb.QueryStandingRequest(participant=key_of("alice").address)
    stands = []

    for epoch in (1, 2, 3):
        first = 10 + 30 * (epoch - 1)
        chain.run_to(first)
        preserved = {
            m.member_address
            for m in epochs.members(chain.context(), epoch - 1, MODEL)
            if m.ml_nodes[0].timeslot_allocation[1]
        }
        run_poc(chain, first, {name: 0 if key_of(name).address in preserved else 20 for name in NAMES[:2]})
        chain.block()
        stands.append(chain.query(request, pb.QueryStandingResponse))

    assert [each.standing.good_epochs for each in stands] == [0, 1, 2]
    assert [each.reputation_bps for each in stands] == [0, 333, 666]
