"""Random lives of a chain: invariants after every block, the same bytes on every interpreter and store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from abci_app.app import STORES
from abci_app.genesis import export_genesis
from abci_app.kernel.store import DiskStore, MemoryStore
from abci_app.modules import epochs
from protocol.gen.evergrid.guardians.v1.guardians_pb2 import QueryGuardiansRequest, QueryGuardiansResponse
from tests.chain import Chain
from tests.simulation import hostile
from tests.simulation.driver import genesis_chain, live

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("seed", range(6))
def test_a_random_life_keeps_every_invariant_and_reaches_each_branch(seed: int) -> None:
    life = live(seed, 160)

    kinds = {kind for kind, code in life.kinds if code == 0}
    assert kinds >= {
        "MsgStartInference",
        "MsgFinishInference",
        "MsgValidateInference",
        "MsgSubmitPocBatch",
        "MsgSubmitPocValidations",
    }
    assert any(code for _, code in life.kinds)
    assert epochs.state(life.chain.context()).epoch_effective >= 2


@pytest.mark.parametrize("seed", [0, 1])
def test_a_random_life_with_guardians_and_collateral_keeps_every_invariant(seed: int) -> None:
    life = live(seed, 200, guarded=True)

    events = {event.type for report in life.chain.reports for event in report.events}
    ctx = life.chain.context()
    asked = life.chain.query(QueryGuardiansRequest(), QueryGuardiansResponse)
    effective = epochs.state(ctx).epoch_effective
    assert {kind for kind, code in life.kinds if code == 0} >= {
        "MsgDepositCollateral",
        "MsgWithdrawCollateral",
    }
    assert {code for kind, code in life.kinds if kind == "MsgWithdrawCollateral"} == {0, 2}
    assert "collateral_released" in events
    assert asked.last.epoch_index == effective or asked.HasField("ended")
    cut = [member for member in epochs.members(ctx, effective) if member.proved_weight]
    assert all(member.weight < member.proved_weight for member in cut)
    assert cut
    imported = Chain(export_genesis(ctx), MemoryStore(STORES), initial_height=life.chain.height + 1)
    assert export_genesis(imported.context()) == export_genesis(ctx)


@pytest.mark.parametrize("life", ["driver", "hostile"])
def test_two_interpreters_with_other_hash_seeds_agree_on_app_hash_and_results(life: str) -> None:
    def run(hash_seed: str) -> dict[str, Any]:
        command = [sys.executable, "-m", f"tests.simulation.{life}", "--seed", "11", "--blocks", "100"]
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=True
        )
        facts: dict[str, Any] = json.loads(done.stdout)
        return facts

    assert run("1") == run("2")


@pytest.mark.parametrize("blocks", [20, 95, 137])
def test_export_and_import_are_exact_inverses_in_the_middle_of_anything(blocks: int) -> None:
    life = live(4, blocks)
    exported = export_genesis(life.chain.context())

    imported = Chain(exported, MemoryStore(STORES), initial_height=life.chain.height + 1)

    assert export_genesis(imported.context()) == exported


def test_an_imported_chain_goes_on_as_the_exported_one() -> None:
    life = live(4, 95)
    imported = Chain(export_genesis(life.chain.context()), initial_height=life.chain.height + 1)

    for chain in (life.chain, imported):
        chain.run_to(170)

    assert export_genesis(imported.context()) == export_genesis(life.chain.context())


def test_the_store_on_disk_gives_the_same_app_hash_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    memory = genesis_chain()
    disk = Chain(memory.state, DiskStore(tmp_path, STORES))

    for height in range(1, 60):
        memory.block()
        disk.block()
        if height == 30:
            disk.store.close()
            disk = Chain(memory.state, DiskStore(tmp_path, STORES))

    assert disk.store.app_hash == memory.store.app_hash
    disk.store.close()


@pytest.mark.parametrize(("seed", "guarded"), [(2, False), (7, False), (7, True)])
def test_a_life_among_enemies_keeps_every_invariant_and_its_export_builds_it_again(
    seed: int, guarded: bool, caplog: pytest.LogCaptureFixture
) -> None:
    life = hostile.live(seed, 300, guarded=guarded)
    exported = export_genesis(life.chain.context())

    imported = Chain(exported, MemoryStore(STORES), initial_height=life.chain.height + 1)

    assert life.fallen > 0
    assert life.changes > 0
    assert epochs.state(life.chain.context()).epoch_effective >= 3
    # A proposal that failed by our own error would have left a traceback.
    assert not caplog.records
    assert export_genesis(imported.context()) == exported
    for chain in (life.chain, imported):
        chain.run_to(chain.height + 70)
    assert export_genesis(imported.context()) == export_genesis(life.chain.context())
