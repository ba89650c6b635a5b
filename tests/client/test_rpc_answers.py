"""What answers in a node's place is told from a node."""

from __future__ import annotations

from typing import Any

import pytest

from client.chain import ChainError, Rpc


@pytest.mark.parametrize("reply", [{"error": "away"}, [], "bad gateway", {}, {"error": None}])
def test_an_answer_that_no_node_gave_is_no_result_and_no_crash(reply: Any) -> None:
    with pytest.raises(ValueError, match="no JSON-RPC"):
        Rpc.result(reply)


def test_a_nodes_error_is_in_its_own_words() -> None:
    with pytest.raises(ChainError, match="Internal error: height 9 is not available"):
        Rpc.result({"error": {"message": "Internal error", "data": "height 9 is not available"}})
    assert Rpc.result({"result": {"a": 1}}) == {"a": 1}
