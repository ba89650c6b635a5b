"""Claims of nonces as bytes: signed 32-bit integers, big-endian, four bytes each (protocol, section 5)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CLAIM_BYTES = 4
NONCE_BYTES = 8


def encode_claims(claims: Sequence[int]) -> bytes:
    """Claims in 1e-6 as bytes; raises ValueError when one does not fit into 32 bits."""
    try:
        return struct.pack(f">{len(claims)}i", *claims)
    except struct.error as error:
        raise ValueError(f"a claim does not fit into 32 bits: {error}") from None


def decode_claims(raw: bytes) -> tuple[int, ...]:
    """The claims in 1e-6; raises ValueError unless the length is a multiple of four."""
    if len(raw) % CLAIM_BYTES:
        raise ValueError(f"claims of {len(raw)} bytes: not a multiple of {CLAIM_BYTES}")
    return struct.unpack(f">{len(raw) // CLAIM_BYTES}i", raw)


def encode_nonces(nonces: Sequence[int]) -> bytes:
    """Nonces as bytes, eight each, big-endian; raises ValueError when one does not fit into 64 bits."""
    try:
        return struct.pack(f">{len(nonces)}Q", *nonces)
    except struct.error as error:
        raise ValueError(f"a nonce does not fit into 64 bits: {error}") from None


def decode_nonces(raw: bytes) -> tuple[int, ...]:
    """The nonces; raises ValueError unless the length is a multiple of eight."""
    if len(raw) % NONCE_BYTES:
        raise ValueError(f"nonces of {len(raw)} bytes: not a multiple of {NONCE_BYTES}")
    return struct.unpack(f">{len(raw) // NONCE_BYTES}Q", raw)
