"""The real application behind a small JSON-RPC server on a real socket: each transaction is a block."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from protocol.gen.tendermint.abci import types_pb2 as abci

if TYPE_CHECKING:
    from typing import Self

    from abci_app.sim.chain import UnsignedChain
    from tests.chain import Chain


class RpcError(Exception):
    """What CometBFT answers instead of a result."""


@dataclass
class RpcServer:
    """Serves a chain's RPC on loopback; `calls` are the methods in the order in which they were asked."""

    chain: Chain | UnsignedChain
    calls: list[str] = field(default_factory=list)
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    # A mempool that keeps what it takes: nothing gets into a block.
    stuck: bool = False

    def __enter__(self) -> Self:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                body = json.dumps({"jsonrpc": "2.0", "id": 1, **owner.answer(call)}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._lock = threading.Lock()
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self._server.server_port}"

    def answer(self, call: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.calls.append(call["method"])
            try:
                return {"result": getattr(self, f"on_{call['method']}")(**call["params"])}
            except RpcError as error:
                return {"error": {"code": -32603, "message": "Internal error", "data": str(error)}}

    def on_status(self) -> dict[str, Any]:
        info = {"latest_block_height": str(self.chain.height), "catching_up": False}
        return {"node_info": {"network": self.chain.chain_id, "moniker": "test"}, "sync_info": info}

    def on_abci_query(self, path: str, data: str, height: str, prove: bool) -> dict[str, Any]:
        request = abci.RequestQuery(path=path, data=bytes.fromhex(data), height=int(height), prove=prove)
        response = self.chain.app.query(request)
        return {"response": json_format.MessageToDict(response, preserving_proto_field_name=True)}

    def on_broadcast_tx_sync(self, tx: str) -> dict[str, Any]:
        raw = base64.b64decode(tx)
        digest = sha256(raw).hexdigest().upper()
        checked = abci.ResponseCheckTx.FromString(self.chain.app.check_tx(raw, False))  # noqa: FBT003
        if checked.code == 0 and not self.stuck:
            result = self.chain.block(raw)[0]
            self.found[digest] = self._tx(raw, result)
        return {
            "hash": digest,
            "code": checked.code,
            "codespace": checked.codespace,
            "log": checked.log,
            "data": "",
        }

    def on_broadcast_tx_async(self, tx: str) -> dict[str, Any]:
        found = self.on_broadcast_tx_sync(tx)
        return {**found, "code": 0, "codespace": "", "log": ""}

    def _tx(self, raw: bytes, result: abci.ExecTxResult) -> dict[str, Any]:
        return {
            "hash": sha256(raw).hexdigest().upper(),
            "height": str(self.chain.height),
            "index": 0,
            "tx": base64.b64encode(raw).decode(),
            "tx_result": json_format.MessageToDict(result, preserving_proto_field_name=True),
        }

    def on_tx(self, hash: str, prove: bool) -> dict[str, Any]:  # noqa: A002 - CometBFT's names
        digest = base64.b64decode(hash).hex().upper()
        if digest not in self.found:
            raise RpcError(f"tx ({digest}) not found")
        return self.found[digest]

    def on_tx_search(self, query: str, page: str, per_page: str, **_: Any) -> dict[str, Any]:
        assert query.startswith("tx.height"), query
        start = (int(page) - 1) * int(per_page)
        txs = list(self.found.values())[start : start + int(per_page)]
        return {"txs": txs, "total_count": str(len(self.found))}

    def on_block(self, height: str | None = None) -> dict[str, Any]:
        at = int(height or self.chain.height)
        if at > self.chain.height:
            raise RpcError(f"height {at} must be less than or equal to the current blockchain height")
        header = {"chain_id": self.chain.chain_id, "height": str(at)}
        return {
            "block_id": {"hash": sha256(f"block {at}".encode()).hexdigest().upper()},
            "block": {"header": header},
        }

    def on_block_by_hash(self, hash: str) -> dict[str, Any]:  # noqa: A002 - CometBFT's name
        return {"block_id": {"hash": ""}, "block": None}
