"""Absence is proved by the two neighbours of a key alone: no other pair of genuine leaves shows it."""

from __future__ import annotations

import random

import pytest

from abci_app.kernel.store import MemoryStore
from client.verify_errors import VerifyError
from client.verify_proof import IAVL_OP, Op, read_fields, verify_key
from protocol.varint import uvarint

KEYS = range(0, 80, 2)


def key_of(number: int) -> bytes:
    return b"%04d" % number


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    made = MemoryStore(["auth", "bank", "epochs"])
    changes: dict[bytes, bytes | None] = {b"bank/" + key_of(n): b"v%d" % n for n in KEYS}
    made.commit(made.stage({**changes, b"auth/x": b"1"}, 1), 1)
    return made


def proof(store: MemoryStore, key: bytes) -> list[Op]:
    return [Op(op.type, op.key, op.data) for op in store.prove(1, key)]


def message(number: int, raw: bytes) -> bytes:
    return uvarint(number << 3 | 2) + uvarint(len(raw)) + raw


def verified(app_hash: bytes, store: str, key: bytes, value: bytes | None, ops: list[Op]) -> str:
    try:
        verify_key(app_hash, store, key, value, ops)
    except VerifyError as error:
        return error.code
    return "proved"


@pytest.mark.parametrize("key", [b"!", b"0001", b"0040", b"0041", b"zz"])
def test_no_pair_of_leaves_but_the_neighbours_of_a_key_proves_its_absence(
    store: MemoryStore, key: bytes
) -> None:
    leaves: dict[int | None, bytes] = {None: b""}
    for number in KEYS:
        held = read_fields(proof(store, b"bank/" + key_of(number))[0].data)[0][1]
        assert isinstance(held, bytes)
        leaves[number] = held
    names = proof(store, b"bank/" + key_of(0))[1]

    proved = set()
    for left, left_raw in leaves.items():
        for right, right_raw in leaves.items():
            sides = [message(2 + place, raw) for place, raw in enumerate((left_raw, right_raw)) if raw]
            forged = Op(IAVL_OP, key, message(2, message(1, key) + b"".join(sides)))
            if verified(store.app_hash, "bank", key, None, [forged, names]) == "proved":
                proved.add((left, right))

    below = [number for number in KEYS if key_of(number) < key]
    above = [number for number in KEYS if key_of(number) > key]
    neighbours = (below[-1] if below else None, above[0] if above else None)
    is_there = key in {key_of(number) for number in KEYS}
    assert proved == (set() if is_there else {neighbours})


def test_a_gap_between_the_neighbours_is_refused_by_name(store: MemoryStore) -> None:
    left, right = (read_fields(proof(store, b"bank/" + key_of(number))[0].data)[0][1] for number in (10, 14))
    assert isinstance(left, bytes) and isinstance(right, bytes)
    body = message(1, b"0012") + message(2, left) + message(3, right)
    ops = [Op(IAVL_OP, b"0012", message(2, body)), proof(store, b"bank/0000")[1]]

    assert verified(store.app_hash, "bank", b"0012", None, ops) == "not_absent"


def test_a_store_that_has_keys_is_not_shown_to_have_none(store: MemoryStore) -> None:
    of_empty, of_other = proof(store, b"epochs/q"), proof(store, b"bank/0000")[1:]

    assert verified(store.app_hash, "epochs", b"q", None, of_empty) == "proved"
    assert verified(store.app_hash, "bank", b"0000", None, of_empty) == "wrong_store"
    assert verified(store.app_hash, "bank", b"0000", None, of_other) == "wrong_value"


def test_no_random_change_of_a_link_is_accepted(store: MemoryStore) -> None:
    draw = random.Random(7)
    questions: list[tuple[bytes, bytes | None]] = [
        (key_of(0), b"v0"),
        (key_of(1), None),
        (key_of(78), b"v78"),
    ]

    for _ in range(3000):
        key, value = draw.choice(questions)
        ops = proof(store, b"bank/" + key)
        place = draw.randrange(len(ops))
        raw = ops[place].data
        cut, end = sorted(draw.randrange(len(raw) + 1) for _ in range(2))
        # Cut out, doubled, or with other bytes in between.
        changed = draw.choice(
            [raw[:cut] + raw[end:], raw[:end] + raw[cut:], raw[:cut] + draw.randbytes(2) + raw[cut:]]
        )
        ops[place] = ops[place]._replace(data=changed)
        code = verified(store.app_hash, "bank", key, value, ops)
        assert (code == "proved") == (changed == raw), (key, place, cut, end)
