"""The home of a node: what init writes, and what settings read."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from abci_app.genesis import GenesisError, parse_genesis
from abci_app.node.config import ConfigError, NodeSettings, load_settings, split_address
from abci_app.node.genesis import (
    PROFILES,
    TEMPLATES,
    GenesisNode,
    GenesisParticipant,
    make_app_state,
    make_genesis,
)
from abci_app.node.home import (
    LAYOUTS,
    HomeExistsError,
    Ports,
    abci_address,
    init_home,
    override_toml,
    set_peers,
)
from abci_app.node.server import Address
from tests.chain import a_model, key_of, validator_key_of


def comet_config(home: Path) -> dict[str, Any]:
    return tomllib.loads((home / "config" / "config.toml").read_text())


def alice() -> GenesisParticipant:
    return GenesisParticipant(
        key_of("alice").public,
        validator_key_of("alice"),
        url="http://alice.test:9000",
        nodes=(GenesisNode("a1", ("model/x",), 300), GenesisNode("a2", ("model/x",))),
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("profile", PROFILES)
def test_every_layout_and_profile_gives_a_home_that_settings_read(
    tmp_path: Path, layout: str, profile: str
) -> None:
    ports = Ports().shifted(100)

    info = init_home(tmp_path / "home", "evergrid-1", profile=profile, layout=layout, ports=ports)

    settings = load_settings(info.home)
    comet = comet_config(info.home)
    genesis = json.loads(settings.genesis_file.read_text())
    assert comet["proxy_app"] == settings.abci_address
    assert settings.rpc_url == "http://127.0.0.1:26757"
    assert comet["rpc"]["laddr"] == "tcp://127.0.0.1:26757"
    assert comet["instrumentation"] == {
        "prometheus": True,
        "prometheus_listen_addr": "127.0.0.1:26760",
        "max_open_connections": 3,
        "namespace": "cometbft",
    }
    assert comet["tx_index"]["indexer"] == "kv"
    assert comet["p2p"]["laddr"].startswith("tcp://0.0.0.0" if layout == "production" else "tcp://127")
    assert comet["consensus"]["timeout_commit"] == ("1s" if profile == "local" else "5s")
    assert genesis["chain_id"] == "evergrid-1"
    parse_genesis(genesis["app_state"])


def test_a_home_that_holds_a_chain_is_left_alone(tmp_path: Path) -> None:
    info = init_home(tmp_path, "evergrid-1")
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}

    with pytest.raises(HomeExistsError):
        init_home(tmp_path, "evergrid-2")

    after = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    assert after == before
    assert info.validator_key


def test_the_genesis_names_the_key_of_the_home_and_its_id_is_comets(tmp_path: Path) -> None:
    import subprocess

    from abci_app.node.home import find_cometbft

    info = init_home(tmp_path, "evergrid-1")

    command = [str(find_cometbft()), "show-node-id", "--home", str(tmp_path)]
    shown = subprocess.run(command, capture_output=True, check=True, timeout=30)
    keys = json.loads((tmp_path / "config" / "priv_validator_key.json").read_text())
    (validator,) = json.loads((tmp_path / "config" / "genesis.json").read_text())["validators"]
    assert shown.stdout.decode().strip() == info.node_id
    assert validator["address"] == keys["address"]
    assert validator["pub_key"] == keys["pub_key"]


@pytest.mark.parametrize("chain_id", ["", "with space", "x" * 51, "-begins"])
def test_one_error_names_a_bad_chain_id_and_a_bad_layout(tmp_path: Path, chain_id: str) -> None:
    with pytest.raises(ConfigError, match=r"chain id.*; a layout is one of"):
        init_home(tmp_path, chain_id, layout="cloud")

    assert list(tmp_path.iterdir()) == []


def test_an_unknown_profile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="local, testnet, mainnet"):
        init_home(tmp_path, "evergrid-1", profile="moon")


def test_a_path_too_long_for_a_socket_falls_back_to_a_port_of_loopback(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)

    short_address = abci_address(Path("/h"), Ports())
    long_address = abci_address(long, Ports(abci=7001))

    assert short_address == "unix:///h/abci.sock"
    assert long_address == "tcp://127.0.0.1:7001"
    Address.parse(long_address)


def test_peers_are_written_as_comet_reads_them(tmp_path: Path) -> None:
    first = init_home(tmp_path / "1", "evergrid-1", layout="localnet")
    second = init_home(tmp_path / "2", "evergrid-1", layout="localnet", ports=Ports().shifted(10))

    set_peers(first.home, [second.peer])

    assert comet_config(first.home)["p2p"]["persistent_peers"] == f"{second.node_id}@127.0.0.1:26666"


def test_overriding_keeps_comments_and_sections_apart() -> None:
    text = "# top\na = 1\n\n[one]\n# why\na = 2\n[two]\na = 3\n"

    changed = override_toml(text, {"one": {"a": "x"}, "": {"a": 9}})

    assert changed == '# top\na = 9\n\n[one]\n# why\na = "x"\n[two]\na = 3\n'


def test_overriding_names_every_key_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"no b, one\.c"):
        override_toml("a = 1\n[one]\nd = 1\n", {"": {"b": 1}, "one": {"c": 2, "d": 3}})


def test_participants_models_and_weights_make_a_genesis_that_the_chain_takes() -> None:
    state = make_app_state(
        "local", balances={alice().address: 10**9}, participants=[alice()], models=[a_model()]
    )

    document = make_genesis("evergrid-1", "local", state, [(validator_key_of("alice"), 10)])

    assert state["epochs"]["weights"] == [{"participant": alice().address, "node_id": "a1", "weight": "300"}]
    assert [node["node"]["node_id"] for node in state["hardware"]["nodes"]] == ["a1", "a2"]
    assert document["validators"][0]["power"] == "10"


def test_a_genesis_that_cannot_work_is_refused_with_every_reason() -> None:
    stranger = GenesisParticipant(key_of("bob").public, b"short", nodes=(GenesisNode("n", (), 5),))

    with pytest.raises(GenesisError) as caught:
        make_app_state("local", participants=[stranger])

    assert len(str(caught.value).splitlines()) > 2


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = init_home(tmp_path, "evergrid-1")
    monkeypatch.setenv("EVERGRID_CHAIN_GRPC_ADDRESS", "127.0.0.1:7777")

    settings = load_settings(info.home)
    forced = load_settings(info.home, grpc_address="")

    assert settings.grpc_address == "127.0.0.1:7777"
    assert settings.rest_address == "127.0.0.1:1317"
    assert forced.grpc_address == ""


def test_one_error_names_every_value_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "app.toml").write_text(
        'grpc_address = "here"\nretain_heights = 0\nabci_address = "http://x"\nunknown = 1\n'
    )

    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path)

    for name in ("grpc_address", "retain_heights", "abci_address", "unknown"):
        assert name in str(caught.value)


def test_a_file_that_is_no_toml_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "app.toml").write_text("this is not TOML")

    with pytest.raises(ConfigError, match=r"app\.toml"):
        load_settings(tmp_path)


def test_the_template_of_the_application_holds_every_setting() -> None:
    template = tomllib.loads((TEMPLATES / "app.toml").read_text())

    assert set(template) == set(NodeSettings.model_fields) - {"home"}


@pytest.mark.parametrize(
    ("text", "parts"), [("127.0.0.1:9090", ("127.0.0.1", 9090)), ("[::1]:1", ("::1", 1)), ("h:0", ("h", 0))]
)
def test_an_address_has_a_host_and_a_port(text: str, parts: tuple[str, int]) -> None:
    assert split_address(text) == parts


def test_free_ports_are_all_different() -> None:
    ports = Ports.free()

    assert len({getattr(ports, name) for name in Ports.__dataclass_fields__}) == 7


@pytest.mark.parametrize(("profile", "needed"), [("testnet", 139), ("mainnet", 6)])
def test_where_anyone_may_join_collateral_stays_as_long_as_misbehaviour_may_become_known(
    tmp_path: Path, profile: str, needed: int
) -> None:
    def init(layout: str, unbonding_epochs: int) -> None:
        own = {"unbonding_epochs": unbonding_epochs, "base_weight_bps": 2000, "release_per_block": 10}
        init_home(tmp_path / layout, "evergrid-1", profile=profile, layout=layout, params={"collateral": own})

    with pytest.raises(ConfigError, match=f"unbonding_epochs must be at least {needed} .* 100000 blocks"):
        init("production", needed - 1)
    assert not (tmp_path / "production").exists()

    init("production", needed)
    init("single", needed - 1)
