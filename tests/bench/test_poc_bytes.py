"""What a PoC round costs in bytes, as the bench computes it from real messages."""

from __future__ import annotations

import pytest

from bench.poc_bytes import Round, block_bytes, block_bytes_by_address, state_bytes


def total(participants: int, *, committed: bool, slots: int) -> int:
    return sum(block_bytes(Round(participants, committed, slots)).values())


@pytest.mark.parametrize("slots", [0, 128, 256])
def test_roots_and_verdicts_by_place_keep_a_round_of_a_thousand_within_ten_megabytes(slots: int) -> None:
    assert total(1_000, committed=True, slots=slots) <= 10_000_000


def test_by_address_the_verdicts_of_256_slots_alone_would_be_more() -> None:
    round_ = Round(1_000, committed=True, slots=256)

    assert block_bytes_by_address(round_) > 10_000_000
    assert block_bytes(round_)["verdicts"] < 1_000_000


def test_with_drawn_validators_bytes_grow_as_participants_do() -> None:
    for slots in (128, 256):
        small, large = (total(count, committed=True, slots=slots) for count in (1_000, 10_000))
        assert large < 11 * small


def test_a_commitment_leaves_no_claims_beside_the_tree() -> None:
    assert state_bytes(Round(100, committed=True, slots=0))["claims_beside_the_tree"] == 0
    assert state_bytes(Round(100, committed=False, slots=0))["claims_beside_the_tree"] > 0
