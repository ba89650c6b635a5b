"""Bech32 addresses (BIP 173) of accounts, modules and validators."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache

PREFIX = "evergrid"
VALCONS_PREFIX = PREFIX + "valcons"
VALOPER_PREFIX = PREFIX + "valoper"

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES = {char: value for value, char in enumerate(_CHARSET)}
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_LENGTH_MAX = 90


class AddressError(ValueError):
    """The text is no bech32 address of the wanted prefix."""


def _checksum(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            if top >> bit & 1:
                check ^= generator
    return check


def _expand(prefix: str) -> list[int]:
    return [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]


def _regroup(values: bytes | list[int], width: int, target: int, *, pad: bool) -> list[int]:
    buffer, bits, out = 0, 0, []
    for value in values:
        buffer, bits = buffer << width | value, bits + width
        while bits >= target:
            bits -= target
            out.append(buffer >> bits & (1 << target) - 1)
        buffer &= (1 << bits) - 1
    if pad and bits:
        out.append(buffer << target - bits & (1 << target) - 1)
    elif not pad and (bits >= width or buffer):
        raise AddressError("the address has stray padding")
    return out


@lru_cache(maxsize=65536)
def encode(raw: bytes, prefix: str = PREFIX) -> str:
    """The bech32 text of raw address bytes."""
    data = _regroup(raw, 8, 5, pad=True)
    check = _checksum([*_expand(prefix), *data, 0, 0, 0, 0, 0, 0]) ^ 1
    tail = [check >> 5 * (5 - i) & 31 for i in range(6)]
    return prefix + "1" + "".join(_CHARSET[value] for value in data + tail)


@lru_cache(maxsize=65536)
def decode(text: str, prefix: str = PREFIX) -> bytes:
    """The raw bytes of a bech32 text; raises AddressError with what is wrong."""
    if not text:
        raise AddressError("empty address string is not allowed")
    if len(text) > _LENGTH_MAX or not text.isascii() or text.lower() != text:
        raise AddressError("decoding bech32 failed: not lower-case ASCII of at most 90 characters")
    found, separator, body = text.rpartition("1")
    if not separator or len(body) < len("checks") or any(char not in _VALUES for char in body):
        raise AddressError("decoding bech32 failed: invalid character or separator")
    if found != prefix:
        raise AddressError(f"invalid Bech32 prefix; expected {prefix}, got {found}")
    values = [_VALUES[char] for char in body]
    if _checksum(_expand(found) + values) != 1:
        raise AddressError("decoding bech32 failed: invalid checksum")
    raw = bytes(_regroup(values[:-6], 5, 8, pad=False))
    if len(raw) not in {20, 32}:
        raise AddressError(f"address has {len(raw)} bytes, not 20")
    return raw


@lru_cache(maxsize=65536)
def account(public_key: bytes) -> str:
    """The account address of a compressed secp256k1 public key (33 bytes)."""
    return encode(hashlib.new("ripemd160", hashlib.sha256(public_key).digest()).digest())


@lru_cache(maxsize=256)
def module_account(name: str) -> str:
    """The address of a module's account: the first 20 bytes of the SHA-256 of its name."""
    return encode(hashlib.sha256(name.encode()).digest()[:20])


def consensus_address(validator_key: bytes) -> bytes:
    """The 20 bytes by which CometBFT names a validator: of its ed25519 public key."""
    return hashlib.sha256(validator_key).digest()[:20]


def problems(named: Mapping[str, str]) -> list[str]:
    """All that is wrong with accounts' addresses, given by what they are called."""
    errors: list[str] = []
    for name, text in named.items():
        try:
            decode(text)
        except AddressError as error:
            errors.append(f"invalid {name} address: {error}")
    return errors
