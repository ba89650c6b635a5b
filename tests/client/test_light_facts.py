"""Every kind of fact of a chain that lived through epochs, proved by its own answers under signed headers."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from client.chain import ChainClient, Rpc
from client.light_header import NS, read_block
from client.registry import to_json
from client.verify_bundle import Proved, Trusted, prove, verify_bundle, write_bundle
from client.verify_errors import VerifyError
from client.verify_facts import FACTS, Question
from protocol.gen.evergrid.models.v1 import models_pb2
from protocol.gen.evergrid.rewards.v1 import rewards_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import CHAIN_ID, Chain, key_of
from tests.client.light_chain import block_json
from tests.stages.test_epoch import LENGTH, MODEL, run_poc, two_owners

FOUR = {"a": 10, "b": 10, "c": 10, "d": 10}
ALICE = key_of("alice").address


class Node(ChainClient):
    """A node whose chain is in this process, and whose headers four validators of the test sign."""

    def __init__(self, chain: Chain) -> None:
        super().__init__("tcp://127.0.0.1:1")
        self.chain = chain
        self.height = chain.height + 1
        self.app_hashes = {self.height: chain.store.app_hash.hex().upper()}

    def block(self, height: int) -> dict[str, Any]:
        app_hash = self.app_hashes.get(height, "AB" * 32)
        return block_json(height, FOUR, FOUR, app_hash=app_hash, chain_id=CHAIN_ID)

    def call(self, body: dict[str, Any]) -> dict[str, Any]:
        params = body["params"]
        if body["method"] == "status":
            return {"sync_info": {"latest_block_height": str(self.height)}}
        if body["method"] == "abci_query":
            return self._query(params)
        block = self.block(int(params["height"]))
        if body["method"] == "validators":
            return {"validators": block["validators"], "total": str(len(FOUR))}
        assert body == Rpc.call("commit", **params)
        return {"signed_header": {"header": block["header"], "commit": block["commit"]}}

    def _query(self, params: dict[str, Any]) -> dict[str, Any]:
        request = abci.RequestQuery(
            path=params["path"], data=bytes.fromhex(params["data"]), height=int(params["height"]), prove=True
        )
        answer = self.chain.app.query(request)
        ops = [
            {"type": op.type, "key": base64.b64encode(op.key), "data": base64.b64encode(op.data)}
            for op in answer.proof_ops.ops
        ]
        value = base64.b64encode(answer.value).decode()
        return {
            "response": {"code": answer.code, "log": answer.log, "value": value, "proofOps": {"ops": ops}}
        }


@pytest.fixture(scope="module")
def node() -> Node:
    """After two PoCs, in the epoch whose predecessor is settled and paid."""
    chain = two_owners()
    run_poc(chain, 10, {"alice": 30, "bob": 20})
    run_poc(chain, 10 + LENGTH, {"alice": 30})
    chain.run_to(chain.height + 3)
    return Node(chain)


def proved(node: Node, kind: str, *args: str) -> Proved:
    """Proved over RPC, and again out of the bundle."""
    root = read_block(node.block(1))
    trusted, now_ns = Trusted(1, root.header.hash), root.header.time.ns + 24 * 3600 * NS
    found, bundle = prove(node, Question(kind, args), trusted, now_ns)
    assert verify_bundle(write_bundle(bundle), trusted, now_ns) == found
    return found


def test_every_kind_of_fact_is_there_and_says_what_the_chain_says(node: Node) -> None:
    shown = {
        "model": proved(node, "model", MODEL).shown,
        "epoch": proved(node, "epoch", "1").shown,
        "group": proved(node, "group", "1", MODEL).shown,
        "slot": proved(node, "slot", "1", MODEL, ALICE, "gpu").shown,
        "weight": proved(node, "weight", "1", ALICE).shown,
        "settlement": proved(node, "settlement", "1").shown,
        "reward": proved(node, "reward", "1", ALICE).shown,
        "balance": proved(node, "balance", ALICE).shown,
    }

    assert set(shown) == set(FACTS)
    found: dict[str, dict[str, Any]] = {kind: each or {} for kind, each in shown.items()}
    assert all(found.values())
    model = node.chain.query(
        models_pb2.QueryGovernanceModelRequest(model_id=MODEL), models_pb2.QueryGovernanceModelResponse
    ).model
    assert found["model"] == to_json(model)
    assert found["epoch"]["index"] == "1"
    assert found["group"]["total_weight"] == "50"
    assert (found["slot"]["poc_weight"], set(found["slot"]["slots"])) == ("30", {"pre_poc_slot", "poc_slot"})
    assert found["weight"]["weight"] == "30"
    amounts = node.chain.query(
        rewards_pb2.QuerySettleAmountsRequest(epoch_index=1), rewards_pb2.QuerySettleAmountsResponse
    ).amounts
    assert found["reward"] in [to_json(each) for each in amounts]
    assert found["balance"]["amount"] == str(node.chain.balance("alice"))


def test_the_snapshot_that_an_epoch_froze_of_a_model_is_proved(node: Node) -> None:
    snapshot, registered = proved(node, "epoch", "1", MODEL).shown, proved(node, "model", MODEL).shown

    assert snapshot is not None
    assert registered is not None
    assert snapshot["id"] == MODEL
    assert snapshot["throughput_per_nonce"] == registered["throughput_per_nonce"]


def test_what_is_not_there_is_proved_not_to_be_there(node: Node) -> None:
    absent = [
        proved(node, "model", "org/none"),
        proved(node, "epoch", "99"),
        proved(node, "weight", "1", "evergrid1nobody"),
        proved(node, "slot", "1", MODEL, ALICE, "no-such-node"),
        proved(node, "reward", "1", "evergrid1nobody"),
        proved(node, "balance", ALICE, "uatom"),
    ]

    assert [each.shown for each in absent] == [None] * len(absent)


def test_a_node_that_lies_about_its_state_is_found_out(node: Node) -> None:
    root = read_block(node.block(1))
    trusted, now_ns = Trusted(1, root.header.hash), root.header.time.ns + 24 * 3600 * NS
    liar = Node(node.chain)
    liar.app_hashes = {}

    with pytest.raises(VerifyError) as error:
        prove(liar, Question("balance", (ALICE,)), trusted, now_ns)
    assert error.value.code == "wrong_root"
    honest, bundle = prove(node, Question("balance", (ALICE,)), trusted, now_ns)
    assert honest.value is not None
    with pytest.raises(VerifyError) as error:
        verify_bundle(write_bundle(bundle | {"value": "01"}), trusted, now_ns)
    assert error.value.code == "wrong_value"
