"""One seed of a shipped scenario, and what its reports say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from abci_app.sim.run import run_seed, summary
from abci_app.sim.scenario import load

if TYPE_CHECKING:
    from abci_app.sim.run import SeedRun


def outcome(name: str, rounds: int, *overrides: str, seed: int = 1) -> tuple[dict[str, Any], SeedRun]:
    """The summary of one seed of a shipped scenario, and the run itself."""
    scenario = load(name, overrides)
    run = run_seed(scenario, seed, rounds)
    attackers = frozenset(group.label for group in scenario.groups if group.attacker)
    return summary([run], attackers), run
