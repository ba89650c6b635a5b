"""Leaves from other participants: what is proved, what is wrong, what is withheld, and who waits for whom."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from google.protobuf.message import Message

from api_node import poc_fetch
from api_node.artifact_routes import artifact_routes
from api_node.poc_artifacts import ArtifactStore, Leaves, longest_run
from api_node.poc_fetch import Commitment, ShownSample, WithheldError, fetch_claims, proved_claim
from api_node.poc_validation import Validator
from api_node.view import ChainView
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.merkle import Tree, claim_leaf
from tests.api_node.serving import served, wait_for
from tests.api_node.views import S_FIRST, view_at

COUNT = 130
pytestmark = pytest.mark.anyio


def leaves_of(nonces: list[int], node_id: str = "n1") -> Leaves:
    return Leaves(node_id, nonces, [nonce * 3 - 50 for nonce in nonces])


def commitment_to(leaves: Leaves, count: int = COUNT) -> Commitment:
    return Commitment(leaves.node_id, leaves.tree.root, range(count))


def shown(leaves: Leaves, index: int) -> ShownSample:
    leaf, beside = leaves.with_neighbour(index)
    parts = {"leaf": leaf, "neighbour": beside}
    return ShownSample.model_validate(
        {
            name: part
            and {
                "index": part.index,
                "nonce": part.nonce,
                "claim": part.claim,
                "path": [step.hex() for step in part.path],
            }
            for name, part in parts.items()
        }
    )


def served_artifacts(leaves: Leaves) -> FastAPI:
    """The route itself over leaves whose commitment is on chain."""
    store = ArtifactStore(":memory:")
    store.add(S_FIRST, leaves.node_id, leaves.nonces, leaves.claims)
    store.commit(S_FIRST, leaves)
    collector = SimpleNamespace(store=store, is_on_chain=lambda *_: True)
    app = FastAPI()
    app.include_router(artifact_routes(SimpleNamespace(collector=collector)))  # type: ignore[arg-type]
    return app


# what is shown


@pytest.mark.parametrize("count", [1, 2, 3, 64, COUNT])
async def test_every_leaf_of_an_honest_node_is_proved_with_its_claim(count: int) -> None:
    leaves = leaves_of(list(range(count)))

    claims = [proved_claim(commitment_to(leaves, count), at, shown(leaves, at)) for at in range(count)]

    assert claims == list(leaves.claims)


def _claim(sample: ShownSample) -> None:
    sample.leaf.claim += 1


def _nonce(sample: ShownSample) -> None:
    sample.leaf.nonce += 1


def _index(sample: ShownSample) -> None:
    sample.leaf.index += 1


def _path(sample: ShownSample) -> None:
    sample.leaf.path.reverse()


def _no_neighbour(sample: ShownSample) -> None:
    sample.neighbour = None


def _neighbour_is_the_leaf(sample: ShownSample) -> None:
    sample.neighbour = sample.leaf


def _neighbour_claims_other(sample: ShownSample) -> None:
    assert sample.neighbour is not None
    sample.neighbour.claim += 1


@pytest.mark.parametrize(
    "change",
    [_claim, _nonce, _index, _path, _no_neighbour, _neighbour_is_the_leaf, _neighbour_claims_other],
)
async def test_whatever_is_changed_in_what_is_shown_makes_it_a_mismatch(
    change: Callable[[ShownSample], None],
) -> None:
    leaves = leaves_of(list(range(COUNT)))
    sample = shown(leaves, 7)

    change(sample)

    assert proved_claim(commitment_to(leaves), 7, sample) is None


@pytest.mark.parametrize("nonces", [[0, 1, 1, 3], [0, 1, 0, 3]])
async def test_a_leaf_whose_proved_neighbour_does_not_rise_is_a_mismatch(nonces: list[int]) -> None:
    leaves = leaves_of(nonces)

    assert proved_claim(commitment_to(leaves, 4), 1, shown(leaves, 1)) is None
    assert proved_claim(commitment_to(leaves, 4), 0, shown(leaves, 0)) == leaves.claims[0]


async def test_a_leaf_beyond_those_that_there_are_cannot_be_shown() -> None:
    leaves = leaves_of(list(range(COUNT)))
    more = Commitment("n1", leaves.tree.root, range(COUNT + 1))
    twice = Commitment("n1", leaves.tree.root, range(2 * COUNT))

    sample = shown(leaves, COUNT - 1)
    sample.leaf.index = sample.leaf.nonce = COUNT

    assert proved_claim(more, COUNT, sample) is None
    assert {proved_claim(twice, at, shown(leaves, at)) for at in range(COUNT)} == {None}


# how it is fetched


async def fetched(app: FastAPI, leaves: Leaves, indices: list[int]) -> dict[int, int | None]:
    async with served(app) as url, httpx2.AsyncClient(trust_env=False) as http:
        return await fetch_claims(http, url, S_FIRST, commitment_to(leaves), indices)


async def test_leaves_are_fetched_in_pages_from_the_route_itself() -> None:
    leaves = leaves_of(list(range(COUNT)))

    found = await fetched(served_artifacts(leaves), leaves, list(range(COUNT)))

    assert found == dict(enumerate(leaves.claims))


async def test_leaves_of_another_tree_are_mismatches() -> None:
    honest = leaves_of(list(range(COUNT)))
    other = Leaves("n1", honest.nonces, [claim + 1 for claim in honest.claims])

    assert await fetched(served_artifacts(other), honest, [0, 5]) == {0: None, 5: None}


async def _drips() -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(0.02)


async def _floods() -> AsyncIterator[bytes]:
    while True:
        yield b" " * 65536
        await asyncio.sleep(0)


def answering(answer: Callable[[], Response]) -> FastAPI:
    app = FastAPI()
    app.add_api_route("/v1/poc-artifacts", answer, response_model=None)
    app.add_api_route("/elsewhere", lambda: {"samples": []})
    return app


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda: StreamingResponse(_drips()), "no whole answer within 0.5 s"),
        (lambda: StreamingResponse(_floods()), "longer than"),
        (lambda: RedirectResponse("/elsewhere"), "answers 307"),
        (lambda: Response("busy", 503), "answers 503"),
        (lambda: Response("<html>"), "holds no leaves"),
        (lambda: Response(json.dumps({"samples": []})), "0 are shown"),
        (lambda: Response(json.dumps({"samples": [{"leaf": {"index": "7"}}]})), "holds no leaves"),
    ],
)
async def test_no_answer_within_the_limits_is_withholding(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[], Response], problem: str
) -> None:
    monkeypatch.setattr(poc_fetch, "ANSWER_TIMEOUT_S", 0.5)

    with pytest.raises(WithheldError, match=problem):
        await fetched(answering(answer), leaves_of(list(range(COUNT))), [7])


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "not a url", "file:///etc/passwd", "http://[::1", ""])
async def test_a_participant_that_cannot_be_reached_withholds(url: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        with pytest.raises(WithheldError):
            await fetch_claims(http, url, S_FIRST, commitment_to(leaves_of(list(range(COUNT)))), [1])


# who waits for whom


@dataclass
class Reader:
    """The chain of a validator: each participant has one committed batch and a URL."""

    urls: dict[str, str]
    leaves: Leaves
    address: str = "me"
    chain: Any = field(init=False)

    def __post_init__(self) -> None:
        self.chain = self

    async def query(self, request: Message, response: Any) -> Any:
        if isinstance(request, poc_pb2.QueryPocVotersRequest):
            return response(voters=[poc_pb2.PocVoter(address=self.address, voting_power=1)])
        names = enumerate(sorted(self.urls))
        return response(tallies=[poc_pb2.PocTally(participant=name, place=place) for place, name in names])

    async def participant(self, address: str) -> hardware_pb2.Participant:
        return hardware_pb2.Participant(address=address, url=self.urls[address], public_key=b"\2" * 33)

    async def poc_batches(self, _height_start: int, participant: str) -> list[poc_pb2.PocBatch]:
        root = self.leaves.tree.root
        return [poc_pb2.PocBatch(participant=participant, node_id="n1", nonce_count=COUNT, root=root)]


class Computes:
    """An MLNode that finds what is claimed."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.validator: Validator | None = None
        self.node = SimpleNamespace(node_id="m1")

    async def pow_validate(self, body: dict[str, Any]) -> None:
        self.asked.append(body["request_id"])
        assert self.validator is not None
        self.validator.on_validated(body["request_id"], body["nonces"], body["dist"])


