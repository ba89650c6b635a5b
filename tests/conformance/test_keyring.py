"""Keyrings against the Cosmos SDK's: those that it wrote are read, and it reads ours."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from client.armor import export_key, import_key
from client.keyring import Keyring, KeyringError
from client.keys import Key, hd_path
from protocol import multisig

DATA = Path(__file__).parent / "data" / "keyring"
SOURCE = Path(__file__).parent / "keyring"
PASSPHRASE = "a passphrase"
WORDS = "abandon " * 11 + "about"
ALICE, BOB, WATCHED = (Key.from_mnemonic(WORDS, hd_path(index=index)) for index in range(3))
BOTH = multisig.multisig_key(2, [ALICE.public, BOB.public])
BUILD_SECONDS = 280.0


def opened(home: Path, backend: str, passphrase: str = PASSPHRASE) -> Keyring:
    return Keyring(home, backend, lambda: passphrase)


@pytest.mark.parametrize("backend", ["file", "test"])
def test_a_keyring_of_the_sdk_is_read(backend: str) -> None:
    ring = opened(DATA, backend)

    assert {(info.name, info.kind, info.address) for info in ring.list()} == {
        ("alice", "local", ALICE.address),
        ("bob", "local", BOB.address),
        ("both", "multi", multisig.account(BOTH)),
        ("watched", "offline", WATCHED.address),
    }
    assert (ring.key("alice"), ring.key(BOB.address)) == (ALICE, BOB)
    assert ring.show("both").public_key == multisig.amino_bytes(BOTH)
    with pytest.raises(KeyringError, match="of kind multi: its secret is not here"):
        ring.key("both")


def test_the_sdks_keyring_opens_with_its_passphrase_alone() -> None:
    with pytest.raises(KeyringError, match="the passphrase is wrong"):
        opened(DATA, "file", "another").list()


@pytest.mark.parametrize("name", ["file", "test"])
def test_an_export_of_the_sdk_is_imported(name: str) -> None:
    armored = json.loads((DATA / "armor.json").read_text())[name]

    assert import_key(armored, PASSPHRASE) == ALICE
    ours = export_key(ALICE, PASSPHRASE)
    assert ours.splitlines()[:2] == armored.splitlines()[:2]
    assert [line.partition(":")[0] for line in ours.splitlines()[:5]] == [
        line.partition(":")[0] for line in armored.splitlines()[:5]
    ]


def header(path: Path) -> dict[str, Any]:
    head = path.read_text().partition(".")[0]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    return found


@pytest.mark.parametrize("backend", ["file", "test"])
def test_our_files_have_the_names_and_the_form_of_the_sdks(tmp_path: Path, backend: str) -> None:
    fill(opened(tmp_path, backend))

    folder = f"keyring-{backend}"
    ours = {path.name: path for path in (tmp_path / folder).iterdir()}
    theirs = {path.name: path for path in (DATA / folder).iterdir()}

    assert sorted(ours) == sorted(theirs)
    for name, path in ours.items():
        assert path.stat().st_mode & 0o777 == 0o600
        if name != "keyhash":
            written = {key: header(path)[key] for key in ("alg", "enc", "p2c")}
            assert written == {key: header(theirs[name])[key] for key in written}


def fill(ring: Keyring) -> None:
    ring.add("alice", ALICE)
    ring.add("bob", BOB)
    ring.add_public("watched", multisig.packed_key(WATCHED.public))
    ring.add_public("both", multisig.packed(BOTH))


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program in Go."""
    go = shutil.which("go")
    if not os.environ.get("EVERGRID_TEST_SDK") or go is None:
        pytest.skip("building the Cosmos SDK takes minutes: EVERGRID_TEST_SDK=1 does, with Go on PATH")
    program = tmp_path_factory.mktemp("go") / "keyring"
    command = [go, "build", "-o", str(program), "."]
    subprocess.run(command, cwd=SOURCE, timeout=BUILD_SECONDS, check=True)
    return program


@pytest.mark.parametrize("backend", ["file", "test"])
def test_the_sdk_reads_our_keyring_and_signs_with_its_keys(tmp_path: Path, sdk: Path, backend: str) -> None:
    fill(opened(tmp_path, backend))

    done = subprocess.run(
        [sdk, "read", tmp_path, backend], capture_output=True, text=True, timeout=60, check=True
    )

    read = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert {name: (line["type"], line["address"]) for name, line in read.items()} == {
        info.name: (info.kind, info.address) for info in opened(tmp_path, backend).list()
    }
    assert read["alice"]["signature"] == ALICE.sign(b"text").hex()
