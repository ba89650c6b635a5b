"""What a local network consists of, before anything is written or started."""

from __future__ import annotations

import socket
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from abci_app.modules import epochs
from abci_app.modules.epochs.rules import params_errors
from abci_app.node.config import ConfigError
from cli import supervisor
from cli.localnet_ports import LOOPBACK, NetworkError, base_port_free, taken
from cli.localnet_run import DEFAULTS, RECORD, Options, design, letter, local_params, unserved, up
from cli.network import build, check_ports, ports_of
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state
from tests.cli.rpc import RpcServer


def chosen(**options: int) -> dict[str, int]:
    return DEFAULTS | options


def test_two_nodes_share_a_model_and_belong_to_different_participants() -> None:
    made = design(Path("/nowhere"), chosen(validators=2, mlnodes=5))

    nodes = [(node.node_id, node.owner, node.model_id) for node in made.nodes]

    assert nodes == [
        ("node-1", 0, "evergrid/tiny-a"),
        ("node-2", 1, "evergrid/tiny-a"),
        ("node-3", 0, "evergrid/tiny-b"),
        ("node-4", 1, "evergrid/tiny-b"),
        ("node-5", 0, "evergrid/tiny-c"),
    ]


def test_models_are_named_like_columns_of_a_spreadsheet() -> None:
    assert [letter(index) for index in (0, 25, 26, 51, 52)] == ["a", "z", "aa", "az", "ba"]


@pytest.mark.parametrize("options", [{"validators": 4}, {"validators": 3, "mlnodes": 7}])
def test_no_two_servers_share_a_port(options: dict[str, int]) -> None:
    ports = ports_of(design(Path("/nowhere"), chosen(**options)))

    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize("block_time_ms", [50, 100, 300, 1000, 5000])
def test_stages_of_fast_blocks_last_as_long_as_those_of_the_profile(block_time_ms: int) -> None:
    params, profile = local_params(block_time_ms), epochs.default_params("local")

    assert params_errors(params) == []
    for name in ("epoch_length", "poc_stage_duration", "set_validators_delay"):
        seconds = getattr(params.epoch, name) * block_time_ms / 1000
        assert seconds >= getattr(profile.epoch, name), name


def test_the_genesis_group_serves_an_epoch_before_the_first_poc() -> None:
    params = local_params(1000)

    assert params.epoch.first_poc_height == 10 + params.epoch.epoch_length


def test_a_taken_port_is_found_and_named() -> None:
    base = base_port_free(40, 20_000, 26_000)
    made = design(Path("/nowhere"), chosen(base_port=base))

    with socket.create_server((LOOPBACK, base + 3)):
        assert taken([base, base + 3]) == [base + 3]
        with pytest.raises(NetworkError, match=rf"taken: {base + 3};"):
            check_ports(made)

    check_ports(made)


def sleeper(tmp_path: Path, code: str) -> supervisor.Process:
    log = tmp_path / "sleeper.log"
    started = supervisor.start("sleeper", [sys.executable, "-c", code], log)
    while "ready" not in supervisor.tail(str(log)):
        time.sleep(0.02)
    return started


def test_a_process_is_asked_to_end_and_ends(tmp_path: Path) -> None:
    started = sleeper(tmp_path, "import time; print('ready', flush=True); time.sleep(60)")

    killed = supervisor.stop([started])

    assert (started.alive, killed) == (False, [])


def test_a_process_that_does_not_end_is_killed_and_named(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, lambda *_: None); print('ready', flush=True)\n"
    started = sleeper(tmp_path, code + "while True: time.sleep(1)")

    killed = supervisor.stop([started], timeout_s=0.3)

    assert (started.alive, killed) == (False, ["sleeper"])


def test_a_process_that_took_over_the_number_is_left_alone(tmp_path: Path) -> None:
    started = sleeper(tmp_path, "import time; print('ready', flush=True); time.sleep(60)")
    other = supervisor.Process("other", started.pid, started.started - 1, started.log)

    supervisor.stop([other])

    assert started.alive
    supervisor.stop([started])


