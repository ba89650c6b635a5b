"""`explain`, `diff epochs` and `rehearse slots` of the real application behind a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from abci_app.sim.scenario import load
from abci_app.sim.world import World
from cli.decided import Decided, by
from cli.rehearsal import rehearse
from client.keyring import Keyring
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.epochs.v1.params_pb2 import EpochParams, Params
from protocol.gen.evergrid.models.v1.models_pb2 import Model, MsgRegisterModel, MsgRetireModel
from protocol.gen.evergrid.rewards.v1 import rewards_pb2
from protocol.gen.evergrid.uptime.v1 import uptime_pb2
from tests.chain import Chain, key_of
from tests.cli.conftest import Command
from tests.cli.rpc import RpcServer
from tests.simulation.driver import live
from tests.stages.test_worked_epoch import ALICE, BOB, EPOCH, NODES, S, imported, poc


def served(chain: Chain, tmp_path: Path) -> Iterator[Command]:
    Keyring(tmp_path / "home").add("alice", key_of(ALICE))
    with RpcServer(chain) as server:
        yield Command(tmp_path / "home", server.url)


@pytest.fixture
def worked(tmp_path: Path) -> Iterator[Command]:
    """The command line on the worked epoch, behind its switch; the keyring's `alice` is its alice."""
    chain = imported()
    poc(chain)
    yield from served(chain, tmp_path)


@pytest.fixture
def before_the_draw(tmp_path: Path) -> Iterator[Command]:
    """The same, two blocks before S-1."""
    chain = imported()
    chain.run_to(S - 3)
    yield from served(chain, tmp_path)


def test_explain_slot_prints_each_rule_in_its_order_with_keys_and_heights(worked: Command) -> None:
    text = worked("explain", "slot", "alice", "a1", "--epoch", "8").stdout

    lines = text.splitlines()
    assert lines[0] == f"slot of epoch 8, {key_of(ALICE).address}, a1, X (decided at height {S - 1})"
    assert lines[1].startswith("  = over_limit: serves false, throughput 12000")
    assert any("564 of 960 fell on its participant (weight 700)" in line for line in lines)
    assert f"        ~uptime/allocations 8/X at height {S - 1}" in lines
    assert "OTHERWISE" not in text


def test_explain_as_json_has_decision_and_stored_decision(worked: Command) -> None:
    (told,) = worked.json("explain", "weight", "alice", "a1")["explanations"]

    assert told["reasons"] == told["reasons_stored"] == ["REASON_MINED"]
    assert told["results"] == told["results_stored"]
    assert {"name": "poc_weight", "value": "310"} in told["results"]


@pytest.mark.parametrize("subject", ["slot", "weight", "reward", "exclusion", "validator"])
def test_every_subject_has_an_answer_for_the_epoch_that_one_means(worked: Command, subject: str) -> None:
    result = worked("explain", subject, key_of(BOB).address)

    assert result.exit_code == 0, result.output
    epoch = EPOCH if subject == "reward" else EPOCH + 1
    assert result.stdout.startswith(f"{subject} of epoch {epoch}, {key_of(BOB).address}")


def test_an_epoch_that_never_was_is_one_sentence(worked: Command) -> None:
    assert worked.fails("explain", "validator", "alice", "--epoch", "99") == "epoch 99 has no group yet"


def test_diff_epochs_says_what_changed_and_why(worked: Command) -> None:
    lines = worked("diff", "epochs", "7", "8").stdout.splitlines()

    alice, bob = key_of(ALICE).address, key_of(BOB).address
    assert f"  {alice} weighs 710 instead of 700 (see its nodes)" in lines
    assert f"  {alice} has voting power 500 instead of 440, capped from 710" in lines
    assert f"  a1 of {alice} weighs 310 instead of 300 (mined: proved by mining)" in lines
    assert f"  b3 of {bob} has weight 90 (mined: proved by mining) and serves Y" in lines
    drawn = (
        f"  a1 of {alice} in the draw of X before the PoC: mines, since with it more than the limit of the"
    )
    assert f"{drawn} model would serve (over_limit); last time it was not in it" in lines
    assert worked("diff", "epochs", "8", "8").stdout.splitlines()[1:] == ["nothing changed"]


def test_diff_epochs_of_epochs_that_the_chain_does_not_have_names_them_all(worked: Command) -> None:
    assert "the chain has no record of 98 and 99: epoch 8 rules" in worked.fails("diff", "epochs", "98", "99")
    assert "the chain has no record of 99: epoch 8 rules" in worked.fails("diff", "epochs", "8", "99")
    assert "is not in the range" in worked.fails("diff", "epochs", str(2**64), "8", code=2)


def test_diff_epochs_names_the_proposal_that_changed_a_param(tmp_path: Path) -> None:
    # Given a chain on which a passed proposal halved the window in which nonces are found
    world = World(load("governance_mid_poc"), 1)
    world.run(6)

    # When
    with RpcServer(world.chain) as server:
        text = Command(tmp_path / "home", server.url)("diff", "epochs", "4", "5").stdout

    # Then
    assert "poc_stage_duration was 5, is 4: proposal 1 changed it before the record was written" in text


