"""Coins and prices as people write them: 1000nevg, 0.001nevg."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

# The chain's amounts fit 256 bits, which is 78 digits.
DIGITS_MAX = 78
_DENOM = r"[a-zA-Z][a-zA-Z0-9/:._-]{2,127}"
_COIN = re.compile(rf"([0-9]+)({_DENOM})", re.ASCII)
_PRICE = re.compile(rf"([0-9]+(?:\.[0-9]+)?)({_DENOM})", re.ASCII)
_FACTOR = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,18})?", re.ASCII)


class AmountError(ValueError):
    """A text that is no amount, price or factor; it says what one looks like."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of the smallest unit of a denomination."""

    number: int
    denom: str

    def __str__(self) -> str:
        return f"{self.number}{self.denom}"


def parse_amount(text: str) -> Amount:
    """One amount; raises AmountError where the text is none."""
    match = _COIN.fullmatch(text.strip(" "))
    if not match or len(match[1]) > DIGITS_MAX:
        raise AmountError(f"{text!r} is no amount such as 1000nevg")
    return Amount(int(match[1]), match[2])


def parse_amounts(text: str) -> list[Amount]:
    """Amounts with commas between, sorted by denomination; none is zero and no denomination comes twice."""
    amounts = [parse_amount(part) for part in text.split(",")]
    denoms = [amount.denom for amount in amounts]
    if twice := sorted({denom for denom in denoms if denoms.count(denom) > 1}):
        raise AmountError(f"{text!r} names {', '.join(twice)} more than once")
    if zero := [str(amount) for amount in amounts if not amount.number]:
        raise AmountError(f"{text!r} has an amount of nothing: {', '.join(zero)}")
    return sorted(amounts, key=lambda amount: amount.denom)


def parse_price(text: str) -> tuple[Fraction, str]:
    """A price of one unit of gas and its denomination; raises AmountError where the text is none."""
    match = _PRICE.fullmatch(text.strip(" "))
    if not match or len(match[1]) > DIGITS_MAX:
        raise AmountError(f"{text!r} is no gas price such as 0.001nevg")
    return Fraction(match[1]), match[2]


def parse_factor(text: str) -> Fraction:
    """A positive decimal factor; raises AmountError where the text is none."""
    if not _FACTOR.fullmatch(text) or not Fraction(text):
        raise AmountError(f"{text!r} is no positive factor such as 1.4")
    return Fraction(text)
