"""A whole node for tests: the chain's process with CometBFT as its child, in its own home, on free ports."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abci_app.node.genesis import make_app_state, make_genesis
from abci_app.node.home import HomeInfo, Ports, init_home, write_genesis
from tests.chain import FUNDS, key_of

ROOT = Path(__file__).resolve().parents[2]
CHAIN_ID = "evergrid-test-1"
WAIT_SECONDS = 60.0


def wait_for(what: str, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not happened():
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS} s for {what}"
        time.sleep(0.05)


@dataclass
class NodeProcess:
    """One node; `log` is what its processes wrote."""

    info: HomeInfo
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        return (self.info.home / "node.log").read_text(errors="replace")

    def rpc(self, path: str) -> Any:
        url = f"http://127.0.0.1:{self.info.ports.rpc}/{path}"
        with urllib.request.urlopen(url, timeout=20) as reply:
            return json.load(reply)["result"]

    def height(self) -> int:
        """Of the last block, 0 while the node does not answer."""
        assert self.process.poll() is None, f"the node ended:\n{self.log}"
        try:
            return int(self.rpc("status")["sync_info"]["latest_block_height"])
        except OSError:
            return 0

    def wait_for_height(self, height: int) -> None:
        wait_for(f"height {height}", lambda: self.height() >= height)


def make_home(
    home: Path, *funded: str, minimum_gas_price_micro: int = 0, timeout_commit: str = "200ms"
) -> HomeInfo:
    """A home of the local profile in which the named accounts hold coins."""
    info = init_home(home, CHAIN_ID, ports=Ports.free(), timeout_commit=timeout_commit)
    state = make_app_state("local", balances={key_of(name).address: FUNDS for name in funded})
    state["auth"]["fees"]["minimum_gas_price_micro"] = str(minimum_gas_price_micro)
    write_genesis(home, make_genesis(CHAIN_ID, "local", state, [(info.validator_key, 10)]))
    return info


@contextmanager
def running(info: HomeInfo) -> Iterator[NodeProcess]:
    """The node of a home, until the end."""
    with (info.home / "node.log").open("ab") as log:
        command = [sys.executable, "-m", "abci_app.node.main", "--home", str(info.home), "--with-comet"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        node = NodeProcess(info, process)
        node.wait_for_height(1)
        yield node
    finally:
        process.terminate()
        try:
            process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
