"""Nonces from callbacks: checked against the PoC under way, cut into batches, queued once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_node.metrics import Metrics
from api_node.outbox import Outbox
from api_node.poc_artifacts import ArtifactStore
from api_node.poc_batches import BatchCollector, BatchRefusedError, Generated, batch_runs
from api_node.sender import Sender
from client.chain import AsyncChainClient
from protocol.claims import decode_claims
from protocol.gen.evergrid.poc.v1 import poc_pb2
from tests.api_node.views import S_FIRST, seed_of, view_at
from tests.chain import key_of

ALICE = key_of("alice")


def collector_of(path: Path) -> BatchCollector:
    metrics = Metrics()
    sender = Sender(AsyncChainClient("http://127.0.0.1:1"), ALICE, Outbox(path), metrics)
    store = ArtifactStore(path.with_name("artifacts.sqlite"))
    return BatchCollector(sender, metrics, ALICE.address, ALICE.public, store)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


@pytest.fixture
def collector(path: Path) -> BatchCollector:
    collector = collector_of(path)
    collector.open(view_at(S_FIRST), {})
    return collector


def post(first: int, count: int, **changes: object) -> Generated:
    nonces = list(range(first, first + count))
    whole = Generated(
        node_id="n1",
        block_hash=seed_of(S_FIRST).hex(),
        block_height=S_FIRST,
        public_key=ALICE.public.hex(),
        nonces=nonces,
        claims=[-nonce for nonce in nonces],
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def queued(collector: BatchCollector) -> list[poc_pb2.MsgSubmitPocBatch]:
    messages = [entry.message for entry in collector._sender.outbox.pending()]
    assert all(isinstance(message, poc_pb2.MsgSubmitPocBatch) for message in messages)
    return messages  # type: ignore[return-value]


def test_a_post_becomes_one_dense_batch_with_its_claims(collector: BatchCollector) -> None:
    assert collector.take(post(0, 5), ["n1"]) == 5

    (message,) = queued(collector)
    assert (message.nonce_first, message.nonce_count, message.node_id) == (0, 5, "n1")
    assert decode_claims(message.claims) == (0, -1, -2, -3, -4)
    assert message.poc_stage_start_height == S_FIRST


def test_a_post_that_comes_again_queues_nothing(collector: BatchCollector) -> None:
    collector.take(post(0, 5), ["n1"])

    assert collector.take(post(0, 5), ["n1"]) == 0
    assert collector.take(post(3, 4), ["n1"]) == 2
    assert [(each.nonce_first, each.nonce_count) for each in queued(collector)] == [(0, 5), (5, 2)]


def test_the_next_nonce_survives_a_restart_and_what_the_chain_has_counts(
    collector: BatchCollector, path: Path
) -> None:
    collector.take(post(0, 5), ["n1"])

    again = collector_of(path)
    again.open(view_at(S_FIRST), {"n2": 30})

    assert (again.nonce_next("n1"), again.nonce_next("n2")) == (5, 30)


def test_a_new_poc_begins_at_nonce_zero(collector: BatchCollector) -> None:
    collector.take(post(0, 5), ["n1"])

    collector.open(view_at(S_FIRST + 30), {})

    assert collector.nonce_next("n1") == 0


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"node_id": "stranger"}, "node stranger is none of"),
        ({"public_key": "02" + "11" * 32}, "public_key is not"),
        ({"block_hash": "00" * 32}, "the PoC under way is that of height 10"),
        ({"block_height": 40}, "the PoC under way is that of height 10"),
        ({"claims": [1]}, "5 nonces have 1 claims"),
        ({"nonces": [1, 1, 2, 3, 4]}, "do not rise"),
        ({"claims": [2**31] * 5}, "32 bits"),
    ],
)
def test_what_does_not_belong_here_is_refused_and_changes_nothing(
    collector: BatchCollector, changes: dict[str, object], text: str
) -> None:
    with pytest.raises(BatchRefusedError, match=text):
        collector.take(post(0, 5, **changes), ["n1"])

    assert queued(collector) == []
    assert collector.nonce_next("n1") == 0


def test_all_that_is_wrong_is_named_at_once(collector: BatchCollector) -> None:
    with pytest.raises(BatchRefusedError) as caught:
        collector.take(post(0, 5, node_id="stranger", public_key="x", block_hash="y"), ["n1"])

    assert all(text in str(caught.value) for text in ("stranger", "public_key", "height 10"))


@given(st.sets(st.integers(0, 60)), st.integers(0, 60), st.integers(1, 10), st.booleans())
def test_runs_hold_every_new_nonce_once_in_order(
    found: set[int], start: int, batch_max: int, dense: bool
) -> None:
    nonces = sorted(found)

    runs = batch_runs(nonces, [10 * nonce for nonce in nonces], start, batch_max, dense=dense)

    assert [nonce for run, _ in runs for nonce in run] == [nonce for nonce in nonces if nonce >= start]
    for run, claims in runs:
        assert len(run) <= batch_max
        assert claims == [10 * nonce for nonce in run]
        assert not dense or run == list(range(run[0], run[0] + len(run)))
