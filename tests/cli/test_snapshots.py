"""`evergrid snapshots` on the home of a stopped node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from abci_app.app import STORES
from abci_app.kernel.store import DiskStore
from cli.snapshots import snapshots
from tests.chain import Chain, app_state


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with DiskStore(tmp_path / "data" / "app", STORES) as store:
        Chain(app_state(funded=["alice"]), store=store).run_to(7)
    return tmp_path


def run(home: Path, *words: object) -> Result:
    return CliRunner().invoke(snapshots, [*map(str, words), "--home", str(home), "-o", "json"])


def test_a_snapshot_is_exported_listed_and_deleted(home: Path) -> None:
    exported: Any = json.loads(run(home, "export").output)
    listed = json.loads(run(home, "list").output)["snapshots"]

    assert exported["height"] == 7
    assert exported["keys"] > 20
    assert listed == [exported]
    assert run(home, "delete", 7).exit_code == 0
    assert json.loads(run(home, "list").output) == {"snapshots": []}
    assert "there is no snapshot of height 7" in run(home, "delete", 7).output


def test_what_cannot_be_exported_says_why(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("empty")

    with DiskStore(home / "data" / "app", STORES):
        refused = run(home, "export")

    assert (refused.exit_code, "stop it first" in refused.output) == (1, True)
    assert "there is no chain in this home" in run(empty, "export").output
