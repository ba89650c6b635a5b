"""Keys against published vectors; the keyring loses and shows nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from coincurve import PublicKey
from coincurve.ecdsa import cdata_to_der, deserialize_compact

from client.keyring import Keyring, KeyringError
from client.keyring_stores import JweFolder
from client.keys import InvalidKeyError, Key, derive, hd_path, new_mnemonic
from protocol import address
from protocol.gen.cosmos.crypto.keyring.v1.record_pb2 import Record
from protocol.gen.google.protobuf.any_pb2 import Any

if TYPE_CHECKING:
    from pathlib import Path

ABANDON = "abandon " * 11 + "about"


def test_a_mnemonic_gives_the_address_that_other_wallets_give() -> None:
    key = Key.from_mnemonic(ABANDON)

    assert (
        address.encode(address.decode(key.address), "cosmos")
        == "cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4"
    )


def test_derivation_follows_the_published_vector_of_bip_32() -> None:
    seed = bytes.fromhex("000102030405060708090a0b0c0d0e0f")

    assert derive(seed, "m/0'/1").hex() == "3c6cb8d0f6a264c91ea8b5030fadaa8e538b020f0a387421a12de9319dc93368"


def test_a_changed_word_or_a_wrong_path_is_refused() -> None:
    with pytest.raises(InvalidKeyError, match="mnemonic is not valid"):
        Key.from_mnemonic("abandon " * 12)
    with pytest.raises(InvalidKeyError, match="no derivation path"):
        Key.from_mnemonic(ABANDON, "44/118")


def test_a_signature_is_64_bytes_with_low_s_and_verifies() -> None:
    key = Key.from_mnemonic(new_mnemonic(12), hd_path(index=3))

    signature = key.sign(b"message")

    assert len(signature) == 64
    assert (
        int.from_bytes(signature[32:], "big")
        <= 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
    )
    der = cdata_to_der(deserialize_compact(signature))
    assert PublicKey(key.public).verify(der, b"message")


@pytest.mark.parametrize("backend", ["test", "file"])
def test_a_stored_key_comes_back_from_disk(tmp_path: Path, backend: str) -> None:
    key = Key.generate()
    Keyring(tmp_path, backend, lambda: "passphrase").add("alice", key)

    reopened = Keyring(tmp_path, backend, lambda: "passphrase")

    assert reopened.key("alice") == key
    assert reopened.key(key.address) == key
    assert [info.name for info in reopened.list()] == ["alice"]


def test_the_file_backend_keeps_no_secret_in_the_clear(tmp_path: Path) -> None:
    key = Key.generate()
    Keyring(tmp_path, "file", lambda: "passphrase").add("alice", key)

    stored = "".join(path.read_text() for path in tmp_path.rglob("*.*"))

    assert key.private.hex() not in stored
    with pytest.raises(KeyringError, match="passphrase is wrong"):
        Keyring(tmp_path, "file", lambda: "other").key("alice")


def test_a_taken_name_or_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    ring = Keyring(tmp_path)
    first = ring.add("alice", Key.generate())

    with pytest.raises(KeyringError, match="already"):
        ring.add("alice", Key.generate())
    with pytest.raises(KeyringError, match="no name for a key"):
        ring.add("../alice", Key.generate())

    assert ring.list() == [first]


def test_a_deleted_key_is_gone(tmp_path: Path) -> None:
    ring = Keyring(tmp_path)
    ring.add("alice", Key.generate())

    ring.delete("alice")

    assert ring.list() == []
    with pytest.raises(KeyringError, match="no key 'alice'"):
        ring.show("alice")


def test_a_key_of_another_type_is_listed_and_does_not_sign(tmp_path: Path) -> None:
    record = Record(
        name="foreign", pub_key=Any(type_url="/ethermint.crypto.v1.ethsecp256k1.PubKey", value=b"\n")
    )
    record.offline.SetInParent()
    ring = Keyring(tmp_path)
    JweFolder(ring.folder, lambda: "test", keeps_hash=False).write("foreign.info", record.SerializeToString())
    ring.add("alice", Key.generate())

    assert [info.name for info in ring.list()] == ["alice", "foreign"]
    with pytest.raises(KeyringError, match=r"ethsecp256k1\.PubKey: it cannot sign"):
        ring.key("foreign")
    ring.delete("foreign")
    assert [info.name for info in ring.list()] == ["alice"]
