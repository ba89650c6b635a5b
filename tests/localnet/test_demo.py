"""The demo from the command line: the whole path with real processes, and its interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from click import ClickException

from cli import supervisor
from cli.demo_checks import PROMISES
from cli.demo_stage import design
from cli.localnet_run import RECORD
from tests.localnet.commands import ROOT, alive, command, evergrid

pytestmark = [pytest.mark.localnet, pytest.mark.slow, pytest.mark.xdist_group("localnet")]

MODEL_A = ROOT / ".cache" / "models" / "SmolLM2-135M-Instruct"
# Two chains, two CometBFT, two API nodes, three MLNodes.
PROCESSES = 9
WHOLE_S = 600
START_S = 120.0


def start_demo(home: Path, *arguments: object) -> subprocess.Popen[str]:
    assert MODEL_A.exists(), f"{MODEL_A} is missing: make setup makes it"
    return subprocess.Popen(
        command("demo", "--home", home, "--plain", *arguments),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until_all_run(running: subprocess.Popen[str], home: Path) -> None:
    deadline = time.monotonic() + START_S
    while not (home / RECORD).exists() or len(alive(home)) < PROCESSES:
        assert running.poll() is None, running.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.timeout(WHOLE_S + 60)
def test_the_demo_goes_through_whole_epochs_and_keeps_every_promise(tmp_path: Path) -> None:
    home = tmp_path / "demo"

    running = start_demo(home, "--epochs", 2)
    shown, _ = running.communicate(timeout=WHOLE_S)

    assert running.returncode == 0, shown
    assert "epoch 0 is extended, reason empty_group" in shown
    assert "epoch 2 is settled and paid" in shown
    assert shown.count(" kept ") == len(PROMISES)
    assert alive(home) == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_stops_every_process(tmp_path: Path, number: signal.Signals) -> None:
    home = tmp_path / "demo"
    running = start_demo(home)
    wait_until_all_run(running, home)

    os.kill(running.pid, number)
    shown, _ = running.communicate(timeout=60)

    assert running.returncode == 130, shown
    assert alive(home) == []
    assert "had to be killed" not in shown


@pytest.mark.timeout(240)
def test_a_demo_whose_process_dies_says_which_and_fails(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    running = start_demo(home)
    wait_until_all_run(running, home)

    victim = next(process for process in supervisor.load(home / RECORD)[0] if process.name == "node-2")
    os.kill(victim.pid, signal.SIGKILL)
    shown, _ = running.communicate(timeout=90)

    assert running.returncode == 1, shown
    assert "node-2 ended by itself" in shown
    assert alive(home) == []


def test_without_model_a_the_demo_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ClickException, match="make setup"):
        design(tmp_path / "demo", tmp_path / "models")


def test_help_of_the_demo_needs_none_of_its_libraries() -> None:
    done = evergrid("demo", "--help", PYTHONPROFILEIMPORTTIME="1")

    assert done.returncode == 0
    assert not any(name in done.stderr for name in ("torch", "rich.live", "httpx2", "cosmpy"))
