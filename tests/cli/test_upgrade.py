"""Upgrades by the command line: the proposal, the plan, the rehearsal."""

from __future__ import annotations

from pathlib import Path

import pytest

from abci_app.app import STORES
from abci_app.kernel.store import DiskStore
from abci_app.upgrades import HANDLERS
from tests.chain import Chain, GenesisParticipant, app_state
from tests.cli.conftest import Command

SIGN = ("--from", "alice", "-y", "-b", "block")


def test_a_proposal_to_upgrade_carries_the_plan(online: Command) -> None:
    reply = online.json("tx", "upgrade", "software-upgrade", "v2", "1000", "--info", "notes", *SIGN)

    found = online.json("query", "gov", "proposals")["proposals"][0]
    assert reply["code"] == 0
    assert found["title"] == "Upgrade v2"
    assert found["messages"][0]["plan"] == {"name": "v2", "height": "1000", "info": "notes"}
    assert "plan" not in online.json("query", "upgrade", "current-plan")
    assert online.json("query", "upgrade", "applied-plan", "v2")["height"] == "0"


def test_a_rehearsal_prints_its_app_hash_and_cleans_up(
    evergrid: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = evergrid.home / "data" / "app"
    with DiskStore(folder, STORES) as store:
        Chain(app_state([GenesisParticipant("alice", 10)]), store=store).run_to(5)
    monkeypatch.setitem(HANDLERS, "v2", lambda _ctx: None)

    shown = evergrid.json("upgrade", "rehearse", "v2", "--blocks", "2")

    assert (shown["height_copied"], shown["height_applied"], shown["height_last"]) == (5, 7, 9)
    assert (len(shown["app_hash"]), shown["broken"]) == (64, [])
    assert [path.name for path in folder.parent.iterdir()] == ["app"]


def test_what_cannot_be_rehearsed_is_one_sentence(evergrid: Command, tmp_path: Path) -> None:
    assert "there is no chain in this home" in evergrid.fails("upgrade", "rehearse", "v2")
    with DiskStore(evergrid.home / "data" / "app", STORES) as store:
        Chain(app_state([GenesisParticipant("alice", 10)]), store=store).run_to(1)

    assert "does not have the upgrade 'v2'" in evergrid.fails("upgrade", "rehearse", "v2")
    assert "exists already" in evergrid.fails("upgrade", "rehearse", "v2", "--keep", str(tmp_path))
