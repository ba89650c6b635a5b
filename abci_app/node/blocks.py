"""From the JSON of CometBFT's RPC to the messages in which clients read blocks, results and nodes."""

from __future__ import annotations

import base64
from typing import Any, Final

from google.protobuf import json_format

from abci_app.node.metrics import product_version
from protocol import address
from protocol.gen.cosmos.base.abci.v1beta1 import abci_pb2 as sdk_abci
from protocol.gen.cosmos.base.tendermint.v1beta1 import query_pb2, types_pb2
from protocol.gen.cosmos.crypto.ed25519 import keys_pb2
from protocol.gen.google.protobuf import any_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci
from protocol.gen.tendermint.p2p import types_pb2 as p2p
from protocol.gen.tendermint.types import block_pb2
from protocol.gen.tendermint.types import types_pb2 as comet

# Explorers choose their paths by it: the release whose queries these are.
COSMOS_SDK_VERSION: Final = "v0.53.8"
TX_TYPE_URL: Final = "/cosmos.tx.v1beta1.Tx"


def _hex(value: str | None) -> bytes:
    return bytes.fromhex(value or "")


def _base64(value: str | None) -> bytes:
    return base64.b64decode(value or "")


def set_time(target: Any, text: str) -> None:
    """Sets a Timestamp from RFC 3339 text; the zero time of Go stays unset."""
    if not text.startswith("0001-"):
        target.FromJsonString(text)


def block_id(value: dict[str, Any]) -> comet.BlockID:
    """The id of a block."""
    parts = value.get("parts") or {}
    return comet.BlockID(
        hash=_hex(value.get("hash")),
        part_set_header=comet.PartSetHeader(total=int(parts.get("total", 0)), hash=_hex(parts.get("hash"))),
    )


def header(value: dict[str, Any]) -> comet.Header:
    """A block's header."""
    out = comet.Header(
        chain_id=value["chain_id"],
        height=int(value["height"]),
        last_block_id=block_id(value["last_block_id"]),
    )
    for name in _HEADER_HASHES:
        setattr(out, name, _hex(value.get(name)))
    out.version.block = int(value["version"]["block"])
    out.version.app = int(value["version"].get("app", 0))
    set_time(out.time, value["time"])
    return out


_HEADER_HASHES: Final = tuple(
    field.name for field in comet.Header.DESCRIPTOR.fields if field.type == field.TYPE_BYTES
)


def commit(value: dict[str, Any] | None) -> comet.Commit:
    """The precommits of the block before; empty in the first block."""
    if value is None:
        return comet.Commit()
    out = comet.Commit(
        height=int(value["height"]), round=int(value["round"]), block_id=block_id(value["block_id"])
    )
    for signature in value.get("signatures") or ():
        entry = out.signatures.add(
            block_id_flag=int(signature["block_id_flag"]),
            validator_address=_hex(signature["validator_address"]),
            signature=_base64(signature["signature"]),
        )
        set_time(entry.timestamp, signature["timestamp"])
    return out


def latest_block(result: dict[str, Any]) -> query_pb2.GetLatestBlockResponse:
    """The answer to the query for the latest block, from the RPC's `block`."""
    return query_pb2.GetLatestBlockResponse(**_block_parts(result))


def block_by_height(result: dict[str, Any]) -> query_pb2.GetBlockByHeightResponse:
    """The answer to the query for a block, from the RPC's `block`."""
    return query_pb2.GetBlockByHeightResponse(**_block_parts(result))


