"""Queries about blocks, transactions and the node itself, beside those that `services` answers on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from abci_app.kernel.errors import TxError, invalid_argument
from abci_app.kernel.tx import decode
from abci_app.node import blocks
from abci_app.node.comet import CometError, CometRpc, CometUnreachableError
from protocol.gen.cosmos.base.node.v1beta1 import query_pb2 as node_pb2
from protocol.gen.cosmos.base.tendermint.v1beta1 import query_pb2 as tendermint_pb2
from protocol.gen.cosmos.tx.v1beta1 import service_pb2, tx_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from abci_app.app import App
    from protocol.gen.cosmos.base.query.v1beta1 import pagination_pb2

PAGE_LIMIT = 100


class NodeQueries:
    """Answers by the method's name; raises QueryError."""

    def __init__(self, app: App, comet: CometRpc) -> None:
        self._app = app
        self._comet = comet

    def answers(self) -> dict[str, Callable[[Any], Message]]:
        """What is answered here."""
        return {
            "GetBlockWithTxs": self._block_with_txs,
            "TxDecode": self._decode,
            "TxEncode": self._encode,
            "GetLatestValidatorSet": lambda request: self._validators(request.pagination),
            "GetValidatorSetByHeight": self._validators_at,
            "ABCIQuery": self._abci_query,
            "Status": self._status,
        }

    def _block_with_txs(
        self, request: service_pb2.GetBlockWithTxsRequest
    ) -> service_pb2.GetBlockWithTxsResponse:
        found = blocks.block_by_height(self._block(request.height))
        raws = found.block.data.txs
        start = request.pagination.offset
        limit = min(request.pagination.limit or PAGE_LIMIT, PAGE_LIMIT)
        if request.pagination.key:
            raise invalid_argument("transactions of a block are paged by offset, not by key")
        answer = service_pb2.GetBlockWithTxsResponse(
            txs=[read_tx(raw) for raw in raws[start : start + limit]],
            block_id=found.block_id,
            block=found.block,
        )
        answer.pagination.total = len(raws)
        return answer

    def _block(self, height: int) -> dict[str, Any]:
        if height < 1:
            raise invalid_argument("height must be at least 1")
        try:
            return self._comet.block(height)
        except CometUnreachableError:
            raise
        except CometError as error:
            raise invalid_argument(str(error)) from error

    def _decode(self, request: service_pb2.TxDecodeRequest) -> service_pb2.TxDecodeResponse:
        if not request.tx_bytes:
            raise invalid_argument("invalid empty tx bytes")
        try:
            decode(request.tx_bytes)
        except TxError as error:
            raise invalid_argument(str(error)) from error
        return service_pb2.TxDecodeResponse(tx=tx_pb2.Tx.FromString(request.tx_bytes))

    def _encode(self, request: service_pb2.TxEncodeRequest) -> service_pb2.TxEncodeResponse:
        if not request.HasField("tx"):
            raise invalid_argument("invalid empty tx")
        raw = tx_pb2.TxRaw(
            body_bytes=request.tx.body.SerializeToString(deterministic=True),
            auth_info_bytes=request.tx.auth_info.SerializeToString(deterministic=True),
            signatures=request.tx.signatures,
        )
        return service_pb2.TxEncodeResponse(tx_bytes=raw.SerializeToString(deterministic=True))

    def _validators_at(
        self, request: tendermint_pb2.GetValidatorSetByHeightRequest
    ) -> tendermint_pb2.GetValidatorSetByHeightResponse:
        if request.height < 1:
            raise invalid_argument("height must be at least 1")
        found = self._validators(request.pagination, height=str(request.height))
        return tendermint_pb2.GetValidatorSetByHeightResponse.FromString(found.SerializeToString())

    def _validators(
        self, page: pagination_pb2.PageRequest, **at: str
    ) -> tendermint_pb2.GetLatestValidatorSetResponse:
        limit = min(page.limit or PAGE_LIMIT, PAGE_LIMIT)
        if page.key or page.offset % limit:
            raise invalid_argument("pages of validators begin at an offset that is a multiple of the limit")
        number = page.offset // limit + 1
        try:
            result = self._comet.call("validators", page=str(number), per_page=str(limit), **at)
        except CometUnreachableError:
            raise
        except CometError as error:
            raise invalid_argument(str(error)) from error
        return blocks.validator_set(result)

    def _abci_query(self, request: tendermint_pb2.ABCIQueryRequest) -> tendermint_pb2.ABCIQueryResponse:
        asked = abci.RequestQuery(
            data=request.data, path=request.path, height=request.height, prove=request.prove
        )
        # The two answers have the same fields and numbers.
        answer = self._app.queries.abci_query(asked)
        return tendermint_pb2.ABCIQueryResponse.FromString(answer.SerializeToString())

    def _status(self, _request: node_pb2.StatusRequest) -> node_pb2.StatusResponse:
        sync = self._comet.status()["sync_info"]
        header = self._comet.block(int(sync["latest_block_height"]))["block"]["header"]
        answer = node_pb2.StatusResponse(
            earliest_store_height=int(sync["earliest_block_height"]),
            height=int(header["height"]),
            app_hash=bytes.fromhex(header["app_hash"]),
            validator_hash=bytes.fromhex(header["validators_hash"]),
        )
        blocks.set_time(answer.timestamp, header["time"])
        return answer


def read_tx(raw: bytes) -> tx_pb2.Tx:
    """A transaction of a block; empty where its bytes are none, which a block may hold."""
    try:
        return tx_pb2.Tx.FromString(raw)
    except DecodeError:
        return tx_pb2.Tx()
