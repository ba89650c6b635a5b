"""What is explained is what was decided: every node of every epoch of seeded lives."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from abci_app.kernel.errors import QueryError
from abci_app.modules import epochs, hardware
from abci_app.sim.scenario import load
from abci_app.sim.world import World
from protocol.gen.evergrid.explain.v1 import explain_pb2 as pb
from tests.simulation import driver, hostile

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from abci_app.sim.chain import UnsignedChain
    from tests.chain import Chain

SUBJECTS = (
    pb.QueryExplainSlotRequest,
    pb.QueryExplainWeightRequest,
    pb.QueryExplainRewardRequest,
    pb.QueryExplainValidatorRequest,
    pb.QueryExplainExclusionRequest,
)


def explained(chain: Chain | UnsignedChain, request: Message) -> list[pb.Explanation]:
    """What the chain tells; nothing where it says that there is nothing to tell."""
    try:
        return list(chain.query(request, pb.QueryExplainResponse).explanations)
    except QueryError as error:
        if error.status != "NotFound":
            raise
        return []


def check(chain: Chain, seen: Counter[str]) -> None:
    """Every explanation of every retained epoch agrees with the state, and none is missing."""
    ctx = chain.context()
    latest = epochs.state(ctx).epoch_effective + 1
    for epoch in range(epochs.oldest_retained(ctx), latest + 1):
        for participant in hardware.participants(ctx):
            for subject in SUBJECTS:
                for told in explained(chain, subject(epoch_index=epoch, participant=participant.address)):
                    assert told.steps
                    seen[told.subject] += 1
                    if told.reasons_stored or told.results_stored:
                        seen["stored"] += 1
                        assert told.reasons == told.reasons_stored, told
                        assert told.results == told.results_stored, told
            _check_group(chain, epoch, participant.address)


def _check_group(chain: Chain, epoch: int, address: str) -> None:
    """The weights that are explained are those of the group."""
    ctx = chain.context()
    request = pb.QueryExplainWeightRequest(epoch_index=epoch, participant=address)
    told = {each.node_id: each for each in explained(chain, request)}
    for _, node in epochs.places_of(ctx, epoch, address):
        if node.poc_weight:
            figures = {f.name: f.value for f in told[node.node_id].results}
            assert figures == {"poc_weight": str(node.poc_weight), "unproved": str(node.unproved)}
            assert list(told[node.node_id].reasons) == [node.weight_source]


@pytest.mark.parametrize(
    ("kind", "seed", "guarded"),
    [
        (driver.Life, 1, False),
        (driver.Life, 5, False),
        (driver.Life, 1, True),
        (hostile.HostileLife, 2, False),
        (hostile.HostileLife, 7, True),
    ],
)
def test_every_explanation_of_a_random_life_equals_the_stored_decision(
    kind: type[driver.Life], seed: int, guarded: bool
) -> None:
    life = kind(seed, driver.genesis_chain(guarded=guarded))
    seen: Counter[str] = Counter()

    for block in range(230):
        life.block()
        if block % 20 == 19:
            check(life.chain, seen)

    assert all(seen[subject] > 20 for subject in ("slot", "weight", "reward", "validator", "exclusion"))
    assert seen["stored"] > 200


def test_what_is_past_the_retention_is_said_not_to_be_retained() -> None:
    life = driver.live(1, 330)
    ctx = life.chain.context()
    gone = epochs.oldest_retained(ctx) - 1
    address = next(hardware.participants(ctx)).address

    for subject in SUBJECTS:
        with pytest.raises(QueryError, match="retained"):
            life.chain.query(subject(epoch_index=gone, participant=address), pb.QueryExplainResponse)
    assert gone >= 0


@pytest.mark.parametrize("scenario", ["collateral", "guardians", "serve_validation"])
def test_every_step_names_the_keys_and_the_heights_that_its_numbers_came_from(scenario: str) -> None:
    # Given an epoch that is over, of a chain on which deposits, guardians or memory change numbers
    world = World(load(scenario), 1)
    world.run(4)

    # When everything about everybody is explained
    requests = [kind(epoch_index=3, participant=actor.address) for kind in SUBJECTS for actor in world.actors]
    steps = [step for each in requests for told in explained(world.chain, each) for step in told.steps]

    # Then
    included = [step for step in steps if step.rule == "included"]
    assert {step.rule for step in steps if not step.sources and step not in included} == set()
    unnamed = {(step.rule, each.collection) for step in steps for each in step.sources if not each.height}
    assert unnamed <= {("guardian", "guardians/named")}
    seen = {step.rule for step in steps}
    assert {"collateral": "collateral", "guardians": "guardian"}.get(scenario, "validation") in seen
