"""Runs of the simulator: repeatable, reported in full, and clear about what is wrong with a scenario."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from abci_app.sim.plot import Plot, svg
from abci_app.sim.run import run_seed, run_seeds, summary
from abci_app.sim.scenario import ScenarioError, load, parse
from abci_app.sim.world import World
from cli.main import cli

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

SMALL: dict[str, Any] = {
    "models": [{"id": "m/x"}],
    "participants": [{"label": "a", "count": 2, "nodes": 2}, {"label": "late", "join_epoch": 2}],
    "traffic": [{"model": "m/x", "load_bps": 2000}],
}


def evergrid(*args: str) -> Result:
    return CliRunner().invoke(cli, args, catch_exceptions=False)


def test_the_same_seed_gives_the_same_app_hash_and_another_seed_another() -> None:
    # Given
    scenario = parse(SMALL, "small")

    # When
    first, again, other = (run_seed(scenario, seed, 3) for seed in (1, 1, 2))

    # Then
    assert first == again
    assert first.app_hash != other.app_hash


def test_seeds_on_several_processes_give_what_one_process_gives() -> None:
    # Given
    scenario = parse(SMALL, "small")

    # When
    alone = list(run_seeds(scenario, [1, 2], 2, jobs=1))
    together = list(run_seeds(scenario, [1, 2], 2, jobs=2))

    # Then
    assert together == alone


def test_other_hash_seeds_of_other_processes_change_nothing() -> None:
    # Given a scenario in which all happens that needs sets and dictionaries: deposits, verdicts, cheats
    words = ["sim", "run", "collateral", "--epochs", "3", "--seeds", "1", "--jobs", "1", "--json"]

    # When it runs in two processes that order sets differently
    found = []
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", "from cli.main import main; main()", *words]
        done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=120)
        found.append(json.loads(done.stdout)["seeds"][0]["app_hash"])

    # Then
    assert found[0] == found[1] == run_seed(load("collateral"), 1, 3).app_hash


def test_the_whole_ante_chain_runs_but_for_the_check_of_signatures() -> None:
    # Given a world in which every participant has sent something
    world = World(parse(SMALL, "small"), 1)
    world.run(2)
    sender = world.actors[0]

    # When it sends a transaction a second time
    tx = world.chain.unsigned(sender.identity, sender.hardware())
    accepted, refused = world.chain.block(tx, tx)

    # Then the sequence is used up
    assert accepted.code == 0
    assert (refused.codespace, refused.code) == ("sdk", 32)
    assert world.refused == {}


def test_who_joins_later_mines_at_the_next_poc_and_is_paid_an_epoch_on() -> None:
    # When
    run = run_seed(parse(SMALL, "small"), 1, 6)

    # Then: declared in epoch 2, weight from epoch 3 on
    late = {row.epoch: (row.weight, row.reward > 0) for row in run.participants if row.label == "late"}
    assert late == {3: (100, True), 4: (100, True), 5: (100, True)}


def test_a_scenario_with_many_faults_is_refused_with_all_of_them() -> None:
    # Given
    table = {
        "participants": [{"label": "a", "verdict": "loud", "models": ["m/none"]}, {"label": "b", "sise": 1}],
        "models": [{"id": "m/x"}],
        "traffic": [{"model": "m/y", "requests": 0}],
        "faults": [{"label": "nobody", "kind": "offline"}],
        "colour": "blue",
        "params": {"epoch": {"epoch_length": 3}},
    }

    # When
    with pytest.raises(ScenarioError) as caught:
        parse(table, "bad")

    # Then
    text = str(caught.value)
    wanted = [
        "'colour'",
        "verdict cannot be 'loud'",
        "'sise'",
        "m/y is no model",
        "requests",
        "'nobody'",
        "epoch_length",
    ]
    assert [each for each in wanted if each not in text] == []


def test_unknown_scenarios_and_params_are_named() -> None:
    with pytest.raises(ScenarioError, match="no scenario nothing; shipped are: all_preserved"):
        load("nothing")
    with pytest.raises(ScenarioError, match=r"uptime_min.*does not read like.*uptime.nope is no param"):
        load("baseline", ["uptime_min", "uptime.nope=1"])


def test_the_command_prints_a_hash_for_each_seed_and_writes_csv_and_html(tmp_path: Path) -> None:
    # When
    result = evergrid(
        *("sim", "run", "one_participant", "--epochs", "4", "--seeds", "2", "--jobs", "1"),
        *("--json", "--out", str(tmp_path / "out")),
    )

    # Then
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [each["seed"] for each in found["seeds"]] == [1, 2]
    assert all(len(each["app_hash"]) == 64 for each in found["seeds"])
    assert found["seeds"][0]["app_hash"] == run_seed(load("one_participant"), 1, 4).app_hash

    # And the files hold every settled epoch, every round and all plots
    with (tmp_path / "out" / "participants.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["epoch"], row["weight"]) for row in rows] == [
        (seed, epoch, "300") for seed in "12" for epoch in "123"
    ]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 5
    assert "http" not in page.replace("http://www.w3.org", "")
    assert all(each["app_hash"] in page for each in found["seeds"])


def test_the_list_names_every_scenario() -> None:
    # When
    result = evergrid("sim", "list", "--output", "json")

    # Then
    names = [each["name"] for each in json.loads(result.stdout)["scenarios"]]
    assert "rent_for_poc" in names
    assert names == sorted(names)


def test_a_summary_without_honest_others_has_no_edge() -> None:
    # Given
    run = run_seed(parse(SMALL, "small"), 1, 3)

    # When
    found = summary([run], frozenset({"a", "late"}))

    # Then
    assert found["labels"]["a"]["edge"] is None


def test_a_plot_draws_each_line_and_says_when_there_is_nothing() -> None:
    # When
    drawn = svg(Plot("a & b", {"one": {1: 0.5, 2: 1.0}, "<two>": {1: 0.0}}))

    # Then
    assert drawn.count("<polyline") == 2
    assert "a &amp; b" in drawn
    assert "&lt;two&gt;" in drawn
    assert svg(Plot("empty", {"one": {}})) == "<p>nothing was measured</p>"
