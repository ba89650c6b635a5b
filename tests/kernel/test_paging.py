"""Pages of a long answer."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.kernel.errors import QueryError
from abci_app.kernel.paging import LIMIT_DEFAULT, LIMIT_MAX, page, page_key
from protocol.gen.cosmos.base.query.v1beta1 import pagination_pb2


def request(**fields: Any) -> pagination_pb2.PageRequest:
    return pagination_pb2.PageRequest(**fields)


def numbered(size: int) -> list[tuple[int, str]]:
    return [(number, f"value {number}") for number in range(size)]


@given(st.integers(0, 30), st.integers(1, 7), st.booleans())
def test_following_next_key_gives_every_value_once_in_order(size: int, limit: int, reverse: bool) -> None:
    seen: list[str] = []
    key = b""
    for _ in range(size + 1):
        values, response = page(numbered(size), request(key=key, limit=limit, reverse=reverse))
        seen += values
        key = response.next_key
        if not key:
            break

    expected = [value for _, value in numbered(size)]
    assert seen == (expected[::-1] if reverse else expected)


def test_without_a_limit_a_page_is_of_the_default_length_and_counts_the_total() -> None:
    values, response = page(numbered(LIMIT_DEFAULT + 5), request())

    assert len(values) == LIMIT_DEFAULT
    assert response.total == LIMIT_DEFAULT + 5


def test_no_page_is_longer_than_the_maximum() -> None:
    values, _ = page(numbered(LIMIT_MAX + 1), request(limit=10**9))

    assert len(values) == LIMIT_MAX


def test_an_offset_skips_values() -> None:
    values, response = page(numbered(5), request(offset=3, limit=1, count_total=True))

    assert (values, response.total) == (["value 3"], 5)


def test_a_page_begins_after_the_gap_where_its_first_key_went() -> None:
    values, _ = page([(1, "one"), (3, "three")], request(key=page_key(2)))

    assert values == ["three"]


def test_a_page_reads_no_further_than_it_must() -> None:
    read = count()
    endless = ((next(read), "value") for _ in iter(int, 1))

    values, _ = page(endless, request(limit=3))

    assert len(values) == 3
    assert next(read) == 4


def test_key_and_offset_together_are_refused() -> None:
    with pytest.raises(QueryError, match="either offset or key is expected, got both"):
        page(numbered(3), request(key=b"x", offset=1))


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.text("ab0/", max_size=4)), min_size=2, max_size=2))
def test_page_keys_are_ordered_as_the_keys_are(keys: list[tuple[int, str]]) -> None:
    first, second = sorted(keys)

    assert page_key(first) <= page_key(second)
