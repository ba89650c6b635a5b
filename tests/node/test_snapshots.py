"""Snapshots of a node: taken beside the chain, offered, fetched, checked, interrupted, resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from abci_app.app import STORES, App
from abci_app.kernel.store import DiskStore, MemoryStore
from abci_app.node.dispatch import Dispatcher
from abci_app.node.metrics import Metrics
from abci_app.node.snapshots import MANIFEST, Applied, Offer, SnapshotMetrics, Snapshots
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state

INTERVAL = 5


class Served:
    """A chain with snapshots every five blocks, in chunks of 400 bytes."""

    def __init__(self, folder: Path) -> None:
        node = GenesisNode("node-1", ("model/x",), 100)
        self.chain = Chain(app_state([GenesisParticipant("alice", nodes=(node,))], [a_model()]))
        self.registry = CollectorRegistry()
        self.snapshots = Snapshots(
            folder,
            interval=INTERVAL,
            keep_recent=2,
            chunk_bytes=400,
            on_taken=SnapshotMetrics(self.registry).show,
        )
        self.snapshots.serve(self.chain.app)

    def run_to(self, height: int) -> None:
        while self.chain.height < height:
            self.chain.block()
            self.snapshots.on_commit(self.chain.store)
            self.snapshots.settle()

    def offered(self) -> list[abci.Snapshot]:
        return list(self.snapshots.list_snapshots().snapshots)

    def chunk(self, snapshot: abci.Snapshot, number: int) -> bytes:
        request = abci.RequestLoadSnapshotChunk(height=snapshot.height, format=1, chunk=number)
        return self.snapshots.load_chunk(request).chunk

    def app_hash(self, height: int) -> bytes:
        with self.chain.store.at(height) as view:
            return view.app_hash


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path / "snapshots")
    made.run_to(17)
    yield made
    made.snapshots.close()


class Joining:
    """A new node's side of state sync."""

    def __init__(self, folder: Path, store: MemoryStore | DiskStore | None = None) -> None:
        self.app = App(store or MemoryStore(STORES))
        self.snapshots = Snapshots(folder)
        self.snapshots.serve(self.app)

    def offer(self, snapshot: abci.Snapshot, app_hash: bytes) -> int:
        return self.snapshots.offer(abci.RequestOfferSnapshot(snapshot=snapshot, app_hash=app_hash)).result

    def apply(self, number: int, chunk: bytes, sender: str = "peer") -> abci.ResponseApplySnapshotChunk:
        request = abci.RequestApplySnapshotChunk(index=number, chunk=chunk, sender=sender)
        return self.snapshots.apply_chunk(request)


def join(joining: Joining, served: Served, snapshot: abci.Snapshot) -> None:
    assert joining.offer(snapshot, served.app_hash(snapshot.height)) == Offer.ACCEPT
    for number in range(snapshot.chunks):
        assert joining.apply(number, served.chunk(snapshot, number)).result == Applied.ACCEPT


def test_the_latest_two_are_offered_and_described_by_metrics(served: Served, tmp_path: Path) -> None:
    offered = served.offered()

    assert [each.height for each in offered] == [15, 10]
    assert sorted(path.name for path in (tmp_path / "snapshots").iterdir()) == ["10-1", "15-1"]
    assert all(each.hash == sha256(each.metadata).digest() for each in offered)
    value = served.registry.get_sample_value
    assert value("evergrid_snapshot_height") == 15
    assert (value("evergrid_snapshot_duration_seconds") or 0) > 0
    assert (value("evergrid_state_bytes", {"prefix": "bank"}) or 0) == sum(
        len(key) - len("bank/") + len(held) for key, held in served.chain.store.iterate(b"bank/", b"bank0")
    )
    assert value("evergrid_state_bytes", {"prefix": "poc"}) == 0


def test_a_node_that_joins_has_the_state_and_the_next_blocks_are_the_same(
    served: Served, tmp_path: Path
) -> None:
    snapshot = served.offered()[0]
    joining = Joining(tmp_path / "other")

    join(joining, served, snapshot)

    assert snapshot.chunks > 5
    info = joining.app.info(abci.RequestInfo())
    assert (info.last_block_height, info.last_block_app_hash) == (15, served.app_hash(15))
    assert joining.app.chain_id == served.chain.chain_id
    other = Chain(served.chain.state, store=joining.app.store)
    other.run_to(90)
    served.run_to(90)
    assert other.store.app_hash == served.chain.store.app_hash


def test_two_nodes_make_the_same_snapshot(served: Served, tmp_path: Path) -> None:
    joining = Joining(tmp_path / "other")
    join(joining, served, served.offered()[1])
    other = Chain(served.chain.state, store=joining.app.store)
    again = Snapshots(tmp_path / "again", interval=INTERVAL, chunk_bytes=400)

    other.run_to(15)
    again.on_commit(other.store)
    again.settle()

    assert list(again.list_snapshots().snapshots) == [served.offered()[0]]


def test_a_wrong_chunk_is_fetched_again_and_its_sender_refused(served: Served, tmp_path: Path) -> None:
    snapshot = served.offered()[0]
    joining = Joining(tmp_path / "other")
    joining.offer(snapshot, served.app_hash(15))
    joining.apply(0, served.chunk(snapshot, 0))
    good = served.chunk(snapshot, 1)

    for wrong in (good[:-1] + b"\0\0", b"", served.chunk(snapshot, 2), bytes(17_000_000)):
        answer = joining.apply(1, wrong, "liar")
        assert answer.result == Applied.RETRY
        assert (list(answer.refetch_chunks), list(answer.reject_senders)) == ([1], ["liar"])

    for number in range(1, snapshot.chunks):
        assert joining.apply(number, served.chunk(snapshot, number), "honest").result == Applied.ACCEPT
    assert joining.app.store.version == 15


