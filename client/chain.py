"""Talks to a chain through CometBFT's JSON-RPC: queries by gRPC path, broadcasts, waits.

`Rpc` builds requests and reads replies without doing I/O; `ChainClient` and `AsyncChainClient` bring the I/O.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anyio
import httpx2

from client.tx import tx_hash
from protocol.descriptors import Route, routes_of
from protocol.gen.cosmos.auth.v1beta1 import auth_pb2, query_pb2

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from google.protobuf.descriptor import FileDescriptor
    from google.protobuf.message import Message

R = TypeVar("R")

TIMEOUT_S = 10.0
POLL_S = 0.25
CODE_NOT_FOUND = 22


class ChainError(Exception):
    """The chain, or the way to it, refused: `code` is 0 where it could not be reached."""

    def __init__(self, text: str, code: int = 0, codespace: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.codespace = codespace


class ChainUnreachableError(ChainError):
    """No answer from the node's RPC."""


@dataclass(frozen=True, slots=True)
class TxReply:
    """What became of a transaction; height 0: accepted into the mempool only."""

    hash: str
    code: int
    codespace: str
    log: str
    height: int = 0
    gas_wanted: int = 0
    gas_used: int = 0
    events: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    data: bytes = b""

    def raise_for_code(self) -> Self:
        """Itself where the transaction succeeded; raises ChainError with its log otherwise."""
        if self.code:
            raise ChainError(f"transaction {self.hash} failed: {self.log}", self.code, self.codespace)
        return self

    def attribute(self, event: str, key: str) -> str | None:
        """The first value of an attribute of the events of one type."""
        for kind, attributes in self.events:
            if kind == event:
                for name, value in attributes:
                    if name == key:
                        return value
        return None


def route_of(request: type[Message]) -> Route:
    """The query that takes this request; raises KeyError where no service does."""
    return _routes(request.DESCRIPTOR.file)[request.DESCRIPTOR.full_name]


@cache
def _routes(file: FileDescriptor) -> dict[str, Route]:
    return {route.request.DESCRIPTOR.full_name: route for route in routes_of(file)}


class Rpc:
    """Requests and replies of CometBFT's JSON-RPC, as plain values."""

    @staticmethod
    def call(method: str, **params: Any) -> dict[str, Any]:
        """The body of one call."""
        return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}

    @staticmethod
    def read(text: str) -> dict[str, Any]:
        """What a call returned, from the reply as it came; raises as `result` does."""
        try:
            reply = json.loads(text)
        except (ValueError, RecursionError):
            reply = text
        return Rpc.result(reply)

    @staticmethod
    def result(reply: dict[str, Any]) -> dict[str, Any]:
        """What a call returned; raises ChainError with the node's words, ValueError where no node spoke."""
        error = reply.get("error") if isinstance(reply, dict) else None
        if not isinstance(reply, dict) or not (isinstance(error, dict) or "result" in reply):
            # A proxy before the node answers in its own form.
            raise ValueError(f"that is no JSON-RPC: {str(reply)[:200]}")
        if isinstance(error, dict):
            raise ChainError(f"{error.get('message', 'error')}: {error.get('data', '')}".rstrip(": "))
        return cast("dict[str, Any]", reply["result"])

    @staticmethod
    def query(request: Message, height: int) -> dict[str, Any]:
        """The body of a query by its request message."""
        path = route_of(type(request)).path
        data = request.SerializeToString().hex()
        return Rpc.call("abci_query", path=path, data=data, height=str(height), prove=False)

    @staticmethod
    def response(result: dict[str, Any]) -> dict[str, Any]:
        """What the application answered to a query; raises ChainError where it refused."""
        response = cast("dict[str, Any]", result["response"])
        if response.get("code"):
            log = response.get("log", "")
            raise ChainError(log.removeprefix("rpc error: "), response["code"], response.get("codespace", ""))
        return response

    @staticmethod
    def answer(request: Message, result: dict[str, Any]) -> tuple[Message, int]:
        """The answer to a query and its height; raises ChainError where the chain refused."""
        response = Rpc.response(result)
        value = base64.b64decode(response.get("value") or "")
        return route_of(type(request)).response.FromString(value), int(response.get("height", 0))

    @staticmethod
    def broadcast(result: dict[str, Any]) -> TxReply:
        """The reply of broadcast_tx_sync."""
        return TxReply(result["hash"], result["code"], result.get("codespace", ""), result.get("log", ""))

    @staticmethod
    def tx(result: dict[str, Any]) -> TxReply:
        """The reply of `tx`."""
        found = result["tx_result"]
        events = tuple(
            (event["type"], tuple((a["key"], a.get("value") or "") for a in event.get("attributes") or ()))
            for event in found.get("events") or ()
        )
        return TxReply(
            hash=result["hash"],
            code=found.get("code", 0),
            codespace=found.get("codespace", ""),
            log=found.get("log") or "",
            height=int(result["height"]),
            gas_wanted=int(found.get("gas_wanted", 0)),
            gas_used=int(found.get("gas_used", 0)),
            events=events,
            data=base64.b64decode(found.get("data") or ""),
        )


def read_account(answer: query_pb2.QueryAccountResponse) -> auth_pb2.BaseAccount:
    """The base account out of an answer."""
    return auth_pb2.BaseAccount.FromString(answer.account.value)