def test_a_process_that_ends_by_itself_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    started = sleeper(tmp_path, "print('ready'); print('out of cheese'); raise SystemExit(3)")
    while started.alive:
        supervisor.reap()

    with pytest.raises(supervisor.ProcessFailedError, match=r"sleeper ended by itself(.|\n)*out of cheese"):
        supervisor.check([started])


def test_of_processes_that_end_together_the_first_of_them_is_to_blame(tmp_path: Path) -> None:
    late = "import time; print('ready', flush=True); time.sleep(0.5); raise SystemExit('upgrade needed')"
    (tmp_path / "comet").mkdir()
    chain = sleeper(tmp_path, late)
    comet = sleeper(tmp_path / "comet", "print('ready'); raise SystemExit(1)")
    while comet.alive:
        supervisor.reap()

    with pytest.raises(supervisor.ProcessFailedError) as caught:
        supervisor.check([replace(chain, name="chain"), replace(comet, name="comet")])

    assert str(caught.value).startswith("chain ended by itself (comet ended too); the end of its log:")
    assert "upgrade needed" in str(caught.value)


def test_what_was_started_is_known_to_the_next_command(tmp_path: Path) -> None:
    started = sleeper(tmp_path, "import time; print('ready', flush=True); time.sleep(60)")
    record = tmp_path / "record.json"

    supervisor.save(record, [started], {"answer": 42})
    processes, facts = supervisor.load(record)
    supervisor.stop(processes)

    assert (processes, facts) == ([started], {"answer": 42})
    assert not started.alive


def test_guardians_that_cannot_be_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    home = tmp_path / "localnet"
    made = replace(design(home, chosen(validators=1, base_port=base_port_free(20, 20_000))), guardians=2)

    with pytest.raises(ConfigError, match="of the genesis: validator 2; guardians need the params"):
        build(made)

    assert not home.exists()


def test_commands_with_a_validators_home_talk_to_that_validator(tmp_path: Path) -> None:
    base = base_port_free(60, 20_000)

    network = build(design(tmp_path / "localnet", chosen(validators=2, base_port=base)))

    homes = [each.info.home / "config" / "client.toml" for each in network.validators]
    told = [tomllib.loads(file.read_text()) for file in homes]
    assert [each["node"] for each in told] == [
        each.rpc.replace("http", "tcp", 1) for each in network.validators
    ]
    assert {each["chain-id"] for each in told} == {network.design.chain_id}


def test_a_network_that_goes_on_does_not_wait_for_a_model_that_was_retired() -> None:
    # Given a chain that serves one of the two models with which its network was made
    owner = GenesisParticipant("alice", nodes=(GenesisNode("gpu", ("model/x",), 10),))
    chain = Chain(app_state([owner], [a_model("model/x")]))
    chain.run_to(2)

    with RpcServer(chain) as server:
        shown = {"models": ["model/gone", "model/x"], "apis": [], "validators": [{"rpc": server.url}]}

        assert unserved(shown) == ["model/x"]


def test_a_network_of_which_a_part_ended_is_named_with_the_log_and_the_way_on(tmp_path: Path) -> None:
    processes = [
        supervisor.start("chain-1", ["sleep", "60"], tmp_path / "chain-1.log"),
        supervisor.start("api-1", ["true"], tmp_path / "api-1.log"),
    ]
    supervisor.save(tmp_path / RECORD, processes, {})
    try:
        while processes[1].alive:
            time.sleep(0.01)

        with pytest.raises(NetworkError) as refused:
            up(tmp_path, Options())
    finally:
        supervisor.stop(processes)

    assert f"api-1 (log: {tmp_path / 'api-1.log'}) ended and the others run" in str(refused.value)
    assert f"localnet down --home {tmp_path}" in str(refused.value)
