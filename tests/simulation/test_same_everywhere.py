"""The same seed gives the same app hash: on every interpreter, store and after every restart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from abci_app.app import STORES
from abci_app.genesis import export_genesis
from abci_app.kernel.collections import NAMES, Map
from abci_app.kernel.store import DiskStore, MemoryStore
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import Chain
from tests.simulation import wild
from tests.simulation.wild import WORLDS

if TYPE_CHECKING:
    from abci_app.kernel.store import Store

ROOT = Path(__file__).parent.parent.parent
BLOCKS = 80


@pytest.mark.parametrize("world", sorted(WORLDS))
def test_interpreters_with_other_hash_seeds_agree_on_app_hash_and_results_of_a_wild_life(world: str) -> None:
    def run(hash_seed: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "tests.simulation.wild", "--world", world, "--seed", "5"]
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [*command, "--blocks", str(BLOCKS)],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=200,
            check=True,
        )
        facts: dict[str, Any] = json.loads(done.stdout)
        return facts

    assert run("1") == run("4242")


@pytest.mark.parametrize("world", sorted(WORLDS))
def test_the_store_on_disk_gives_the_app_hash_of_memory_at_every_height_of_a_wild_life(
    world: str, tmp_path: Path
) -> None:
    life = wild.live(world, 6, BLOCKS)
    blocks = life.chain.blocks if isinstance(life.chain, wild.WildChain) else []

    def replay(store: Store) -> list[bytes]:
        chain, hashes = Chain(life.chain.state, store), []
        for raw in blocks:
            chain.app.finalize_block(abci.RequestFinalizeBlock.FromString(raw))
            chain.app.commit()
            hashes.append(chain.store.app_hash)
        return hashes

    disk = DiskStore(tmp_path, STORES)
    on_disk, in_memory = replay(disk), replay(MemoryStore(STORES))
    disk.close()

    assert on_disk == in_memory
    assert in_memory[-1] == life.chain.store.app_hash


@pytest.mark.parametrize(("world", "blocks"), [("busy", 47), ("committed", 88), ("strict", 140)])
def test_an_imported_wild_life_has_every_entry_of_the_exported_one(world: str, blocks: int) -> None:
    life = wild.live(world, 7, blocks)
    exported = export_genesis(life.chain.context())

    imported = Chain(exported, MemoryStore(STORES), initial_height=life.chain.height + 1)

    assert export_genesis(imported.context()) == exported
    assert entries(imported) == entries(life.chain)


def entries(chain: Chain) -> dict[str, list[Any]]:
    """By collection in the tree, its keys; the application's own aside."""
    ctx = chain.context()
    maps = {name: each for name, each in NAMES.items() if isinstance(each, Map) and name[0] != "~"}
    return {name: list(each.keys(ctx)) for name, each in sorted(maps.items())}
