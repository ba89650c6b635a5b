"""Sentences of the protocol's section 6: hashes and draws, byte by byte, by a second implementation."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from abci_app.modules import epochs
from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.uptime.rules import (
    ELIGIBLE,
    Group,
    ModelDemand,
    NodeFacts,
    Seed,
    allocate_slots,
    eligibility,
)
from protocol.draw import Draw, encode_fields
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_MINED, REASON_PRESERVED, Reason
from protocol.poc_samples import sampled_validators
from tests.chain import key_of
from tests.protocol.rounds import LENGTH, S, V, mine_and_judge, owners, serving

HASH = sha256(b"block 5099").digest()
SPACE = 2**256
PARAMS = default_params("local").uptime


def field(value: str | bytes | int) -> bytes:
    """A field as the protocol says it, written without our code."""
    raw = value.encode() if isinstance(value, str) else value
    raw = raw.to_bytes(8, "big") if isinstance(raw, int) else raw
    return len(raw).to_bytes(4, "big") + raw


def numbers(*fields: str | bytes | int) -> list[int]:
    """The first numbers of a stream, as the protocol says it: SHA-256(`draw`, fields, counter)."""
    prefix = b"".join(map(field, ("draw", *fields)))
    return [int.from_bytes(sha256(prefix + field(counter)).digest(), "big") for counter in range(64)]


def test_fields_of_a_hash_are_encoded_as_said() -> None:
    """Each field follows its 4-byte big-endian length; text is UTF-8, numbers are 8 bytes big-endian."""
    assert encode_fields("ä", HASH, 258) == bytes.fromhex(
        "00000002c3a4" + "00000020" + HASH.hex() + "00000008" + "0000000000000102"
    )
    assert encode_fields("ab", "c") != encode_fields("a", "bc")


@pytest.mark.parametrize("bound", [1, 7, 1360, 2**255 + 1, 3 * 2**254])
def test_a_draw_refuses_what_would_favour_low_numbers(bound: int) -> None:
    """Refuse v >= floor(2^256 / n) * n; v mod n; counter + 1 per try."""
    fields = ("evergrid/poc-slot/1", "evergrid-test-1", 8, HASH, "X")
    fair = [value % bound for value in numbers(*fields) if value < SPACE // bound * bound]
    refused = any(value >= SPACE // bound * bound for value in numbers(*fields)[:8])

    draw = Draw(*fields)

    assert [draw.below(bound) for _ in range(6)] == fair[:6]
    assert refused == (bound > 2**254)


def test_distinct_indices_are_those_of_the_shuffle() -> None:
    """The i-th pick stands at i + a number below n - i, and what stands there changes places with i."""
    fields = ("evergrid/poc-sample/1", "evergrid-test-1", 5100, HASH, "bob", "alice")
    cards = list(range(100))
    for i, value in enumerate(numbers(*fields)[:20]):
        j = i + value % (100 - i)
        cards[i], cards[j] = cards[j], cards[i]

    assert Draw(*fields).distinct(20, 100) == sorted(cards[:20])


def test_sampled_validators_follow_from_the_named_fields() -> None:
    """By power, from the domain, chain id, S, hash of block T, and the participant, in address order."""
    powers = {"carol": 30, "alice": 10, "bob": 20}
    found: dict[str, int] = {}
    for value in numbers("evergrid/poc-validators/1", "evergrid-test-1", 5100, HASH, "dan")[:16]:
        name = next(n for n, end in (("alice", 10), ("bob", 30), ("carol", 60)) if value % 60 < end)
        found[name] = found.get(name, 0) + 1

    drawn = sampled_validators(
        powers, 16, chain_id="evergrid-test-1", height_start=5100, block_hash=HASH, participant="dan"
    )

    assert drawn == found


def test_a_model_of_one_node_alternates_between_serving_and_mining() -> None:
    """A model of one node alternates between serving and mining."""
    nodes = {"alice": ("model/x",), "bob": ("model/y",)}
    chain = owners("alice", "bob", models=("model/x", "model/y"), nodes=nodes)
    sources = []
    for epoch in range(1, 5):
        begin = S + (epoch - 1) * LENGTH
        chain.run_to(begin)
        held = serving(chain, epoch - 1, ("model/x", "model/y"))
        mined = {name: 30 for name in ("alice", "bob") if key_of(name).address not in held}
        mine_and_judge(chain, begin, mined, "alice", "bob")
        chain.run_to(V + (epoch - 1) * LENGTH)
        member = epochs.member(chain.context(), epoch, "model/x", key_of("alice").address)
        assert member is not None
        sources.append(member.ml_nodes[0].weight_source)

    assert sources == [REASON_MINED, REASON_PRESERVED, REASON_MINED, REASON_PRESERVED]


def test_models_take_their_turns_in_the_order_of_their_hashes() -> None:
    """SHA-256(`model-order`, domain, chain id, upcoming epoch, hash of block S-1, model id)."""
    names = [f"org/model-{i}" for i in range(12)]
    before: tuple[str | bytes | int, ...] = ("model-order", "evergrid/poc-slot/1", "evergrid-test-1", 8, HASH)
    by_hash = sorted(
        names, key=lambda name: sha256(b"".join(field(each) for each in (*before, name))).digest()
    )
    demands = [ModelDemand(name, capacity=0, expected=0, candidates=()) for name in names]

    found = allocate_slots(demands, Group({}, {}, {}), PARAMS, Seed("evergrid-test-1", 8, HASH))

    assert [(each.model_id, each.order) for each in found] == [(name, i) for i, name in enumerate(by_hash)]


def test_of_all_that_speaks_against_a_node_the_first_is_its_reason() -> None:
    """The first of these that fails is the node's reason."""
    facts = NodeFacts(
        serves=False,
        throughput=0,
        pending_model_change=True,
        disabled=True,
        maintenance=True,
        participant_invalid=True,
        unproved=1,
        served=0,
        availability_bps=9_999,
    )
    mended: tuple[dict[str, Any], ...] = (
        {"participant_invalid": False},
        {"serves": True},
        {"throughput": 1},
        {"pending_model_change": False},
        {"disabled": False},
        {"maintenance": False},
        {"unproved": 0},
        {"served": 1},
        {"availability_bps": 10_000},
    )
    seen = []

    for mend in mended:
        seen.append(
            Reason.Name(eligibility(facts, PARAMS, anyone_served=True)).removeprefix("REASON_").lower()
        )
        facts = facts._replace(**mend)

    assert seen == [
        "participant_invalid",
        "not_serving",
        "zero_throughput",
        "pending_model_change",
        "node_disabled",
        "maintenance",
        "unproved",
        "min_served",
        "availability",
    ]
    assert eligibility(facts, PARAMS, anyone_served=True) == ELIGIBLE
