"""How long queries take over RPC, gRPC and REST while blocks are full of transfers. Prints JSON.

`python -m bench.queries [--seconds 10] [--quick]`: a balance, and an epoch group of 1,000 nodes (100
participants with 10 each), asked by 1 client and by 32 that do not wait between two questions. One validator,
a block of at most 500 transfers each second; the mempool is kept filled with the next ones. Clients are
processes of their own: they read answers to the end and look at the status alone.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import multiprocessing
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import grpc

from abci_app.modules import epochs
from abci_app.node.genesis import GenesisNode, GenesisParticipant, make_app_state
from bench.comet import OVERRIDES, blocks_with_txs
from bench.growth import model, owner
from bench.live import LiveNode
from bench.rpc_load import HEADERS, bodies, send
from bench.sends import AMOUNT_START, DENOM, GAS, senders, signed
from client.chain import Rpc, route_of
from protocol.gen.cosmos.bank.v1beta1.query_pb2 import QueryBalanceRequest
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import (
    QueryEpochGroupDataRequest,
    QueryEpochGroupDataResponse,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

CHAIN_ID: Final = "bench-1"
SENDERS: Final = 500
PARTICIPANTS, NODES = 100, 10
TXS_PER_BLOCK: Final = 500
WAITING_TXS: Final = 3 * TXS_PER_BLOCK
BATCH: Final = 100
CLIENTS: Final = (1, 32)
PROCESSES_MAX: Final = 4
ANSWER_SECONDS: Final = 60.0
# So many answers of each client are not counted: connections open, and code is read, while they come.
WARM_UP: Final = 3

Ask = Callable[[], None]


@dataclass(frozen=True)
class Question:
    """One query over one transport: where to, and the bytes to send; `path` is that of gRPC or of REST."""

    transport: str
    port: int
    path: str
    data: bytes = b""

    @contextmanager
    def connected(self) -> Iterator[Ask]:
        """A way to ask it again and again over one connection; an answer other than success is an error."""
        if self.transport == "grpc":
            with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
                unary: Any = channel.unary_unary
                method = unary(self.path)
                yield lambda: method(self.data, timeout=ANSWER_SECONDS)
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        verb, mark = ("POST", b'"code":0,') if self.transport == "rpc" else ("GET", b"{")

        def ask() -> None:
            connection.request(verb, self.path, self.data or None, HEADERS)
            reply = connection.getresponse()
            body = reply.read()
            assert reply.status == 200 and mark in body[:200], body[:200]

        try:
            yield ask
        finally:
            connection.close()


def questions(node: LiveNode, address: str) -> dict[tuple[str, str], Question]:
    """Both queries over each transport."""
    balance = QueryBalanceRequest(address=address, denom=DENOM)
    group = QueryEpochGroupDataRequest(epoch_index=0, model_id=model(0).id)
    rest = {
        "balance": f"/cosmos/bank/v1beta1/balances/{address}/by_denom?{urlencode({'denom': DENOM})}",
        "group": f"/evergrid/epochs/v1/epoch_group_data/0?{urlencode({'model_id': model(0).id})}",
    }
    found: dict[tuple[str, str], Question] = {}
    requests: tuple[tuple[str, Message], ...] = (("balance", balance), ("group", group))
    for name, request in requests:
        call = json.dumps(Rpc.query(request, 0)).encode()
        path = route_of(type(request)).path
        found[name, "rpc"] = Question("rpc", node.ports.rpc, "/", call)
        found[name, "grpc"] = Question("grpc", node.ports.grpc, path, request.SerializeToString())
        found[name, "rest"] = Question("rest", node.ports.rest, rest[name])
    return found


def latencies(question: Question, seconds: float) -> list[float]:
    """Milliseconds of each answer to one client within so many seconds, and of one at least."""
    found: list[float] = []
    with question.connected() as ask:
        for _ in range(WARM_UP):
            ask()
        end = time.perf_counter() + seconds
        while not found or time.perf_counter() < end:
            started = time.perf_counter()
            ask()
            found.append((time.perf_counter() - started) * 1000)
    return found


def latencies_of(question: Question, clients: int, seconds: float) -> list[float]:
    """Those of several clients in this process."""
    with ThreadPoolExecutor(clients) as pool:
        parts = pool.map(lambda _: latencies(question, seconds), range(clients))
        return [each for part in parts for each in part]


def figures(pool: ProcessPoolExecutor, question: Question, clients: int, seconds: float) -> dict[str, float]:
    """Medians, 99th percentiles and answers per second of all clients together."""
    processes = min(clients, PROCESSES_MAX)
    parts = [pool.submit(latencies_of, question, clients // processes, seconds) for _ in range(processes)]
    found = sorted(each for part in parts for each in part.result())
    return {
        "p50_ms": round(statistics.median(found), 2),
        "p99_ms": round(found[math.ceil(len(found) * 0.99) - 1], 2),
        "per_s": round(len(found) / seconds, 1),
        "answers": len(found),
    }


class Load:
    """Keeps transfers waiting for a block, from `start` until `stop`, which raises what went wrong."""

    def __init__(self, node: LiveNode) -> None:
        self._node = node
        keys = senders(SENDERS)
        numbers = {key.address: node.client.account(key.address).account_number for key in keys}
        self._source = signed(keys, numbers, CHAIN_ID)
        self._over = threading.Event()
        self._refusal = ""
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Returns once as many wait as shall."""
        self._fill()
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
        assert not self._refusal, f"a transfer was refused: {self._refusal}"

    def _run(self) -> None:
        while not self._over.is_set() and not self._refusal:
            self._fill()
            self._over.wait(0.1)

    def _fill(self) -> None:
        missing = WAITING_TXS - int(self._node.call("num_unconfirmed_txs")["total"])
        if missing > 0:
            self._refusal = send(
                self._node.ports.rpc, [bodies(list(islice(self._source, missing)), BATCH)]
            ).refusal


