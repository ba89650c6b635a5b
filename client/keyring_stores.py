"""Where a keyring keeps its items: files as Cosmos SDK binaries write them, the system's keyring, memory.

A file is a JWE (RFC 7516) under a passphrase, by PBES2-HS256+A128KW and A256GCM, and holds the item as JSON.
"""

from __future__ import annotations

import base64
import json
import os
import warnings
from typing import TYPE_CHECKING, Any, Final, Protocol

import bcrypt
from joserfc import jwe
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import OctKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SERVICE: Final = "evergrid"
KEYHASH: Final = "keyhash"
# What encrypts the backend `test`, for everyone to know.
TEST_PASSPHRASE: Final = "test"  # noqa: S105 - no secret

_ALGORITHM, _ENCRYPTION = "PBES2-HS256+A128KW", "A256GCM"
# As the SDK's library has it.
_ITERATIONS = 8192
# The SDK's library adds a header with the time.
_REGISTRY = jwe.JWERegistry(algorithms=[_ALGORITHM, _ENCRYPTION], strict_check_header=False)
_INDEX = "evergrid keys"


class KeyringError(ValueError):
    """A key that is not there, or there already, or cannot be read; the text says which."""


class Store(Protocol):
    """Items by name; `where` is what an error calls it."""

    where: str

    def names(self) -> list[str]:
        """Of all items, sorted."""

    def read(self, name: str) -> bytes | None:
        """The item, None where there is none; raises KeyringError where it cannot be opened."""

    def write(self, name: str, data: bytes) -> None:
        """Stores an item whole or not at all; raises KeyringError."""

    def remove(self, name: str) -> None:
        """Removes an item for good."""


class MemoryStore:
    """Items of this process alone."""

    where = "memory"

    def __init__(self) -> None:
        self._items: dict[str, bytes] = {}

    def names(self) -> list[str]:
        return sorted(self._items)

    def read(self, name: str) -> bytes | None:
        return self._items.get(name)

    def write(self, name: str, data: bytes) -> None:
        self._items[name] = data

    def remove(self, name: str) -> None:
        del self._items[name]


class JweFolder:
    """One encrypted file an item, in the folder of SDK binaries' backends `file` and `test`."""

    def __init__(self, folder: Path, passphrase: Callable[[], str], *, keeps_hash: bool) -> None:
        self.where = str(folder)
        self._folder = folder
        self._ask = passphrase
        self._keeps_hash = keeps_hash
        self._key: Any = None

    def names(self) -> list[str]:
        return sorted(each.name for each in self._folder.glob("*") if each.suffix in {".info", ".address"})

    def read(self, name: str) -> bytes | None:
        try:
            text = (self._folder / name).read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise KeyringError(f"{self._folder / name} is damaged") from error
        try:
            plain = jwe.decrypt_compact(text.strip(), self._unlocked(), registry=_REGISTRY).plaintext
            return base64.b64decode(json.loads(plain or b"{}")["Data"])
        except (JoseError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, KeyringError):
                raise
            raise KeyringError(
                f"the passphrase is wrong, or the key's file {self._folder / name} is damaged"
            ) from error

    def write(self, name: str, data: bytes) -> None:
        item = {
            "Key": name,
            "Data": base64.b64encode(data).decode(),
            "Label": "",
            "Description": "",
            "KeychainNotTrustApplication": False,
            "KeychainNotSynchronizable": False,
        }
        header = {"alg": _ALGORITHM, "enc": _ENCRYPTION, "p2c": _ITERATIONS}
        text = jwe.encrypt_compact(header, json.dumps(item).encode(), self._unlocked(), registry=_REGISTRY)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_file(self._folder / name, text)

    def remove(self, name: str) -> None:
        (self._folder / name).unlink()

    def _unlocked(self) -> Any:
        """The passphrase, asked for once; raises KeyringError where it is another one than before."""
        if self._key is None:
            passphrase = self._ask().encode()
            if self._keeps_hash:
                self._check(passphrase)
            with warnings.catch_warnings():
                # That a passphrase is short is its owner's choice.
                warnings.simplefilter("ignore", SecurityWarning)
                self._key = OctKey.import_key(passphrase)
        return self._key

    def _check(self, passphrase: bytes) -> None:
        path = self._folder / KEYHASH
        try:
            if is_new := not path.exists():
                hashed = bcrypt.hashpw(passphrase, bcrypt.gensalt(10))
            else:
                hashed = path.read_bytes().strip()
            is_right = bcrypt.checkpw(passphrase, hashed)
        except ValueError as error:
            raise KeyringError(f"the passphrase cannot be used: {error}") from error
        if not is_right:
            raise KeyringError(f"the passphrase is wrong: it is not that of {self._folder}")
        if is_new:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_file(path, hashed.decode())


def _write_file(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


class SystemStore:
    """Items in the keyring of the desktop or the system, by the library `keyring`, which an extra brings."""

    def __init__(self) -> None:
        try:
            import keyring  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise KeyringError(
                "the backend os needs the Python package 'keyring': install evergrid[os-keyring]"
            ) from error
        self._ring = keyring.get_keyring()
        self.where = f"the system's keyring ({self._ring.name})"
        if self._ring.priority < 1:
            raise KeyringError("this system has no keyring that could be used: choose the backend file")

    def names(self) -> list[str]:
        return sorted(json.loads(self._get(_INDEX) or "[]"))

    def read(self, name: str) -> bytes | None:
        text = self._get(name)
        return None if text is None else base64.b64decode(text)

    def write(self, name: str, data: bytes) -> None:
        # Systems do not list what they hold; a name without an item is passed over.
        self._index({*self.names(), name})
        self._set(name, base64.b64encode(data).decode())

    def remove(self, name: str) -> None:
        self._ring.delete_password(SERVICE, name)
        self._index({*self.names()} - {name})

    def _index(self, names: set[str]) -> None:
        self._set(_INDEX, json.dumps(sorted(names)))

    def _get(self, name: str) -> str | None:
        from keyring.errors import KeyringError as SystemKeyringError  # noqa: PLC0415 - as above

        try:
            found: str | None = self._ring.get_password(SERVICE, name)
        except SystemKeyringError as error:
            raise KeyringError(f"{self.where} did not answer: {error}") from error
        return found

    def _set(self, name: str, text: str) -> None:
        from keyring.errors import KeyringError as SystemKeyringError  # noqa: PLC0415 - as above

        try:
            self._ring.set_password(SERVICE, name, text)
        except SystemKeyringError as error:
            raise KeyringError(f"{self.where} did not take the key: {error}") from error
