"""The keys of a home, in the form in which Cosmos SDK binaries keep theirs: either opens the other's.

Backend `file` encrypts each key with a passphrase; `test` with one that everybody knows, for networks without
value; `os` leaves them to the system's keyring; `memory` forgets them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError

from client.keyring_stores import (
    TEST_PASSPHRASE,
    JweFolder,
    KeyringError,
    MemoryStore,
    Store,
    SystemStore,
)
from client.keys import Key
from client.tx import pack
from protocol import address as addresses
from protocol.gen.cosmos.crypto.keyring.v1.record_pb2 import Record
from protocol.gen.cosmos.crypto.multisig.keys_pb2 import LegacyAminoPubKey
from protocol.gen.cosmos.crypto.secp256k1.keys_pb2 import PrivKey, PubKey
from protocol.multisig import MULTISIG_TYPE_URL, SECP256K1_TYPE_URL, amino_bytes, packed_key
from protocol.multisig import account as multisig_account

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.gen.google.protobuf.any_pb2 import Any

__all__ = ["BACKENDS", "KeyInfo", "Keyring", "KeyringError"]

BACKENDS: Final = ("os", "file", "test", "memory")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_INFO, _ADDRESS = ".info", ".address"


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What may be shown of a key. `kind`: local, offline, ledger, or multi, which has several owners; of a
    key that cannot sign here its type.
    """

    name: str
    address: str
    # 33 bytes, compressed secp256k1; of several owners their amino encoding.
    public_key: bytes
    kind: str
    packed: Any

    @classmethod
    def of(cls, name: str, packed: Any, kind: str) -> KeyInfo:
        """What a public key says of itself; one of another type, which cannot sign here, has no address."""
        if packed.type_url == MULTISIG_TYPE_URL:
            many = LegacyAminoPubKey.FromString(packed.value)
            return cls(name, multisig_account(many), amino_bytes(many), kind, packed)
        if packed.type_url != SECP256K1_TYPE_URL:
            return cls(name, "", b"", packed.type_url, packed)
        public_key = PubKey.FromString(packed.value).key
        return cls(name, addresses.account(public_key), public_key, kind, packed)


class Keyring:
    """The keys of one home. `passphrase` is asked for at most once, by the backend `file` alone."""

    def __init__(
        self, home: Path, backend: str = "test", passphrase: Callable[[], str] | None = None
    ) -> None:
        if backend not in BACKENDS:
            raise KeyringError(f"unknown keyring backend {backend!r}: use one of {', '.join(BACKENDS)}")
        self.backend = backend
        # Of the backends that keep files.
        self.folder = home / f"keyring-{backend}"
        self._store = _store(self.folder, backend, passphrase)

    def add(self, name: str, key: Key) -> KeyInfo:
        """Stores a key; raises KeyringError when the name or the key is there, or the name cannot be one."""
        record = Record(name=name, pub_key=packed_key(key.public))
        record.local.priv_key.CopyFrom(pack(PrivKey(key=key.private)))
        return self._add(record)

    def add_public(self, name: str, packed: Any) -> KeyInfo:
        """Stores a public key alone, of one owner or several; raises KeyringError as `add`."""
        record = Record(name=name, pub_key=packed)
        if packed.type_url == MULTISIG_TYPE_URL:
            record.multi.SetInParent()
        else:
            record.offline.SetInParent()
        return self._add(record)

    def list(self) -> list[KeyInfo]:
        """Every key, by name."""
        names = [name.removesuffix(_INFO) for name in self._store.names() if name.endswith(_INFO)]
        return [_info(record) for name in names if (record := self._record(name)) is not None]

    def show(self, name: str) -> KeyInfo:
        """One key by its name or address, without its secret."""
        return _info(self._read(name))

    def public(self, name: str) -> Any:
        """The public key of one key by its name or address, as transactions show it."""
        return self._read(name).pub_key

    def key(self, name: str) -> Key:
        """One key by its name or address, with its secret; raises KeyringError where it is not here."""
        record = self._read(name)
        if not _info(record).address:
            raise KeyringError(
                f"the key {record.name!r} is of type {record.pub_key.type_url}: it cannot sign"
            )
        if record.WhichOneof("item") != "local":
            raise KeyringError(
                f"the key {record.name!r} is of kind {record.WhichOneof('item')}: its secret is not here"
            )
        return Key(PrivKey.FromString(record.local.priv_key.value).key)

    def rename(self, name: str, new_name: str) -> KeyInfo:
        """Gives a key another name; raises KeyringError as `add`."""
        record = self._read(name)
        former = record.name
        self._check_name(new_name)
        record.name = new_name
        # In this order a fault between two steps leaves the key under both names, and never under none.
        self._write(record)
        self._store.remove(former + _INFO)
        return _info(record)

    def delete(self, name: str) -> None:
        """Removes a key for good."""
        info = self.show(name)
        self._store.remove(info.name + _INFO)
        if info.address and self._store.read(_address_item(info.address)) is not None:
            self._store.remove(_address_item(info.address))

    def _add(self, record: Record) -> KeyInfo:
        self._check_name(record.name)
        info = _info(record)
        if not info.address:
            raise KeyringError(f"keys of type {record.pub_key.type_url} cannot sign here")
        if (held := self._store.read(_address_item(info.address))) is not None:
            other = held.decode().removesuffix(_INFO)
            raise KeyringError(f"there is a key of {info.address} already: {other!r}")
        self._write(record)
        return info

    def _check_name(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise KeyringError(f"{name!r} is no name for a key: letters, digits, dot, dash, underscore")
        if name + _INFO in self._store.names():
            raise KeyringError(f"there is a key {name!r} already")

    def _write(self, record: Record) -> None:
        self._store.write(record.name + _INFO, record.SerializeToString(deterministic=True))
        if address := _info(record).address:
            self._store.write(_address_item(address), (record.name + _INFO).encode())

    def _read(self, name: str) -> Record:
        found = self._record(name) if _NAME.fullmatch(name) else None
        if found is None and name.startswith(f"{addresses.PREFIX}1"):
            try:
                item = self._store.read(_address_item(name))
            except addresses.AddressError as error:
                raise KeyringError(f"{name!r} is no address: {error}") from error
            found = None if item is None else self._record(item.decode().removesuffix(_INFO))
        if found is None:
            raise KeyringError(f"no key {name!r} in {self._store.where}")
        return found

    def _record(self, name: str) -> Record | None:
        data = self._store.read(name + _INFO)
        if data is None:
            return None
        try:
            return Record.FromString(data)
        except DecodeError as error:
            raise KeyringError(f"the key {name!r} in {self._store.where} is damaged") from error


def _info(record: Record) -> KeyInfo:
    return KeyInfo.of(record.name, record.pub_key, record.WhichOneof("item") or "offline")


def _address_item(address: str) -> str:
    return addresses.decode(address).hex() + _ADDRESS


def _store(folder: Path, backend: str, passphrase: Callable[[], str] | None) -> Store:
    if backend == "memory":
        return MemoryStore()
    if backend == "os":
        return SystemStore()
    if older := sorted(folder.glob("*.json")):
        names = ", ".join(path.name for path in older)
        raise KeyringError(
            f"{folder} holds keys of an earlier format: {names}; move them away and add the keys again"
        )
    if backend == "test":
        return JweFolder(folder, lambda: TEST_PASSPHRASE, keeps_hash=False)
    return JweFolder(folder, passphrase or _none_given, keeps_hash=True)


def _none_given() -> str:
    raise KeyringError("the keyring is encrypted and no passphrase was given")
