"""Decimals in text as integers in 10^-18, the form in which Cosmos writes shares and ratios."""

from __future__ import annotations

import re
from typing import Final

ONE: Final = 10**18
_DECIMAL: Final = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,18}))?", re.ASCII)


def parse_decimal(text: str) -> int | None:
    """A decimal >= 0 in units of 10^-18; None for what is none."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return None
    whole, fraction = match.groups()
    return int(whole) * ONE + int((fraction or "").ljust(18, "0"))


def decimal(text: str) -> int:
    """As `parse_decimal`, for text that was checked."""
    value = parse_decimal(text)
    assert value is not None, f"{text!r} is no decimal"
    return value


def decimal_text(value: int) -> str:
    """With all 18 digits, as Cosmos writes it."""
    return f"{value // ONE}.{value % ONE:018d}"
