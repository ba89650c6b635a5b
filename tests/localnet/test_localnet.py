"""`evergrid localnet`: real processes, started, looked at, stopped and started again."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from cli import supervisor
from cli.localnet_ports import base_port_free
from cli.localnet_run import RECORD, height_of
from client.chain import ChainClient
from client.keys import Key
from client.tx import Fee, Signer, build
from protocol.gen.cosmos.bank.v1beta1 import query_pb2, tx_pb2
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from tests.localnet.commands import alive, evergrid, output_of

pytestmark = [pytest.mark.localnet, pytest.mark.xdist_group("localnet"), pytest.mark.timeout(300)]

PORTS = 80


@dataclass
class Running:
    home: Path
    base_port: int
    shown: Any


def start(home: Path, **options: int) -> Running:
    base_port = base_port_free(PORTS, 20_000, 26_000)
    flags = [f"--{name}={value}" for name, value in options.items()]
    shown = output_of("localnet", "up", "--home", home, "--base-port", base_port, *flags, "--json")
    return Running(home, base_port, shown)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two validators with fast blocks."""
    home = tmp_path_factory.mktemp("pair") / "net"
    yield start(home, **{"validators": 2, "block-time": 200})
    evergrid("localnet", "down", "--home", home)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One validator with two MLNodes."""
    home = tmp_path_factory.mktemp("served") / "net"
    yield start(home, mlnodes=2)
    evergrid("localnet", "down", "--home", home)


def test_up_returns_when_each_validator_has_a_block_and_prints_where_everything_is(pair: Running) -> None:
    shown = pair.shown

    assert list(shown) == ["home", "chain_id", "prefix", "denom", "validators", "faucet"]
    assert [list(each) for each in shown["validators"]] == [["rpc", "grpc", "rest", "metrics"]] * 2
    assert (shown["home"], shown["prefix"], shown["denom"]) == (str(pair.home), "evergrid", "nevg")
    assert Key.from_mnemonic(shown["faucet"]["mnemonic"]).address == shown["faucet"]["address"]
    assert all(height_of(each["rpc"]) >= 1 for each in shown["validators"])


def test_every_server_of_every_validator_answers(pair: Running) -> None:
    for validator in pair.shown["validators"]:
        rest = httpx2.get(f"{validator['rest']}/cosmos/base/tendermint/v1beta1/node_info", trust_env=False)
        metrics = httpx2.get(validator["metrics"], trust_env=False)
        host, _, port = validator["grpc"].partition(":")

        assert rest.json()["default_node_info"]["network"] == pair.shown["chain_id"]
        assert "evergrid_block_height" in metrics.text
        socket.create_connection((host, int(port)), timeout=5).close()


def test_the_faucet_pays_at_one_validator_and_the_other_knows(pair: Running) -> None:
    first, second = (ChainClient(each["rpc"]) for each in pair.shown["validators"])
    faucet, friend = Key.from_mnemonic(pair.shown["faucet"]["mnemonic"]), Key.generate()
    account = first.account(faucet.address)
    coins = [Coin(denom="nevg", amount="5")]
    message = tx_pb2.MsgSend(from_address=faucet.address, to_address=friend.address, amount=coins)
    signer = Signer(faucet, account.account_number, account.sequence)

    reply = first.send(build([message], [signer], pair.shown["chain_id"], Fee(10**6)))
    while height_of(pair.shown["validators"][1]["rpc"]) < reply.height:
        time.sleep(0.05)
    request = query_pb2.QueryBalanceRequest(address=friend.address, denom="nevg")
    balance = second.query(request, query_pb2.QueryBalanceResponse).balance.amount

    assert balance == "5"


def test_status_names_each_process_its_height_and_the_stage(pair: Running) -> None:
    shown = output_of("localnet", "status", "--home", pair.home, "--json")

    assert [each["name"] for each in shown["processes"]] == [
        "chain-1",
        "cometbft-1",
        "chain-2",
        "cometbft-2",
    ]
    assert shown["running"] is True
    assert all(each["height"] >= 1 for each in shown["validators"])
    assert (shown["epoch"], bool(shown["stage"])) == (0, True)


def test_a_home_whose_network_runs_is_refused(pair: Running) -> None:
    done = evergrid("localnet", "up", "--home", pair.home)

    assert done.returncode == 1
    assert f"a network runs in {pair.home} already" in done.stderr


def test_every_taken_port_is_named(pair: Running, tmp_path: Path) -> None:
    done = evergrid("localnet", "up", "--home", tmp_path / "other", "--base-port", pair.base_port)

    named = {int(number) for number in re.findall(r"\d{5}", done.stderr)}
    assert done.returncode == 1
    assert {pair.base_port + offset for offset in (0, 1, 3, 4, 5, 6)} <= named
    assert not (tmp_path / "other").exists()


def test_only_loopback_is_listened_on(pair: Running) -> None:
    ports = range(pair.base_port, pair.base_port + PORTS)
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [row[1].split(":") for row in rows if row[3] == "0A"]

    hosts = {host for host, port in listening if int(port, 16) in ports}

    assert hosts == {"0100007F"}


def test_a_process_that_died_shows_in_the_status(pair: Running) -> None:
    victim = supervisor.load(pair.home / RECORD)[0][-1]
    os.kill(victim.pid, signal.SIGKILL)
    while victim.alive:
        time.sleep(0.05)

    shown = output_of("localnet", "status", "--home", pair.home, "--json")

    assert shown["running"] is False
    assert [each["name"] for each in shown["processes"] if not each["alive"]] == [victim.name]


def test_down_stops_everything_twice_over_and_up_goes_on_with_the_same_chain(pair: Running) -> None:
    rpc = pair.shown["validators"][0]["rpc"]
    height = height_of(rpc)

    first = output_of("localnet", "down", "--home", pair.home, "--json")
    still_alive = alive(pair.home)
    second = output_of("localnet", "down", "--home", pair.home, "--json")
    again = output_of("localnet", "up", "--home", pair.home, "--json")

    assert len(first["stopped"]) == 3
    assert (still_alive, second["stopped"]) == ([], [])
    assert again == pair.shown
    assert height_of(rpc) >= height


def test_options_that_differ_from_those_of_a_stopped_network_are_named(pair: Running) -> None:
    output_of("localnet", "down", "--home", pair.home, "--json")

    done = evergrid("localnet", "up", "--home", pair.home, "--validators", 3, "--mlnodes", 1)

    assert done.returncode == 1
    assert "validators 2, mlnodes 0" in done.stderr


def test_a_missing_cometbft_is_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    done = evergrid("localnet", "up", "--home", tmp_path / "net", EVERGRID_COMETBFT="/nowhere/cometbft")

    assert done.returncode == 1
    assert "make setup" in done.stderr
    assert not (tmp_path / "net").exists()


def test_down_and_status_of_a_home_without_a_network(tmp_path: Path) -> None:
    stopped = output_of("localnet", "down", "--home", tmp_path, "--json")
    done = evergrid("localnet", "status", "--home", tmp_path)

    assert stopped["stopped"] == []
    assert (done.returncode, "no local network" in done.stderr) == (1, True)


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("mine")

    done = evergrid("localnet", "up", "--home", tmp_path)

    assert done.returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]


def chat(shown: Any) -> httpx2.Response:
    api = shown["apis"][0]
    body = {
        "model": shown["models"][0],
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 8,
    }
    headers = {"Authorization": f"Bearer {api['api_key']}"}
    return httpx2.post(
        f"{api['public']}/v1/chat/completions", json=body, headers=headers, timeout=60, trust_env=False
    )


def test_models_are_served_when_up_returns(served: Running) -> None:
    reply = chat(served.shown)

    assert reply.status_code == 200, reply.text
    assert reply.json()["choices"][0]["message"]["content"]


def test_with_mlnodes_models_and_apis_are_shown_too(served: Running) -> None:
    shown = served.shown

    assert list(shown)[-2:] == ["models", "apis"]
    assert shown["models"] == ["evergrid/tiny-a"]
    assert [list(api) for api in shown["apis"]] == [["public", "admin", "api_key", "mlnodes"]]
    assert len(shown["apis"][0]["mlnodes"]) == 2


def test_a_client_without_the_api_key_is_refused(served: Running) -> None:
    api = dict(served.shown["apis"][0], api_key="wrong")

    assert chat(dict(served.shown, apis=[api])).status_code == 401
