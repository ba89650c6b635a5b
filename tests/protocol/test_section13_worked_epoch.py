"""Sentences of the protocol's section 13 that the other tests of the worked epoch leave to this file."""

from __future__ import annotations

from hashlib import sha256

from abci_app.modules.epochs.profiles import default_params
from protocol.gen.evergrid.inference.v1 import inference_pb2
from tests.chain import CHAIN_ID, block_hash
from tests.stages.test_worked_epoch import NAMES, S, imported, poc


def test_s_and_hash_of_the_worked_epoch_are_those_of_the_page() -> None:
    """S = 60 + 7 * 720 = 5100, hash of block 5099 = SHA-256("block 5099") = e24474eb…"""
    params = default_params("testnet").epoch

    assert CHAIN_ID == "evergrid-test-1"
    assert params.first_poc_height + 7 * params.epoch_length == S == 5100
    assert block_hash(5099) == sha256(b"block 5099").digest()
    assert block_hash(5099).hex().startswith("e24474eb")


def test_routing_shares_of_the_worked_epoch() -> None:
    """Routing share = throughput of nodes with the slot in force / its sum in the subgroup."""
    chain = imported()
    poc(chain)
    chain.block()
    shares = {}
    for model in ("X", "Y"):
        found = chain.query(
            inference_pb2.QueryExecutorsRequest(model_id=model), inference_pb2.QueryExecutorsResponse
        )
        shares[model] = {
            NAMES[each.participant]: round(1000 * each.throughput / found.total_throughput)
            for each in found.executors
        }

    assert shares == {
        "X": {"alice": 530, "bob": 234, "carol": 236},
        "Y": {"alice": 345, "bob": 655},
    }
