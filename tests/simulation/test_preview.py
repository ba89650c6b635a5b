"""`gov preview`: what a proposal would change, told before anyone votes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from abci_app.app import STORES
from abci_app.genesis import export_genesis
from abci_app.kernel.store import DiskStore
from abci_app.modules import epochs
from abci_app.sim.actors import actors_of
from abci_app.sim.chain import UnsignedChain, packed
from abci_app.sim.ground import DENOM, GOV, a_model, as_json
from abci_app.sim.preview import PreviewError, preview, proposal_messages
from abci_app.sim.scenario import load, merge
from abci_app.sim.world import CHAIN_ID, World, genesis
from cli.main import cli
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.gov.v1 import gov_pb2
from protocol.gen.cosmos.gov.v1 import tx_pb2 as gov_tx
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.epochs.v1.params_pb2 import Params
from protocol.gen.evergrid.models.v1.models_pb2 import MsgRegisterModel, MsgRetireModel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from google.protobuf.message import Message


def exported(world: World) -> dict[str, Any]:
    """The world's state as `evergrid export` writes it."""
    return {
        "chain_id": world.chain.chain_id,
        "genesis_time": "2026-01-01T00:00:00.000000000Z",
        "initial_height": str(world.chain.height + 1),
        "app_state": export_genesis(world.chain.context()),
    }


def update(world: World, changes: dict[str, Any]) -> epochs_pb2.MsgUpdateParams:
    params = Params()
    params.CopyFrom(epochs.params(world.chain.context()))
    merge(params, changes)
    return epochs_pb2.MsgUpdateParams(authority=GOV, params=params)


@pytest.fixture(scope="module")
def farmed() -> World:
    """Two farm the coverage bonus with one nonce, four earn it, four do not ask for it."""
    world = World(load("coverage_farming"), 1)
    world.run(3)
    return world


def test_the_preview_shows_who_gains_when_the_minimum_share_falls(farmed: World) -> None:
    # Given a proposal to drop the share that a covered model needs
    proposal = update(farmed, {"rewards": {"min_coverage_share_bps": 0}})

    # When
    result = preview(exported(farmed), [packed(proposal)])

    # Then the two farmers get the bonus of a tenth, nobody else's reward or weight moves
    farmers = {actor.address for actor in farmed.actors if actor.group.label == "farmer"}
    gains = {change.participant: change.reward_new - change.reward for change in result.changes}
    assert {who for who, gain in gains.items() if gain} == farmers
    own = [each for each in result.changes if each.participant in farmers]
    assert all(each.reward_new == pytest.approx(each.reward * 1.1) for each in own)
    assert all(each.weight == each.weight_new > 0 for each in result.changes)
    assert all(each.fees == each.fees_new for each in result.changes)
    assert sum(each.fees for each in result.changes) > 0


def test_the_preview_is_what_then_happens_when_the_proposal_passes() -> None:
    # Given a chain on which a proposal halves the time in which nonces are found
    world = World(load("equal_node_ids"), 1)
    world.run(3)
    changes = {"epoch": {"poc_stage_duration": 4}}
    document = exported(world)

    # When it is previewed, and when it is carried out
    result = preview(document, [packed(update(world, changes))])

    # Then each weighs four fifths from the first epoch under it on, and earns the same, as all shrink alike
    assert result.epoch == 4
    before = {actor.address: actor.capacity for actor in world.actors}
    assert {each.participant: each.weight for each in result.changes} == before
    assert {each.participant: each.weight_new for each in result.changes} == {
        who: weight * 4 // 5 for who, weight in before.items()
    }
    assert all(each.reward_new == pytest.approx(each.reward, rel=0.01) for each in result.changes)


def test_a_proposal_that_would_fail_is_told_with_its_reason(farmed: World) -> None:
    # Given params that cannot work
    proposal = update(farmed, {"epoch": {"epoch_length": 5}})

    # When, then
    with pytest.raises(PreviewError, match=r"would fail: message 0 failed on execution: .*epoch_length"):
        preview(exported(farmed), [packed(proposal)])


def test_the_command_takes_the_id_of_a_proposal_in_an_exported_state(tmp_path: Path) -> None:
    # Given a state that holds a proposal
    world = World(load("one_participant"), 1)
    world.run(2)
    sender = world.actors[0].identity
    submit = gov_tx.MsgSubmitProposal(
        messages=[packed(update(world, {"rewards": {"coverage_bonus_bps": 0}}))],
        initial_deposit=[Coin(denom=DENOM, amount="10000000")],
        proposer=sender.address,
        title="no bonus",
        summary="no bonus",
    )
    (result,) = world.chain.block(world.chain.unsigned(sender, submit))
    assert result.code == 0, result.log
    path = tmp_path / "state.json"
    path.write_text(json.dumps(exported(world)))

    # When
    shown = CliRunner().invoke(cli, ["gov", "preview", "1", "--state", str(path), "--output", "json"])

    # Then its only participant loses the eleventh part of what it would have got
    assert shown.exit_code == 0, shown.output
    (change,) = json.loads(shown.stdout)["changes"]
    assert change["reward_new"] == pytest.approx(change["reward"] / 1.1)
    assert change["reward_change"] == change["reward_new"] - change["reward"] < 0


