"""Coins: how they are written, read and compared. Everything here is pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from protocol.gen.cosmos.base.v1beta1 import coin_pb2

DENOM: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9/:._-]{2,127}", re.ASCII)
# int() alone takes digits of all scripts, signs, spaces and underscores.
AMOUNT: Final = re.compile(r"0|[1-9][0-9]{0,77}", re.ASCII)
AMOUNT_BOUND: Final = 1 << 256
SHOWN_MAX: Final = 100
ERRORS_MAX: Final = 100

Amounts = Mapping[str, int]  # by denom, in order of denom
Coins = Iterable[coin_pb2.Coin]


def is_denom(text: str) -> bool:
    """Whether the text can name a denomination."""
    return DENOM.fullmatch(text) is not None


def parse_amount(text: str) -> int | None:
    """A decimal integer in [0, 2^256) in its one spelling; None for anything else."""
    if AMOUNT.fullmatch(text) is None:
        return None
    value = int(text)
    return value if value < AMOUNT_BOUND else None


def coin(denom: str, amount: int) -> coin_pb2.Coin:
    """A coin of an amount >= 0."""
    assert amount >= 0
    return coin_pb2.Coin(denom=denom, amount=str(amount))


def coins_of(amounts: Amounts) -> list[coin_pb2.Coin]:
    """The positive amounts as coins, in order of denom."""
    return [coin(denom, amounts[denom]) for denom in sorted(amounts) if amounts[denom]]


def text_of(amounts: Amounts) -> str:
    """As `5aaa,7bbb`: the form of events and errors."""
    return ",".join(f"{amounts[denom]}{denom}" for denom in sorted(amounts))


def coin_errors(coins: Coins) -> list[str]:
    """All that keeps coins from being what may be sent: sorted by denom, each once and positive."""
    errors: list[str] = []
    last = ""
    for each in coins:
        if len(errors) >= ERRORS_MAX:
            return [*errors, "and maybe more"]
        denom, amount = each.denom[:SHOWN_MAX], each.amount[:SHOWN_MAX]
        if not is_denom(each.denom):
            errors.append(f"invalid denom: {denom!r}")
        elif last and each.denom <= last:
            errors.append(f"{'duplicate' if each.denom == last else 'unsorted'} denom: {denom}")
        value = parse_amount(each.amount)
        if value is None:
            errors.append(f"invalid amount of {denom}: {amount!r}")
        elif value == 0:
            errors.append(f"amount of {denom} is not positive")
        last = max(last, each.denom)
    return errors


def amounts_of(coins: Coins | Amounts) -> dict[str, int]:
    """The sums by denom, in order of denom, zeros left out; raises ValueError for what no rule let pass."""
    if isinstance(coins, Mapping):
        found = dict(coins)
    else:
        found = {}
        for each in coins:
            amount = parse_amount(each.amount)
            if amount is None or not is_denom(each.denom):
                raise ValueError(f"no coin: {each.amount[:SHOWN_MAX]!r} of {each.denom[:SHOWN_MAX]!r}")
            found[each.denom] = found.get(each.denom, 0) + amount
    assert all(amount >= 0 for amount in found.values()), "amounts are never negative"
    return {denom: found[denom] for denom in sorted(found) if found[denom]}


def scale(amounts: Amounts, numerator: int, denominator: int) -> dict[str, int]:
    """A share of each amount, rounded down."""
    return {denom: amount * numerator // denominator for denom, amount in amounts.items()}


def added(left: Amounts, right: Amounts) -> dict[str, int]:
    """The sums by denom, in order of denom."""
    denoms = sorted({*left, *right})
    return {denom: left.get(denom, 0) + right.get(denom, 0) for denom in denoms}


def covers(amounts: Amounts, wanted: Amounts) -> bool:
    """Whether there is at least as much of every wanted denom."""
    return all(amounts.get(denom, 0) >= amount for denom, amount in wanted.items())
