"""Sends signed transactions to CometBFT's RPC as JSON-RPC batches over connections that stay open."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Sent:
    """How a load went: transactions that CheckTx accepted, seconds that took, the first refusal if any."""

    accepted: int
    seconds: float
    refusal: str


def bodies(txs: Sequence[bytes], batch: int) -> list[bytes]:
    """HTTP bodies of up to `batch` calls of broadcast_tx_sync each, encoded ahead."""
    return [
        json.dumps([_call(number, tx) for number, tx in enumerate(txs[start : start + batch])]).encode()
        for start in range(0, len(txs), batch)
    ]


def _call(number: int, tx: bytes) -> dict[str, Any]:
    params = {"tx": base64.b64encode(tx).decode()}
    return {"jsonrpc": "2.0", "id": number, "method": "broadcast_tx_sync", "params": params}


def send(port: int, lanes: Sequence[Sequence[bytes]]) -> Sent:
    """Each lane of bodies on a connection of its own, one after another; returns when all are answered."""
    replies: list[list[bytes]] = [[] for _ in lanes]
    threads = [
        threading.Thread(target=_send_lane, args=(port, lane, kept))
        for lane, kept in zip(lanes, replies, strict=True)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    # Read afterwards: while the load runs the processors belong to the node.
    accepted, refusal = 0, ""
    for raw in (raw for kept in replies for raw in kept):
        for reply in json.loads(raw):
            result = reply.get("result", {})
            if "result" in reply and result["code"] == 0:
                accepted += 1
            else:
                refusal = refusal or json.dumps(result or reply["error"])
    return Sent(accepted, seconds, refusal)


def _send_lane(port: int, lane: Sequence[bytes], replies: list[bytes]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        for body in lane:
            connection.request("POST", "/", body, HEADERS)
            replies.append(connection.getresponse().read())
    finally:
        connection.close()
