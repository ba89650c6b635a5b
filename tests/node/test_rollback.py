"""`evergrid rollback` on the home of a real node."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from abci_app.app import STORES
from abci_app.kernel.store import DiskStore
from cli.rollback import rollback
from tests.node.chain_process import WAIT_SECONDS, make_home, running

pytestmark = [pytest.mark.localnet, pytest.mark.xdist_group("localnet")]


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(rollback, [*words, "--home", str(home), "-o", "json"])


def version_of(home: Path) -> tuple[int, bytes]:
    with DiskStore(home / "data" / "app", STORES) as store:
        return store.version, store.app_hash


def test_a_block_is_taken_back_run_again_and_gives_the_same_state(tmp_path: Path) -> None:
    info = make_home(tmp_path / "home", "alice")
    with running(info) as node:
        node.wait_for_height(4)
        while_running = run(info.home)
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(WAIT_SECONDS) == 0, node.log
    height, before = version_of(info.home)

    shown = json.loads(run(info.home).output)
    taken_back = version_of(info.home)[0]
    with running(info) as node:
        node.wait_for_height(height + 3)
        header = node.rpc(f"header?height={height + 1}")["header"]
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(WAIT_SECONDS) == 0, node.log

    assert while_running.exit_code == 1
    assert "stop it first" in while_running.output
    assert (shown["height"], taken_back) == (height - 1, height - 1)
    assert header["app_hash"] == before.hex().upper()


def test_a_state_that_is_the_lowest_of_all_stays(tmp_path: Path) -> None:
    info = make_home(tmp_path / "home")
    with running(info) as node:
        node.wait_for_height(3)
        node.process.send_signal(signal.SIGTERM)
        node.process.wait(WAIT_SECONDS)
    with DiskStore(info.home / "data" / "app", STORES) as store:
        before = store.version, store.app_hash
        while store.prune(store.version, 1000):
            pass

    refused = run(info.home)

    assert refused.exit_code == 1
    assert "is the lowest that is kept" in refused.output
    assert version_of(info.home) == before


def test_a_home_without_a_chain_is_refused(tmp_path: Path) -> None:
    assert "there is no chain in this home" in run(tmp_path).output
