"""Fetches what a light client checks, from CometBFT's RPC of any node: nothing here is believed."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from client.chain import Rpc
from client.verify_errors import MalformedError
from client.verify_proof import Op

if TYPE_CHECKING:
    from client.chain import ChainClient

PER_PAGE: Final = 100
PAGES_MAX: Final = 100
PRIORITY: Final = "proposer_priority"
# What reading JSON of another shape than a node's ends with.
UNREADABLE: Final = (AttributeError, KeyError, TypeError, ValueError)


def block_json(chain: ChainClient, height: int) -> dict[str, Any]:
    """The light block of a height as JSON, ready to be read or kept; raises ChainError, MalformedError."""
    try:
        signed = chain.call(Rpc.call("commit", height=str(height)))["signed_header"]
        return {
            "header": signed["header"],
            "commit": signed["commit"],
            "validators": _validators(chain, height),
        }
    except UNREADABLE as error:
        raise MalformedError(f"the node's answer about height {height} cannot be read: {error!a}") from error


def latest_height(chain: ChainClient) -> int:
    """The height of the node's last block."""
    try:
        return int(chain.status()["sync_info"]["latest_block_height"])
    except UNREADABLE as error:
        raise MalformedError(f"the node's status lacks its height: {error!a}") from error


def proof_of(chain: ChainClient, store: str, key: bytes, height: int) -> tuple[bytes, list[Op]]:
    """Value (empty: perhaps absent) and proof of a key of the state after a block; raises ChainError."""
    path = f"/store/{store}/key"
    result = chain.call(Rpc.call("abci_query", path=path, data=key.hex(), height=str(height), prove=True))
    try:
        response = Rpc.response(result)
        ops = [
            Op(op["type"], base64.b64decode(op["key"]), base64.b64decode(op["data"]))
            for op in (response.get("proofOps") or {}).get("ops") or ()
        ]
        return base64.b64decode(response.get("value") or ""), ops
    except UNREADABLE as error:
        raise MalformedError(f"the node's proof cannot be read: {error!a}") from error


def _validators(chain: ChainClient, height: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for page in range(1, PAGES_MAX + 1):
        call = Rpc.call("validators", height=str(height), page=str(page), per_page=str(PER_PAGE))
        answer = chain.call(call)
        found += [
            {name: held for name, held in each.items() if name != PRIORITY} for each in answer["validators"]
        ]
        if len(found) >= int(answer["total"]) or not answer["validators"]:
            break
    return found
