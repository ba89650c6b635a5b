"""Accounts of several owners, of whom a threshold signs: Cosmos' LegacyAminoPubKey, and who of them signed.

The amino encoding is that of the published amino wire format: a prefix that names the type (the first four
bytes that are not zero of a hash of its name), then the fields as protobuf writes them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from protocol import address
from protocol.gen.cosmos.crypto.multisig import keys_pb2
from protocol.gen.cosmos.crypto.multisig.v1beta1 import multisig_pb2
from protocol.gen.cosmos.crypto.secp256k1 import keys_pb2 as secp256k1
from protocol.gen.google.protobuf.any_pb2 import Any
from protocol.varint import uvarint

if TYPE_CHECKING:
    from collections.abc import Sequence

SECP256K1_TYPE_URL: Final = "/" + secp256k1.PubKey.DESCRIPTOR.full_name
MULTISIG_TYPE_URL: Final = "/" + keys_pb2.LegacyAminoPubKey.DESCRIPTOR.full_name
PUBLIC_KEY_BYTES: Final = 33

_AMINO_SECP256K1: Final = bytes.fromhex("eb5ae98721")
_AMINO_MULTISIG: Final = bytes.fromhex("22c1f7e2")
_ADDRESS_BYTES: Final = 20
_BYTE_BITS: Final = 8


class MultisigError(ValueError):
    """A key of several owners that cannot be one; the text says why."""


class TooManyOwnersError(MultisigError):
    """More owners' keys than one account may have."""


def packed_key(public_key: bytes) -> Any:
    """One owner's key (33 bytes, compressed secp256k1) as transactions show it."""
    value = secp256k1.PubKey(key=public_key).SerializeToString(deterministic=True)
    return Any(type_url=SECP256K1_TYPE_URL, value=value)


def packed(key: keys_pb2.LegacyAminoPubKey) -> Any:
    """The key of several owners as transactions show it."""
    return Any(type_url=MULTISIG_TYPE_URL, value=key.SerializeToString(deterministic=True))


def multisig_key(threshold: int, public_keys: Sequence[bytes]) -> keys_pb2.LegacyAminoPubKey:
    """The key of owners' keys (33 bytes each) in this order; raises MultisigError."""
    key = keys_pb2.LegacyAminoPubKey(threshold=threshold, public_keys=[packed_key(k) for k in public_keys])
    check(key)
    return key


def check(key: keys_pb2.LegacyAminoPubKey, owners_max: int = 1 << 16) -> int:
    """How many owners it has, those of its members too; raises MultisigError where it is no key."""
    if len(key.public_keys) > owners_max:
        raise TooManyOwnersError(f"it has more than {owners_max} keys")
    if not 1 <= key.threshold <= len(key.public_keys):
        raise MultisigError(f"its threshold is {key.threshold} of {len(key.public_keys)} keys")
    owners = 0
    for member in key.public_keys:
        if member.type_url == MULTISIG_TYPE_URL:
            owners += check(keys_pb2.LegacyAminoPubKey.FromString(member.value), owners_max - owners)
            continue
        if member.type_url != SECP256K1_TYPE_URL:
            raise MultisigError(f"a key of type {member.type_url} cannot be one of several")
        size = len(secp256k1.PubKey.FromString(member.value).key)
        if size != PUBLIC_KEY_BYTES:
            raise MultisigError(f"one of its keys has {size} bytes, not {PUBLIC_KEY_BYTES}")
        owners += 1
    if owners > owners_max:
        raise TooManyOwnersError(f"it has more than {owners_max} keys")
    return owners


def account(key: keys_pb2.LegacyAminoPubKey) -> str:
    """The account's bech32 address."""
    return address.encode(hashlib.sha256(amino_bytes(key)).digest()[:_ADDRESS_BYTES])


def amino_bytes(key: keys_pb2.LegacyAminoPubKey) -> bytes:
    """Its amino encoding, of which the address is made."""
    out = bytearray(_AMINO_MULTISIG + b"\x08" + uvarint(key.threshold))
    for member in key.public_keys:
        if member.type_url == MULTISIG_TYPE_URL:
            encoded = amino_bytes(keys_pb2.LegacyAminoPubKey.FromString(member.value))
        else:
            encoded = _AMINO_SECP256K1 + secp256k1.PubKey.FromString(member.value).key
        out += b"\x12" + uvarint(len(encoded)) + encoded
    return bytes(out)


def bit_array(signed: Sequence[bool]) -> multisig_pb2.CompactBitArray:
    """Which of the keys signed, as transactions say it."""
    elems = bytearray(-(-len(signed) // _BYTE_BITS))
    for index, bit in enumerate(signed):
        if bit:
            elems[index // _BYTE_BITS] |= 0x80 >> index % _BYTE_BITS
    return multisig_pb2.CompactBitArray(extra_bits_stored=len(signed) % _BYTE_BITS, elems=bytes(elems))


def bits_of(array: multisig_pb2.CompactBitArray, size: int) -> list[bool] | None:
    """Which of so many keys signed; None where the array is not the one way to say it."""
    if len(array.elems) != -(-size // _BYTE_BITS):
        return None
    bits = [bool(array.elems[i // _BYTE_BITS] & 0x80 >> i % _BYTE_BITS) for i in range(size)]
    return bits if bit_array(bits) == array else None