def test_a_change_back_and_forth_is_that_of_the_proposals_that_made_it() -> None:
    # Given three proposals: to 24, to 30, to 24 again; and one that retires a model and one that registers it
    def update(length: int) -> epochs_pb2.MsgUpdateParams:
        return epochs_pb2.MsgUpdateParams(params=Params(epoch=EpochParams(epoch_length=length)))

    model = Model(id="m/x", v_ram=1)
    found = Decided(
        (
            (1, update(24)),
            (2, update(30)),
            (4, MsgRetireModel(model_id="m/x")),
            (5, MsgRegisterModel(model=model)),
            (7, update(24)),
        )
    )

    # When, then
    assert by(found.param("epoch.epoch_length", 24)) == "proposals 1 and 7"
    assert by(found.param("epoch.epoch_length", 30)) == "proposal 2"
    assert by(found.param("epoch.epoch_length", 31)) == "governance"
    assert by(found.retired("m/x")) == "proposal 4"
    assert by(found.registered(Model(id="m/x", v_ram=1, proposed_by="somebody"))) == "proposal 5"
    assert found.registered(Model(id="m/x", v_ram=2)) == []


def test_rehearse_is_exact_where_the_draw_is_small_and_says_so(before_the_draw: Command) -> None:
    answer = before_the_draw.json("rehearse", "slots")

    assert answer["exact"] is True
    rows = {row["node_id"]: row for row in answer["nodes"]}
    assert set(rows) == set(NODES)
    assert all(row["standard_error"] == 0 for row in rows.values())
    assert all(0 <= row["chance_serves"] <= 1 for row in rows.values())
    assert int(rows["a1"]["nevg_if_serving"]) > int(rows["a1"]["nevg_if_mining"]) > 0


def test_rehearse_has_the_bonus_of_who_covers_all_models_in_both_earnings(before_the_draw: Command) -> None:
    # Given alice and bob, who cover X and Y, and carol, who serves X alone
    answer = before_the_draw.json("rehearse", "slots")

    # Then a tenth is added for the two, and nothing for carol; asked for alone the figures are the same
    rows = {row["node_id"]: row for row in answer["nodes"]}
    for node_id, covered in (("a1", True), ("b1", True), ("c1", False)):
        base = int(rows[node_id]["nevg_if_mining"]) - int(rows[node_id]["bonus_either_way"])
        assert int(rows[node_id]["bonus_either_way"]) == pytest.approx(base // 10 if covered else 0, abs=1)
    assert before_the_draw.json("rehearse", "slots", "alice")["nodes"] == [
        row for row in answer["nodes"] if row["participant"] == key_of(ALICE).address
    ]


def test_rehearse_shares_out_no_more_than_the_reward_where_collateral_covers_half_of_the_weight(
    tmp_path: Path,
) -> None:
    # Given members whose weight without a deposit counts for half of what their nodes proved
    def uncovered(params: dict[str, Any]) -> None:
        params["collateral"] = {
            "unbonding_epochs": 1,
            "collateral_per_weight": "10",
            "base_weight_bps": 5000,
            "release_per_block": 1,
        }

    chain = imported(change=uncovered)
    poc(chain)
    reward = chain.query(rewards_pb2.QueryEmissionRequest(), rewards_pb2.QueryEmissionResponse).emission

    # When
    for command in served(chain, tmp_path):
        rows = command.json("rehearse", "slots")["nodes"]

    # Then
    bases = [int(row["nevg_if_mining"]) - int(row["bonus_either_way"]) for row in rows]
    assert int(reward.reward_next) - 2 * len(rows) <= sum(bases) <= int(reward.reward_next)


def test_samples_agree_with_the_exact_chance_within_their_error(before_the_draw: Command) -> None:
    exact = {row["node_id"]: row for row in before_the_draw.json("rehearse", "slots")["nodes"]}

    sampled = before_the_draw.json("rehearse", "slots", "--outcomes", "0", "--samples", "1500")

    assert sampled["exact"] is False
    for row in sampled["nodes"]:
        error = row["standard_error"]
        assert 0 < error < 0.02
        assert abs(row["chance_serves"] - exact[row["node_id"]]["chance_serves"]) < 4.5 * error


def test_when_the_draw_is_made_nothing_is_left_to_chance(tmp_path: Path) -> None:
    chain = imported()
    chain.run_to(S)
    for command in served(chain, tmp_path):
        answer = command.json("rehearse", "slots", "alice")
        chances = {row["node_id"]: row["chance_serves"] for row in answer["nodes"]}

    assert answer["drawn"] is True
    assert chances == {"a1": 0.0, "a2": 1.0, "a3": 1.0}


def test_exact_and_sampled_chances_agree_in_the_middle_of_a_random_life() -> None:
    inputs = live(3, 60).chain.query(uptime_pb2.QueryDrawInputsRequest(), uptime_pb2.QueryDrawInputsResponse)

    exact = rehearse(inputs, outcomes_max=100_000, samples=100, seed=1)
    sampled = rehearse(inputs, outcomes_max=0, samples=1000, seed=7)

    assert exact.exact and not sampled.exact
    assert set(exact.serves) == set(sampled.serves)
    assert all(abs(exact.serves[key] - sampled.serves[key]) < 5 * sampled.error(key) for key in exact.serves)
