"""Keys in the keyring of the system, by the library that talks to it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import KeyringLocked, PasswordDeleteError

from client.keyring import Keyring, KeyringError
from tests.chain import key_of


class Desk(KeyringBackend):
    """A system's keyring that is kept in a dictionary."""

    priority = 5
    name = "desk"

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked("the screen is locked")
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise KeyringLocked("the screen is locked")
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.held:
            raise PasswordDeleteError(username)
        del self.held[service, username]


@pytest.fixture
def desk() -> Iterator[Desk]:
    former, desk = keyring.get_keyring(), Desk()
    keyring.set_keyring(desk)
    yield desk
    keyring.set_keyring(former)


@pytest.mark.usefixtures("desk")
def test_a_key_is_there_for_the_next_process_and_gone_when_it_is_deleted(tmp_path: Path) -> None:
    Keyring(tmp_path, "os").add("alice", key_of("alice"))

    ring = Keyring(tmp_path, "os")

    assert ring.key("alice") == key_of("alice")
    assert [info.name for info in ring.list()] == ["alice"]
    ring.delete("alice")
    assert Keyring(tmp_path, "os").list() == []
    assert list(tmp_path.iterdir()) == []


def test_a_keyring_that_is_locked_says_so_and_loses_nothing(tmp_path: Path, desk: Desk) -> None:
    Keyring(tmp_path, "os").add("alice", key_of("alice"))
    desk.locked = True

    with pytest.raises(
        KeyringError, match=r"the system's keyring \(desk\) did not answer: the screen is locked"
    ):
        Keyring(tmp_path, "os").key("alice")

    desk.locked = False
    assert Keyring(tmp_path, "os").key("alice") == key_of("alice")


def test_a_system_without_a_keyring_is_told_what_to_use(tmp_path: Path, desk: Desk) -> None:
    keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call]
    try:
        with pytest.raises(KeyringError, match="choose the backend file"):
            Keyring(tmp_path, "os")
    finally:
        keyring.set_keyring(desk)


def test_without_the_library_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)

    with pytest.raises(KeyringError, match=r"evergrid\[os-keyring\]"):
        Keyring(tmp_path, "os")
