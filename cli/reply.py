"""What became of a transaction, in the JSON form that Cosmos command lines print."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from client.chain import Rpc
from client.registry import to_json
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2

if TYPE_CHECKING:
    from client.chain import TxReply


def reply_json(reply: TxReply) -> dict[str, Any]:
    """A reply as TxResponse; height "0": it is in no block yet."""
    return {
        "height": str(reply.height),
        "txhash": reply.hash,
        "codespace": reply.codespace,
        "code": reply.code,
        "data": reply.data.hex().upper(),
        "raw_log": reply.log,
        "gas_wanted": str(reply.gas_wanted),
        "gas_used": str(reply.gas_used),
        "events": [
            {"type": kind, "attributes": [{"key": key, "value": value} for key, value in attributes]}
            for kind, attributes in reply.events
        ],
    }


def tx_json(raw: bytes) -> dict[str, Any] | None:
    """A transaction's content; None where it is none of ours."""
    try:
        return to_json(tx_pb2.Tx.FromString(raw))
    except (DecodeError, TypeError):
        # TypeError: an Any of a type that the chain does not know.
        return None


def found_json(result: dict[str, Any]) -> dict[str, Any]:
    """CometBFT's answer to `tx` as TxResponse, with the transaction."""
    reply = reply_json(Rpc.tx(result))
    return {**reply, "tx": tx_json(base64.b64decode(result.get("tx") or ""))}