def genesis(validator_key: bytes) -> dict[str, Any]:
    """Group 0 of 1,000 nodes in one model; nearly all power lies with the one validator that runs."""
    # Epochs so long that no PoC begins meanwhile.
    params = epochs.default_params("mainnet")
    params.epoch.max_individual_power_bps = 10_000
    participants = []
    for number in range(PARTICIPANTS):
        each = owner(number)
        key, weight = (validator_key, 10**9) if number == 0 else (each.validator_key, 100)
        nodes = tuple(GenesisNode(f"node-{i:03d}", (model(0).id,), weight) for i in range(NODES))
        participants.append(GenesisParticipant(each.public, key, nodes=nodes))
    balances = {key.address: AMOUNT_START for key in senders(SENDERS)}
    return make_app_state(
        "local", balances=balances, participants=participants, models=[model(0)], params=params
    )


@contextmanager
def running() -> Iterator[LiveNode]:
    """A node whose group 0 has 1,000 nodes, with all of its ports open; its home vanishes afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="evergrid-bench-"))
    node = LiveNode(folder / "home", CHAIN_ID)
    try:
        block = {"max_bytes": "22020096", "max_gas": str(TXS_PER_BLOCK * GAS)}
        node.make(genesis, timeout_commit="1s", overrides=OVERRIDES, block=block)
        node.start_chain(
            EVERGRID_CHAIN_GRPC_ADDRESS=f"127.0.0.1:{node.ports.grpc}",
            EVERGRID_CHAIN_REST_ADDRESS=f"127.0.0.1:{node.ports.rest}",
        )
        node.start_comet()
        node.wait_height(1)
        yield node
    finally:
        node.kill()
        shutil.rmtree(folder, ignore_errors=True)


def group_facts(node: LiveNode) -> dict[str, int]:
    """How large the group is that is asked for; an error where it is not the one that was meant."""
    request = QueryEpochGroupDataRequest(epoch_index=0, model_id=model(0).id)
    answer = node.client.query(request, QueryEpochGroupDataResponse)
    found = sum(len(member.ml_nodes) for member in answer.epoch_group_data.validation_weights)
    assert found == PARTICIPANTS * NODES, f"the group has {found} nodes"
    return {"group_nodes": found, "group_bytes": answer.ByteSize()}


def measure(seconds: float) -> dict[str, Any]:
    """All figures by transport, query and number of clients, and how full the blocks were meanwhile."""
    result: dict[str, Any] = {"rpc": {}, "grpc": {}, "rest": {}}
    with running() as node:
        asked = questions(node, senders(1)[0].address)
        result |= group_facts(node)
        load = Load(node)
        load.start()
        first = node.height() + 1
        # Started afresh: gRPC does not survive a fork.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(PROCESSES_MAX, mp_context=context) as pool:
            for (name, transport), question in asked.items():
                result[transport][name] = {
                    f"clients_{clients}": figures(pool, question, clients, seconds) for clients in CLIENTS
                }
        last = node.height()
        load.stop()
        txs = [count for height, count, _ in blocks_with_txs(node) if first <= height <= last]
    return result | {
        "blocks": len(txs),
        "txs_per_block_max": TXS_PER_BLOCK,
        "txs_in_median_block": int(statistics.median(txs)) if txs else 0,
        "blocks_full_ratio": round(sum(count >= TXS_PER_BLOCK for count in txs) / len(txs), 2) if txs else 0,
    }


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for which each query is asked each way")
    parser.add_argument("--quick", action="store_true", help="a smoke test, in which no figure means much")
    options = parser.parse_args(argv)
    seconds = 1.0 if options.quick else options.seconds
    print(json.dumps({"benchmark": "queries", "seconds": seconds} | measure(seconds), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
