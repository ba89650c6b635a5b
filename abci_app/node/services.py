"""Every query that gRPC and REST serve, behind one function: those of the modules, and those about the node.

Threads may share it. It answers the same way for both fronts: a message and its height, or a QueryError.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import structlog
from google.protobuf.message import DecodeError, Message

from abci_app.kernel.errors import QueryError, invalid_argument, not_found
from abci_app.kernel.module import QUERIES
from abci_app.kernel.store import HeightNotRetained
from abci_app.node import blocks
from abci_app.node.comet import CometError, CometRpc, CometUnreachableError
from abci_app.node.node_queries import NodeQueries
from protocol.descriptors import Route, routes_of
from protocol.gen.cosmos.base.abci.v1beta1 import abci_pb2 as sdk_abci
from protocol.gen.cosmos.base.node.v1beta1 import query_pb2 as node_pb2
from protocol.gen.cosmos.base.tendermint.v1beta1 import query_pb2 as tendermint_pb2
from protocol.gen.cosmos.consensus.v1 import query_pb2 as consensus_pb2
from protocol.gen.cosmos.tx.v1beta1 import service_pb2, tx_pb2

if TYPE_CHECKING:
    from abci_app.app import App

log = structlog.get_logger(__name__)

HEIGHT_HEADER: Final = "x-cosmos-block-height"
INTERNAL_TEXT: Final = "internal error; the node's log has the details"
HEIGHT_MAX: Final = 2**63 - 1
PAGE_LIMIT: Final = 100

# What CometBFT's mempool says, and the code that wallets expect for it in an answer without an error.
MEMPOOL_REFUSALS: Final = (("tx already exists in cache", 19), ("mempool is full", 20), ("tx too large", 21))

_DIGITS: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_TX_HASH: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{64})", re.ASCII)


def parse_height(text: str | None) -> int:
    """The height that a header or metadata selects, 0 for none; raises QueryError."""
    if not text:
        return 0
    if not _DIGITS.fullmatch(text) or int(text) > HEIGHT_MAX:
        raise invalid_argument(f"{HEIGHT_HEADER} must be a height, not {text[:40]!r}")
    return int(text)


class Services:
    """Answers by gRPC path. `on_bug` is told of our own errors; the asker learns only that there was one."""

    def __init__(
        self,
        app: App,
        comet: CometRpc,
        *,
        on_bug: Callable[[str, BaseException], None] = lambda _where, _bug: None,
    ) -> None:
        self._app = app
        self._comet = comet
        self._on_bug = on_bug
        self._node: dict[str, tuple[Route, Callable[[Any], Message]]] = {
            route.path: (route, answer) for route, answer in self._node_methods()
        }
        self.routes: dict[str, Route] = {route.path: route for route in self._routes()}

    def answer(self, path: str, data: bytes, height: int = 0) -> tuple[Message, int]:
        """The answer to an encoded request and the height that it holds for; raises QueryError alone."""
        try:
            if path in self._node:
                return self._answer_node(path, data), self._app.store.version
            return self._answer_app(path, data, height)
        except QueryError:
            raise
        except CometUnreachableError as error:
            raise QueryError("Unavailable", str(error)) from error
        except HeightNotRetained as error:
            raise invalid_argument(str(error)) from error
        except Exception as bug:
            log.exception("a query failed", path=path, height=height)
            self._on_bug(path, bug)
            raise QueryError("Internal", INTERNAL_TEXT) from bug

    def _answer_app(self, path: str, data: bytes, height: int) -> tuple[Message, int]:
        if self._app.store.version == 0:
            raise QueryError("Unavailable", "the chain has no block yet")
        return self._app.queries.answer(path, data, height)

    def _answer_node(self, path: str, data: bytes) -> Message:
        route, answer = self._node[path]
        try:
            request = route.request.FromString(data)
        except DecodeError as error:
            raise invalid_argument("the request does not decode") from error
        return answer(request)

    def _routes(self) -> Iterable[Route]:
        yield from (QUERIES[path].route for path in sorted(QUERIES))
        for descriptor in (service_pb2.DESCRIPTOR, consensus_pb2.DESCRIPTOR, node_pb2.DESCRIPTOR):
            yield from (
                route
                for route in routes_of(descriptor)
                if self._app.queries.knows(route.path) and route.path not in QUERIES
            )
        yield from (route for route, _ in self._node.values())

    def _node_methods(self) -> Iterable[tuple[Route, Callable[[Any], Message]]]:
        answers: dict[str, Callable[[Any], Message]] = {
            "BroadcastTx": self._broadcast_tx,
            "GetTx": self._get_tx,
            "GetTxsEvent": self._get_txs_event,
            "GetNodeInfo": lambda _: blocks.node_info(self._comet.status()),
            "GetSyncing": self._get_syncing,
            "GetLatestBlock": lambda _: blocks.latest_block(self._comet.block()),
            "GetBlockByHeight": self._get_block_by_height,
            **NodeQueries(self._app, self._comet).answers(),
        }
        for descriptor in (service_pb2.DESCRIPTOR, tendermint_pb2.DESCRIPTOR, node_pb2.DESCRIPTOR):
            for route in routes_of(descriptor):
                if route.method in answers:
                    yield route, answers.pop(route.method)
        assert not answers, f"no service declares {sorted(answers)}"

    # Transactions

    def _broadcast_tx(self, request: service_pb2.BroadcastTxRequest) -> service_pb2.BroadcastTxResponse:
        if not request.tx_bytes:
            raise invalid_argument("invalid empty tx")
        if request.mode not in {service_pb2.BROADCAST_MODE_SYNC, service_pb2.BROADCAST_MODE_ASYNC}:
            mode = service_pb2.BroadcastMode.Name(request.mode) if request.mode in _MODES else request.mode
            raise invalid_argument(f"unsupported return type {mode}; supported types: sync, async")
        wait = request.mode == service_pb2.BROADCAST_MODE_SYNC
        try:
            response = blocks.check_response(self._comet.broadcast(request.tx_bytes, wait=wait))
        except CometUnreachableError:
            raise
        except CometError as error:
            response = _refused_by_mempool(request.tx_bytes, str(error))
        return service_pb2.BroadcastTxResponse(tx_response=response)

    def _get_tx(self, request: service_pb2.GetTxRequest) -> service_pb2.GetTxResponse:
        if not request.hash:
            raise invalid_argument("tx hash cannot be empty")
        match = _TX_HASH.fullmatch(request.hash)
        if match is None:
            raise invalid_argument("a tx hash is 64 hexadecimal digits")
        try:
            found = self._comet.tx(bytes.fromhex(match[1]))
        except CometUnreachableError:
            raise
        except CometError as error:
            if "not found" in str(error):
                raise not_found(f"tx not found: {request.hash}") from error
            raise QueryError("Unknown", str(error)) from error
        response = blocks.tx_response(found, self._comet.block_time(int(found["height"])))
        return service_pb2.GetTxResponse(tx=_tx_of(response), tx_response=response)

    def _get_txs_event(self, request: service_pb2.GetTxsEventRequest) -> service_pb2.GetTxsEventResponse:
        query = request.query or " AND ".join(request.events)
        if not query:
            raise invalid_argument("query cannot be empty")
        # Who asks for longer pages gets these, as CometBFT does it.
        page, limit = request.page or 1, min(request.limit or PAGE_LIMIT, PAGE_LIMIT)
        order = "desc" if request.order_by == service_pb2.ORDER_BY_DESC else "asc"
        try:
            result = self._comet.search(query, page, limit, order)
        except CometUnreachableError:
            raise
        except CometError as error:
            raise invalid_argument(str(error)) from error
        heights = sorted({int(found["height"]) for found in result["txs"]})
        times = {height: self._comet.block_time(height) for height in heights}
        responses = [blocks.tx_response(found, times[int(found["height"])]) for found in result["txs"]]
        return service_pb2.GetTxsEventResponse(
            txs=map(_tx_of, responses), tx_responses=responses, total=int(result["total_count"])
        )

    # The node

    def _get_syncing(self, _request: Message) -> tendermint_pb2.GetSyncingResponse:
        return tendermint_pb2.GetSyncingResponse(syncing=self._comet.status()["sync_info"]["catching_up"])

    def _get_block_by_height(
        self, request: tendermint_pb2.GetBlockByHeightRequest
    ) -> tendermint_pb2.GetBlockByHeightResponse:
        if request.height < 1:
            raise invalid_argument("height must be at least 1")
        try:
            return blocks.block_by_height(self._comet.block(request.height))
        except CometUnreachableError:
            raise
        except CometError as error:
            raise invalid_argument(str(error)) from error


_MODES: Final = frozenset(service_pb2.BroadcastMode.values())


def _tx_of(response: sdk_abci.TxResponse) -> tx_pb2.Tx:
    return tx_pb2.Tx.FromString(response.tx.value)


def _refused_by_mempool(raw: bytes, text: str) -> sdk_abci.TxResponse:
    """An answer with the code for what the mempool said; raises QueryError for what has no code."""
    for words, code in MEMPOOL_REFUSALS:
        if words in text.lower():
            digest = hashlib.sha256(raw).hexdigest().upper()
            return sdk_abci.TxResponse(code=code, codespace="sdk", txhash=digest)
    raise QueryError("Unknown", text)
