"""The undisturbed run: the blocks of a real node, executed anew by a fresh application in memory."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from abci_app.app import STORES, App
from abci_app.kernel.store import MemoryStore
from protocol.gen.google.protobuf import duration_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from bench.live import LiveNode


def fresh_app(node: LiveNode) -> App:
    """An application on an empty store in memory, after the InitChain that CometBFT sends."""
    genesis = json.loads((node.home / "config" / "genesis.json").read_text())
    params = genesis["consensus_params"]
    request = abci.RequestInitChain(
        chain_id=genesis["chain_id"],
        initial_height=int(genesis["initial_height"]),
        app_state_bytes=json.dumps(genesis["app_state"]).encode(),
    )
    request.time.FromJsonString(genesis["genesis_time"])
    # Go writes a duration as a number of nanoseconds, protobuf as text.
    age_ns = int(params["evidence"].pop("max_age_duration"))
    json_format.ParseDict(params, request.consensus_params)
    seconds, nanos = divmod(age_ns, 10**9)
    request.consensus_params.evidence.max_age_duration.CopyFrom(
        duration_pb2.Duration(seconds=seconds, nanos=nanos)
    )
    app = App(MemoryStore(STORES), on_bug=_fail)
    app.init_chain(request)
    return app


def _fail(where: str, bug: BaseException) -> None:
    raise AssertionError(f"a bug of ours in {where}") from bug


def block_request(block: dict[str, Any]) -> abci.RequestFinalizeBlock:
    """What CometBFT hands to the application for a block of its store."""
    header = block["block"]["header"]
    request = abci.RequestFinalizeBlock(
        height=int(header["height"]),
        txs=[base64.b64decode(tx) for tx in block["block"]["data"]["txs"] or ()],
        hash=bytes.fromhex(block["block_id"]["hash"]),
        next_validators_hash=bytes.fromhex(header["next_validators_hash"]),
        proposer_address=bytes.fromhex(header["proposer_address"]),
    )
    request.time.FromJsonString(header["time"])
    assert not block["block"]["evidence"]["evidence"], "nobody misbehaves here"
    return request


def assert_as_undisturbed(node: LiveNode) -> App:
    """Replays all blocks; app hash at every height, every result and event must be the node's own.

    Returns the application of the replay.
    """
    app = fresh_app(node)
    info = node.call("abci_info")["response"]
    top = int(info["last_block_height"])
    for height in range(1, top + 1):
        block = node.call("block", height=str(height))
        request = block_request(block)
        # What the replay computed for the height before is what this block's header commits to.
        expected = bytes.fromhex(block["block"]["header"]["app_hash"])
        if height > 1:
            assert app.store.app_hash == expected, f"app hash of height {height - 1}"
        answer = abci.ResponseFinalizeBlock.FromString(app.finalize_block(request))
        app.commit()
        _assert_same_results(node.call("block_results", height=str(height)), answer, height)
    if node.height() == top:
        assert app.store.app_hash == base64.b64decode(info["last_block_app_hash"])
    return app


def _assert_same_results(stored: dict[str, Any], answer: abci.ResponseFinalizeBlock, height: int) -> None:
    results = [_parsed(each, abci.ExecTxResult()) for each in stored["txs_results"] or ()]
    assert results == list(answer.tx_results), f"results of height {height}"
    events = [_parsed(each, abci.Event()) for each in stored["finalize_block_events"] or ()]
    assert events == list(answer.events), f"events of height {height}"
    powers = [int(each.get("power", 0)) for each in stored["validator_updates"] or ()]
    assert powers == [each.power for each in answer.validator_updates], f"validator updates of {height}"


def _parsed(value: dict[str, Any], message: Message) -> Message:
    return json_format.ParseDict(value, message)


def acknowledged(node: LiveNode, height_from: int) -> dict[int, list[tuple[str, int]]]:
    """What the node says is committed from a height on: transactions (base64) and codes, by height."""
    found = {}
    for height in range(height_from, node.height() + 1):
        txs = node.call("block", height=str(height))["block"]["data"]["txs"] or []
        results = node.call("block_results", height=str(height))["txs_results"] or []
        found[height] = [(tx, result["code"]) for tx, result in zip(txs, results, strict=True)]
    return found
