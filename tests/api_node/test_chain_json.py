"""What clients are told where the chain gives no answer."""

from __future__ import annotations

from api_node.chain_json import chain_problem
from client.chain import CODE_NOT_FOUND, ChainError


def test_what_is_not_on_the_chain_is_named_without_the_words_of_grpc() -> None:
    error = ChainError(
        "code = NotFound desc = epoch 1 has no record here: key not found", CODE_NOT_FOUND, "sdk"
    )

    told = chain_problem(error)

    assert (told.status, told.message) == (404, "epoch 1 has no record here")


def test_a_chain_that_is_away_is_no_missing_thing() -> None:
    told = chain_problem(ChainError("connection refused"))

    assert (told.status, told.reason) == (503, "chain_unreachable")
    assert "connection refused" in told.message
