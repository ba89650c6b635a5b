"""A process that commits in a loop is killed at any moment: what it acknowledged is there, whole."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from abci_app.kernel.store import DiskStore, MemoryStore

STORES = ["auth", "bank", "~bulk"]

# Prints each height after its commit returned; prunes, so that two kinds of batches can be hit.
PROGRAM = """
import sys
from test_store_crash import STORES, changes_of
from abci_app.kernel.store import DiskStore

store = DiskStore(sys.argv[1], STORES, nodes_cached=100)
while True:
    height = store.version + 1
    store.commit(store.stage(changes_of(height), height), height, {"m": b"%d" % height})
    print(height, store.app_hash.hex(), flush=True)
    store.prune(height - 3, 300)
"""


def changes_of(height: int) -> dict[bytes, bytes | None]:
    """What a height changes, told by its number alone, so that it can be computed again."""
    rng = random.Random(height)
    changes: dict[bytes, bytes | None] = {}
    for _ in range(200):
        key = rng.choice([b"auth", b"bank", b"~bulk"]) + b"/%d" % rng.randrange(1000)
        changes[key] = None if rng.randrange(4) == 0 else rng.randbytes(200)
    return changes


def run_and_kill(home: Path, after_s: float) -> list[tuple[int, str]]:
    """The heights and app hashes that the process acknowledged before SIGKILL."""
    here = Path(__file__).parent
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=here.parent.parent,
        env={"PYTHONPATH": f"{here}:{here.parent.parent}"},
    )
    assert process.stdout is not None
    try:
        # The start-up is not what is to be hit; the time runs from the first commit.
        first = process.stdout.readline()
        assert first, process.communicate()[1]
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(after_s)
    finally:
        process.kill()
    rest, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    lines = [first, *(line for line in rest.splitlines(keepends=True) if line.endswith("\n"))]
    return [(int(height), app_hash) for height, app_hash in map(str.split, lines)]


def test_nothing_acknowledged_is_lost_and_the_state_is_that_of_one_height(tmp_path: Path) -> None:
    memory = MemoryStore(STORES)
    rng = random.Random(7)
    kills = 6

    for _ in range(kills):
        acknowledged = run_and_kill(tmp_path, rng.randrange(20, 250) / 1000)

        with DiskStore(tmp_path, STORES) as disk:
            assert disk.version - acknowledged[-1][0] in (0, 1)
            hashes = {}
            for height in range(memory.version + 1, disk.version + 1):
                memory.commit(memory.stage(changes_of(height), height), height)
                hashes[height] = memory.app_hash.hex()
                memory.prune(height - 3, 10_000)
            assert disk.app_hash == memory.app_hash
            assert all(hashes[height] == app_hash for height, app_hash in acknowledged)
            assert list(disk.iterate(b"", b"\xff")) == list(memory.iterate(b"", b"\xff"))
            assert disk.meta("m") == b"%d" % disk.version
            with disk.at(disk.height_lowest) as view:
                # Every node of the oldest height kept is there, and has its hash.
                assert sum(1 for _ in view.iterate(b"", b"~")) > 100
            disk.prune(disk.version, 100_000)
            assert disk.stage({}, disk.version + 1).app_hash == disk.app_hash

    assert memory.version > kills
