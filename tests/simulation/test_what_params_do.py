"""What each param does against the known attacks: the same scenario with its values side by side.

docs/simulator.md shows these numbers; the start value of a param is the one without an override.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulation.outcomes import outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from abci_app.sim.run import SeedRun

    Measure = Callable[[dict[str, Any], SeedRun], float]


def of(label: str, name: str) -> Measure:
    """A figure of one kind of participant."""
    return lambda found, _: float(found["labels"][label][name])


def network(name: str) -> Measure:
    """A figure of the network."""
    return lambda found, _: float(found["network"][name])


def fewest_members(_: dict[str, Any], run: SeedRun) -> float:
    """Members of the smallest group that came to rule."""
    return float(min(row.members for row in run.rounds if not row.extended))


def extensions_before_it(_: dict[str, Any], run: SeedRun) -> float:
    """Epochs that were extended."""
    return float(sum(1 for row in run.rounds if row.extended))


def last(label: str, name: str) -> Measure:
    """Of the last settled epoch: the sum over a kind of participant, as a part of all."""

    def measured(_: dict[str, Any], run: SeedRun) -> float:
        rows = [row for row in run.participants if row.epoch == run.participants[-1].epoch]
        own = sum(getattr(row, name) for row in rows if row.label == label)
        return float(own / (sum(getattr(row, name) for row in rows) or 1))

    return measured


def refused(reason: str) -> Measure:
    """How many messages were refused for a reason."""
    return lambda found, _: float(found["refused"].get(reason, 0))


@dataclass(frozen=True)
class Case:
    """A figure of a scenario under several values of params; `within` is what luck may change."""

    scenario: str
    rounds: int
    figure: Measure
    values: dict[str, float]
    within: float = 0.02
    also: tuple[str, ...] = ()


LENIENT = ("uptime.min_served=0", "rewards.miss_tolerance_bps=10000")
START = ""

CASES = {
    "the power of a whale": Case(
        "slot_hogging",
        8,
        of("whale", "power_share"),
        {START: 0.5, "epoch.max_individual_power_bps=10000": 0.75},
    ),
    "the slots of a whale": Case(
        "slot_hogging",
        14,
        of("whale", "slot_rate"),
        {START: 0.125, "uptime.poc_slot_headroom_bps=10000": 0.1, "uptime.poc_slot_fraction_bps=500": 0.05},
    ),
    "what the address that sorts first has of slots beyond the last": Case(
        "vanity_addresses",
        30,
        lambda found, run: of("first", "slot_rate")(found, run) - of("last", "slot_rate")(found, run),
        {START: 0.0, "uptime.max_consecutive_preserved_epochs=4": 0.0},
        within=0.04,
    ),
    "the slots of who rents for the PoC": Case(
        "rent_for_poc", 10, of("renter", "slot_rate"), {START: 0.0, "uptime.min_served=0": 0.32}
    ),
    "the reward of who rents for the PoC": Case(
        "rent_for_poc",
        10,
        of("renter", "edge"),
        {START: 0.0, "rewards.miss_tolerance_bps=10000": 1.0},
        also=("uptime.min_served=0",),
    ),
    "the slots of who rents, without the two params against it": Case(
        "rent_for_poc",
        14,
        of("renter", "slot_rate"),
        {
            START: 0.49,
            "uptime.max_consecutive_preserved_epochs=4": 0.48,
            "uptime.poc_slot_fraction_bps=2500": 0.21,
        },
        also=LENIENT,
    ),
    "the reward of a node split into eight": Case(
        "node_splitting",
        10,
        of("eight_addresses", "edge"),
        {START: 1.0, "uptime.poc_slot_fraction_bps=2500": 1.0},
        within=0.001,
    ),
    "the reward of who farms the coverage bonus": Case(
        "coverage_farming",
        8,
        of("farmer", "edge"),
        {
            START: 0.952,
            "rewards.min_coverage_share_bps=0": 1.048,
            "rewards.coverage_bonus_bps=0": 1.0,
            "rewards.coverage_bonus_mode=COVERAGE_BONUS_MODE_SHARED": 0.952,
        },
        within=0.002,
    ),
    "the same with a smallest weight instead of a share": Case(
        "coverage_farming",
        8,
        of("farmer", "edge"),
        {START: 1.048, "rewards.min_coverage_weight=50": 0.952},
        within=0.002,
        also=("rewards.min_coverage_share_bps=0",),
    ),
    "the messages with nonces twice": Case(
        "duplicate_nonces",
        6,
        refused("nonces_not_rising"),
        {START: 10, "poc.max_nonces_per_batch=100": 10},
        within=4,
    ),
    "the nodes that serve where each is somebody's only one": Case(
        "all_preserved",
        10,
        network("preserved_share"),
        {START: 0.2, "uptime.voting_guard_bps=10000": 0.4, "uptime.voting_guard_bps=0": 0.0},
    ),
    "the demand served there in the PoC period": Case(
        "all_preserved",
        10,
        network("served_share_poc"),
        {START: 0.23, "uptime.voting_guard_bps=10000": 0.47, "uptime.voting_guard_bps=0": 0.0},
    ),
    "the smallest group after nobody passed": Case(
        "nobody_passes",
        18,
        fewest_members,
        {START: 1, "epoch.max_extensions=0": 2, "epoch.max_extensions=5": 2},
        within=0,
    ),
    "the extensions before it": Case(
        "nobody_passes",
        18,
        extensions_before_it,
        {
            START: 4,
            "epoch.max_extensions=0": 0,
            "epoch.max_extensions=5": 6,
            "epoch.min_retained_power_numerator=0": 0,
        },
        within=0,
    ),
    "the nodes of a sole participant that serve": Case(
        "one_participant",
        10,
        network("preserved_share"),
        {START: 0.333, "uptime.poc_slot_fraction_bps=10000": 0.519},
    ),
    "the members of a large group": Case(
        "many_participants", 3, fewest_members, {START: 130, "poc.validation_slots=64": 130}, within=0
    ),
    "the weight of forged claims": Case(
        "forged_claims", 5, last("forger", "weight"), {START: 0, "poc.validation_slots=256": 0}, within=0
    ),
    "the weight of forged roots": Case(
        "committed_slots", 4, last("forger", "weight"), {START: 0, "poc.validation_slots=0": 0}, within=0
    ),
    "the weight of a hostile three of ten": Case(
        "hostile_third", 8, last("hostile", "weight"), {START: 0.3, "poc.validation_slots=64": 1.0}
    ),
    "the weight of a hostile thirty of a hundred": Case(
        "drawn_validators",
        8,
        last("hostile", "weight"),
        {START: 0.3, "poc.validation_slots=0": 0.3, "poc.validation_slots=64": 0.42},
    ),
    "the capacity that bought traffic preserves": Case(
        "bought_traffic",
        10,
        network("preserved_share"),
        {START: 0.5, "uptime.max_demand_ratio=1": 0.4, "uptime.poc_slot_fraction_bps=2500": 0.25},
    ),
    "the capacity that serves through a PoC": Case(
        "baseline",
        14,
        network("preserved_share"),
        {START: 0.125, "uptime.poc_slot_headroom_bps=10000": 0.1, "uptime.poc_slot_headroom_bps=15000": 0.15},
        within=0.005,
    ),
    "the demand served in the PoC period": Case(
        "serve_validation",
        8,
        network("served_share_poc"),
        {START: 0.894, "uptime.serve_during_validation=false": 0.677},
    ),
    "the reward of who announces its downtime": Case(
        "maintenance", 8, of("announces", "edge"), {START: 1.0, "maintenance.credit_per_good_epoch=0": 0.91}
    ),
    "the reward of who makes answers up": Case(
        "made_up_answers",
        10,
        of("cheat", "edge"),
        {START: 0.0, "inference.validation_rate_bps=500": 0.77, "inference.validation_rate_bps=100": 1.0},
        within=0.05,
    ),
    "the power of guardians in blocks": Case(
        "guardians",
        6,
        of("guardian", "block_power_share"),
        {START: 0.342, "guardians.multiplier_bps=0": 0.2, "guardians.maturity_weight=1500": 0.2},
        within=0.001,
    ),
    "the reward of weight without a deposit": Case(
        "collateral", 8, of("bare", "edge"), {START: 0.269, "collateral.collateral_per_weight=0": 1.0}
    ),
    "what a cheat keeps of its deposit": Case(
        "collateral",
        8,
        of("cheat", "collateral"),
        {
            START: 276000000.0,
            "collateral.slash_invalid_bps=0": 400000000.0,
            "collateral.slash_invalid_bps=10000": 0,
        },
        within=1e6,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_param_does_against_an_attack_what_the_documentation_says(name: str) -> None:
    case = CASES[name]

    found = {
        value: case.figure(*outcome(case.scenario, case.rounds, *case.also, *([value] if value else [])))
        for value in case.values
    }

    assert found == pytest.approx(case.values, abs=case.within)
