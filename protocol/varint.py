"""Integers as protobuf and amino write them."""

from __future__ import annotations


def uvarint(number: int) -> bytes:
    """A number (>= 0) in groups of seven bits, the lowest first."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
