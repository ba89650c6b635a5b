"""Integer arithmetic with its rounding in the name. There are no floats in consensus code."""

from __future__ import annotations

BPS = 10_000
MILLION = 10**6
TRILLION = 10**12
U64_MAX = 2**64 - 1


def mul_div_floor(value: int, numerator: int, denominator: int) -> int:
    """value * numerator / denominator, rounded down; all of them >= 0, the denominator > 0."""
    assert value >= 0 and numerator >= 0 and denominator > 0
    return value * numerator // denominator


def div_ceil(value: int, divisor: int) -> int:
    """value / divisor, rounded up; value >= 0, divisor > 0."""
    assert value >= 0 and divisor > 0
    return -(-value // divisor)


def bps_of(value: int, bps: int) -> int:
    """So many basis points of a value, rounded down."""
    return mul_div_floor(value, bps, BPS)
