"""Coins, prices and factors as people write them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.amounts import Amount, AmountError, parse_amount, parse_amounts, parse_factor, parse_price
from client.gas import fee, gas_limit

DENOMS = st.from_regex(r"[a-zA-Z][a-zA-Z0-9/:._-]{2,20}", fullmatch=True)


@given(st.integers(0, 10**77), DENOMS)
def test_an_amount_reads_back_as_it_was_written(number: int, denom: str) -> None:
    assert parse_amount(f"{number}{denom}") == Amount(number, denom)


@given(st.text(max_size=30))
def test_any_text_is_an_amount_that_writes_the_same_or_is_refused(text: str) -> None:
    try:
        amount = parse_amount(text)
    except AmountError:
        return

    # Leading zeros and blanks around are all that a writer may add.
    assert str(amount) == text.strip(" ").lstrip("0").rjust(len(str(amount)), "0")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nevg",
        "10",
        "10 nevg",
        "-1nevg",
        "1.5nevg",
        "1_000nevg",
        "\u0661nevg",
        "1nevg\n",
        "1ne",
        "9" * 79 + "nevg",
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(AmountError, match="is no amount such as 1000nevg"):
        parse_amount(text)


@given(st.dictionaries(DENOMS, st.integers(1, 10**30), min_size=1, max_size=5))
def test_amounts_come_sorted_by_denomination(coins: dict[str, int]) -> None:
    text = ",".join(f"{number}{denom}" for denom, number in coins.items())

    assert [(each.denom, each.number) for each in parse_amounts(text)] == sorted(coins.items())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1nevg,2nevg", "nevg more than once"),
        ("0nevg", "amount of nothing: 0nevg"),
        ("1nevg,", "is no amount"),
    ],
)
def test_amounts_that_cannot_be_sent_are_refused(text: str, reason: str) -> None:
    with pytest.raises(AmountError, match=reason):
        parse_amounts(text)


def test_prices_and_factors_are_exact_decimals() -> None:
    assert parse_price("0.001nevg") == (Fraction(1, 1000), "nevg")
    assert parse_factor("1.4") == Fraction(7, 5)


@pytest.mark.parametrize("text", ["", "0", "1e3", "-1", "1,4", ".5", "nan", "\u0661"])
def test_what_is_no_factor_is_refused(text: str) -> None:
    with pytest.raises(AmountError, match="is no positive factor"):
        parse_factor(text)


@given(st.integers(1, 10**12), st.integers(1, 10**9))
def test_gas_and_fee_are_rounded_up_and_never_below_what_is_needed(used: int, price_micro: int) -> None:
    limit = gas_limit(used)
    cost = fee(limit, Fraction(price_micro, 10**6), "nevg")

    assert limit * 10 >= used * 14 > (limit - 1) * 10
    assert cost.number * 10**6 >= limit * price_micro > (cost.number - 1) * 10**6
