"""Runs a scenario over many seeds, and sums up what became of each kind of participant."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from abci_app.sim.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from abci_app.sim.measure import ParticipantRow, RoundRow
    from abci_app.sim.scenario import Scenario


@dataclass
class SeedRun:
    """What one seed gave; the same seed always gives the same."""

    seed: int
    app_hash: str
    height: int
    epoch: int
    participants: list[ParticipantRow] = field(default_factory=list)
    rounds: list[RoundRow] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)


def run_seed(scenario: Scenario, seed: int, epochs: int) -> SeedRun:
    """One seed over so many PoC rounds."""
    world = World(scenario, seed)
    world.run(epochs)
    ledger = world.ledger
    return SeedRun(
        seed=seed,
        app_hash=world.chain.store.app_hash.hex(),
        height=world.chain.height,
        epoch=ledger.rounds_seen[-1].epoch if ledger.rounds_seen else 0,
        participants=ledger.participants,
        rounds=ledger.rounds_seen,
        refused=dict(sorted(world.refused.items())),
    )


def run_seeds(scenario: Scenario, seeds: Sequence[int], epochs: int, jobs: int = 0) -> Iterator[SeedRun]:
    """All seeds in their order, on as many processes as there are processors, or on `jobs`."""
    workers = min(jobs or os.cpu_count() or 1, len(seeds))
    if workers <= 1:
        yield from (run_seed(scenario, seed, epochs) for seed in seeds)
        return
    # A forked child would inherit the threads of whoever imported us.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        raw = scenario.params.SerializeToString()
        futures = [pool.submit(_run_packed, _without_params(scenario), raw, seed, epochs) for seed in seeds]
        yield from (future.result() for future in futures)


def _without_params(scenario: Scenario) -> dict[str, Any]:
    return {name: value for name, value in vars(scenario).items() if name != "params"}


def _run_packed(fields: dict[str, Any], params: bytes, seed: int, epochs: int) -> SeedRun:
    # Messages of a private descriptor pool cannot be pickled; their bytes can.
    from abci_app.sim.scenario import Scenario  # noqa: PLC0415 - at type checking only above
    from protocol.gen.evergrid.epochs.v1.params_pb2 import Params  # noqa: PLC0415

    return run_seed(Scenario(**fields, params=Params.FromString(params)), seed, epochs)


def summary(runs: Sequence[SeedRun], attackers: frozenset[str]) -> dict[str, Any]:
    """What became of each label over all seeds and settled epochs, and of the network.

    edge: minted reward for a unit of capacity, relative to that of all who are no attackers; None where
    nobody else took part or the others earned nothing.
    """
    rows = [row for run in runs for row in run.participants]
    honest = [row for row in rows if row.label not in attackers]
    labels = sorted({row.label for row in rows})
    return {
        "labels": {label: _label([r for r in rows if r.label == label], rows, honest) for label in labels},
        "network": _network([each for run in runs for each in run.rounds]),
        "refused": _totals([run.refused for run in runs]),
    }


def _label(
    own: list[ParticipantRow], rows: list[ParticipantRow], honest: list[ParticipantRow]
) -> dict[str, Any]:
    rate, reference = _per_capacity(own), _per_capacity(honest)
    return {
        "weight_share": _share(sum(r.weight for r in own), sum(r.weight for r in rows)),
        "power_share": _share(sum(r.voting_power for r in own), sum(r.voting_power for r in rows)),
        "block_power_share": _share(sum(r.block_power for r in own), sum(r.block_power for r in rows)),
        "capacity_share": _share(sum(r.capacity for r in own), sum(r.capacity for r in rows)),
        "reward_share": _share(sum(r.reward for r in own), sum(r.reward for r in rows)),
        "fee_share": _share(sum(r.fees for r in own), sum(r.fees for r in rows)),
        "bonus": sum(r.bonus for r in own),
        "slot_rate": _share(sum(r.nodes_preserved for r in own), sum(r.nodes for r in own)),
        "collateral": sum(r.collateral for r in own) // len(own),
        "invalid_share": _share(sum(r.invalid for r in own), len(own)),
        "availability": round(sum(r.availability_bps for r in own) / len(own) / 10_000, 4),
        "edge": round(rate / reference, 4) if reference else None,
    }


def _per_capacity(rows: list[ParticipantRow]) -> float:
    return _ratio(sum(r.reward for r in rows), sum(r.capacity for r in rows))


def _network(rounds: list[RoundRow]) -> dict[str, Any]:
    # The first draw has nobody to choose from: genesis weights are not proved.
    later = [each for each in rounds if each.epoch > 1 or each.extended]
    extensions = [each.extended for each in rounds if each.extended]
    return {
        "rounds": len(rounds),
        "extensions": len(extensions),
        "extension_reasons": _totals([{reason: 1} for reason in extensions]),
        "served_share": _share(sum(r.answered_pre_poc for r in rounds), sum(r.asked_pre_poc for r in rounds)),
        "served_share_poc": _share(sum(r.answered_poc for r in later), sum(r.asked_poc for r in later)),
        "preserved_share": _share(sum(r.preserved for r in later), sum(r.capacity for r in later)),
        "dark_models": round(_ratio(sum(r.models_dark for r in later), len(later)), 4),
        "gini_weight": round(_ratio(sum(r.gini_weight for r in rounds), len(rounds)), 4),
        "gini_reward": round(_ratio(sum(r.gini_reward for r in later), len(later)), 4),
    }


def _totals(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in counts:
        for name, number in each.items():
            found[name] = found.get(name, 0) + number
    return dict(sorted(found.items()))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _share(part: float, whole: float) -> float:
    return round(_ratio(part, whole), 4)
