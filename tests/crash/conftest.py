"""A live node with the traffic of two owners and two clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.live import LiveNode
from tests.crash.traffic import CHAIN_ID, Traffic, genesis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# One of two validators never votes: the turns of the absent one are not to be waited for.
FAST = {
    "consensus": {
        "timeout_propose": "300ms",
        "timeout_propose_delta": "100ms",
        "timeout_prevote": "100ms",
        "timeout_precommit": "100ms",
    }
}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LiveNode]:
    made = LiveNode(tmp_path / "home", CHAIN_ID).make(genesis, timeout_commit="100ms", overrides=FAST)
    yield made
    made.kill()


@pytest.fixture
def traffic(node: LiveNode) -> Traffic:
    return Traffic(node)
