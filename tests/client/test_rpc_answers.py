"""What answers in a node's place is told from a node."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import httpx2
import pytest

from client.chain import ChainClient, ChainError, Rpc
from client.light_header import read_block
from client.light_rpc import block_json, latest_height, proof_of
from client.verify_errors import VerifyError
from tests.client.hostile_bundles import RECORDED, VALUES, places


@pytest.mark.parametrize("reply", [{"error": "away"}, [], "bad gateway", {}, {"error": None}])
def test_an_answer_that_no_node_gave_is_no_result_and_no_crash(reply: Any) -> None:
    with pytest.raises(ValueError, match="no JSON-RPC"):
        Rpc.result(reply)


def test_a_nodes_error_is_in_its_own_words() -> None:
    with pytest.raises(ChainError, match="Internal error: height 9 is not available"):
        Rpc.result({"error": {"message": "Internal error", "data": "height 9 is not available"}})
    assert Rpc.result({"result": {"a": 1}}) == {"a": 1}


BLOCK = RECORDED["balance"]["blocks"][0]
HONEST: dict[str, Any] = {
    "commit": {"signed_header": {"header": BLOCK["header"], "commit": BLOCK["commit"]}},
    "validators": {"validators": BLOCK["validators"], "total": "1"},
    "abci_query": {
        "response": {"height": "3", "proofOps": {"ops": [{"type": "x", "key": "AA==", "data": "AA=="}]}}
    },
    "status": {"sync_info": {"latest_block_height": "7"}},
}


class Answering(ChainClient):
    """A node that answers each call by what it is given."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    def call(self, body: dict[str, Any]) -> Any:
        return self.answers[body["method"]]


def read_all(node: ChainClient) -> None:
    """Everything that a light client reads of a node; raises VerifyError or ChainError."""
    for read in (
        lambda: read_block(block_json(node, 3)),
        lambda: proof_of(node, "bank", b"x", 3),
        lambda: latest_height(node),
    ):
        with suppress(VerifyError, ChainError):
            read()


def test_whatever_a_node_answers_the_light_client_refuses_it_by_name() -> None:
    read_block(block_json(Answering(HONEST), 3))
    for place, _ in places(HONEST):
        for value in VALUES if place else ():
            answers = copy.deepcopy(HONEST)
            inner: Any = answers
            for name in place[:-1]:
                inner = inner[name]
            inner[place[-1]] = value
            read_all(Answering(answers))


def test_an_answer_nested_without_end_is_no_answer() -> None:
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, text="[" * 100_000))
    node = ChainClient("http://127.0.0.1:9")
    node._http = httpx2.Client(transport=transport)

    with pytest.raises(ChainError, match="no answer from the node"):
        node.status()


@pytest.mark.parametrize("text", ["<html>Hello</html>", "", "[" * 100_000])
def test_a_reply_that_is_no_json_is_shown(text: str) -> None:
    with pytest.raises(ValueError, match="that is no JSON-RPC") as raised:
        Rpc.read(text)

    assert text[:20] in str(raised.value)