async def test_who_drips_delays_nobody_and_ends_in_abstention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poc_fetch, "ANSWER_TIMEOUT_S", 0.4)
    leaves, node = leaves_of(list(range(COUNT))), Computes()
    bad = answering(lambda: StreamingResponse(_drips()))
    async with served(served_artifacts(leaves)) as good_url, served(bad) as bad_url:
        urls = {f"bad{at:02d}": bad_url for at in range(10)} | {f"good{at:02d}": good_url for at in range(10)}
        reader = Reader(urls, leaves)
        client: Any = node
        validator = Validator(reader, "me", lambda _: {"m1": client})  # type: ignore[arg-type]
        node.validator = validator

        validator.begin(seeded(view_at(S_FIRST + 8)))
        await wait_for(lambda: len(node.asked) == 10)
        early = {each.participant: each.verdict for each in validator.verdicts(S_FIRST)}
        complete_early = validator.is_complete(S_FIRST)
        await wait_for(lambda: validator.is_complete(S_FIRST), 20)
        verdicts = validator.verdicts(S_FIRST)
        message = validator.message(S_FIRST, verdicts)
        await validator.close()

    expected = {
        name: poc_pb2.VERDICT_ABSTAIN if name.startswith("bad") else poc_pb2.VERDICT_HONEST for name in urls
    }
    assert early == {each.participant: each.verdict for each in verdicts} == expected
    assert not complete_early
    assert [(group.verdict, list(group.places)) for group in message.groups] == [
        (poc_pb2.VERDICT_HONEST, list(range(10, 20))),
        (poc_pb2.VERDICT_ABSTAIN, list(range(10))),
    ]


