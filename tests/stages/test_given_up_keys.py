"""Whoever makes blocks answers for it, however short governance makes the memory of given-up keys."""

from __future__ import annotations

import pytest

from abci_app.modules import epochs, hardware
from protocol import possession
from protocol.address import consensus_address
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from tests.chain import (
    CHAIN_ID,
    Chain,
    GenesisNode,
    GenesisParticipant,
    a_model,
    app_state,
    key_of,
    validator_key_of,
    validator_of,
)
from tests.stages.test_epoch import LENGTH, MODEL, E, S, V, batch, honest, run_poc

ALICE = key_of("alice").address


def a_chain(evidence_age: int) -> Chain:
    owners = [GenesisParticipant(name, 0, (GenesisNode("gpu", (MODEL,), 50),)) for name in ("alice", "bob")]
    state = app_state(owners, [a_model()], funded=["carol"])
    params = {"max_nodes_per_participant": 10, "evidence_age": str(evidence_age)}
    return Chain({**state, "hardware": state["hardware"] | {"params": params}})


def joining(name: str, key: str) -> hardware_pb2.MsgSubmitNewParticipant:
    owner = key_of(name).address
    return hardware_pb2.MsgSubmitNewParticipant(
        creator=owner,
        url=f"http://{name}.test",
        validator_key=validator_key_of(key),
        proof_of_possession=possession.sign(validator_of(key), CHAIN_ID, owner),
    )


def holder(chain: Chain, key: str) -> str:
    address = consensus_address(validator_key_of(key))
    found = hardware.participant_by_consensus_address(chain.context(), address)
    return found.address if found is not None else ""


@pytest.mark.parametrize("evidence_age", [1, 5])
def test_a_given_up_key_that_makes_blocks_leads_to_its_participant_and_is_refused_to_others(
    evidence_age: int,
) -> None:
    # Given alice, who changed her key and validates with the former one until the next switch
    chain = a_chain(evidence_age)
    chain.must("alice", joining("alice", "alice-2"))
    chain.run_to(S - 2)

    # When it is long past the evidence age
    taken = chain.deliver("carol", joining("carol", "alice"))
    chain.block(misbehaving=[validator_key_of("alice")])

    # Then nobody else has the key, and she answers for what was done with it
    assert (taken.codespace, taken.code) == ("hardware", 6)
    found = hardware.get_participant(chain.context(), ALICE)
    assert found is not None
    assert found.status == hardware_pb2.PARTICIPANT_STATUS_INVALID


@pytest.mark.parametrize("evidence_age", [1, 5])
def test_a_key_given_up_between_formation_and_switch_is_hers_while_that_group_rules(
    evidence_age: int,
) -> None:
    chain = a_chain(evidence_age)
    run_to_formation(chain)
    chain.must("alice", joining("alice", "alice-2"))

    held = []
    for height in range(E + 2, V + LENGTH - 1):
        chain.run_to(height)
        held.append(holder(chain, "alice"))

    assert epochs.state(chain.context()).epoch_effective == 1
    assert set(held) == {ALICE}


@pytest.mark.parametrize("evidence_age", [1, 5])
def test_a_key_that_no_group_has_any_more_is_free_within_two_evidence_ages_and_a_block(
    evidence_age: int,
) -> None:
    chain = a_chain(evidence_age)
    chain.must("alice", joining("alice", "alice-2"))
    run_poc(chain, S, {"alice": 20, "bob": 20})
    assert epochs.state(chain.context()).epoch_effective == 1

    left = chain.height
    while holder(chain, "alice"):
        chain.block()
    result = chain.deliver("carol", joining("carol", "alice"))

    assert evidence_age < chain.height - left <= 2 * (evidence_age + 1) + 1
    assert result.code == 0


def run_to_formation(chain: Chain) -> None:
    """One PoC of both up to the block of the formation."""
    chain.run_to(S)
    for name in ("alice", "bob"):
        chain.must(name, batch(name, S, 20))
    chain.run_to(S + 8)
    chain.must("alice", honest("alice", S, "bob"))
    chain.must("bob", honest("bob", S, "alice"))
    chain.run_to(E)
