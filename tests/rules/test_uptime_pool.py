"""The pool of a draw: whom a number falls on, as weights laid end to end in address order say."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from abci_app.modules.uptime.pool import Pool

WEIGHTS = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(1, 1000), min_size=1)


@given(WEIGHTS, st.data())
def test_a_number_falls_on_the_same_participant_as_in_a_plain_list_also_after_removals(
    weights: dict[str, int], data: st.DataObject
) -> None:
    pool, left = Pool(weights), dict(weights)
    for _ in range(len(weights)):
        number = data.draw(st.integers(0, sum(left.values()) - 1))
        addresses = sorted(left)
        expected = addresses[bisect_right(list(accumulate(left[each] for each in addresses)), number)]

        assert pool.total == sum(left.values())
        assert pool.at(number) == expected

        pool.remove(expected)
        del left[expected]
    assert pool.total == 0
