"""A real CometBFT node on the server: blocks, big blocks, a restart of both, and a clean end."""

from __future__ import annotations

import base64
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMETBFT = ROOT / ".cache" / "bin" / "cometbft"
WAIT_SECONDS = 60.0

pytestmark = [pytest.mark.localnet, pytest.mark.xdist_group("localnet")]


def wait_for(what: str, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not happened():
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS} s for {what}"
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Node:
    """One validator's home and its two processes: the key-value chain and CometBFT."""

    def __init__(self, home: Path) -> None:
        assert COMETBFT.exists(), f"{COMETBFT} is missing: make setup builds it"
        self.home = home
        self.abci = f"unix://{home}/abci.sock"
        self.rpc_port = free_port()
        self.processes: list[subprocess.Popen[bytes]] = []
        subprocess.run([COMETBFT, "init", "--home", home], check=True, capture_output=True)
        config = home / "config" / "config.toml"
        text = config.read_text()
        for key, value in {
            "proxy_app": f'"{self.abci}"',
            "timeout_commit": '"100ms"',
            "max_body_bytes": "10000000",
        }.items():
            text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
            assert count == 1, key
        text = text.replace("tcp://127.0.0.1:26657", f"tcp://127.0.0.1:{self.rpc_port}")
        text = text.replace("tcp://0.0.0.0:26656", f"tcp://127.0.0.1:{free_port()}")
        config.write_text(text)

    def start(self) -> None:
        log = (self.home / "node.log").open("ab")
        app = [sys.executable, "-m", "bench.kvstore", self.abci]
        node = [str(COMETBFT), "start", "--home", str(self.home)]
        self.processes = [
            subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log) for command in (app, node)
        ]
        log.close()

    def rpc(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.rpc_port}/{path}", timeout=30) as reply:
            return json.load(reply)["result"]

    def call(self, method: str, **params: object) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.rpc_port}", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)["result"]

    def height(self) -> int:
        try:
            return int(self.rpc("status")["sync_info"]["latest_block_height"])
        except OSError:
            return 0

    def wait_for_height(self, height: int) -> None:
        wait_for(f"height {height}", lambda: self.height() >= height)

    def value(self, key: bytes) -> bytes:
        response = self.rpc(f"abci_query?data=0x{key.hex()}")["response"]
        return base64.b64decode(response["value"] or "")

    def stop(self) -> list[int]:
        """Ends the node, then the application; returns the exit codes of both, the application's first."""
        app, node = self.processes
        codes = []
        for process in (node, app):
            process.send_signal(signal.SIGTERM)
            codes.append(process.wait(WAIT_SECONDS))
        return codes[::-1]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    made.start()
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def encoded(tx: bytes) -> str:
    return base64.b64encode(tx).decode()


def test_a_chain_grows_and_survives_the_restart_of_both_processes(node: Node) -> None:
    node.wait_for_height(2)
    committed = node.call("broadcast_tx_commit", tx=encoded(b"name=evergrid"))
    refused = node.call("broadcast_tx_sync", tx=encoded(b"no pair"))
    height = node.height()

    codes = node.stop()
    node.start()
    node.wait_for_height(height + 3)

    assert committed["tx_result"]["code"] == 0
    assert refused["code"] == 1
    assert codes[0] == 0
    # The state lives in memory, so the value comes from the replay of every block.
    assert node.value(b"name") == b"evergrid"


def test_blocks_of_many_megabytes_pass_through_the_socket(node: Node) -> None:
    node.wait_for_height(1)
    txs = [b"%d=" % number + bytes(900_000) for number in range(12)]

    for tx in txs:
        assert node.call("broadcast_tx_sync", tx=encoded(tx))["code"] == 0
    wait_for("the last transaction", lambda: len(node.value(b"11")) == 900_000)

    metas = node.rpc(f"blockchain?minHeight=1&maxHeight={node.height()}")["block_metas"]
    assert max(int(meta["block_size"]) for meta in metas) > 1_800_000
    assert all(len(node.value(b"%d" % number)) == 900_000 for number in range(12))


def test_the_application_outlives_the_node_and_serves_the_next_one(node: Node) -> None:
    node.wait_for_height(2)
    app, comet = node.processes

    comet.kill()
    comet.wait(WAIT_SECONDS)
    height = node_height_after_restart(node)

    assert app.poll() is None
    assert height > 2


def node_height_after_restart(node: Node) -> int:
    """Starts CometBFT alone on the application that still runs, and waits until it has made blocks."""
    with (node.home / "node.log").open("ab") as log:
        node.processes[1] = subprocess.Popen(
            [str(COMETBFT), "start", "--home", str(node.home)], stdout=log, stderr=log
        )
    node.wait_for_height(4)
    return node.height()
