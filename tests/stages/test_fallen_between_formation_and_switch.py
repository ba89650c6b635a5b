"""Whoever is all of the next group may fall before the switch to it: then somebody must still decide."""

from __future__ import annotations

from abci_app.genesis import export_genesis
from abci_app.modules import epochs
from abci_app.modules.epochs.profiles import default_params
from protocol.gen.evergrid.poc.v1 import poc_pb2
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of, validator_key_of

S, T, E, V = 10, 18, 22, 25
EPOCH_LENGTH = 30


def two_participants(*guardians: str) -> Chain:
    """Alice and bob, where a group may follow that retains nobody."""
    nodes = (GenesisNode("n1", ("model/x",)),)
    owners = [GenesisParticipant("alice", 30, nodes), GenesisParticipant("bob", 70, nodes)]
    params = default_params("local")
    params.epoch.min_retained_power_numerator = 0
    if guardians:
        params.guardians.maturity_weight, params.guardians.multiplier_bps = 10**6, 5_000
    state = app_state(owners, [a_model()], params)
    state["guardians"] = {"guardians": [key_of(name).address for name in guardians]}
    return Chain(state)


def prove(chain: Chain, start: int, *miners: str) -> None:
    """One PoC up to its E in which these mine, and judge each other, or themselves where they are alone."""
    chain.run_to(start)
    for name in miners:
        batch = poc_pb2.MsgSubmitPocBatch(
            creator=key_of(name).address,
            poc_stage_start_height=start,
            node_id="n1",
            batch_id="b",
            nonce_count=50,
            claims=bytes(200),
        )
        chain.must(name, batch)
    chain.run_to(start + T - S)
    for judge in ("alice", "bob"):
        verdicts = [
            poc_pb2.PocVerdict(participant=key_of(name).address, verdict=poc_pb2.VERDICT_HONEST)
            for name in miners
            if name != judge
        ]
        if verdicts:
            chain.deliver(
                judge,
                poc_pb2.MsgSubmitPocValidations(
                    creator=key_of(judge).address, poc_stage_start_height=start, verdicts=verdicts
                ),
            )
    chain.run_to(start + E - S)


def test_a_group_whose_only_member_fell_before_the_switch_keeps_its_vote() -> None:
    # Given that bob alone proved anything, and so is the whole of the next group
    chain = two_participants()
    prove(chain, S, "bob")

    # When he misbehaves between E and V
    chain.block(misbehaving=[validator_key_of("bob")])
    assert epochs.voting_powers(chain.context()) == {key_of("alice").address: 30}
    chain.run_to(V)

    # Then the group that is in force has a vote all the same: else no group could ever follow it
    assert list(epochs.voting_powers(chain.context())) == [key_of("bob").address]
    assert chain.updates[-1] == (V, sorted([(validator_key_of("alice"), 0), (validator_key_of("bob"), 50)]))


def test_behind_such_a_switch_the_next_epochs_go_on() -> None:
    # Given such a group
    chain = two_participants()
    prove(chain, S, "bob")
    chain.block(misbehaving=[validator_key_of("bob")])
    chain.run_to(V)

    # When alice mines again
    prove(chain, S + EPOCH_LENGTH, "alice")
    chain.run_to(V + EPOCH_LENGTH)

    # Then she is the next group
    assert list(epochs.voting_powers(chain.context())) == [key_of("alice").address]


def test_what_is_decided_of_guardians_at_such_a_switch_is_what_an_import_decides() -> None:
    # Given such a group on a chain with a guardian
    chain = two_participants("alice")
    prove(chain, S, "bob")
    chain.block(misbehaving=[validator_key_of("bob")])
    chain.run_to(V)

    # When it is exported and built again
    exported = export_genesis(chain.context())
    imported = Chain(exported, initial_height=chain.height + 1)

    # Then
    assert export_genesis(imported.context()) == exported
