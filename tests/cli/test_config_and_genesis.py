"""`config`, `comet` and `genesis` on a real home that `init` made."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from abci_app.app import STORES
from abci_app.kernel.store import DiskStore
from abci_app.node.home import find_cometbft
from tests.cli.conftest import Command

ABSENT = "no CometBFT: `make setup` builds it"


@pytest.fixture
def home(evergrid: Command) -> Command:
    """A home with a key and a chain that nobody has started."""
    try:
        find_cometbft()
    except ValueError:
        pytest.skip(ABSENT)
    evergrid.json("keys", "add", "alice", "--no-backup")
    words = ("--chain-id", "grid-1", "--account", "alice=5nevg", "--participant", "alice")
    evergrid.json("init", "here", *words)
    return evergrid


def toml(command: Command, file: str) -> dict[str, Any]:
    return tomllib.loads((command.home / "config" / f"{file}.toml").read_text())


def test_settings_of_all_three_files_are_read(home: Command) -> None:
    assert home("config", "get", "client", "chain-id").stdout == "grid-1\n"
    assert home.json("config", "get", "app", "retain_heights") == 1000
    unknown = home.fails("config", "get", "app", "minimum-gas-prices")
    assert "app.toml has no minimum-gas-prices: there are" in unknown and "retain_heights" in unknown
    assert home("config", "get", "config", "rpc.laddr").stdout == "tcp://127.0.0.1:26657\n"
    assert home.json("config", "view", "client") == toml(home, "client")
    assert home("config", "home").stdout == f"{home.home}\n"


def test_a_setting_is_changed_and_its_neighbours_and_comments_stay(home: Command) -> None:
    path = home.home / "config" / "app.toml"
    before = path.read_text().splitlines()

    home.json("config", "set", "app", "retain_heights", "77")

    after = path.read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [new for _, new in changed] == ["retain_heights = 77"]


def test_a_section_of_comets_file_is_changed(home: Command) -> None:
    home.json("config", "set", "config", "mempool.size", "123")
    home.json("config", "set", "config", "moniker", "renamed")

    assert (toml(home, "config")["mempool"]["size"], toml(home, "config")["moniker"]) == (123, "renamed")


def test_what_the_client_is_told_is_used(home: Command) -> None:
    home.json("config", "set", "client", "gas-prices", "0.5nevg")
    home.json("config", "set", "client", "output", "json")

    assert toml(home, "client")["gas-prices"] == "0.5nevg"
    assert json.loads(home("keys", "list").stdout)[0]["name"] == "alice"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("app", "retain_height", "5"), "app.toml has no retain_height"),
        (("app", "retain_heights", "many"), "is a int, such as 1000"),
        (("app", "retain_heights", "0"), "greater than or equal to 1"),
        (("app", "log_level", "loud"), "'debug', 'info', 'warning' or 'error'"),
        (("config", "rpc.nothing", "5"), "config.toml has no rpc.nothing"),
        (("client", "colour", "red"), "client.toml has no colour: it has chain-id"),
        (("client", "output", "xml"), "'xml' is not one of"),
    ],
)
def test_a_wrong_setting_is_refused_and_changes_nothing(
    home: Command, words: tuple[str, ...], why: str
) -> None:
    path = home.home / "config" / f"{words[0]}.toml"
    before = path.read_bytes()

    result = home("config", "set", *words)

    assert result.exit_code in {1, 2}
    assert why in result.stderr
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*.new"))


def test_comets_own_commands_say_the_same(home: Command) -> None:
    keys = json.loads((home.home / "config" / "priv_validator_key.json").read_text())

    assert home.json("comet", "show-address")["address"] == keys["address"]
    assert json.loads(home("comet", "show-validator").stdout)["key"] == keys["pub_key"]["value"]
    assert len(home.json("comet", "show-node-id")["node_id"]) == 40
    assert home.json("comet", "version")["cometbft"] == "0.38.26"


def test_a_reset_takes_the_state_and_leaves_keys_configuration_and_genesis(home: Command) -> None:
    kept = {path: path.read_bytes() for path in (home.home / "config").iterdir()}
    with DiskStore(home.home / "data" / "app", STORES):
        pass

    home.json("comet", "unsafe-reset-all", "-y")

    assert not (home.home / "data" / "app").exists()
    assert {path: path.read_bytes() for path in (home.home / "config").iterdir() if path in kept} == kept


def test_a_running_node_is_not_reset(home: Command) -> None:
    folder = home.home / "data" / "app"
    with DiskStore(folder, STORES):
        said = home.fails("comet", "unsafe-reset-all", "-y")

    assert said == f"a node has {folder} open: stop it first"
    assert folder.exists()


def test_the_genesis_of_init_is_valid_and_has_one_hash(home: Command) -> None:
    shown = home.json("genesis", "validate")

    assert shown["validators"] == 1
    assert len(shown["app_hash"]) == 64
    assert home("genesis", "hash").stdout.strip() == shown["sha256"]


def test_everything_that_is_wrong_with_a_genesis_is_named(home: Command, tmp_path: Path) -> None:
    document = json.loads((home.home / "config" / "genesis.json").read_text())
    document |= {"chain_id": "", "genesis_time": "yesterday", "validators": [{"power": "0"}]}
    del document["consensus_params"]["block"]["max_gas"]
    path = tmp_path / "genesis.json"
    path.write_text(json.dumps(document))

    said = home.fails("genesis", "validate", str(path))

    for part in ("chain_id", "genesis_time", "max_gas", "validators[0]"):
        assert part in said


def test_a_state_that_the_chain_would_refuse_is_refused_with_its_reason(
    home: Command, tmp_path: Path
) -> None:
    document = json.loads((home.home / "config" / "genesis.json").read_text())
    document["app_state"]["nothing"] = {}
    path = tmp_path / "genesis.json"
    path.write_text(json.dumps(document))

    assert "nothing" in home.fails("genesis", "validate", str(path))


def test_a_key_gets_another_name_and_stays_the_same_key(home: Command) -> None:
    before = home.json("keys", "show", "alice")

    home.json("keys", "rename", "alice", "carol", "-y")

    assert home.json("keys", "show", "carol") == before | {"name": "carol"}
    assert "alice" in home.fails("keys", "show", "alice")
    (path,) = (home.home / "keyring-test").glob("carol*")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600  # noqa: PTH116 - the mode as it is


def test_a_name_that_is_taken_is_refused(home: Command) -> None:
    home.json("keys", "add", "bob", "--no-backup")

    said = home.fails("keys", "rename", "alice", "bob", "-y")

    assert "bob" in said
    assert len(home.json("keys", "list")) == 2


def test_an_address_is_parsed_in_both_directions(home: Command) -> None:
    address = home.json("keys", "show", "alice")["address"]

    found = home.json("keys", "parse", address)

    assert found["human"] == "evergrid"
    assert address in home.json("keys", "parse", found["bytes"])["formats"]
    assert "neither" in home.fails("keys", "parse", "evergrid1nonsense")


def test_a_mnemonic_is_made_without_a_keyring(evergrid: Command) -> None:
    words = evergrid("keys", "mnemonic").stdout.split()

    assert len(words) == 24
    assert not evergrid.home.exists()
