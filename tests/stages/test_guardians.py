"""Guardians through blocks: raised in blocks alone, bound to what the others have, ended for good."""

from __future__ import annotations

from typing import Any

import pytest

from abci_app.app import STORES
from abci_app.genesis import GenesisError, export_genesis
from abci_app.kernel.store import MemoryStore
from abci_app.modules import epochs
from abci_app.modules.epochs.profiles import default_params
from protocol.gen.cosmos.gov.v1 import gov_pb2
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import POC_SLOT
from protocol.gen.evergrid.explain.v1 import explain_pb2
from protocol.gen.evergrid.guardians.v1 import guardians_pb2 as pb
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons
from tests.chain import (
    GOV,
    Chain,
    GenesisNode,
    GenesisParticipant,
    a_model,
    app_state,
    key_of,
    validator_key_of,
)
from tests.stages.test_epoch import LENGTH, MODEL, S, V, run_poc
from tests.stages.test_governance import passed, proposal_of

WHO = {name: key_of(name).address for name in ("alice", "bob", "gwen")}


def a_state(
    weights: dict[str, int], *guardians: str, maturity: int = 2_000, multiplier: int = 5_200
) -> dict[str, Any]:
    owners = [GenesisParticipant(name, n, (GenesisNode("gpu", (MODEL,)),)) for name, n in weights.items()]
    params = default_params("local")
    params.guardians.maturity_weight, params.guardians.multiplier_bps = maturity, multiplier
    state = app_state(owners, [a_model()], params)
    state["guardians"] = {"guardians": [WHO[name] for name in guardians]}
    return state


def three_with_a_guardian() -> Chain:
    """Powers behind the cap: alice and bob 23 each, gwen 10; 52 % of 46 are 23."""
    chain = Chain(a_state({"alice": 60, "bob": 40, "gwen": 10}, "gwen"))
    chain.run_to(1)
    return chain


def in_blocks(chain: Chain) -> dict[str, int]:
    """What CometBFT was given, by name."""
    names = {validator_key_of(name): name for name in WHO}
    given: dict[str, int] = {}
    for _, updates in chain.updates:
        given |= {names[key]: power for key, power in updates}
    return {name: power for name, power in sorted(given.items()) if power}


def asked(chain: Chain) -> pb.QueryGuardiansResponse:
    return chain.query(pb.QueryGuardiansRequest(), pb.QueryGuardiansResponse)


def explained(chain: Chain, name: str, epoch: int) -> explain_pb2.Explanation:
    request = explain_pb2.QueryExplainValidatorRequest(epoch_index=epoch, participant=WHO[name])
    return chain.query(request, explain_pb2.QueryExplainResponse).explanations[0]


def figures(step: explain_pb2.Step) -> dict[str, str]:
    return {each.name: each.value for each in step.figures}


def test_a_guardian_has_its_bound_in_blocks_and_what_it_proved_in_votes() -> None:
    chain = three_with_a_guardian()

    assert in_blocks(chain) == {"alice": 23, "bob": 23, "gwen": 23}
    assert epochs.voting_powers(chain.context())[WHO["gwen"]] == 10
    assert asked(chain).last.reason == reasons.REASON_GUARDIANS_RAISED


def test_the_explanation_of_a_guardian_shows_the_step_with_its_numbers() -> None:
    chain = three_with_a_guardian()

    told = explained(chain, "gwen", 0)
    other = explained(chain, "alice", 0)

    step = next(each for each in told.steps if each.rule == "guardian")
    assert figures(step) == {
        "total_weight": "110",
        "maturity_weight": "2000",
        "multiplier_bps": "5200",
        "own_power": "10",
        "others_power": "46",
        "bound": "23",
        "guardians": "1",
        "extra_power": "13",
    }
    assert list(told.reasons) == list(told.reasons_stored) == [reasons.REASON_GUARDIANS_RAISED]
    assert {each.name: each.value for each in told.results}["guardian_power"] == "13"
    assert told.results == told.results_stored
    assert "guardian" not in [each.rule for each in other.steps]


def test_the_bound_follows_the_others_when_one_of_them_falls() -> None:
    chain = three_with_a_guardian()

    chain.block(misbehaving=[validator_key_of("bob")])

    assert in_blocks(chain) == {"alice": 23, "gwen": 11}
    assert asked(chain).last.height == chain.height
    assert explained(chain, "gwen", 0).results == explained(chain, "gwen", 0).results_stored


