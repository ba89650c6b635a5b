"""Which nonces a validator samples and which validators judge: the same for all, spread by weight."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.claims import decode_claims, decode_nonces, encode_claims, encode_nonces
from protocol.draw import Draw
from protocol.poc_samples import ValidatorDraw, effective_slots, sampled_nonces, sampled_validators

HASH_T = sha256(b"block 5130").digest()
# Of chi-square with 3 degrees of freedom: exceeded by chance once in 100,000 fixed seeds' worth of luck.
CHI_SQUARE_3_LIMIT = 26


def nonces_sampled(
    batches: list[tuple[str, int, int]], size: int, validator: str = "bob"
) -> list[tuple[str, int]]:
    return sampled_nonces(
        batches,
        size,
        chain_id="evergrid-test-1",
        height_start=5100,
        block_hash=HASH_T,
        validator=validator,
        participant="alice",
    )


def validators_sampled(powers: dict[str, int], slots: int, participant: str = "dave") -> dict[str, int]:
    return sampled_validators(
        powers,
        slots,
        chain_id="evergrid-test-1",
        height_start=5100,
        block_hash=HASH_T,
        participant=participant,
    )


batches_of_nodes = st.lists(
    st.tuples(st.sampled_from(["n1", "n10", "n2"]), st.integers(0, 20), st.integers(0, 8)), max_size=6
).map(
    # Batches of a node do not overlap: each is moved past the others.
    lambda batches: [
        (node_id, 100 * place + first, count) for place, (node_id, first, count) in enumerate(batches)
    ]
)


@given(batches_of_nodes, st.integers(0, 60))
def test_samples_are_distinct_nonces_of_the_participant_in_order(
    batches: list[tuple[str, int, int]], size: int
) -> None:
    everything = sorted(
        (node_id, first + offset) for node_id, first, count in batches for offset in range(count)
    )

    picked = nonces_sampled(batches, size)

    assert picked == sorted(set(picked))
    assert set(picked) <= set(everything)
    assert len(picked) == min(size, len(everything))


@given(batches_of_nodes, st.randoms(use_true_random=False))
def test_samples_do_not_depend_on_the_order_in_which_batches_came(
    batches: list[tuple[str, int, int]], random: object
) -> None:
    shuffled = list(batches)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert nonces_sampled(shuffled, 5) == nonces_sampled(batches, 5)


def test_samples_are_the_indices_that_the_draw_of_the_protocol_gives() -> None:
    draw = Draw("evergrid/poc-sample/1", "evergrid-test-1", 5100, HASH_T, "bob", "alice")

    picked = nonces_sampled([("n2", 0, 50), ("n1", 1000, 50)], 7)

    everything = [("n1", 1000 + i) for i in range(50)] + [("n2", i) for i in range(50)]
    assert picked == [everything[index] for index in draw.distinct(7, 100)]


def test_two_validators_sample_differently() -> None:
    batches = [("n1", 0, 10_000)]

    assert nonces_sampled(batches, 20, "bob") != nonces_sampled(batches, 20, "carol")


def test_each_slot_goes_to_a_validator_by_power_and_none_to_the_judged_one() -> None:
    powers = {"alice": 100, "bob": 200, "carol": 300, "dave": 5000, "erin": 400}

    drawn = validators_sampled(powers, slots=10_000)

    assert sum(drawn.values()) == 10_000
    assert "dave" not in drawn
    expected = {"alice": 1000, "bob": 2000, "carol": 3000, "erin": 4000}
    chi_square = sum((drawn[name] - count) ** 2 / count for name, count in expected.items())
    assert chi_square < CHI_SQUARE_3_LIMIT


def test_a_sole_participant_draws_its_own_slots_and_nobody_draws_from_nothing() -> None:
    assert validators_sampled({"dave": 7}, slots=5) == {"dave": 5}
    assert validators_sampled({}, slots=5) == {}
    assert validators_sampled({"alice": 0}, slots=5) == {}


def test_every_nonce_is_sampled_about_equally_often_over_the_validators() -> None:
    counts = Counter(
        nonce // 25 for i in range(400) for _, nonce in nonces_sampled([("n1", 0, 100)], 10, f"validator-{i}")
    )

    assert sum(counts.values()) == 4000
    assert sum((counts[quarter] - 1000) ** 2 / 1000 for quarter in range(4)) < CHI_SQUARE_3_LIMIT


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=50))
def test_claims_survive_the_way_into_bytes_and_back(claims: list[int]) -> None:
    raw = encode_claims(claims)

    assert len(raw) == 4 * len(claims)
    assert list(decode_claims(raw)) == claims


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50))
def test_nonces_survive_the_way_into_bytes_and_back(nonces: list[int]) -> None:
    assert list(decode_nonces(encode_nonces(nonces))) == nonces


def test_a_claim_is_big_endian_twos_complement() -> None:
    assert encode_claims([1, -1, -1_000_000]).hex() == "00000001" + "ffffffff" + "fff0bdc0"


def test_claims_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="32 bits"):
        encode_claims([2**31])
    with pytest.raises(ValueError, match="7 bytes"):
        decode_claims(b"1234567")
    with pytest.raises(ValueError, match="64 bits"):
        encode_nonces([-1])
    with pytest.raises(ValueError, match="9 bytes"):
        decode_nonces(b"123456789")


@pytest.mark.parametrize(
    ("given", "voters", "used"),
    [(0, 250, 0), (0, 251, 256), (0, 10_000, 256), (64, 3, 64), (64, 1_000, 64), (0, 0, 0)],
)
def test_where_params_leave_it_open_slots_are_drawn_above_250_voters(
    given: int, voters: int, used: int
) -> None:
    assert effective_slots(given, voters) == used


def test_the_draw_of_all_participants_at_once_is_that_of_each() -> None:
    powers = {f"v{i}": 1 + i * i % 7 for i in range(30)} | {"idle": 0}
    draw = ValidatorDraw(powers.items(), 40, "chain", 100, b"\7" * 32)

    for participant in (*powers, "newcomer"):
        drawn = sampled_validators(
            powers, 40, chain_id="chain", height_start=100, block_hash=b"\7" * 32, participant=participant
        )
        assert sum(drawn.values()) == 40
        assert participant not in drawn
        assert {name: draw.slots_of(name, participant) for name in powers if name in drawn} == drawn
        assert not any(draw.slots_of(name, participant) for name in powers if name not in drawn)
    assert draw.slots_of("stranger", "v1") == 0
