"""secp256k1 keys: mnemonics (BIP 39), derivation (BIP 32, BIP 44), signatures as the chain wants them."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from functools import cached_property

from coincurve import PrivateKey
from mnemonic import Mnemonic

from protocol import address

COIN_TYPE = 118
PRIVATE_KEY_BYTES = 32
_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_HARDENED = 1 << 31
_PATH = re.compile(r"m(/\d+'?)*", re.ASCII)


class InvalidKeyError(ValueError):
    """A mnemonic, path or private key that cannot be used; the text says why."""


def hd_path(coin_type: int = COIN_TYPE, account: int = 0, index: int = 0) -> str:
    """The BIP 44 path of an account's key."""
    return f"m/44'/{coin_type}'/{account}'/0/{index}"


def new_mnemonic(words: int = 24) -> str:
    """A fresh English mnemonic of 12, 15, 18, 21 or 24 words."""
    return str(Mnemonic("english").generate(strength=words * 32 // 3))


@dataclass(frozen=True)
class Key:
    """A private key (32 bytes) and what follows from it."""

    private: bytes

    def __post_init__(self) -> None:
        number = int.from_bytes(self.private, "big")
        if len(self.private) != PRIVATE_KEY_BYTES or not 0 < number < _CURVE_ORDER:
            raise InvalidKeyError("a private key is 32 bytes between 1 and the order of secp256k1")

    @classmethod
    def generate(cls) -> Key:
        """A fresh key from the system's randomness."""
        return cls(PrivateKey(secrets.token_bytes(PRIVATE_KEY_BYTES)).secret)

    @classmethod
    def from_mnemonic(cls, mnemonic: str, path: str = hd_path()) -> Key:
        """The key of a mnemonic at a path; raises InvalidKeyError when either is wrong."""
        phrase = " ".join(mnemonic.split())
        if not Mnemonic("english").check(phrase):
            raise InvalidKeyError("the mnemonic is not valid: a word is unknown or the checksum does not fit")
        return cls(derive(Mnemonic.to_seed(phrase), path))

    @cached_property
    def public(self) -> bytes:
        """The compressed public key, 33 bytes."""
        return PrivateKey(self.private).public_key.format(compressed=True)

    @cached_property
    def address(self) -> str:
        """The account's bech32 address."""
        return address.account(self.public)

    def sign_digest(self, digest: bytes) -> bytes:
        """r and s (64 bytes, s in the lower half) over 32 bytes."""
        return PrivateKey(self.private).sign_recoverable(digest, hasher=None)[:64]

    def sign(self, message: bytes) -> bytes:
        """r and s (64 bytes) over the SHA-256 of a message."""
        return self.sign_digest(hashlib.sha256(message).digest())


def derive(seed: bytes, path: str) -> bytes:
    """The private key at a path (BIP 32), raises InvalidKeyError when the path is no path."""
    if not _PATH.fullmatch(path):
        raise InvalidKeyError(f"{path!r} is no derivation path such as {hd_path()}")
    digest = hmac.digest(b"Bitcoin seed", seed, "sha512")
    private, chain = digest[:32], digest[32:]
    for part in path.split("/")[1:]:
        hardened = part.endswith("'")
        index = int(part.rstrip("'")) + (_HARDENED if hardened else 0)
        head = b"\0" + private if hardened else PrivateKey(private).public_key.format(compressed=True)
        digest = hmac.digest(chain, head + index.to_bytes(4, "big"), "sha512")
        number = (int.from_bytes(digest[:32], "big") + int.from_bytes(private, "big")) % _CURVE_ORDER
        private, chain = number.to_bytes(32, "big"), digest[32:]
    return private
