"""Writes what a simulation measured: two CSV files, and one HTML page that needs nothing but itself."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import fields
from html import escape
from typing import TYPE_CHECKING, Any

from abci_app.sim.measure import ParticipantRow, RoundRow
from abci_app.sim.plot import Plot, svg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from abci_app.sim.run import SeedRun
    from abci_app.sim.scenario import Scenario

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem;
  color: #1b1f24; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1.5rem }
figure { margin: 0 } figcaption { font-weight: 600 } svg { width: 100%; height: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #d5dae0; text-align: right }
th:first-child, td:first-child { text-align: left }
code { font-size: .85em; word-break: break-all }
"""


def write(folder: Path, scenario: Scenario, runs: Sequence[SeedRun], summary: dict[str, Any]) -> list[Path]:
    """Writes participants.csv, rounds.csv and report.html into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in ("participants.csv", "rounds.csv", "report.html")]
    _csv(paths[0], ParticipantRow, ((run.seed, row) for run in runs for row in run.participants))
    _csv(paths[1], RoundRow, ((run.seed, row) for run in runs for row in run.rounds))
    paths[2].write_text(page(scenario, runs, summary), encoding="utf-8")
    return paths


def _csv(path: Path, kind: type[Any], rows: Iterable[tuple[int, Any]]) -> None:
    names = [each.name for each in fields(kind)]
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["seed", *names])
        out.writerows([seed, *(_cell(getattr(row, name)) for name in names)] for seed, row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return f"{value:.6f}" if isinstance(value, float) else value


def plots(runs: Sequence[SeedRun]) -> list[Plot]:
    """Weights, slots, rewards, Gini and served share by epoch, each the mean over all seeds."""
    people = [row for run in runs for row in run.participants]
    rounds = [row for run in runs for row in run.rounds]
    return [
        Plot("Share of weight", _shares(people, lambda row: row.weight)),
        Plot("Part of the nodes that served through PoC", _rates(people)),
        Plot("Share of minted reward", _shares(people, lambda row: row.reward)),
        Plot(
            "Gini coefficient",
            {
                "weight": _means((row.epoch, row.gini_weight) for row in rounds),
                "reward": _means((row.epoch, row.gini_reward) for row in rounds if row.epoch > 1),
            },
        ),
        Plot(
            "Part of the demand that was served",
            {
                "outside of PoC": _served(rounds, lambda r: (r.answered_pre_poc, r.asked_pre_poc)),
                "in the PoC period": _served(rounds, lambda r: (r.answered_poc, r.asked_poc)),
            },
        ),
    ]


def _shares(
    rows: Sequence[ParticipantRow], value: Callable[[ParticipantRow], int]
) -> dict[str, dict[int, float]]:
    totals: dict[int, int] = defaultdict(int)
    own: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        totals[row.epoch] += value(row)
        own[row.label][row.epoch] += value(row)
    return {
        label: {epoch: part / totals[epoch] for epoch, part in sorted(parts.items()) if totals[epoch]}
        for label, parts in sorted(own.items())
    }


def _rates(rows: Sequence[ParticipantRow]) -> dict[str, dict[int, float]]:
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        found[row.label].append((row.epoch, row.nodes_preserved / row.nodes))
    return {label: _means(pairs) for label, pairs in sorted(found.items())}


def _served(rows: Sequence[RoundRow], parts: Callable[[RoundRow], tuple[int, int]]) -> dict[int, float]:
    pairs = ((row.epoch, parts(row)) for row in rows)
    return _means((epoch, answered / asked) for epoch, (answered, asked) in pairs if asked)


def _means(pairs: Iterable[tuple[int, float]]) -> dict[int, float]:
    found: dict[int, list[float]] = defaultdict(list)
    for epoch, value in pairs:
        found[epoch].append(value)
    return {epoch: sum(values) / len(values) for epoch, values in sorted(found.items())}


def page(scenario: Scenario, runs: Sequence[SeedRun], summary: dict[str, Any]) -> str:
    """The whole report as one HTML document with inline SVG."""
    figures = "".join(
        f"<figure><figcaption>{escape(plot.title)}</figcaption>{svg(plot)}</figure>" for plot in plots(runs)
    )
    labels = [{"label": label} | facts for label, facts in summary["labels"].items()]
    hashes = [{"seed": run.seed, "height": run.height, "app_hash": run.app_hash} for run in runs]
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(scenario.name)}</title>'
        f"<style>{STYLE}</style></head><body>"
        f"<h1>{escape(scenario.name)}</h1><p>{escape(scenario.about)}</p>"
        f'<div class="plots">{figures}</div>'
        f"<h2>Participants</h2>{_table(labels)}"
        f"<h2>Network</h2>{_table([summary['network']])}"
        f"<h2>Refused messages</h2>{_table([summary['refused']]) if summary['refused'] else '<p>none</p>'}"
        f"<h2>Seeds</h2>{_table(hashes)}"
        "</body></html>\n"
    )


def _table(rows: Sequence[dict[str, Any]]) -> str:
    names = list(rows[0]) if rows else []
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{_shown(row[name])}</td>" for name in names) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return escape(", ".join(f"{name} {number}" for name, number in value.items())) or "none"
    text = escape("-" if value is None else str(value))
    return f"<code>{text}</code>" if len(text) > 20 else text
