"""From a request to the bytes of its answer, and the last net below the application."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any, Final

import structlog
from google.protobuf.message import DecodeError

from abci_app.node.application import Application
from abci_app.node.codec import FrameError, response_frame
from abci_app.node.metrics import Metrics
from abci_app.node.snapshots import Snapshots
from protocol.gen.tendermint.abci import types_pb2 as abci
from protocol.varint import uvarint

log = structlog.get_logger(__name__)

CODE_INTERNAL: Final = 111222
CODESPACE_INTERNAL: Final = "undefined"
LOG_INTERNAL: Final = "internal error; the node's log has the details"

# After an exception in one of these the state is not what the answer would say, so there must be no answer.
STOPS_ON_EXCEPTION: Final = frozenset({"info", "init_chain", "finalize_block", "commit"})

FLUSH_FRAME: Final = response_frame("flush", b"")


class ApplicationFailedError(Exception):
    """The application raised where it must not; the process has to end without an answer."""


def decode_request(frame: bytes) -> tuple[str, Any]:
    """The method's name and its arm of the Request. Raises FrameError for anything that is not a request."""
    try:
        request = abci.Request.FromString(frame)
    except DecodeError as error:
        raise FrameError(f"a frame of {len(frame)} bytes is not an encoded Request") from error
    method = request.WhichOneof("value")
    if method is None:
        raise FrameError("a Request without a method, or with one that ABCI 2.0 does not know")
    return method, getattr(request, method)


def txs_within(txs: Iterable[bytes], bytes_max: int) -> list[bytes]:
    """The first transactions, in order, whose encoded list is no longer than `bytes_max`."""
    chosen: list[bytes] = []
    room = bytes_max
    for tx in txs:
        room -= 1 + len(uvarint(len(tx))) + len(tx)
        if room < 0:
            break
        chosen.append(tx)
    return chosen


class Dispatcher:
    """Answers each request; an exception becomes the method's safe answer, or stops the node."""

    def __init__(self, app: Application, metrics: Metrics, snapshots: Snapshots | None = None) -> None:
        self._app = app
        self._metrics = metrics
        self._height_finalized = 0
        self._handlers: dict[str, Callable[[Any], bytes]] = {
            "echo": lambda req: abci.ResponseEcho(message=req.message).SerializeToString(),
            "info": self._info,
            "init_chain": lambda req: app.init_chain(req).SerializeToString(),
            "query": lambda req: app.query(req).SerializeToString(),
            "check_tx": lambda req: app.check_tx(req.tx, req.type == abci.RECHECK),
            "commit": self._commit,
            "prepare_proposal": lambda req: app.prepare_proposal(req).SerializeToString(),
            "process_proposal": lambda req: app.process_proposal(req).SerializeToString(),
            "finalize_block": self._finalize_block,
            **_snapshot_handlers(snapshots),
            # No vote extensions: only the empty one that the node makes itself is accepted.
            "extend_vote": lambda _: b"",
            "verify_vote_extension": _verify_vote_extension,
            # CometBFT 0.40 asks these only if its mempool is configured to live in the application.
            "insert_tx": lambda _: b"",
            "reap_txs": lambda _: b"",
        }

    def answer(self, method: str, request: Any) -> bytes:
        """The framed Response. Raises ApplicationFailedError where the process must end instead."""
        if method == "flush":
            return FLUSH_FRAME
        started = perf_counter()
        try:
            framed = response_frame(method, self._handlers[method](request))
        except Exception as error:
            self._metrics.errors[method].inc()
            log.exception("the application raised", method=method)
            if method in STOPS_ON_EXCEPTION:
                raise ApplicationFailedError(f"{method} raised {type(error).__name__}: {error}") from error
            framed = response_frame(method, _safe_answer(method, request))
        self._metrics.observe[method](perf_counter() - started)
        return framed

    def _info(self, request: abci.RequestInfo) -> bytes:
        response = self._app.info(request)
        self._metrics.block_height.set(response.last_block_height)
        return response.SerializeToString()

    def _finalize_block(self, request: abci.RequestFinalizeBlock) -> bytes:
        response = self._app.finalize_block(request)
        self._height_finalized = request.height
        if isinstance(response, bytes):
            return response
        # CometBFT halts on any other number, and then nobody would know which side miscounted.
        assert len(response.tx_results) == len(request.txs), (
            f"{len(response.tx_results)} results for {len(request.txs)} txs at height {request.height}"
        )
        return response.SerializeToString()

    def _commit(self, _request: abci.RequestCommit) -> bytes:
        response = self._app.commit()
        self._metrics.block_height.set(self._height_finalized)
        return response.SerializeToString()


def _snapshot_handlers(snapshots: Snapshots | None) -> dict[str, Callable[[Any], bytes]]:
    """Without snapshots there are none to give and none to take from a peer."""
    if snapshots is None:
        rejected = abci.ResponseApplySnapshotChunk(result=abci.ResponseApplySnapshotChunk.REJECT_SNAPSHOT)
        return {
            "list_snapshots": lambda _: b"",
            "offer_snapshot": _always(abci.ResponseOfferSnapshot(result=abci.ResponseOfferSnapshot.REJECT)),
            "load_snapshot_chunk": lambda _: b"",
            "apply_snapshot_chunk": _always(rejected),
        }
    return {
        "list_snapshots": lambda _: snapshots.list_snapshots().SerializeToString(),
        "offer_snapshot": lambda req: snapshots.offer(req).SerializeToString(),
        "load_snapshot_chunk": lambda req: snapshots.load_chunk(req).SerializeToString(),
        "apply_snapshot_chunk": lambda req: snapshots.apply_chunk(req).SerializeToString(),
    }


def _always(response: abci.ResponseOfferSnapshot | abci.ResponseApplySnapshotChunk) -> Callable[[Any], bytes]:
    body = response.SerializeToString()
    return lambda _: body


def _verify_vote_extension(request: abci.RequestVerifyVoteExtension) -> bytes:
    status = (
        abci.ResponseVerifyVoteExtension.REJECT
        if request.vote_extension
        else abci.ResponseVerifyVoteExtension.ACCEPT
    )
    return abci.ResponseVerifyVoteExtension(status=status).SerializeToString()


_SNAPSHOT_ANSWERS: Final = {
    "list_snapshots": b"",
    "load_snapshot_chunk": b"",
    "offer_snapshot": abci.ResponseOfferSnapshot(result=abci.ResponseOfferSnapshot.ABORT).SerializeToString(),
    "apply_snapshot_chunk": abci.ResponseApplySnapshotChunk(
        result=abci.ResponseApplySnapshotChunk.ABORT
    ).SerializeToString(),
}


def _safe_answer(method: str, request: Any) -> bytes:
    """What may be said after a bug without harm to the chain; an exception reply would make CometBFT quit."""
    if method in {"check_tx", "query"}:
        kind = abci.ResponseCheckTx if method == "check_tx" else abci.ResponseQuery
        return kind(code=CODE_INTERNAL, codespace=CODESPACE_INTERNAL, log=LOG_INTERNAL).SerializeToString()
    if method == "prepare_proposal":
        txs = txs_within(request.txs, request.max_tx_bytes)
        return abci.ResponsePrepareProposal(txs=txs).SerializeToString()
    if method in _SNAPSHOT_ANSWERS:
        return _SNAPSHOT_ANSWERS[method]
    assert method == "process_proposal", f"{method} cannot raise"
    return abci.ResponseProcessProposal(status=abci.ResponseProcessProposal.REJECT).SerializeToString()