def _block_parts(result: dict[str, Any]) -> dict[str, Any]:
    value = result["block"]
    block = block_pb2.Block(
        header=header(value["header"]),
        data=comet.Data(txs=[_base64(tx) for tx in value["data"].get("txs") or ()]),
        last_commit=commit(value.get("last_commit")),
    )
    # The same with the proposer as text: all fields but that one have the same numbers and types.
    proposer = address.encode(block.header.proposer_address, address.VALCONS_PREFIX)
    plain = comet.Header()
    plain.CopyFrom(block.header)
    plain.ClearField("proposer_address")
    sdk_header = types_pb2.Header.FromString(plain.SerializeToString())
    sdk_header.proposer_address = proposer
    sdk_block = types_pb2.Block(header=sdk_header, data=block.data, last_commit=block.last_commit)
    return {"block_id": block_id(result["block_id"]), "block": block, "sdk_block": sdk_block}


def node_info(status: dict[str, Any]) -> query_pb2.GetNodeInfoResponse:
    """Who the node is, from the RPC's `status`; clients parse both versions as release numbers."""
    value = status["node_info"]
    versions = {name: int(number) for name, number in (value.get("protocol_version") or {}).items()}
    other = value.get("other") or {}
    version = product_version()
    return query_pb2.GetNodeInfoResponse(
        default_node_info=p2p.DefaultNodeInfo(
            protocol_version=p2p.ProtocolVersion(**versions),
            default_node_id=value["id"],
            listen_addr=value["listen_addr"],
            network=value["network"],
            version=value["version"],
            channels=_hex(value.get("channels")),
            moniker=value["moniker"],
            other=p2p.DefaultNodeInfoOther(
                tx_index=other.get("tx_index", ""), rpc_address=other.get("rpc_address", "")
            ),
        ),
        application_version=query_pb2.VersionInfo(
            name="evergrid", app_name="evergrid", version=version, cosmos_sdk_version=COSMOS_SDK_VERSION
        ),
    )


def validator_set(result: dict[str, Any]) -> query_pb2.GetLatestValidatorSetResponse:
    """The validators with their powers, from the RPC's `validators`."""
    out = query_pb2.GetLatestValidatorSetResponse(block_height=int(result["block_height"]))
    out.pagination.total = int(result["total"])
    for value in result["validators"]:
        key = keys_pb2.PubKey(key=_base64(value["pub_key"]["value"]))
        packed = any_pb2.Any(
            type_url=f"/{key.DESCRIPTOR.full_name}", value=key.SerializeToString(deterministic=True)
        )
        out.validators.add(
            address=address.encode(_hex(value["address"]), address.VALCONS_PREFIX),
            pub_key=packed,
            voting_power=int(value["voting_power"]),
            proposer_priority=int(value["proposer_priority"]),
        )
    return out


def tx_response(found: dict[str, Any], time: str) -> sdk_abci.TxResponse:
    """What became of a transaction, from an entry of the RPC's `tx` or `tx_search` and its block's time."""
    result = found["tx_result"]
    out = sdk_abci.TxResponse(
        height=int(found["height"]),
        txhash=found["hash"].upper(),
        codespace=result.get("codespace", ""),
        code=int(result.get("code", 0)),
        data=_base64(result.get("data")).hex().upper(),
        raw_log=result.get("log", ""),
        info=result.get("info", ""),
        gas_wanted=int(result.get("gas_wanted", 0)),
        gas_used=int(result.get("gas_used", 0)),
        tx=any_pb2.Any(type_url=TX_TYPE_URL, value=_base64(found["tx"])),
        timestamp=_seconds(time),
    )
    out.events.extend(json_format.ParseDict(event, abci.Event()) for event in result.get("events") or ())
    return out


def check_response(found: dict[str, Any]) -> sdk_abci.TxResponse:
    """What CheckTx said of a transaction, from the reply to a broadcast."""
    return sdk_abci.TxResponse(
        txhash=found["hash"].upper(),
        codespace=found.get("codespace", ""),
        code=int(found.get("code", 0)),
        data=_base64(found.get("data")).hex().upper(),
        raw_log=found.get("log", ""),
    )


def _seconds(text: str) -> str:
    """RFC 3339 text without a fraction of the second."""
    whole, dot, _ = text.rstrip("Z").partition(".")
    return whole + "Z" if dot or text.endswith("Z") else text
