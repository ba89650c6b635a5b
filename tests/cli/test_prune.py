"""`evergrid prune` on the home of a stopped node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from abci_app.app import STORES
from abci_app.kernel.records import HeightNotRetained
from abci_app.kernel.store import DiskStore
from abci_app.node.home import Ports, init_home
from cli.prune import prune
from tests.chain import CHAIN_ID, Chain, app_state

HEIGHT = 40


@pytest.fixture
def home(tmp_path: Path) -> Path:
    init_home(tmp_path, CHAIN_ID, ports=Ports.free())
    with DiskStore(tmp_path / "data" / "app", STORES) as store:
        Chain(app_state(funded=["alice"]), store=store).run_to(HEIGHT)
    return tmp_path


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(prune, [*words, "--home", str(home), "-o", "json"])


def test_earlier_states_are_gone_and_the_last_ones_and_the_hash_stay(home: Path) -> None:
    folder = home / "data" / "app"
    with DiskStore(folder, STORES) as store:
        before = store.app_hash

    shown = json.loads(run(home, "--keep", "5").output)

    assert (shown["height"], shown["height_lowest"], shown["height_lowest_before"]) == (HEIGHT, HEIGHT - 4, 1)
    assert shown["nodes_removed"] > 0
    assert shown["bytes"] < shown["bytes_before"]
    with DiskStore(folder, STORES) as store:
        assert store.app_hash == before
        store.at(HEIGHT - 4).close()
        with pytest.raises(HeightNotRetained):
            store.at(HEIGHT - 5)


def test_without_an_option_the_settings_say_how_many_are_kept(home: Path) -> None:
    shown = json.loads(run(home).output)

    assert (shown["height_lowest"], shown["nodes_removed"]) == (1, 0)


def test_a_running_node_and_an_empty_home_are_refused(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with DiskStore(home / "data" / "app", STORES):
        refused = run(home)

    assert (refused.exit_code, "stop it first" in refused.output) == (1, True)
    assert "there is no chain in this home" in run(tmp_path_factory.mktemp("empty")).output
