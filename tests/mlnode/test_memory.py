"""Memory stays flat while a node alternates between serving and Proof of Compute."""

from __future__ import annotations

import pytest

from bench.poc import stages

# Twice what any run has shown after its warm-up (docs/mlnode.md); a puzzle of this preset that stays behind
# adds 17 MiB in every round.
GROWTH_MIB_MAX = {"service": 4.0, "compute": 32.0}


@pytest.mark.slow
def test_two_minutes_of_alternating_stages_leave_the_memory_of_both_processes_as_it_was() -> None:
    found = stages.memory(minutes=2, preset="small")

    assert found["rounds"] >= 8
    for process, limit in GROWTH_MIB_MAX.items():
        assert found[process]["growth_mib"] <= limit, found[process]
