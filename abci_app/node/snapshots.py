"""Snapshots of the state: taken at an interval, listed, given to peers in chunks, and taken in by a new node.

A snapshot is a folder HEIGHT-FORMAT: numbered chunks, and `snapshot.json` beside them, written last. Its
metadata is the SHA-256 of each chunk, so that a wrong one is told from the others and its sender refused; its
hash is that of the metadata. What all of them make has the app hash that the light client of CometBFT trusts,
or nothing is kept.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import CollectorRegistry, Gauge

from abci_app.kernel.snapshot import Restore, SnapshotRefused, StreamSizes, chunks, stream
from protocol.gen.tendermint.abci import types_pb2 as abci

if TYPE_CHECKING:
    from abci_app.app import App
    from abci_app.kernel.backend import RecordSnapshot
    from abci_app.kernel.store import Store

log = structlog.get_logger(__name__)

FORMAT: Final = 1
HASH_BYTES: Final = 32
MEBIBYTE: Final = 1 << 20
CHUNK_BYTES: Final = 8 * MEBIBYTE
# CometBFT carries at most 16 MB in a chunk; the record that fills a chunk may be as long as a transaction.
CHUNK_BYTES_MAX: Final = 16_000_000
# Of the metadata, which CometBFT carries in a message of at most 4 MB.
CHUNKS_MAX: Final = 100_000
MANIFEST: Final = "snapshot.json"

Offer = abci.ResponseOfferSnapshot
Applied = abci.ResponseApplySnapshotChunk


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of a snapshot; `sizes_*` are of its state, by store."""

    height: int
    format: int
    chunks: int
    hash: str
    metadata: str
    app_hash: str
    size_bytes: int
    duration_ms: int
    keys: dict[str, int]
    state_bytes: dict[str, int]

    def message(self) -> abci.Snapshot:
        """As peers are told of it."""
        return abci.Snapshot(
            height=self.height,
            format=self.format,
            chunks=self.chunks,
            hash=bytes.fromhex(self.hash),
            metadata=bytes.fromhex(self.metadata),
        )


class SnapshotFolder:
    """The finished snapshots in a folder; threads may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def snapshots(self) -> list[Snapshot]:
        """All of them, the latest first."""
        found = [_manifest(path) for path in sorted(self.folder.glob(f"*-{FORMAT}"))]
        return sorted((each for each in found if each is not None), key=lambda each: -each.height)

    def chunk(self, height: int, number: int) -> bytes:
        """A chunk, empty where there is none."""
        try:
            return (self._path(height) / f"{number:06d}").read_bytes()
        except FileNotFoundError:
            return b""

    def take(self, reader: RecordSnapshot, height: int, app_hash: bytes, chunk_bytes: int) -> Snapshot:
        """Writes a snapshot of a kept height; whole or, after a crash, not at all."""
        started = perf_counter()
        final = self._path(height)
        partial = final.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        sizes, digests, size_bytes = StreamSizes(), [], 0
        for number, chunk in enumerate(chunks(stream(reader, height, sizes), chunk_bytes)):
            _write_synced(partial / f"{number:06d}", chunk)
            digests.append(sha256(chunk).digest())
            size_bytes += len(chunk)
        metadata = b"".join(digests)
        taken = Snapshot(
            height=height,
            format=FORMAT,
            chunks=len(digests),
            hash=sha256(metadata).hexdigest(),
            metadata=metadata.hex(),
            app_hash=app_hash.hex(),
            size_bytes=size_bytes,
            duration_ms=round((perf_counter() - started) * 1000),
            keys=sizes.keys,
            state_bytes=sizes.size_bytes,
        )
        _write_synced(partial / MANIFEST, json.dumps(asdict(taken)).encode())
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        return taken

    def delete(self, height: int) -> bool:
        """Removes a snapshot; whether there was one."""
        path = self._path(height)
        if not path.exists():
            return False
        # Without its manifest it is no snapshot any more, should this be interrupted.
        (path / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(path)
        return True

    def _path(self, height: int) -> Path:
        return self.folder / f"{height}-{FORMAT}"


def _manifest(path: Path) -> Snapshot | None:
    try:
        return Snapshot(**json.loads((path / MANIFEST).read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        log.warning("a snapshot cannot be read and is left out", folder=str(path), error=str(error))
        return None


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


class SnapshotMetrics:
    """What the latest snapshot says, as gauges."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._height = Gauge(
            "evergrid_snapshot_height", "Height of the latest snapshot, 0 without one.", registry=registry
        )
        self._seconds = Gauge(
            "evergrid_snapshot_duration_seconds", "Time that the latest snapshot took.", registry=registry
        )
        self._bytes = Gauge(
            "evergrid_state_bytes",
            "Bytes of keys and values in the state, by their first part, as of the latest snapshot.",
            ["prefix"],
            registry=registry,
        )

    def show(self, taken: Snapshot) -> None:
        """Shows a snapshot."""
        self._height.set(taken.height)
        self._seconds.set(taken.duration_ms / 1000)
        for name, count in taken.state_bytes.items():
            self._bytes.labels(name).set(count)


