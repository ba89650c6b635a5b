"""Keys on disk, one file each, in the folder of a node's home.

Backend `test` keeps them in the clear, for networks without value; backend `file` encrypts each with a
passphrase (argon2id, RFC 9106, and ChaCha20-Poly1305, RFC 8439).
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from client.keys import Key
from protocol.multisig import packed_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from protocol.gen.google.protobuf import any_pb2

BACKENDS = ("test", "file")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_ARGON2 = {"time_cost": 3, "memory_cost": 65536, "parallelism": 4, "hash_len": 32}


class KeyringError(ValueError):
    """A key that is not there, or there already, or cannot be read; the text says which."""


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What may be shown of a key."""

    name: str
    address: str
    public_key: bytes


def seal(secret: bytes, passphrase: str) -> dict[str, str]:
    """A secret under a passphrase, as text fields."""
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    sealed = ChaCha20Poly1305(_stretch(passphrase, salt)).encrypt(nonce, secret, b"evergrid/key/1")
    fields = {"salt": salt, "nonce": nonce, "sealed": sealed}
    return {name: base64.b64encode(raw).decode() for name, raw in fields.items()}


def unseal(fields: dict[str, str], passphrase: str) -> bytes:
    """The secret; raises KeyringError when the passphrase is wrong."""
    salt, nonce, sealed = (base64.b64decode(fields[name]) for name in ("salt", "nonce", "sealed"))
    try:
        return ChaCha20Poly1305(_stretch(passphrase, salt)).decrypt(nonce, sealed, b"evergrid/key/1")
    except InvalidTag as error:
        raise KeyringError("the passphrase is wrong, or the key's file is damaged") from error


def _stretch(passphrase: str, salt: bytes) -> bytes:
    return hash_secret_raw(passphrase.encode(), salt, type=Type.ID, **_ARGON2)


class Keyring:
    """The keys of one home. `passphrase` is asked for at most once, by the backend `file` alone."""

    def __init__(
        self, home: Path, backend: str = "test", passphrase: Callable[[], str] | None = None
    ) -> None:
        if backend not in BACKENDS:
            raise KeyringError(f"unknown keyring backend {backend!r}: use one of {', '.join(BACKENDS)}")
        self.folder = home / f"keyring-{backend}"
        self.backend = backend
        self._ask = passphrase
        self._passphrase: str | None = None

    def add(self, name: str, key: Key) -> KeyInfo:
        """Stores a key; raises KeyringError when the name is taken or cannot be one."""
        if not _NAME.fullmatch(name):
            raise KeyringError(f"{name!r} is no name for a key: letters, digits, dot, dash, underscore")
        path = self.folder / f"{name}.json"
        if path.exists():
            raise KeyringError(f"there is a key {name!r} already")
        fields: dict[str, Any] = {
            "name": name,
            "address": key.address,
            "public_key": base64.b64encode(key.public).decode(),
        }
        if self.backend == "test":
            fields["private_key"] = key.private.hex()
        else:
            fields |= seal(key.private, self._passphrase_once())
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(fields, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        return KeyInfo(name, key.address, key.public)

    def list(self) -> list[KeyInfo]:
        """Every key, by name."""
        return [self.show(path.stem) for path in sorted(self.folder.glob("*.json"))]

    def show(self, name: str) -> KeyInfo:
        """One key by its name or address, without its secret."""
        fields = self._read(name)
        return KeyInfo(fields["name"], fields["address"], base64.b64decode(fields["public_key"]))

    def public(self, name: str) -> any_pb2.Any:
        """The public key of one key by its name or address, as transactions show it."""
        return packed_key(self.show(name).public_key)

    def key(self, name: str) -> Key:
        """One key by its name or address, with its secret."""
        fields = self._read(name)
        if self.backend == "test":
            return Key(bytes.fromhex(fields["private_key"]))
        return Key(unseal(fields, self._passphrase_once()))

    def delete(self, name: str) -> None:
        """Removes a key for good."""
        (self.folder / f"{self._read(name)['name']}.json").unlink()

    def _read(self, name: str) -> dict[str, Any]:
        path = self.folder / f"{name}.json"
        if _NAME.fullmatch(name) and path.exists():
            fields: dict[str, Any] = json.loads(path.read_text())
            return fields
        for candidate in sorted(self.folder.glob("*.json")):
            fields = json.loads(candidate.read_text())
            if fields.get("address") == name:
                return fields
        raise KeyringError(f"no key {name!r} in {self.folder}")

    def _passphrase_once(self) -> str:
        if self._passphrase is None:
            if self._ask is None:
                raise KeyringError("the keyring is encrypted and no passphrase was given")
            self._passphrase = self._ask()
        return self._passphrase