def is_pending(error: ChainError) -> bool:
    """Whether the error says that a transaction is not in a block yet."""
    return "not found" in str(error)


class ChainClient:
    """Blocking client, for the command line."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url.replace("tcp://", "http://")
        self._http = httpx2.Client(timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()

    def call(self, body: dict[str, Any]) -> dict[str, Any]:
        """One JSON-RPC call; raises ChainUnreachableError or ChainError."""
        try:
            reply = self._http.post(self.url, json=body)
            return Rpc.read(reply.text)
        except (httpx2.HTTPError, ValueError) as error:
            problem = str(error) or type(error).__name__
            raise ChainUnreachableError(f"no answer from the node at {self.url}: {problem}") from error

    def status(self) -> dict[str, Any]:
        """CometBFT's status."""
        return self.call(Rpc.call("status"))

    def query(self, request: Message, response: type[R], height: int = 0) -> R:
        """The answer to a query; raises ChainError where there is none."""
        message, _ = Rpc.answer(request, self.call(Rpc.query(request, height)))
        assert isinstance(message, response)
        return message

    def account(self, address: str) -> auth_pb2.BaseAccount:
        """An account's number, sequence and key; raises ChainError where the chain does not know it."""
        request = query_pb2.QueryAccountRequest(address=address)
        return read_account(self.query(request, query_pb2.QueryAccountResponse))

    def broadcast(self, raw: bytes, *, checked: bool = True) -> TxReply:
        """Hands a transaction to the node; returns what CheckTx said, or its hash alone before CheckTx."""
        method = "broadcast_tx_sync" if checked else "broadcast_tx_async"
        return Rpc.broadcast(self.call(Rpc.call(method, tx=base64.b64encode(raw).decode())))

    def tx(self, hash_hex: str) -> TxReply:
        """A transaction in a block; raises ChainError where it is in none."""
        digest = base64.b64encode(bytes.fromhex(hash_hex)).decode()
        return Rpc.tx(self.call(Rpc.call("tx", hash=digest, prove=False)))

    def wait_tx(self, hash_hex: str, timeout_s: float = 60.0) -> TxReply:
        """Waits until a transaction is in a block; raises ChainError after the time-out."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return self.tx(hash_hex)
            except ChainUnreachableError:
                raise
            except ChainError as error:
                if not is_pending(error):
                    raise
                if time.monotonic() > deadline:
                    raise ChainError(
                        f"transaction {hash_hex} is in no block after {timeout_s:g} s"
                    ) from error
            time.sleep(POLL_S)

    def send(self, raw: bytes, timeout_s: float = 60.0) -> TxReply:
        """Broadcasts, waits for the block, and raises ChainError unless it succeeded."""
        self.broadcast(raw).raise_for_code()
        return self.wait_tx(tx_hash(raw), timeout_s).raise_for_code()


class AsyncChainClient:
    """The same for an event loop."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url.replace("tcp://", "http://")
        self._http = httpx2.AsyncClient(timeout=timeout_s)

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def call(self, body: dict[str, Any]) -> dict[str, Any]:
        """One JSON-RPC call; raises ChainUnreachableError or ChainError."""
        try:
            reply = await self._http.post(self.url, json=body)
            return Rpc.read(reply.text)
        except (httpx2.HTTPError, ValueError) as error:
            problem = str(error) or type(error).__name__
            raise ChainUnreachableError(f"no answer from the node at {self.url}: {problem}") from error

    async def status(self) -> dict[str, Any]:
        """CometBFT's status."""
        return await self.call(Rpc.call("status"))

    async def query(self, request: Message, response: type[R], height: int = 0) -> R:
        """The answer to a query; raises ChainError where there is none."""
        message, _ = await self.query_at(request, response, height)
        return message

    async def query_at(self, request: Message, response: type[R], height: int = 0) -> tuple[R, int]:
        """The answer to a query and the height for which it holds."""
        message, at = Rpc.answer(request, await self.call(Rpc.query(request, height)))
        assert isinstance(message, response)
        return message, at

    async def account(self, address: str) -> auth_pb2.BaseAccount:
        """An account's number, sequence and key; raises ChainError where the chain does not know it."""
        request = query_pb2.QueryAccountRequest(address=address)
        return read_account(await self.query(request, query_pb2.QueryAccountResponse))

    async def broadcast(self, raw: bytes) -> TxReply:
        """Hands a transaction to the mempool and returns what CheckTx said."""
        call = Rpc.call("broadcast_tx_sync", tx=base64.b64encode(raw).decode())
        return Rpc.broadcast(await self.call(call))

    async def tx(self, hash_hex: str) -> TxReply:
        """A transaction in a block; raises ChainError where it is in none."""
        digest = base64.b64encode(bytes.fromhex(hash_hex)).decode()
        return Rpc.tx(await self.call(Rpc.call("tx", hash=digest, prove=False)))

    async def wait_tx(self, hash_hex: str, timeout_s: float = 60.0) -> TxReply:
        """Waits until a transaction is in a block; raises ChainError after the time-out."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return await self.tx(hash_hex)
            except ChainUnreachableError:
                raise
            except ChainError as error:
                if not is_pending(error):
                    raise
                if time.monotonic() > deadline:
                    raise ChainError(
                        f"transaction {hash_hex} is in no block after {timeout_s:g} s"
                    ) from error
            await anyio.sleep(POLL_S)
