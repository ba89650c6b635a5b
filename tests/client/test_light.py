"""The light client's rules, on chains that the tests sign and on headers that a real node made."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from client.light import Trust, check_block, follow, trust_root, verify_next
from client.light_header import LightBlock, read_block, read_time
from client.verify_errors import MalformedError, VerifyError
from tests.client.light_chain import CHAIN_ID, NS, Headers, block_json, now_ns, public

RECORDED = json.loads((Path(__file__).parent / "data" / "bundles.json").read_text())
FOUR = {"a": 10, "b": 10, "c": 10, "d": 10}
TRUST = Trust()


def rolling(height: int) -> dict[str, int]:
    """Every ten blocks one of four validators goes and a new one comes."""
    turn = height // 10
    return {f"v{each}": 10 for each in range(turn, turn + 4)}


def steady(_height: int) -> dict[str, int]:
    return FOUR


def refused(code: str, check: Callable[[], Any]) -> None:
    with pytest.raises(VerifyError) as error:
        check()
    assert error.value.code == code, f"{error.value.code}: {error.value}"


def block(height: int = 9, **options: Any) -> LightBlock:
    return read_block(block_json(height, FOUR, FOUR, **options))


@pytest.mark.parametrize("bundle", RECORDED["bundles"].values(), ids=RECORDED["bundles"])
def test_hashes_and_signatures_of_a_real_node_are_ours(bundle: dict[str, Any]) -> None:
    blocks = [read_block(each) for each in bundle["blocks"]]

    for each in blocks:
        check_block(each, bundle["chain_id"])
    root = trust_root(blocks[0], RECORDED["trusted_height"], bytes.fromhex(RECORDED["trusted_hash"]))
    assert root.header.validators_hash == root.validators_hash


def test_a_steady_set_is_followed_in_one_step() -> None:
    chain = Headers(steady)

    path = follow(chain(1), 1000, chain, now_ns(1000), TRUST)

    assert [each.height for each in path] == [1, 1000]


def test_where_validators_change_headers_in_between_are_fetched_and_each_step_has_its_trust() -> None:
    chain = Headers(rolling)

    path = follow(chain(1), 100, chain, now_ns(100), TRUST)

    heights = [each.height for each in path]
    assert heights[0] == 1
    assert heights[-1] == 100
    assert 3 < len(heights) < 20
    for before, after in pairwise(heights):
        shared = {*rolling(before)} & {*rolling(after)}
        assert after == before + 1 or len(shared) * 3 > len(rolling(before))


def test_sequentially_every_header_is_taken() -> None:
    chain = Headers(rolling)

    path = follow(chain(5), 35, chain, now_ns(35), TRUST, sequential=True)

    assert [each.height for each in path] == list(range(5, 36))


def test_a_third_of_the_trusted_power_is_not_enough_and_a_little_more_is() -> None:
    trusted = read_block(block_json(1, {"a": 10, "b": 10, "c": 10}, FOUR))
    exactly = {"a": 10, "x": 10, "y": 10}
    more = {"a": 10, "b": 1, "x": 10, "y": 10}
    known = {**more, "b": 10}

    refused(
        "not_enough_trust",
        lambda: verify_next(trusted, read_block(block_json(9, exactly, exactly)), now_ns(9), TRUST),
    )
    verify_next(trusted, read_block(block_json(9, known, known)), now_ns(9), TRUST)


def test_two_thirds_of_the_power_is_too_little_and_votes_for_no_block_do_not_count() -> None:
    trusted, three = block(1), {"a": 10, "b": 10, "c": 10}
    two_of_three = read_block(block_json(9, three, three, signers=["a", "b"]))
    three_of_four = block(signers=["a", "b", "c"])
    with_nil = block(signers=["a", "b"], nil=["c", "d"])

    refused("too_few_signatures", lambda: verify_next(trusted, two_of_three, now_ns(9), TRUST))
    refused("too_few_signatures", lambda: verify_next(trusted, with_nil, now_ns(9), TRUST))
    verify_next(trusted, three_of_four, now_ns(9), TRUST)
    verify_next(trusted, block(signers=["a", "b", "c"], nil=["d"]), now_ns(9), TRUST)


def test_a_trust_that_has_expired_leads_nowhere_but_still_holds_for_itself() -> None:
    chain = Headers(steady)
    short = Trust(period_ns=3600 * NS)
    root = chain(1)

    refused("trust_expired", lambda: follow(root, 100, chain, now_ns(100), short))
    assert follow(root, 1, chain, now_ns(100), short) == [root]
    assert follow(root, 50, chain, now_ns(50), short)[-1].height == 50


def test_headers_of_the_past_the_future_or_another_chain_are_refused() -> None:
    trusted = block(9)

    refused("wrong_height", lambda: verify_next(trusted, block(9), now_ns(9), TRUST))
    refused("wrong_height", lambda: follow(trusted, 3, Headers(steady), now_ns(9), TRUST))
    refused("wrong_height", lambda: follow(trusted, 20, lambda _height: block(19), now_ns(20), TRUST))
    refused("from_future", lambda: verify_next(trusted, block(20), now_ns(19) + 40 * NS, TRUST))
    other = block(10, chain_id="other-1")
    refused("wrong_chain", lambda: verify_next(trusted, other, now_ns(10), TRUST))
    earlier = block(10, change=lambda each: each["header"].update(time="2023-11-15T00:00:00Z"))
    refused("time_not_rising", lambda: verify_next(trusted, earlier, now_ns(10), TRUST))


def test_the_next_header_must_have_the_validators_who_were_announced() -> None:
    trusted = block(9)
    three = {"a": 10, "b": 10, "c": 10}

    refused(
        "wrong_validators",
        lambda: verify_next(trusted, read_block(block_json(10, three, three)), now_ns(10), TRUST),
    )


def test_a_forged_header_or_validator_set_is_refused() -> None:
    trusted = block(1)
    raw = block_json(9, FOUR, FOUR)
    other = block_json(9, FOUR, FOUR, app_hash="EE" * 32)
    thieves = block_json(9, {"x": 10, "y": 10}, {"x": 10, "y": 10})

    def verify(value: dict[str, Any]) -> None:
        verify_next(trusted, read_block(value), now_ns(9), TRUST)

    verify(raw)
    refused("forged_header", lambda: verify({**raw, "header": other["header"]}))
    refused("forged_header", lambda: trust_root(read_block(other), 9, read_block(raw).header.hash))
    refused("wrong_height", lambda: trust_root(read_block(raw), 8, read_block(raw).header.hash))
    refused("not_enough_trust", lambda: verify(thieves))
    refused("wrong_validators", lambda: verify({**raw, "validators": thieves["validators"]}))
    swapped = [*raw["validators"][1::-1], *raw["validators"][2:]]
    refused("wrong_validators", lambda: verify({**raw, "validators": swapped}))


def test_one_false_signature_is_refused_even_where_the_others_are_enough() -> None:
    trusted = block(1)
    raw = block_json(9, FOUR, FOUR)
    votes = raw["commit"]["signatures"]
    swapped = [votes[0] | {"signature": votes[1]["signature"]}, *votes[1:]]
    later = [votes[0] | {"timestamp": "2023-11-15T00:09:01Z"}, *votes[1:]]
    stranger = [votes[0] | {"validator_address": votes[1]["validator_address"]}, *votes[1:]]

    for changed, code in (
        (swapped, "bad_signature"),
        (later, "bad_signature"),
        (stranger, "wrong_validators"),
    ):
        value = {**raw, "commit": {**raw["commit"], "signatures": changed}}
        refused(code, partial(verify_next, trusted, read_block(value), now_ns(9), TRUST))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw["header"].update(height=9),
        lambda raw: raw["header"].update(height="09"),
        lambda raw: raw["header"].update(app_hash="ab" * 32),
        lambda raw: raw["header"].update(app_hash="AB"),
        lambda raw: raw["header"].pop("data_hash"),
        lambda raw: raw["header"].update(extra="1"),
        lambda raw: raw["commit"].update(round=True),
        lambda raw: raw["commit"]["signatures"][0].update(block_id_flag=4),
        lambda raw: raw["commit"]["signatures"][0].update(signature="!"),
        lambda raw: raw["validators"][0].update(voting_power="0"),
        lambda raw: raw["validators"][0].update(voting_power=str(2**62)),
        lambda raw: raw["validators"][0].update(address="00" * 20),
        lambda raw: raw["validators"].append(raw["validators"][0]),
        lambda raw: raw.update(validators=[]),
    ],
)
def test_what_no_node_writes_is_malformed(change: Callable[[dict[str, Any]], Any]) -> None:
    raw = json.loads(json.dumps(block_json(9, FOUR, FOUR)))

    change(raw)

    with pytest.raises(MalformedError):
        read_block(raw)


@pytest.mark.parametrize(
    ("text", "seconds", "nanos"),
    [
        ("1970-01-01T00:00:00Z", 0, 0),
        ("2024-02-29T23:59:59.5Z", 1_709_251_199, 500_000_000),
        ("2026-11-23T23:00:00.000000001Z", 1_795_474_800, 1),
    ],
)
def test_times_are_read_to_the_nanosecond(text: str, seconds: int, nanos: int) -> None:
    time = read_time(text)

    assert (time.seconds, time.nanos) == (seconds, nanos)


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29T00:00:00Z",
        "2023-01-01T00:00:00.10Z",
        "2023-01-01 00:00:00Z",
        "2023-01-01T24:00:00Z",
        "",
        5,
    ],
)
def test_times_that_nobody_writes_are_refused(text: Any) -> None:
    with pytest.raises(MalformedError):
        read_time(text)


def test_an_address_is_that_of_the_key() -> None:
    validators = block().validators

    assert [each.key for each in validators] == [public(name) for name in FOUR]
    assert block().header.chain_id == CHAIN_ID