def test_the_command_takes_the_file_that_submit_proposal_takes(tmp_path: Path) -> None:
    # Given
    world = World(load("one_participant"), 1)
    world.run(2)
    (tmp_path / "state.json").write_text(json.dumps(exported(world)))
    message = update(world, {"rewards": {"coverage_bonus_bps": 0}})
    body = {"@type": "/evergrid.epochs.v1.MsgUpdateParams"} | as_json(message)
    proposal = {"title": "no bonus", "summary": "no bonus", "messages": [body]}
    (tmp_path / "proposal.json").write_text(json.dumps(proposal))

    # When
    args = ["gov", "preview", str(tmp_path / "proposal.json"), "--state", str(tmp_path / "state.json")]
    shown = CliRunner().invoke(cli, args)

    # Then
    assert shown.exit_code == 0, shown.output
    assert "reward_change" in shown.stdout
    assert world.actors[0].address in shown.stdout


def test_the_command_says_which_proposals_there_are(tmp_path: Path) -> None:
    # Given
    world = World(load("one_participant"), 1)
    world.run(1)
    path = tmp_path / "state.json"
    path.write_text(json.dumps(exported(world)))

    # When
    shown = CliRunner().invoke(cli, ["gov", "preview", "7", "--state", str(path)])

    # Then
    assert shown.exit_code == 1
    assert "no proposal 7; it has: none" in shown.stderr


def a_home(path: Path, scenario: str) -> Iterator[tuple[World, DiskStore]]:
    """A node's home with a chain on the disk, open as a running node has it."""
    (path / "config").mkdir(parents=True)
    (path / "data").mkdir()
    document = {"chain_id": CHAIN_ID, "initial_height": "1", "genesis_time": "2026-01-01T00:00:00Z"}
    (path / "config" / "genesis.json").write_text(json.dumps(document))
    loaded = load(scenario)
    actors = actors_of(loaded)
    with DiskStore(path / "data" / "app", STORES) as store:
        chain = UnsignedChain(genesis(loaded, actors), store, CHAIN_ID, hash_seed="1")
        yield World(loaded, 1, actors, chain), store


def propose(world: World, message: Message) -> None:
    """Puts a proposal to the vote."""
    sender = world.actors[0].identity
    submit = gov_tx.MsgSubmitProposal(
        messages=[packed(message)],
        initial_deposit=[Coin(denom=DENOM, amount="10000000")],
        proposer=sender.address,
        title="a proposal",
        summary="a proposal",
    )
    (result,) = world.chain.block(world.chain.unsigned(sender, submit))
    assert result.code == 0, result.log


def previewed(home: Path, proposal: str) -> dict[str, dict[str, Any]]:
    """What the command says of each participant."""
    shown = CliRunner().invoke(
        cli, ["gov", "preview", proposal, "--home", str(home), "--output", "json"], catch_exceptions=False
    )
    assert shown.exit_code == 0, shown.output
    return {each["participant"]: each for each in json.loads(shown.stdout)["changes"]}


def test_proposals_are_previewed_from_the_home_of_a_node_that_runs_or_is_stopped(tmp_path: Path) -> None:
    # Given a node's home, on the disk, with proposals on params, on a new model and on a model's end
    home = tmp_path / "home"
    for world, _ in a_home(home, "coverage_farming"):
        world.run(3)
        second = sorted(model.id for model in world.scenario.models)[1]
        propose(world, update(world, {"rewards": {"coverage_bonus_bps": 0}}))
        propose(world, MsgRegisterModel(authority=GOV, model=a_model("m/new")))
        propose(world, MsgRetireModel(authority=GOV, model_id=second))
        serving = {actor.address for actor in world.actors for node in actor.nodes if node.model == second}

        # When they are previewed while it runs
        running = {proposal: previewed(home, proposal) for proposal in "123"}

    # Then without the bonus those who cover both models lose the eleventh part, and nobody anything else
    covered = {who for who, each in running["1"].items() if each["reward_change"]}
    assert covered == {actor.address for actor in world.actors if actor.group.label == "both"}
    assert all(
        running["1"][who]["reward_new"] * 11 // 10 == pytest.approx(running["1"][who]["reward"])
        for who in covered
    )
    # and a model that nobody serves changes nothing in the first epoch
    assert {each["reward_change"] for each in running["2"].values()} == {0}
    # and with the second model gone those earn less who have nodes that serve nothing else
    assert {who for who, each in running["3"].items() if each["reward_change"] < 0} <= serving
    assert any(each["reward_change"] < 0 for each in running["3"].values())

    # And of the stopped node it is the same
    assert {proposal: previewed(home, proposal) for proposal in "123"} == running


def test_a_proposal_that_would_pass_anyway_still_shows_what_it_changes() -> None:
    # Given one that everybody has voted for, so that it passes within a few blocks
    world = World(load("one_participant"), 1)
    world.run(2)
    propose(world, update(world, {"rewards": {"coverage_bonus_bps": 0}}))
    actor = world.actors[0]
    vote = gov_tx.MsgVote(proposal_id=1, voter=actor.address, option=gov_pb2.VOTE_OPTION_YES)
    (voted,) = world.chain.block(world.chain.unsigned(actor.identity, vote))
    assert voted.code == 0, voted.log
    document = exported(world)

    # When
    result = preview(document, proposal_messages(document, 1), proposal_id=1)

    # Then
    (change,) = result.changes
    assert change.reward_new == pytest.approx(change.reward / 1.1)