def test_a_snapshot_that_leads_to_another_app_hash_is_refused_with_all_who_sent_it(
    served: Served, tmp_path: Path
) -> None:
    snapshot = served.offered()[0]
    joining = Joining(tmp_path / "other")
    joining.offer(snapshot, served.app_hash(14))

    answers = [
        joining.apply(number, served.chunk(snapshot, number), f"peer-{number % 2}")
        for number in range(snapshot.chunks)
    ]

    assert [each.result for each in answers[:-1]] == [Applied.ACCEPT] * (snapshot.chunks - 1)
    assert answers[-1].result == Applied.REJECT_SNAPSHOT
    assert list(answers[-1].reject_senders) == ["peer-0", "peer-1"]
    assert joining.app.store.version == 0
    join(joining, served, snapshot)


def test_after_an_interruption_at_any_chunk_the_snapshot_is_taken_in_anew(
    served: Served, tmp_path: Path
) -> None:
    snapshot = served.offered()[0]

    for done in range(snapshot.chunks):
        folder = tmp_path / f"node-{done}"
        with DiskStore(folder, STORES) as store:
            joining = Joining(tmp_path / "other", store)
            joining.offer(snapshot, served.app_hash(15))
            for number in range(done):
                joining.apply(number, served.chunk(snapshot, number))
            if done % 2:
                # The same process is offered it again; else it is a new one.
                join(joining, served, snapshot)
        with DiskStore(folder, STORES) as store:
            if not done % 2:
                assert store.version == 0
                join(Joining(tmp_path / "other", store), served, snapshot)
            assert (store.version, store.app_hash) == (15, served.app_hash(15))


def test_where_the_node_was_interrupted_after_the_last_chunk_it_takes_a_snapshot_again(
    served: Served, tmp_path: Path
) -> None:
    older, newer = served.offered()[1], served.offered()[0]
    joining = Joining(tmp_path / "other")
    join(joining, served, older)

    join(joining, served, newer)

    assert (joining.app.store.version, joining.app.store.app_hash) == (15, served.app_hash(15))
    assert list(joining.app.store.iterate(b"", b"~")) == list(served.chain.store.at(15).iterate(b"", b"~"))
    Chain(served.chain.state, store=joining.app.store).run_to(16)
    assert joining.offer(newer, served.app_hash(15)) == Offer.ABORT


def test_offers_that_cannot_be_taken_are_refused_by_kind(served: Served, tmp_path: Path) -> None:
    snapshot, app_hash = served.offered()[0], served.app_hash(15)
    joining = Joining(tmp_path / "other")

    def with_fields(**fields: object) -> abci.Snapshot:
        changed = abci.Snapshot()
        changed.CopyFrom(snapshot)
        for name, value in fields.items():
            setattr(changed, name, value)
        return changed

    assert joining.offer(with_fields(format=2), app_hash) == Offer.REJECT_FORMAT
    assert joining.offer(with_fields(metadata=bytes(len(snapshot.metadata))), app_hash) == Offer.REJECT_SENDER
    assert joining.offer(with_fields(chunks=snapshot.chunks + 1), app_hash) == Offer.REJECT_SENDER
    assert joining.offer(with_fields(chunks=0, metadata=b""), app_hash) == Offer.REJECT_SENDER
    assert joining.apply(0, served.chunk(snapshot, 0)).result == Applied.REJECT_SNAPSHOT
    in_use = served.snapshots.offer(abci.RequestOfferSnapshot(snapshot=snapshot, app_hash=app_hash))
    assert in_use.result == Offer.ABORT


def test_a_chunk_that_nobody_has_is_empty_and_a_damaged_snapshot_is_not_offered(
    served: Served, tmp_path: Path
) -> None:
    folder = tmp_path / "snapshots"
    request = abci.RequestLoadSnapshotChunk

    assert served.snapshots.load_chunk(request(height=15, format=1, chunk=10**6)).chunk == b""
    assert served.snapshots.load_chunk(request(height=11, format=1, chunk=0)).chunk == b""
    assert served.snapshots.load_chunk(request(height=15, format=2, chunk=0)).chunk == b""
    (folder / "15-1" / MANIFEST).write_text("{")
    (folder / "20-1.partial").mkdir()
    again = Snapshots(folder)
    assert [each.height for each in again.list_snapshots().snapshots] == [10]
    assert not (folder / "20-1.partial").exists()
    assert json.loads((folder / "10-1" / MANIFEST).read_text())["height"] == 10


def test_the_server_answers_the_four_calls_through_the_snapshots(served: Served) -> None:
    dispatcher = Dispatcher(served.chain.app, Metrics(), served.snapshots)

    listed = dispatcher.answer("list_snapshots", abci.RequestListSnapshots())
    offered = dispatcher.answer("offer_snapshot", abci.RequestOfferSnapshot(snapshot=served.offered()[0]))

    assert served.offered()[0].hash in listed
    assert abci.ResponseOfferSnapshot(result=Offer.ABORT).SerializeToString() in offered
