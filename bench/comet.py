"""Signed bank sends through a real CometBFT and the chain on disk: commits, CheckTx, replay. Prints JSON.

`python -m bench.comet [--txs 20000] [--quick]`; one validator, blocks of one second, everything on loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from abci_app.modules import epochs
from abci_app.node.genesis import make_app_state
from bench.live import LiveNode, cpu_seconds
from bench.rpc_load import Sent, bodies, send
from bench.sends import AMOUNT_START, senders, signed
from client.keys import Key

CHAIN_ID: Final = "bench-1"
ACCOUNTS: Final = 2000
# So long that nothing but CheckTx happens meanwhile.
NO_BLOCKS: Final = "600s"
RPC_SECONDS: Final = 300.0

# The limits that a load test would run into.
OVERRIDES: Final[Mapping[str, Mapping[str, Any]]] = {
    "mempool": {"size": 200_000, "cache_size": 400_000, "max_txs_bytes": 1 << 30},
    "rpc": {"max_request_batch_size": 1000},
    "tx_index": {"indexer": "null"},
    "": {"log_level": "error"},
}
BLOCK: Final = {"max_bytes": "22020096", "max_gas": "-1"}


@dataclass(frozen=True)
class Load:
    """How the transactions come in: connections that stay open, and transactions in each request."""

    connections: int
    batch: int


@dataclass
class Cpu:
    """Processor seconds of both processes, and of everything else on the machine."""

    node: float
    chain: float
    other: float

    def since(self, before: Cpu) -> Cpu:
        """What was used between two looks."""
        return Cpu(self.node - before.node, self.chain - before.chain, self.other - before.other)


def cpu_now(node: LiveNode) -> Cpu:
    """The counters of this moment."""
    assert node.comet is not None and node.chain is not None
    comet, chain, own = cpu_seconds(node.comet.pid), cpu_seconds(node.chain.pid), cpu_seconds(os.getpid())
    user, nice, system, _idle, _wait, irq, soft, *_ = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    busy = (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")
    return Cpu(comet, chain, busy - comet - chain - own)


@contextmanager
def running(keys: list[Key]) -> Iterator[tuple[LiveNode, float]]:
    """A node whose genesis funds the keys, and the seconds of its start; its home vanishes afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="evergrid-bench-"))
    balances = {key.address: AMOUNT_START for key in keys}
    # Epochs so long that no PoC begins meanwhile.
    state = make_app_state("local", balances=balances, params=epochs.default_params("mainnet"))
    node = LiveNode(folder / "home", CHAIN_ID)
    try:
        node.make(lambda _: state, timeout_commit="1s", overrides=OVERRIDES, block=BLOCK)
        started_s = _restart(node)
        node.wait_height(1)
        yield node, started_s
    finally:
        node.kill()
        shutil.rmtree(folder, ignore_errors=True)


