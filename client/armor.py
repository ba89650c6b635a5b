"""Private keys as armored text under a passphrase, the way Cosmos chains export and import them.

RFC 4880 armor (section 6) with the headers kdf, salt and type; Argon2id stretches the passphrase,
ChaCha20-Poly1305 seals the amino form of the key. Each export has a fresh salt, hence a fresh key, and so the
nonce may be zero.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from client.keys import PRIVATE_KEY_BYTES, InvalidKeyError, Key

KIND = "TENDERMINT PRIVATE KEY"
# Amino's prefix of a secp256k1 private key, and its length.
_AMINO = bytes.fromhex("e1b0f79b20")
_NONCE = bytes(12)
_CRC_START, _CRC_POLYNOMIAL = 0xB704CE, 0x1864CFB
_LINE = 64
_BLOCK = re.compile(rf"-----BEGIN {KIND}-----\s*\n(.*?)-----END {KIND}-----", re.DOTALL)


class ArmorError(ValueError):
    """Text that is no armored key, or a passphrase that does not open it."""


def crc24(data: bytes) -> bytes:
    """The checksum of the armor (RFC 4880, 6.1), 3 bytes."""
    check = _CRC_START
    for byte in data:
        check ^= byte << 16
        for _ in range(8):
            check <<= 1
            if check & 0x1000000:
                check ^= _CRC_POLYNOMIAL
    return check.to_bytes(3, "big")


def _stretch(passphrase: str, salt: bytes) -> bytes:
    return hash_secret_raw(passphrase.encode(), salt, 1, 65536, 4, 32, Type.ID)


def export_key(key: Key, passphrase: str) -> str:
    """The key as armored text."""
    salt = secrets.token_bytes(16)
    sealed = ChaCha20Poly1305(_stretch(passphrase, salt)).encrypt(_NONCE, _AMINO + key.private, None)
    body = base64.b64encode(sealed).decode()
    lines = [body[i : i + _LINE] for i in range(0, len(body), _LINE)]
    head = [f"-----BEGIN {KIND}-----", "kdf: argon2", f"salt: {salt.hex().upper()}", "type: secp256k1", ""]
    tail = [f"={base64.b64encode(crc24(sealed)).decode()}", f"-----END {KIND}-----"]
    return "\n".join([*head, *lines, *tail]) + "\n"


def import_key(text: str, passphrase: str) -> Key:
    """The key of armored text; raises ArmorError."""
    headers, sealed = _parse(text.replace("\r\n", "\n"))
    if headers.get("kdf") != "argon2" or headers.get("type", "secp256k1") != "secp256k1":
        raise ArmorError("only armored secp256k1 keys with kdf argon2 can be read")
    try:
        salt = bytes.fromhex(headers.get("salt", ""))
        plain = ChaCha20Poly1305(_stretch(passphrase, salt)).decrypt(_NONCE, sealed, None)
    except InvalidTag as error:
        raise ArmorError("the passphrase is wrong, or the armored key is damaged") from error
    except ValueError as error:
        raise ArmorError("the armored key has no usable salt") from error
    if len(plain) != len(_AMINO) + PRIVATE_KEY_BYTES or not plain.startswith(_AMINO):
        raise ArmorError("the armored text holds no secp256k1 key")
    try:
        return Key(plain[-PRIVATE_KEY_BYTES:])
    except InvalidKeyError as error:
        raise ArmorError(str(error)) from error


def is_armored(text: str) -> bool:
    """Whether the text looks like an armored key."""
    return f"-----BEGIN {KIND}-----" in text


def _parse(text: str) -> tuple[dict[str, str], bytes]:
    found = _BLOCK.search(text)
    if not found:
        raise ArmorError(f"the text has no block {KIND!r}")
    head, _, body = found[1].partition("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    try:
        sealed = base64.b64decode("".join(line for line in lines if not line.startswith("=")), validate=True)
        checks = [base64.b64decode(line[1:], validate=True) for line in lines if line.startswith("=")]
    except binascii.Error as error:
        raise ArmorError("the armored key is no base64") from error
    if checks and checks != [crc24(sealed)]:
        raise ArmorError("the armored key is damaged: its checksum does not fit")
    return headers, sealed
