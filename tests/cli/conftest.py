"""A home with keys, a chain behind a socket, and a way to call the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import cli
from client.keyring import Keyring
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of
from tests.cli.rpc import RpcServer


@dataclass
class Command:
    """Calls `evergrid` within this process."""

    home: Path
    node: str = "tcp://127.0.0.1:1"

    def __call__(self, *words: str, stdin: str = "", **env: str) -> Result:
        settings = {"EVERGRID_HOME": str(self.home), "EVERGRID_NODE": self.node, **env}
        return CliRunner(env=settings).invoke(cli, words, input=stdin, prog_name="evergrid")

    def json(self, *words: str, **options: Any) -> Any:
        """What it prints as JSON; it has to succeed."""
        result = self(*words, "-o", "json", **options)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def fails(self, *words: str, code: int = 1, **options: Any) -> str:
        """The one sentence with which it fails."""
        result = self(*words, **options)
        assert result.exit_code == code, result.output
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1, result.stderr
        return result.stderr.removeprefix("Error: ").rstrip("\n")


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("EVERGRID_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def evergrid(tmp_path: Path) -> Command:
    """The command line with an empty home and no chain."""
    return Command(tmp_path / "home")


@pytest.fixture
def chain() -> Chain:
    participants = [GenesisParticipant("alice", nodes=(GenesisNode("n1", ("model/x",), 100),))]
    chain = Chain(app_state(participants, [a_model()], funded=["bob"]))
    chain.run_to(2)
    return chain


@pytest.fixture
def rpc(chain: Chain) -> Iterator[RpcServer]:
    with RpcServer(chain) as server:
        yield server


@pytest.fixture
def online(tmp_path: Path, rpc: RpcServer) -> Command:
    """The command line of a home with the keys of alice, bob and eve, who has no account, and a chain."""
    keyring = Keyring(tmp_path / "home")
    for name in ("alice", "bob", "eve"):
        keyring.add(name, key_of(name))
    return Command(tmp_path / "home", rpc.url)
