"""What a PoC round costs in bytes, as the bench computes it from real messages."""

from __future__ import annotations

from bench.poc_bytes import Round, block_bytes, state_bytes


def total(participants: int, *, committed: bool, slots: int) -> int:
    return sum(block_bytes(Round(participants, committed, slots)).values())


def test_roots_and_drawn_validators_keep_a_round_of_a_thousand_within_ten_megabytes() -> None:
    assert total(1_000, committed=True, slots=128) <= 10_000_000
    assert total(1_000, committed=False, slots=0) > 100_000_000


def test_with_drawn_validators_bytes_grow_as_participants_do() -> None:
    assert total(10_000, committed=True, slots=128) < 11 * total(1_000, committed=True, slots=128)


def test_a_commitment_leaves_no_claims_beside_the_tree() -> None:
    assert state_bytes(Round(100, committed=True, slots=0))["claims_beside_the_tree"] == 0
    assert state_bytes(Round(100, committed=False, slots=0))["claims_beside_the_tree"] > 0
