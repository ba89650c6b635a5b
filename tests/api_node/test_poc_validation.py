"""Samples are spread over own nodes, given to others where one fails, and judged in time or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from api_node import poc_validation
from api_node.mlnode_client import FailureKind, MLNodeError
from api_node.poc_pace import ANSWER_TIMEOUT_MIN_S, ANSWER_TIMEOUT_S, Pace, job_size
from api_node.poc_validation import Validator
from protocol.gen.evergrid.poc.v1 import poc_pb2
from tests.api_node.disturbed import BOB_NONCES, Reader, Script, claims, views
from tests.api_node.views import ALICE, BOB, S_FIRST

pytestmark = pytest.mark.anyio

VIEWS = views(committed=False)
# Local profile: T is 18, E is 22.
T = S_FIRST + 8


class Node:
    """A validating node: `says` is its answer, an error, a refusal or nothing."""

    def __init__(self, name: str, says: str = "claims") -> None:
        self.node = SimpleNamespace(id=name)
        self.says = says
        self.asked: list[list[int]] = []
        self.validator: Validator | None = None

    async def pow_validate(self, body: dict[str, Any]) -> None:
        assert self.validator is not None
        self.asked.append(body["nonces"])
        if self.says == "refusal":
            raise MLNodeError(FailureKind.BUSY, "another puzzle", 409)
        if self.says == "error":
            self.validator.on_error(body["request_id"])
        elif self.says == "claims":
            found = claims(S_FIRST, body["public_key"], body["node_id"], body["nonces"])
            self.validator.on_validated(body["request_id"], body["nonces"], found)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poc_validation, "RETRY_S", 0.01)


async def judged(nodes: list[Node], pace: Pace | None = None, wait_s: float = 3) -> poc_pb2.PocVerdict:
    """What these nodes find of bob, as far as they get within the time."""
    reader: Any = Reader(Script(VIEWS))
    ready: Mapping[str, Any] = {node.node.id: node for node in nodes}
    validator = Validator(reader, ALICE, lambda _puzzle: ready)
    for node in nodes:
        node.validator = validator
    if pace:
        validator._pace = pace
    validator.begin(VIEWS(T))
    try:
        await asyncio.wait_for(validator.wait_complete(), wait_s)
    except TimeoutError:
        assert not validator.is_complete(S_FIRST)
    (verdict,) = validator.verdicts(S_FIRST)
    await validator.close()
    assert verdict.participant == BOB
    return verdict


async def test_a_sample_is_spread_over_all_validating_nodes_and_each_nonce_is_computed_once() -> None:
    nodes = [Node("n1"), Node("n2")]

    verdict = await judged(nodes)

    assert (verdict.verdict, verdict.sampled) == (poc_pb2.VERDICT_HONEST, BOB_NONCES)
    assert all(node.asked for node in nodes)
    computed = [nonce for node in nodes for nonces in node.asked for nonce in nonces]
    assert sorted(computed) == list(range(BOB_NONCES))


@pytest.mark.parametrize("failure", ["refusal", "error"])
async def test_what_one_node_cannot_do_another_one_does(failure: str) -> None:
    nodes = [Node("n1", failure), Node("n2")]

    verdict = await judged(nodes)

    assert (verdict.verdict, verdict.sampled) == (poc_pb2.VERDICT_HONEST, BOB_NONCES)
    assert nodes[0].asked


async def test_a_node_that_does_not_answer_has_its_turn_and_no_more_of_the_time_that_is_left() -> None:
    nodes = [Node("n1", "nothing"), Node("n2")]

    # Blocks of a second: of the four that are left the silent node gets a third.
    verdict = await judged(nodes, Pace(T, block_s=1.0), wait_s=4)

    assert verdict.verdict == poc_pb2.VERDICT_HONEST
    assert nodes[0].asked


@pytest.mark.parametrize("failure", ["refusal", "error", "nothing"])
async def test_who_cannot_check_abstains_and_never_says_fraud(failure: str) -> None:
    verdict = await judged([Node("n1", failure)], wait_s=0.5)

    assert (verdict.verdict, verdict.mismatches) == (poc_pb2.VERDICT_ABSTAIN, 0)


async def test_without_any_node_that_can_validate_one_abstains() -> None:
    assert (await judged([], wait_s=0.3)).verdict == poc_pb2.VERDICT_ABSTAIN


@pytest.mark.parametrize(
    ("nonces", "nodes", "participants", "size"),
    [
        (200, 1, 1, 200),
        (200, 4, 1, 50),
        # Every participant is a piece already.
        (200, 4, 8, 200),
        (200, 100, 1, 20),
        (2000, 1, 1, 500),
        (0, 0, 0, 20),
    ],
)
def test_a_sample_is_cut_into_as_many_pieces_as_give_every_node_one(
    nonces: int, nodes: int, participants: int, size: int
) -> None:
    assert job_size(nonces, nodes, participants) == size


def test_patience_follows_the_pace_of_blocks_and_the_blocks_that_are_left() -> None:
    pace = Pace()
    assert pace.patience_s(22) == ANSWER_TIMEOUT_S

    for height, now_s in ((10, 100.0), (10, 103.0), (14, 112.0)):
        pace.note(height, now_s)

    assert pace.block_s == 3.0
    assert pace.patience_s(20) == 6.0
    assert pace.patience_s(14) == ANSWER_TIMEOUT_MIN_S
    assert pace.patience_s(1000) == ANSWER_TIMEOUT_S
