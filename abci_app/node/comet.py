"""Asks CometBFT's JSON-RPC for what only it knows: blocks, transactions in blocks, peers, the mempool."""

from __future__ import annotations

import base64
from typing import Any, Final, cast

import httpx2

TIMEOUT_SECONDS: Final = 10.0
CONNECTIONS_MAX: Final = 16


class CometError(Exception):
    """CometBFT refused a call; the text is its own."""


class CometUnreachableError(CometError):
    """No answer from CometBFT."""


class CometRpc:
    """A client that many threads may share. `url` as http://HOST:PORT or, as CometBFT writes it, tcp://HOST:PORT."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_SECONDS) -> None:
        self.url = url.replace("tcp://", "http://")
        limits = httpx2.Limits(max_connections=CONNECTIONS_MAX)
        # A proxy of the environment has no business between two processes of one machine.
        self._http = httpx2.Client(timeout=timeout_s, limits=limits, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What a call returned; raises CometError with the node's words, or CometUnreachableError."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        try:
            reply = self._http.post(self.url, json=body).json()
        except (httpx2.HTTPError, ValueError) as error:
            raise CometUnreachableError(f"no answer from CometBFT at {self.url}: {error}") from error
        if "error" in reply:
            refusal = reply["error"]
            # The message is one of a few general words; the data says what is the matter.
            raise CometError(refusal.get("data") or refusal.get("message") or "refused")
        return cast("dict[str, Any]", reply["result"])

    def status(self) -> dict[str, Any]:
        """Who the node is and how far it is."""
        return self.call("status")

    def block(self, height: int = 0) -> dict[str, Any]:
        """A block with its id, the latest for 0."""
        return self.call("block", height=str(height)) if height else self.call("block")

    def block_time(self, height: int) -> str:
        """The time in a block's header, as RFC 3339 text."""
        return str(self.call("header", height=str(height))["header"]["time"])

    def tx(self, digest: bytes) -> dict[str, Any]:
        """A transaction in a block; raises CometError with "not found" in it where it is in none."""
        return self.call("tx", hash=base64.b64encode(digest).decode(), prove=False)

    def search(self, query: str, page: int, limit: int, order: str) -> dict[str, Any]:
        """Transactions whose events match a query of CometBFT's; page from 1; order "asc" or "desc"."""
        return self.call(
            "tx_search", query=query, prove=False, page=str(page), per_page=str(limit), order_by=order
        )

    def broadcast(self, raw: bytes, *, wait: bool) -> dict[str, Any]:
        """Hands a transaction to the mempool; with `wait` the reply says what CheckTx found."""
        method = "broadcast_tx_sync" if wait else "broadcast_tx_async"
        return self.call(method, tx=base64.b64encode(raw).decode())
