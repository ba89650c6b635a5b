"""What nodes and participants must be, and which model a node serves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.modules.hardware.rules import (
    assigned_model,
    diff_errors,
    node_errors,
    participant_errors,
    unknown_models,
)
from protocol import possession
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import Hardware, MsgSubmitHardwareDiff
from tests.fleet import a_node, joining, validator_key, validator_seed, who


def test_a_node_serves_the_first_declared_model_that_is_registered() -> None:
    assert assigned_model(["gone", "y", "x"], {"x", "y"}) == "y"
    assert assigned_model(["gone"], {"x"}) is None


def test_every_unknown_model_is_named_sorted_with_its_nodes() -> None:
    nodes = [a_node("n2", "zeta", "x"), a_node("n1", "alpha", "zeta")]

    assert [str(each) for each in unknown_models(nodes, {"x"})] == ["alpha (n1)", "zeta (n1, n2)"]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"node_id": ""}, "node_id is not 1 to 64 bytes of printable UTF-8"),
        ({"node_id": "é" * 33}, "node_id is not 1 to 64 bytes of printable UTF-8"),
        ({"node_id": "a\u202eb"}, "node_id is not 1 to 64 bytes of printable UTF-8"),
        ({"node_id": "a\0"}, "node_id is not 1 to 64 bytes of printable UTF-8"),
        ({"models": []}, "0 models are not 1 to 64"),
        ({"models": ["x", "x"]}, "model x is declared twice"),
        ({"status": 7}, "status 7 is unknown"),
        ({"host": ""}, "host '' is no host name or address"),
        ({"host": "http://a"}, "host http://a is no host name or address"),
        ({"port": 0}, "port 0 is not 1 to 65535"),
        ({"port": 65536}, "port 65536 is not 1 to 65535"),
        ({"hardware": [Hardware(type="H200")]}, "hardware needs a printable type and a count of at least 1"),
    ],
)
def test_a_node_with_one_fault_is_refused_for_it(fields: dict[str, Any], error: str) -> None:
    node = a_node(**{"node_id": "n", **{k: v for k, v in fields.items() if k != "models"}})
    if "models" in fields:
        node.models[:] = fields["models"]

    assert node_errors(node) == [error]


@pytest.mark.parametrize("host", ["10.0.0.1", "gpu-1.example", "node_1", "::1", "fe80::1", "a"])
def test_host_names_and_addresses_are_accepted(host: str) -> None:
    assert node_errors(a_node("n", host=host)) == []


def test_all_faults_of_a_diff_are_named_together() -> None:
    diff = MsgSubmitHardwareDiff(
        new_or_modified=[a_node("a"), a_node("a"), a_node("b", port=0)], removed=["b", "gone", "gone"]
    )

    assert diff_errors(diff, ["b", "c", "d"], nodes_max=2) == [
        "node b: port 0 is not 1 to 65535",
        "node a stands twice in new_or_modified",
        "node gone stands twice in removed",
        "node b is both changed and removed",
        "node gone in removed is unknown",
        "3 nodes are more than 2",
    ]


def test_a_diff_that_does_nothing_is_refused() -> None:
    assert diff_errors(MsgSubmitHardwareDiff(), [], nodes_max=2) == ["the diff is empty"]


@given(st.text())
def test_whatever_stands_in_an_error_can_be_printed(node_id: str) -> None:
    diff = MsgSubmitHardwareDiff(removed=[node_id])

    assert all(ord(char) >= 0x20 for error in diff_errors(diff, [], nodes_max=2) for char in error)


def test_a_participant_needs_a_url_and_a_whole_key() -> None:
    broken = joining("alice", url="ftp://x", validator_key=b"short", worker_key="a\nb")

    assert participant_errors(joining("alice")) == []
    assert participant_errors(broken) == [
        "url ftp://x is no http or https URL of at most 256 characters",
        "validator_key has 5 bytes, not 32",
        "worker_key is not printable text of at most 256 bytes",
    ]


def test_a_proof_of_possession_holds_for_its_chain_creator_and_key_alone() -> None:
    key, proof = validator_key("alice"), possession.sign(validator_seed("alice"), "chain-1", who("alice"))

    assert possession.verify(key, proof, "chain-1", who("alice"))
    assert not possession.verify(key, proof, "chain-2", who("alice"))
    assert not possession.verify(key, proof, "chain-1", who("bob"))
    assert not possession.verify(validator_key("bob"), proof, "chain-1", who("alice"))
    assert not possession.verify(key, proof[:-1], "chain-1", who("alice"))
    assert not possession.verify(key[:-1], proof, "chain-1", who("alice"))


def test_the_signed_bytes_keep_chain_id_and_creator_apart() -> None:
    assert possession.sign_bytes("ab", "c") != possession.sign_bytes("a", "bc")
    assert possession.sign_bytes("c", "d") == b"\0\0\0\x15evergrid/possession/1\0\0\0\x01c\0\0\0\x01d"
