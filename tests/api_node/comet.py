"""The real application behind CometBFT's RPC: a mempool, blocks when they are asked for, a subscription."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from google.protobuf import json_format

from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import Chain


class RpcError(Exception):
    """What CometBFT answers instead of a result."""


@dataclass
class Comet:
    """`drop` may take a transaction out of the mempool unseen; `silent` announces no blocks."""

    chain: Chain
    mempool: list[bytes] = field(default_factory=list)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    blocks: dict[int, list[bytes]] = field(default_factory=dict)
    drop: Callable[[bytes], bool] = lambda _: False
    silent: bool = False
    # Transactions are found so many blocks after the one that holds them.
    index_lag: int = 0
    listeners: list[WebSocket] = field(default_factory=list)
    broadcasts: list[bytes] = field(default_factory=list)

    async def block(self) -> list[abci.ExecTxResult]:
        """One block with what the mempool holds, which then is checked again."""
        txs, self.mempool = self.mempool, []
        results = self.chain.block(*txs)
        self.blocks[self.chain.height] = txs
        for raw, result in zip(txs, results, strict=True):
            self.results[digest(raw)] = {
                "hash": digest(raw),
                "height": str(self.chain.height),
                "tx_result": json_format.MessageToDict(result, preserving_proto_field_name=True),
            }
        await self.announce(results)
        return results

    async def announce(self, results: Sequence[abci.ExecTxResult] = ()) -> None:
        """Tells subscribers of the newest block and what its transactions came to."""
        if self.silent:
            return
        header = {"height": str(self.chain.height)}
        txs = [json_format.MessageToDict(each, preserving_proto_field_name=True) for each in results]
        value = {"block": {"header": header}, "result_finalize_block": {"tx_results": txs}}
        event = {"result": {"data": {"value": value}}}
        for socket in list(self.listeners):
            try:
                await socket.send_json(event)
            except (RuntimeError, WebSocketDisconnect):
                self.listeners.remove(socket)

    async def run(self, block_s: float) -> None:
        """Blocks at a steady pace, until it is cancelled."""
        while True:
            await asyncio.sleep(block_s)
            await self.block()

    def app(self) -> FastAPI:
        """The RPC as an application."""
        app = FastAPI()

        @app.post("/")
        async def call(request: Request) -> dict[str, Any]:
            body = await request.json()
            try:
                result = getattr(self, f"on_{body['method']}")(**body["params"])
            except RpcError as error:
                return {"error": {"code": -32603, "message": "Internal error", "data": str(error)}}
            return {"jsonrpc": "2.0", "id": 1, "result": result}

        @app.websocket("/websocket")
        async def subscribe(socket: WebSocket) -> None:
            await socket.accept()
            await socket.receive_json()
            await socket.send_json({"jsonrpc": "2.0", "id": 1, "result": {}})
            self.listeners.append(socket)
            try:
                while True:
                    await socket.receive_text()
            except WebSocketDisconnect:
                if socket in self.listeners:
                    self.listeners.remove(socket)

        return app

    def on_status(self) -> dict[str, Any]:
        info = {"latest_block_height": str(self.chain.height), "catching_up": False}
        return {"node_info": {"network": self.chain.chain_id}, "sync_info": info}

    def on_abci_query(self, path: str, data: str, height: str, prove: bool) -> dict[str, Any]:
        request = abci.RequestQuery(path=path, data=bytes.fromhex(data), height=int(height), prove=prove)
        response = self.chain.app.query(request)
        return {"response": json_format.MessageToDict(response, preserving_proto_field_name=True)}

    def on_broadcast_tx_sync(self, tx: str) -> dict[str, Any]:
        raw = base64.b64decode(tx)
        if raw in self.mempool or digest(raw) in self.results:
            raise RpcError("tx already exists in cache")
        self.broadcasts.append(raw)
        checked = abci.ResponseCheckTx.FromString(self.chain.app.check_tx(raw, False))  # noqa: FBT003
        if checked.code == 0 and not self.drop(raw):
            self.mempool.append(raw)
        reply = {"code": checked.code, "codespace": checked.codespace, "log": checked.log}
        return reply | {"hash": digest(raw), "data": ""}

    def on_block(self, height: str) -> dict[str, Any]:
        txs = [base64.b64encode(raw).decode() for raw in self.blocks.get(int(height), [])]
        return {"block": {"header": {"height": height}, "data": {"txs": txs}}}

    def on_block_results(self, height: str) -> dict[str, Any]:
        raws = self.blocks.get(int(height), [])
        return {"height": height, "txs_results": [self.results[digest(raw)]["tx_result"] for raw in raws]}

    def on_tx(self, hash: str, prove: bool) -> dict[str, Any]:  # noqa: A002 - CometBFT's names
        name = base64.b64decode(hash).hex().upper()
        found = self.results.get(name)
        if found is None or int(found["height"]) + self.index_lag > self.chain.height:
            raise RpcError(f"tx ({name}) not found")
        return found


def digest(raw: bytes) -> str:
    """A transaction's name."""
    return sha256(raw).hexdigest().upper()
