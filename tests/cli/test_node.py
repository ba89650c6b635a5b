"""Homes, exports and services by the command line."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from abci_app.app import STORES
from abci_app.kernel.store import DiskStore
from abci_app.modules import collateral as collateral_module
from abci_app.modules import epochs, models
from abci_app.modules import guardians as guardians_module
from abci_app.node.home import find_cometbft
from client.keyring import Keyring
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of
from tests.cli.conftest import Command
from tests.stages.test_governance import propose, register, vote

SEED, KEY = "ab" * 32, "02" + "cd" * 32


@pytest.fixture
def with_cometbft() -> None:
    find_cometbft()


@pytest.mark.usefixtures("with_cometbft")
def test_init_makes_a_home_that_funds_keys_and_addresses_and_is_known_to_other_commands(
    evergrid: Command,
) -> None:
    alice = evergrid.json("keys", "add", "alice")["address"]
    bob = key_of("bob").address

    made = evergrid.json(
        *(
            "init",
            "--chain-id",
            "test-9",
            "--port-offset",
            "7",
            "--account",
            "alice=5nevg",
            "--account",
            f"{bob}=6nevg",
        )
    )

    genesis = json.loads(Path(made["genesis"]).read_text())
    client = tomllib.loads((evergrid.home / "config" / "client.toml").read_text())
    balances = {each["address"]: each["coins"] for each in genesis["app_state"]["bank"]["balances"]}
    assert genesis["chain_id"] == made["chain_id"] == client["chain-id"] == "test-9"
    assert balances == {
        alice: [{"denom": "nevg", "amount": "5"}],
        bob: [{"denom": "nevg", "amount": "6"}],
    }
    assert client["node"] == "tcp://127.0.0.1:26664"
    assert "holds a chain already" in evergrid.fails("init")


@pytest.mark.usefixtures("with_cometbft")
def test_the_participant_of_a_new_home_votes_the_first_model_in(evergrid: Command) -> None:
    Keyring(evergrid.home).add("alice", key_of("alice"))

    made = evergrid.json("init", "--account", "alice=10000000nevg", "--participant", "alice")

    chain = Chain(json.loads(Path(made["genesis"]).read_text())["app_state"])
    chain.block()
    vote(chain, propose(chain, register("model/new")), "alice")
    chain.run_to(chain.height + 11)
    assert models.is_valid_governance_model(chain.context(), "model/new")


@pytest.mark.usefixtures("with_cometbft")
def test_guardians_and_collateral_are_on_where_the_params_of_init_say_so(
    evergrid: Command, tmp_path: Path
) -> None:
    Keyring(evergrid.home).add("alice", key_of("alice"))
    file = tmp_path / "params.json"
    collateral = {
        "unbonding_epochs": 2,
        "slash_invalid_bps": 500,
        "base_weight_bps": 2000,
        "release_per_block": 10,
    }
    guardians = {"maturity_weight": 1000, "multiplier_bps": 5200}
    file.write_text(json.dumps({"collateral": collateral, "guardians": guardians}))

    made = evergrid.json("init", "--participant", "alice", "--params", str(file), "--guardian", "alice")

    chain = Chain(json.loads(Path(made["genesis"]).read_text())["app_state"])
    chain.block()
    context = chain.context()
    assert collateral_module.is_on(context)
    assert guardians_module.named(context) == [key_of("alice").address]
    assert epochs.params(context).collateral.slash_invalid_bps == 500
    # What the file does not name is the profile's.
    assert epochs.params(context).epoch == epochs.default_params("local").epoch


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"epoch": {"length": 3}}, "epoch.length is no param: is epoch_length meant?"),
        ({"epoch": {"epoch_length": 3}}, "epoch"),
        ({}, "guardians must be participants of the genesis: evergrid1"),
        ({}, "guardians need the params `guardians`"),
    ],
)
def test_params_with_which_no_chain_can_begin_write_nothing(
    evergrid: Command, tmp_path: Path, content: object, text: str
) -> None:
    file = tmp_path / "params.json"
    file.write_text(json.dumps(content))

    assert text in evergrid.fails("init", "--params", str(file), "--guardian", key_of("bob").address)
    assert not evergrid.home.exists()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (
            ("--account", "alice=5foo", "--account", "bob"),
            2,
            "only nevg is there from the start, not foo; --account bob",
        ),
        (("--account", "alice=5nevg"), 2, "--account alice=5nevg: no key 'alice' in "),
        (("--participant", "alice"), 1, "no key 'alice' in "),
        (("--chain-id", "a b"), 1, "a chain id is 1 to 50 letters"),
        (("--profile", "moon"), 2, "'moon' is not one of 'local'"),
    ],
)
def test_what_cannot_begin_is_one_sentence_and_writes_nothing(
    evergrid: Command, words: tuple[str, ...], code: int, text: str
) -> None:
    assert text in evergrid.fails("init", *words, code=code)
    assert not evergrid.home.exists()


def test_a_node_without_a_home_says_so(evergrid: Command) -> None:
    assert "there is no chain in" in evergrid.fails("start")
    assert "there is no chain in this home" in evergrid.fails("export")


def state() -> dict[str, Any]:
    participants = [GenesisParticipant("alice", nodes=(GenesisNode("n1", ("model/x",), 100),))]
    return app_state(participants, [a_model()], funded=["bob"])


def a_stopped_node(home: Path, blocks: int) -> dict[str, Any]:
    (home / "config").mkdir(parents=True)
    (home / "config" / "genesis.json").write_text(
        json.dumps({"chain_id": "evergrid-test-1", "initial_height": "1"})
    )
    (home / "data").mkdir()
    with DiskStore(home / "data" / "app", STORES) as store:
        chain = Chain(state(), store)
        chain.run_to(blocks)
    document: dict[str, Any] = json.loads((home / "config" / "genesis.json").read_text())
    return document


def test_an_exported_state_is_a_genesis_from_which_the_chain_goes_on(evergrid: Command) -> None:
    a_stopped_node(evergrid.home, 5)

    document = evergrid.json("export")

    again = Chain(document["app_state"], initial_height=int(document["initial_height"]))
    again.block()
    assert document["initial_height"] == "6"
    assert again.height == 6
    assert again.balance("bob") == int(
        next(
            each["coins"][0]["amount"]
            for each in document["app_state"]["bank"]["balances"]
            if each["address"] == key_of("bob").address
        )
    )
    assert [each["power"] for each in document["validators"]] == ["100"]


def test_a_state_that_is_in_use_is_not_exported(evergrid: Command) -> None:
    a_stopped_node(evergrid.home, 1)

    with DiskStore(evergrid.home / "data" / "app", STORES):
        text = evergrid.fails("export")

    assert text.endswith("stop it first")


def test_nonces_are_printed_as_claims(evergrid: Command) -> None:
    words = ("mlnode", "nonces", "--preset", "tiny", "--seed", SEED, "--public-key", KEY, "--node-id", "n")

    some = json.loads(evergrid(*words, "--first", "3", "--count", "3", "--json").stdout)
    one = evergrid.json(*words, "--first", "4")

    assert list(some) == ["claims"]
    assert len(some["claims"]) == 3
    assert one["claims"] == some["claims"][1:2]


def test_wrong_values_of_nonces_are_all_named(evergrid: Command) -> None:
    text = evergrid.fails(
        *("mlnode", "nonces", "--preset", "vast", "--seed", "x", "--public-key", KEY, "--node-id", "n")
    )

    assert "preset must be one of" in text
    assert "seed must be 64 hex digits" in text


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("mlnode", "start", "--port", "x", "--threads", "0"), ("--port: ", "--threads: ")),
        (("api", "start", "--public-port", "x", "--admin-port", "-1"), ("--public-port: ", "--admin-port: ")),
    ],
)
def test_wrong_settings_of_a_service_are_all_named(
    evergrid: Command, words: tuple[str, ...], wrong: tuple[str, ...]
) -> None:
    text = evergrid.fails(*words, code=2)

    assert all(each in text for each in wrong)
