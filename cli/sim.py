"""`evergrid sim`: runs scenarios on the chain's own code, without a network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import LOCAL, shared

if TYPE_CHECKING:
    from abci_app.sim.run import SeedRun
    from cli.session import Session


@click.group()
def sim() -> None:
    """Simulate networks, their participants and attacks on them."""


@sim.command("list")
@shared(*LOCAL)
def list_scenarios(session: Session) -> None:
    """List the scenarios that come with the program."""
    from abci_app.sim import scenario as scenarios  # noqa: PLC0415 - brings the chain
    from cli.out import table  # noqa: PLC0415 - as above

    rows = [
        {"name": name, "about": " ".join(scenarios.load(name).about.split())} for name in scenarios.shipped()
    ]
    session.emit({"scenarios": rows}, table(rows))


@sim.command()
@click.argument("scenario")
@click.option(
    "--epochs", default=50, show_default=True, type=click.IntRange(1), help="PoC rounds of each seed."
)
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(1), help="Number of seeds.")
@click.option(
    "--first-seed", default=1, show_default=True, type=int, help="The first seed; the others follow."
)
@click.option(
    "--set", "overrides", multiple=True, metavar="PARAM=VALUE", help="Change a param: uptime.min_served=0."
)
@click.option(
    "--jobs", default=0, type=click.IntRange(0), help="Processes (default: one for each processor)."
)
@click.option(
    "--out", type=click.Path(file_okay=False), help="Write CSV files and an HTML report into this folder."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as --output json does.")
@shared(*LOCAL)
def run(session: Session, *, scenario: str, as_json: bool, out: str | None, **options: Any) -> None:
    """Run SCENARIO, a TOML file or the name of a shipped scenario, over seeds and epochs.

    The chain is the real one, on a store in memory. The same seed always gives the same app hash.
    """
    from abci_app.sim import report  # noqa: PLC0415 - brings the chain
    from abci_app.sim.run import run_seeds, summary  # noqa: PLC0415
    from abci_app.sim.scenario import load  # noqa: PLC0415

    if as_json:
        session.values["output"] = "json"
    loaded = load(scenario, options["overrides"])
    seeds = range(options["first_seed"], options["first_seed"] + options["seeds"])
    began = time.monotonic()
    runs = list(run_seeds(loaded, seeds, options["epochs"], options["jobs"]))
    took_s = time.monotonic() - began
    attackers = frozenset(group.label for group in loaded.groups if group.attacker)
    value: dict[str, Any] = {
        "scenario": loaded.name,
        "epochs": options["epochs"],
        "seeds": [_seed(each, attackers) for each in runs],
        "summary": summary(runs, attackers),
    }
    if out is not None:
        value["files"] = [str(path) for path in report.write(Path(out), loaded, runs, value["summary"])]
    session.emit(value, _text(value, sum(each.height for each in runs), took_s))


def _seed(run: SeedRun, attackers: frozenset[str]) -> dict[str, Any]:
    from abci_app.sim.run import summary  # noqa: PLC0415 - brings the chain

    facts = {"seed": run.seed, "app_hash": run.app_hash, "height": run.height, "epoch": run.epoch}
    return facts | summary([run], attackers)


def _text(value: dict[str, Any], blocks: int, took_s: float) -> str:
    from cli.out import table  # noqa: PLC0415 - only for text

    labels = [{"label": label} | facts for label, facts in value["summary"]["labels"].items()]
    hashes = [
        {name: each[name] for name in ("seed", "height", "epoch", "app_hash")} for each in value["seeds"]
    ]
    network = [{"": name, "value": _plain(fact)} for name, fact in value["summary"]["network"].items()]
    refused = [{"refused": name, "times": n} for name, n in value["summary"]["refused"].items()]
    parts = [table(hashes), table(labels), table(network), *([table(refused)] if refused else [])]
    parts += [f"wrote {path}" for path in value.get("files", [])]
    return "\n\n".join([*parts, f"{blocks} blocks in {took_s:.1f} s, {blocks * 60 / took_s:.0f} a minute"])


def _plain(fact: Any) -> str:
    return (
        ", ".join(f"{name}: {n}" for name, n in fact.items()) or "none"
        if isinstance(fact, dict)
        else str(fact)
    )
