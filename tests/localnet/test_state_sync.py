"""A node that begins with another one's snapshot, over real CometBFT processes."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from abci_app.node.home import HomeInfo, Ports, init_home, override_toml, set_peers, write_genesis
from client.chain import ChainClient
from client.light_header import read_block
from client.light_rpc import block_json
from client.verify_bundle import Trusted, prove, verify_bundle, write_bundle
from client.verify_facts import Question
from tests.chain import FUNDS, key_of
from tests.node.chain_process import CHAIN_ID, ROOT, NodeProcess, make_home, running, wait_for

pytestmark = [pytest.mark.localnet, pytest.mark.xdist_group("localnet")]

INTERVAL = 10


def with_snapshots(info: HomeInfo) -> HomeInfo:
    """The node of a home takes snapshots often, and in many chunks."""
    file = info.home / "config" / "app.toml"
    settings = {"snapshot_interval": INTERVAL, "snapshot_keep_recent": 3, "snapshot_chunk_kib": 1}
    file.write_text(override_toml(file.read_text(), {"": settings}))
    return info


def edit_comet(info: HomeInfo, overrides: dict[str, dict[str, Any]]) -> None:
    file = info.home / "config" / "config.toml"
    file.write_text(override_toml(file.read_text(), overrides))


def joining_home(home: Path, first: NodeProcess, trusted_height: int) -> HomeInfo:
    """A home without a validator of the chain, that begins by state sync from the first node."""
    info = init_home(home, CHAIN_ID, ports=Ports.free(), layout="localnet")
    write_genesis(home, first.rpc("genesis")["genesis"])
    set_peers(home, [first.info.peer])
    rpc = f"http://127.0.0.1:{first.info.ports.rpc}"
    trusted_hash = first.rpc(f"commit?height={trusted_height}")["signed_header"]["commit"]["block_id"]["hash"]
    settings = {
        "enable": True,
        "rpc_servers": f"{rpc},{rpc}",
        "trust_height": trusted_height,
        "trust_hash": trusted_hash,
        "trust_period": "168h0m0s",
        "discovery_time": "5s",
    }
    edit_comet(info, {"statesync": settings})
    return info


def metric(info: HomeInfo, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{info.ports.metrics}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
    (line,) = (each for each in lines if each.startswith(f"{name} "))
    return float(line.rpartition(" ")[2])


@pytest.fixture
def first(tmp_path: Path) -> Iterator[NodeProcess]:
    info = with_snapshots(make_home(tmp_path / "first", "alice", timeout_commit="300ms"))
    local = {"allow_duplicate_ip": True, "addr_book_strict": False, "pex": True}
    edit_comet(info, {"p2p": local})
    with running(info) as node:
        node.wait_for_height(INTERVAL * 2 + 4)
        yield node


def test_a_second_node_begins_with_a_snapshot_of_the_first_and_follows_the_chain(
    tmp_path: Path, first: NodeProcess
) -> None:
    wait_for("a snapshot", lambda: metric(first.info, "evergrid_snapshot_height") >= INTERVAL)
    info = joining_home(tmp_path / "second", first, trusted_height=3)

    with running(info) as second:
        second.wait_for_height(first.height())
        status = second.rpc("status")["sync_info"]
        base = int(status["earliest_block_height"])
        height = second.height() - 1
        hashes = [
            node.rpc(f"commit?height={height}")["signed_header"]["header"]["app_hash"]
            for node in (first, second)
        ]

        assert base > INTERVAL, "it has replayed the chain from its beginning"
        assert hashes[0] == hashes[1]
        assert "the snapshot is the state" in second.log
        proves_its_state(first, second)


def test_a_node_that_is_killed_while_it_takes_a_snapshot_in_begins_again_and_ends_well(
    tmp_path: Path, first: NodeProcess
) -> None:
    wait_for("a snapshot", lambda: metric(first.info, "evergrid_snapshot_height") >= INTERVAL)
    info = joining_home(tmp_path / "second", first, trusted_height=3)
    log = info.home / "node.log"

    with log.open("ab") as out:
        command = [sys.executable, "-m", "abci_app.node.main", "--home", str(info.home), "--with-comet"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
    wait_for("an accepted offer", lambda: "taking a snapshot in" in log.read_text(errors="replace"))
    process.kill()
    process.wait()
    wait_for("the end of CometBFT", lambda: not answers(info.ports.p2p))

    with running(info) as second:
        second.wait_for_height(first.height())
        height = second.height() - 1
        hashes = {
            node.rpc(f"commit?height={height}")["signed_header"]["header"]["app_hash"]
            for node in (first, second)
        }
        assert len(hashes) == 1
        assert second.log.count("taking a snapshot in") > 1 or "the snapshot is the state" in second.log


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def proves_its_state(first: NodeProcess, second: NodeProcess) -> None:
    """What the new node proves holds from a header on that the first one told."""
    chain = ChainClient(f"http://127.0.0.1:{second.info.ports.rpc}")
    told = ChainClient(f"http://127.0.0.1:{first.info.ports.rpc}")
    base = int(second.rpc("status")["sync_info"]["earliest_block_height"]) + 1
    trusted_hash = bytes.fromhex(block_json(told, base)["commit"]["block_id"]["hash"])
    trusted = Trusted(base, trusted_hash)
    now_ns = read_block(block_json(told, base)).header.time.ns + 3600 * 10**9

    proved, bundle = prove(chain, Question("balance", (key_of("alice").address,)), trusted, now_ns)

    assert proved.shown == {"denom": "nevg", "amount": str(FUNDS)}
    assert verify_bundle(write_bundle(bundle), trusted, now_ns) == proved