@dataclass(slots=True)
class _Incoming:
    """A snapshot that is being taken in."""

    restore: Restore
    digests: list[bytes]
    senders: set[str]
    next: int = 0


class Snapshots:
    """Takes snapshots of one node on a thread beside it, and answers CometBFT's four calls about them.

    `on_taken` is told of each. An interval of 0 takes none; those that are there are still offered.
    """

    def __init__(
        self,
        folder: Path,
        *,
        interval: int = 0,
        keep_recent: int = 2,
        chunk_bytes: int = CHUNK_BYTES,
        on_taken: Callable[[Snapshot], None] = lambda _taken: None,
    ) -> None:
        self._folder = SnapshotFolder(folder)
        self._interval, self._keep, self._chunk_bytes = interval, keep_recent, chunk_bytes
        self._on_taken = on_taken
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="snapshot")
        self._running: Future[None] | None = None
        self._lock = threading.Lock()
        self._offered = self._folder.snapshots()
        self._incoming: _Incoming | None = None
        self._app: App | None = None
        for partial in folder.glob("*.partial"):
            shutil.rmtree(partial, ignore_errors=True)
        if self._offered:
            on_taken(self._offered[0])

    def serve(self, app: App) -> None:
        """Names the application whose state is given and taken in."""
        self._app = app

    def on_commit(self, store: Store) -> None:
        """Begins a snapshot where it is due and no earlier one is still being written."""
        height = store.version
        if not self._interval or height % self._interval:
            return
        if self._running is not None and not self._running.done():
            log.warning("a snapshot is left out: the last one is still being written", height=height)
            return
        self._running = self._writer.submit(self._take, store.snapshot(), height, store.app_hash)

    def settle(self) -> None:
        """Waits until no snapshot is being written."""
        self._writer.submit(lambda: None).result()

    def close(self) -> None:
        """Waits for the snapshot in hand."""
        self._writer.shutdown()

    def _take(self, reader: RecordSnapshot, height: int, app_hash: bytes) -> None:
        try:
            taken = self._folder.take(reader, height, app_hash, self._chunk_bytes)
            found = self._folder.snapshots()
            for old in found[self._keep :]:
                self._folder.delete(old.height)
            with self._lock:
                self._offered = found[: self._keep]
            self._on_taken(taken)
            log.info("snapshot taken", height=height, chunks=taken.chunks, bytes=taken.size_bytes)
        except Exception:
            # A full disk must not stop the chain; the next interval tries again.
            log.exception("no snapshot was taken", height=height)
        finally:
            reader.close()

    # ABCI

    def list_snapshots(self) -> abci.ResponseListSnapshots:
        """What peers may fetch from here."""
        with self._lock:
            return abci.ResponseListSnapshots(snapshots=[each.message() for each in self._offered])

    def load_chunk(self, req: abci.RequestLoadSnapshotChunk) -> abci.ResponseLoadSnapshotChunk:
        """A chunk for a peer, empty where there is none."""
        chunk = self._folder.chunk(req.height, req.chunk) if req.format == FORMAT else b""
        return abci.ResponseLoadSnapshotChunk(chunk=chunk)

    def offer(self, req: abci.RequestOfferSnapshot) -> abci.ResponseOfferSnapshot:
        """Begins to take a snapshot in, also where an earlier one was left in the middle."""
        app, snapshot = self._app, req.snapshot
        assert app is not None, "no application is served"
        if self._incoming is not None:
            self._incoming.restore.abandon()
            self._incoming = None
        if not app.store.takes_snapshots:
            log.error("a snapshot was offered to a node that has a history", height=app.store.version)
            return Offer(result=Offer.ABORT)
        if snapshot.format != FORMAT:
            return Offer(result=Offer.REJECT_FORMAT)
        metadata = snapshot.metadata
        fits = 0 < snapshot.chunks <= CHUNKS_MAX and len(metadata) == HASH_BYTES * snapshot.chunks
        if not fits or sha256(metadata).digest() != snapshot.hash or len(req.app_hash) != HASH_BYTES:
            log.warning("a snapshot whose metadata is wrong is refused", height=snapshot.height)
            return Offer(result=Offer.REJECT_SENDER)
        digests = [metadata[at : at + HASH_BYTES] for at in range(0, len(metadata), HASH_BYTES)]
        # CometBFT has no state: one that is here came with a snapshot before CometBFT was interrupted.
        restore = app.store.restore(snapshot.height, req.app_hash)
        self._incoming = _Incoming(restore, digests, set())
        log.info("taking a snapshot in", height=snapshot.height, chunks=snapshot.chunks)
        return Offer(result=Offer.ACCEPT)

    def apply_chunk(self, req: abci.RequestApplySnapshotChunk) -> abci.ResponseApplySnapshotChunk:
        """Takes the next chunk in; a wrong one is fetched again from somebody else than its sender."""
        incoming = self._incoming
        if incoming is None:
            return Applied(result=Applied.REJECT_SNAPSHOT)
        if req.index != incoming.next:
            log.warning("a chunk came out of order", index=req.index, wanted=incoming.next)
            return self._refuse(incoming)
        if len(req.chunk) > CHUNK_BYTES_MAX or sha256(req.chunk).digest() != incoming.digests[req.index]:
            log.warning("a wrong chunk is fetched again from others", index=req.index, sender=req.sender)
            return Applied(
                result=Applied.RETRY,
                refetch_chunks=[req.index],
                reject_senders=[req.sender] if req.sender else [],
            )
        incoming.senders.add(req.sender)
        try:
            incoming.restore.feed(req.chunk)
            incoming.next += 1
            if incoming.next == len(incoming.digests):
                self._finish(incoming)
        except SnapshotRefused as refusal:
            log.warning("the snapshot is refused", reason=str(refusal))
            return self._refuse(incoming)
        return Applied(result=Applied.ACCEPT)

    def _finish(self, incoming: _Incoming) -> None:
        assert self._app is not None, "offer has asked for it"
        incoming.restore.finish()
        self._incoming = None
        self._app.reopen()
        log.info("the snapshot is the state", height=self._app.store.version)

    def _refuse(self, incoming: _Incoming) -> abci.ResponseApplySnapshotChunk:
        """All chunks were what the snapshot promised, so who offered it is not to be believed."""
        incoming.restore.abandon()
        self._incoming = None
        senders = sorted(sender for sender in incoming.senders if sender)
        return Applied(result=Applied.REJECT_SNAPSHOT, reject_senders=senders)
