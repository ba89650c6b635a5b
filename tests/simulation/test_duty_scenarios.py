"""Scenarios of duties beside mining: drawn validators, maintenance, answers judged, guardians, deposits."""

from __future__ import annotations

import pytest

from abci_app.sim.scenario import ScenarioError, parse
from tests.simulation.outcomes import outcome


def test_roots_of_forgers_are_found_out_by_drawn_validators() -> None:
    # When four of sixty-four forge what is behind their roots
    found, run = outcome("committed_slots", 4)

    # Then they have no weight from the first PoC on, and everybody else has what it mined
    assert {row.weight for row in run.participants if row.label == "forger"} == {0}
    assert {row.weight for row in run.participants if row.label == "honest"} == {200}
    assert found["refused"] == {}


def test_drawn_validators_bear_thirty_hostile_and_twenty_silent_of_a_hundred() -> None:
    # When
    found, run = outcome("drawn_validators", 8)

    # Then no epoch is extended, and nearly every honest participant is accepted every time
    honest = [row.weight > 0 for row in run.participants if row.label == "honest"]
    assert found["network"]["extensions"] == 0
    assert sum(honest) / len(honest) > 0.98
    assert found["labels"]["hostile"]["weight_share"] == pytest.approx(0.3, abs=0.01)


def test_downtime_costs_nothing_where_it_is_announced_and_reward_where_it_is_not() -> None:
    # When two groups are down for as long, and one of them says so before
    found, _ = outcome("maintenance", 8)

    # Then
    announces, silent = found["labels"]["announces"], found["labels"]["silent"]
    assert (announces["availability"], announces["edge"]) == (1.0, 1.0)
    assert silent["availability"] < 0.95
    assert silent["edge"] < 0.95
    assert found["refused"] == {}


def test_who_makes_answers_up_is_invalid_in_its_first_epoch_and_earns_nothing() -> None:
    # When others re-execute three answers of ten
    found, run = outcome("made_up_answers", 10)

    # Then it is INVALID before the first epoch is settled; nobody else ever is
    cheat = [row for row in run.participants if row.label == "cheat"]
    assert cheat[0].invalid
    assert {row.reward for row in cheat} == {0}
    assert found["labels"]["honest"]["invalid_share"] == 0
    assert found["labels"]["honest"]["edge"] == 1.0


def test_guardians_hold_more_than_a_third_of_the_blocks_and_nothing_else() -> None:
    # When
    found, _ = outcome("guardians", 6)

    # Then
    guardian = found["labels"]["guardian"]
    assert guardian["block_power_share"] == pytest.approx(0.3421, abs=0.0005)
    assert guardian["power_share"] == guardian["weight_share"] == guardian["reward_share"] == 0.2


def test_weight_without_a_deposit_counts_for_a_fifth_and_a_cheat_loses_a_part_of_its_own() -> None:
    # When
    found, run = outcome("collateral", 8)

    # Then
    weights = {(row.label, row.weight) for row in run.participants if row.epoch > 2 and row.label != "cheat"}
    assert weights == {("covered", 400), ("bare", 80)}
    first = next(row for row in run.participants if row.label == "cheat" and row.invalid)
    assert first.collateral == 320_000_000
    assert found["labels"]["covered"]["collateral"] == 400_000_000


def test_what_a_scenario_needs_of_its_params_is_said_all_at_once() -> None:
    # Given deposits, guardians and roots without the params that they need, and labels of nobody
    table = {
        "models": [{"id": "m/x"}],
        "participants": [{"label": "a", "collateral_nevg": 5, "committed": True}],
        "guardians": ["nobody"],
        "maintenance": [{"label": "no one", "blocks": 3}],
    }

    # When
    with pytest.raises(ScenarioError) as caught:
        parse(table, "bad")

    # Then
    wanted = [
        "guardians: there",
        "maintenance: there",
        "params.guardians",
        "params.collateral",
        "committed_batches",
    ]
    assert [each for each in wanted if each not in str(caught.value)] == []