def seeded(view: ChainView) -> ChainView:
    """A view at T: its PoC has the hash that samples follow from."""
    assert view.upcoming is not None
    view.upcoming.validation_seed = b"\3" * 32
    return view


# what is kept


async def test_what_is_not_committed_to_grows_and_what_is_stays_as_it_is(tmp_path: Any) -> None:
    store = ArtifactStore(tmp_path / "artifacts.sqlite")
    store.add(10, "n1", [0, 1, 2], [5, 6, 7])
    store.add(10, "n1", [3], [8])
    store.close()
    store = ArtifactStore(tmp_path / "artifacts.sqlite")
    assert (store.nonce_next(10, "n1"), store.nonce_next(10, "n2")) == (4, 0)
    assert store.committed(10, "n1") is None

    root = store.commit(10, Leaves("n1", *store.kept(10, "n1")))

    store.close()
    store = ArtifactStore(tmp_path / "artifacts.sqlite")
    again = store.committed(10, "n1")
    assert again is not None
    assert (again.nonces, again.claims) == ([0, 1, 2, 3], [5, 6, 7, 8])
    assert root == again.tree.root == Tree(claim_leaf("n1", at, 5 + at) for at in range(4)).root
    store.prune(40)
    assert store.committed(10, "n1") is None
    assert store.nodes(10) == []
    store.close()


@pytest.mark.parametrize(
    ("nonces", "dense", "count_max", "expected"),
    [
        ([0, 1, 2], True, 9, [0, 1, 2]),
        ([0, 1, 5, 6, 7], True, 9, [5, 6, 7]),
        ([0, 1, 5, 6, 7], False, 9, [0, 1, 5, 6, 7]),
        ([0, 1, 2, 3], True, 2, [0, 1]),
    ],
)
async def test_a_commitment_holds_the_longest_run(
    nonces: list[int], dense: bool, count_max: int, expected: list[int]
) -> None:
    run, claims = longest_run(nonces, nonces, count_max, dense=dense)

    assert list(run) == list(claims) == expected
