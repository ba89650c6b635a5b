"""The states of participants through blocks, and what each keeps its participant out of."""

from __future__ import annotations

import pytest

from abci_app.modules import epochs
from abci_app.participants import ACTIVE, EXCLUDED, INACTIVE, INVALID, RAMPING, state_of
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import MsgSubmitNewParticipant
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.participants.v1 import participants_pb2 as pb
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_MISBEHAVIOUR
from protocol.gen.evergrid.rewards.v1 import rewards_pb2
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of, validator_key_of
from tests.stages.test_epoch import LENGTH, MODEL, S, V, batch, run_poc, two_owners, weights_of


def facts(chain: Chain, name: str) -> pb.ParticipantFacts:
    request = pb.QueryParticipantStateRequest(address=key_of(name).address)
    return chain.query(request, pb.QueryParticipantStateResponse).participant


def states(chain: Chain, wanted: pb.ParticipantState = pb.PARTICIPANT_STATE_UNSPECIFIED) -> dict[str, int]:
    names = {key_of(name).address: name for name in ("alice", "bob", "carol")}
    answer = chain.query(pb.QueryParticipantStatesRequest(state=wanted), pb.QueryParticipantStatesResponse)
    return {names[each.address]: each.state for each in answer.participants}


def serve(chain: Chain, count: int) -> None:
    """bob asks, alice serves, all within one block."""
    txs = []
    for index in range(count):
        start = inference_pb2.MsgStartInference(
            creator=key_of("bob").address,
            inference_id=f"inference-{index}",
            model_id=MODEL,
            executor=key_of("alice").address,
            prompt_hash="ab" * 32,
            prompt_token_count=1,
            max_tokens=1,
        )
        finish = inference_pb2.MsgFinishInference(
            creator=key_of("alice").address,
            inference_id=f"inference-{index}",
            model_id=MODEL,
            response_hash="cd" * 32,
            prompt_token_count=1,
            completion_token_count=1,
        )
        txs += [chain.sign("bob", start), chain.sign("alice", finish)]
    results = chain.block(*txs)
    assert [result.code for result in results] == [0] * len(txs), results[0].log


def reward_of(chain: Chain, name: str, epoch: int) -> int:
    request = rewards_pb2.QuerySettleAmountsRequest(epoch_index=epoch)
    answer = chain.query(request, rewards_pb2.QuerySettleAmountsResponse)
    return next((a.base for a in answer.amounts if a.participant == key_of(name).address), 0)


@pytest.mark.parametrize(
    ("invalid", "weight", "inferences", "expected"),
    [
        (False, 5, 10, ACTIVE),
        (False, 5, 9, RAMPING),
        (False, 0, 10, INACTIVE),
        (False, 0, 0, INACTIVE),
        (True, 5, 10, INVALID),
        (True, 0, 0, INVALID),
    ],
)
def test_the_most_excluding_state_that_holds_is_the_state(
    invalid: bool, weight: int, inferences: int, expected: int
) -> None:
    assert state_of(invalid=invalid, weight=weight, inferences=inferences, measured_from=10) == expected


def test_every_state_has_its_row_of_exclusions() -> None:
    named = {value for value in pb.ParticipantState.values() if value}

    assert set(EXCLUDED) == named
    assert EXCLUDED[RAMPING] == EXCLUDED[ACTIVE] == pb.Exclusions()
    assert EXCLUDED[INVALID] == pb.Exclusions(
        **{field.name: True for field in pb.Exclusions.DESCRIPTOR.fields}
    )


def test_ten_final_inferences_end_the_ramp_which_excluded_nothing() -> None:
    chain = two_owners(100)
    chain.run_to(2)
    before = facts(chain, "alice")
    serve(chain, 10)
    served = facts(chain, "alice")
    while served.inferences < 10 and chain.height < V - 1:
        chain.block()
        served = facts(chain, "alice")

    assert (before.state, before.min_ramp_up_measurements, before.voting_power) == (RAMPING, 10, 100)
    assert before.excluded == pb.Exclusions()
    assert (served.state, served.inferences) == (ACTIVE, 10)
    assert states(chain) == {"alice": ACTIVE, "bob": RAMPING}
    assert states(chain, RAMPING) == {"bob": RAMPING}


def test_without_weight_in_the_effective_group_a_participant_is_inactive_and_may_mine() -> None:
    owners = [GenesisParticipant(n, 10, (GenesisNode("gpu", (MODEL,)),)) for n in ("alice", "bob")]
    chain = Chain(app_state([*owners, GenesisParticipant("carol", 0)], [a_model()]))
    chain.run_to(S)
    found = facts(chain, "carol")

    assert found.state == INACTIVE
    assert (found.weight, found.voting_power) == (0, 0)
    assert found.excluded.vote and found.excluded.reward and not found.excluded.submit_poc_batch
    assert key_of("carol").address not in epochs.voting_powers(chain.context())
    assert states(chain) == {"alice": RAMPING, "bob": RAMPING, "carol": INACTIVE}


def test_an_invalid_participant_loses_all_at_once_and_joining_again_changes_nothing() -> None:
    chain = two_owners()
    run_poc(chain, S, {"alice": 300, "bob": 200})
    chain.block(misbehaving=[validator_key_of("bob")])
    height = chain.height
    before = facts(chain, "bob")
    again = MsgSubmitNewParticipant(creator=key_of("bob").address, url="http://new.test:9000")
    chain.must("bob", again)

    chain.run_to(S + LENGTH)
    refused = chain.deliver("bob", batch("bob", S + LENGTH, 10))
    chain.run_to(V + LENGTH)

    assert (before.state, before.reason, before.height_invalid) == (INVALID, REASON_MISBEHAVIOUR, height)
    after = facts(chain, "bob")
    assert (after.state, after.reason, after.height_invalid) == (INVALID, REASON_MISBEHAVIOUR, height)
    assert "participant_invalid" in refused.log
    assert weights_of(chain, 2) == {"alice": 300}
    assert key_of("bob").address not in epochs.voting_powers(chain.context())
    assert reward_of(chain, "bob", 1) == 0 < reward_of(chain, "alice", 1)


def test_a_stranger_has_no_state() -> None:
    chain = two_owners()
    chain.run_to(1)

    with pytest.raises(Exception, match="is not a participant"):
        facts(chain, "carol")