def test_an_invalid_guardian_gets_nothing() -> None:
    chain = three_with_a_guardian()

    chain.block(misbehaving=[validator_key_of("gwen")])

    assert in_blocks(chain) == {"alice": 23, "bob": 23}
    told = explained(chain, "gwen", 0)
    assert list(told.reasons) == [reasons.REASON_GUARDIANS_ABSENT]
    assert {each.name: each.value for each in told.results}["guardian_power"] == "0"


def test_guardians_end_for_good_with_the_first_group_that_is_heavy_enough() -> None:
    chain = Chain(a_state({"alice": 10, "bob": 2}, "bob", maturity=45, multiplier=9_999))
    before = in_blocks(chain)

    run_poc(chain, S, {"alice": 30, "bob": 20})
    events = chain.events
    ended = asked(chain).ended
    powers = [in_blocks(chain)]
    kept = {
        member.member_address
        for member in epochs.members(chain.context(), 0, MODEL)
        if member.ml_nodes[0].timeslot_allocation[POC_SLOT]
    }
    chain.run_to(S + LENGTH)
    kept |= {
        member.member_address
        for member in epochs.members(chain.context(), 1, MODEL)
        if member.ml_nodes[0].timeslot_allocation[POC_SLOT]
    }
    run_poc(chain, S + LENGTH, {name: 0 if WHO[name] in kept else 3 for name in ("alice", "bob")})

    # Behind the cap alice has 4 and bob 2; 9999 of 10000 of 4 are 3.
    assert before == {"alice": 4, "bob": 3}
    assert ("guardians_ended", {"epoch": "1", "total_weight": "50"}) in events
    assert (ended.epoch_index, ended.height, ended.total_weight) == (1, V, 50)
    powers.append(in_blocks(chain))
    voting = epochs.voting_powers(chain.context())
    assert powers[0] == {"alice": 20, "bob": 20}
    assert powers[1] == {name: voting[WHO[name]] for name in ("alice", "bob")}
    group = epochs.group(chain.context(), 2)
    assert group is not None
    assert group.total_weight < 45
    assert asked(chain).last.epoch_index == 1


def test_governance_changes_the_numbers_of_the_next_epoch_and_cannot_take_the_module_away() -> None:
    chain = Chain(a_state({"alice": 10, "bob": 10}, "bob"))
    chain.run_to(1)
    params = default_params("local")
    params.guardians.maturity_weight, params.guardians.multiplier_bps = 3_000, 100

    done = passed(chain, epochs_pb2.MsgUpdateParams(authority=GOV, params=params))
    params.ClearField("guardians")
    params.collateral.unbonding_epochs = params.collateral.base_weight_bps = 1
    params.collateral.release_per_block = 1
    refused = chain.deliver("alice", proposal_of(epochs_pb2.MsgUpdateParams(authority=GOV, params=params)))

    assert done.status == gov_pb2.PROPOSAL_STATUS_PASSED
    assert epochs.params(chain.context()).guardians.multiplier_bps == 100
    assert epochs.effective_record(chain.context()).params.guardians.multiplier_bps == 5_200
    assert "guardians must be set: only a genesis turns it on" in refused.log
    assert "collateral must be left out: only a genesis turns it on" in refused.log


@pytest.mark.parametrize("blocks", [1, 3])
def test_an_export_builds_guardians_again(blocks: int) -> None:
    chain = three_with_a_guardian()
    if blocks > 1:
        chain.block(misbehaving=[validator_key_of("bob")])
        chain.run_to(blocks)
    exported = export_genesis(chain.context())

    imported = Chain(exported, MemoryStore(STORES), initial_height=chain.height + 1)

    assert export_genesis(imported.context()) == exported
    assert in_blocks(imported) == in_blocks(chain)
    for each in (chain, imported):
        each.run_to(S + LENGTH)
    assert export_genesis(imported.context()) == export_genesis(chain.context())


def test_a_genesis_that_is_on_by_half_or_names_strangers_is_refused() -> None:
    both = "guardians: the genesis must name guardians and give params.guardians of epochs, or neither"
    unnamed, without_params = a_state({"alice": 1}), a_state({"alice": 1}, "alice")
    del without_params["epochs"]["params"]["guardians"]
    stranger = a_state({"alice": 1}, "alice", "bob")
    twice = a_state({"alice": 1}, "alice", "alice")

    for state in (unnamed, without_params):
        with pytest.raises(GenesisError, match=both):
            Chain(state)
    with pytest.raises(ValueError, match=f"no participants: {WHO['bob']}"):
        Chain(stranger)
    with pytest.raises(GenesisError, match=f"named more than once: {WHO['alice']}"):
        Chain(twice)