def lanes_of(keys: list[Key], node: LiveNode, count: int, load: Load) -> list[list[bytes]]:
    """`count` transactions, signed ahead; an account always uses the same connection, in its sequence."""
    numbers = {key.address: node.client.account(key.address).account_number for key in keys}
    sources = [signed(keys[lane :: load.connections], numbers, CHAIN_ID) for lane in range(load.connections)]
    return [bodies(list(islice(source, count // load.connections)), load.batch) for source in sources]


def blocks_with_txs(node: LiveNode) -> list[tuple[int, int, int]]:
    """(height, transactions, bytes) of each block that has any."""
    found, top = [], node.height()
    for low in range(1, top + 1, 20):
        metas = node.call("blockchain", minHeight=str(low), maxHeight=str(min(low + 19, top)))["block_metas"]
        found += [(int(m["header"]["height"]), int(m["num_txs"]), int(m["block_size"])) for m in metas]
    return sorted(block for block in found if block[1])


def commit_time(node: LiveNode, height: int) -> float:
    """When a block was committed, in seconds: the time in the header of the next one."""
    text = node.call("header", height=str(height + 1))["header"]["time"]
    return datetime.fromisoformat(text).timestamp()


def measure_commits(keys: list[Key], count: int, load: Load) -> dict[str, Any]:
    """Sends all at once and waits until the last one is committed; then replays the same blocks."""
    with running(keys) as (node, started_s):
        lanes = lanes_of(keys, node, count, load)
        before = cpu_now(node)
        sent = _send_all(node, lanes, count)
        node.wait_alive(
            "an empty mempool", lambda: node.call("num_unconfirmed_txs")["total"] == "0", RPC_SECONDS
        )
        used = cpu_now(node).since(before)
        blocks = blocks_with_txs(node)
        node.wait_height(blocks[-1][0] + 1)
        assert sum(txs for _, txs, _ in blocks) == count
        seconds = commit_time(node, blocks[-1][0]) - commit_time(node, blocks[0][0])
        result = {
            "txs": count,
            "committed_tx_per_s": round((count - blocks[0][1]) / seconds),
            "accepted_tx_per_s": round(count / sent.seconds),
            "blocks": len(blocks),
            "txs_in_largest_block": max(txs for _, txs, _ in blocks),
            "cpu_ms_per_tx": round((used.node + used.chain) * 1000 / count, 3),
            "cpu_ms_per_tx_node": round(used.node * 1000 / count, 3),
            "cpu_ms_per_tx_chain": round(used.chain * 1000 / count, 3),
            "other_cpu_s": round(used.other, 1),
        }
        return result | measure_replay(node, count, started_s)


def _send_all(node: LiveNode, lanes: list[list[bytes]], count: int) -> Sent:
    sent = send(node.ports.rpc, lanes)
    assert sent.accepted == count, (
        f"{sent.accepted} of {count} were accepted; the first refusal: {sent.refusal}"
    )
    return sent


def measure_replay(node: LiveNode, count: int, started_s: float) -> dict[str, Any]:
    """Restarts both with the state kept, then with an empty store, which CometBFT fills block by block.

    `started_s` is what the start of the empty chain took: the genesis comes before the first block.
    """
    kept_s = _restart(node)
    node.stop()
    shutil.rmtree(node.home / "data" / "app")
    replay_s = _restart(node) - started_s
    return {
        "start_empty_s": round(started_s, 2),
        "start_state_kept_s": round(kept_s, 2),
        "replay_tx_per_s": round(count / replay_s),
    }


def _restart(node: LiveNode) -> float:
    """Seconds from the start of CometBFT, beside an application that listens, to its first answer."""
    node.stop()
    node.start_chain()
    node.start_comet()
    started = time.perf_counter()
    node.wait_alive("an answer", node.answers, RPC_SECONDS)
    return time.perf_counter() - started


def measure_checks(keys: list[Key], count: int, load: Load) -> dict[str, Any]:
    """CheckTx through RPC with no block in between."""
    with running(keys) as (node, _):
        lanes = lanes_of(keys, node, count, load)
        node.stop()
        node.configure({"consensus": {"timeout_commit": NO_BLOCKS}})
        _restart(node)
        before = cpu_now(node)
        sent = _send_all(node, lanes, count)
        used = cpu_now(node).since(before)
        return {
            "check_tx_per_s": round(count / sent.seconds),
            "check_cpu_ms_node": round(used.node * 1000 / count, 3),
            "check_cpu_ms_chain": round(used.chain * 1000 / count, 3),
        }


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--txs", type=int, default=20_000)
    parser.add_argument("--quick", action="store_true", help="a fifth of the transactions")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--batch", type=int, default=100, help="transactions in one HTTP request")
    options = parser.parse_args(argv)
    load = Load(options.connections, options.batch)
    # Each connection sends the same number.
    unit = load.connections * 10
    count = (options.txs // 5 if options.quick else options.txs) // unit * unit
    keys = senders(ACCOUNTS)
    result = measure_commits(keys, count, load) | measure_checks(keys, count * 4 // 5, load)
    print(json.dumps({"benchmark": "comet"} | asdict(load) | result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
