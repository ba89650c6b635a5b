"""The chain's process with a real CometBFT as its child: starts, stops, restarts, ends that are failures."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import urllib.request
from pathlib import Path

import pytest

from abci_app.app import STORES
from abci_app.kernel.store import DiskStore
from abci_app.node.config import ConfigError, load_settings
from abci_app.node.main import run_chain
from protocol.gen.cosmos.bank.v1beta1 import query_pb2 as bank_query
from tests.chain import DENOM, FUNDS, key_of
from tests.node.chain_process import WAIT_SECONDS, NodeProcess, make_home, running

pytestmark = [pytest.mark.localnet, pytest.mark.xdist_group("localnet")]


def comet_pid(node: NodeProcess) -> int:
    found = re.findall(r"CometBFT started\s+pid=(\d+)", node.log)
    return int(found[-1])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def stop(node: NodeProcess) -> int:
    node.process.send_signal(signal.SIGTERM)
    return node.process.wait(WAIT_SECONDS)


def balance(node: NodeProcess, name: str) -> int:
    request = bank_query.QueryBalanceRequest(address=key_of(name).address, denom=DENOM)
    url = (
        f"http://127.0.0.1:{node.info.ports.rest}"
        f"/cosmos/bank/v1beta1/balances/{request.address}/by_denom?denom={DENOM}"
    )
    with urllib.request.urlopen(url, timeout=20) as reply:
        return int(re.findall(rb'"amount":"(\d+)"', reply.read())[0])


def test_a_node_stops_cleanly_and_goes_on_where_it_was(tmp_path: Path) -> None:
    info = make_home(tmp_path / "home", "alice")
    with running(info) as node:
        node.wait_for_height(3)
        comet = comet_pid(node)
        height = node.height()

        code = stop(node)

        assert code == 0, node.log
        assert not is_alive(comet)
    with DiskStore(info.home / "data" / "app", STORES) as store:
        assert store.version >= height
    with running(info) as node:
        node.wait_for_height(height + 3)

        assert balance(node, "alice") == FUNDS
        assert stop(node) == 0, node.log


def test_metrics_of_the_chain_and_of_comet_are_served(tmp_path: Path) -> None:
    info = make_home(tmp_path / "home")
    with running(info) as node:
        # CometBFT tells of a block before the application has run it.
        node.wait_for_height(3)
        texts = []
        for port in (info.ports.metrics, info.ports.comet_metrics):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as reply:
                texts.append(reply.read().decode())

    chain, comet = texts
    height = re.search(r"^evergrid_block_height (\d+)", chain, re.MULTILINE)
    assert height is not None
    assert int(height[1]) >= 2
    assert 'evergrid_epoch_stage{stage="inference"} 1.0' in chain
    assert "evergrid_abci_duration_seconds_bucket" in chain
    assert re.search(r"^cometbft_consensus_height\{", comet, re.MULTILINE)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_comet_that_ends_by_itself_is_a_failure_whatever_its_code(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running(make_home(tmp_path / "home")) as node:
        os.kill(comet_pid(node), number)

        code = node.process.wait(WAIT_SECONDS)

        assert code == 1, node.log
        assert "CometBFT ended by itself" in node.log


def test_a_home_with_a_long_path_runs_over_a_port_of_loopback(tmp_path: Path) -> None:
    info = make_home(tmp_path / ("long" * 30) / "home", "alice")
    with running(info) as node:
        node.wait_for_height(2)

        assert load_settings(info.home).abci_address == f"tcp://127.0.0.1:{info.ports.abci}"
        assert stop(node) == 0, node.log


def test_without_a_genesis_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no chain in .*genesis\.json"):
        run_chain(load_settings(tmp_path))

    assert not (tmp_path / "data").exists()


def test_a_store_that_is_open_elsewhere_is_one_clear_error(tmp_path: Path) -> None:
    info = make_home(tmp_path / "home")
    folder = info.home / "data" / "app"

    with DiskStore(folder, STORES), pytest.raises(ConfigError, match="another process has the store open"):
        run_chain(load_settings(info.home))


def test_one_error_names_every_address_that_is_taken(tmp_path: Path) -> None:
    info = make_home(tmp_path / "home")
    ports = info.ports
    with (
        socket.create_server(("127.0.0.1", ports.grpc)),
        socket.create_server(("127.0.0.1", ports.rest)),
        pytest.raises(ConfigError) as caught,
    ):
        run_chain(load_settings(info.home))

    assert "grpc_address" in str(caught.value) and "rest_address" in str(caught.value)
    assert "metrics_address" not in str(caught.value)


def test_a_taken_abci_socket_is_one_clear_error_and_leaves_nothing_open(tmp_path: Path) -> None:
    info = make_home(tmp_path / "home")
    settings = load_settings(info.home)
    path = settings.abci_address.removeprefix("unix://")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        with pytest.raises(ConfigError, match="abci_address"):
            run_chain(settings)

    Path(path).unlink()
    done = threading.Event()
    done.set()
    assert run_chain(settings, stop=done) == 0


def test_servers_that_are_switched_off_do_not_listen(tmp_path: Path) -> None:
    info = make_home(tmp_path / "home")
    settings = load_settings(info.home, grpc_address="", rest_address="", metrics_address="")
    stopped = threading.Event()
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(run_chain(settings, stop=stopped)))
    thread.start()

    for port in (info.ports.grpc, info.ports.rest, info.ports.metrics):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
    stopped.set()
    thread.join(WAIT_SECONDS)

    assert codes == [0]
