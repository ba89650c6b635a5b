"""What the API node keeps in SQLite files is for nobody else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api_node.outbox import Outbox
from api_node.payloads import PayloadStore
from api_node.poc_artifacts import ArtifactStore
from api_node.timeline import Timeline


@pytest.mark.parametrize("store", [ArtifactStore, Outbox, PayloadStore, Timeline])
def test_a_store_is_readable_by_this_node_s_user_alone(tmp_path: Path, store: Callable[[Path], Any]) -> None:
    path = tmp_path / "some.sqlite"
    path.touch(mode=0o644)

    kept = store(path)

    modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    kept.close()
    assert modes == dict.fromkeys(("some.sqlite", "some.sqlite-wal", "some.sqlite-shm"), 0o600)
