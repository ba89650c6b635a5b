"""Measures the ABCI server alone, through a unix socket and with an application that does next to nothing.

Run `python -m bench.abci`; it takes some ten seconds and prints JSON. Rates are those of the server and of
this client together, since both share the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import coincurve

from abci_app.node.codec import FrameReader, frame
from abci_app.node.verifier import Verifier
from protocol.gen.tendermint.abci import types_pb2 as abci

TX_BYTES: Final = 300
START_SECONDS: Final = 20.0


def framed(**arm: Any) -> bytes:
    return frame(abci.Request(**arm).SerializeToString())


FLUSH: Final = framed(flush=abci.RequestFlush())


def transaction(number: int) -> bytes:
    return b"%020d=" % number + bytes(TX_BYTES - 21)


class Connection:
    """A blocking client that counts answers without decoding them."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._reader = FrameReader()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self, count: int) -> None:
        """Waits for so many answers."""
        while count:
            while count and self._reader.next_frame() is not None:
                count -= 1
            if count:
                data = self._socket.recv(1 << 18)
                assert data, "the server closed the connection"
                self._reader.feed(data)

    def call(self, request: bytes) -> float:
        """Seconds from a request with its Flush to the answers of both."""
        started = time.perf_counter()
        self.send(request + FLUSH)
        self.receive(2)
        return time.perf_counter() - started


@contextmanager
def serving() -> Iterator[Path]:
    """The key-value chain in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "abci.sock"
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.kvstore", f"unix://{path}"], stdout=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not path.exists():
                assert process.poll() is None, "the server ended at its start"
                assert time.monotonic() < deadline, f"the server did not listen within {START_SECONDS} s"
                time.sleep(0.02)
            yield path
        finally:
            process.terminate()
            process.wait()


def percentiles(seconds: list[float], unit: float) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "p50": round(ordered[len(ordered) // 2] * unit, 1),
        "p99": round(ordered[len(ordered) * 99 // 100] * unit, 1),
    }


def check_tx_per_second(path: Path, count: int) -> float:
    connection = Connection(path)
    frames = b"".join(framed(check_tx=abci.RequestCheckTx(tx=transaction(n))) for n in range(count)) + FLUSH
    started = time.perf_counter()
    sender = threading.Thread(target=connection.send, args=(frames,))
    sender.start()
    connection.receive(count + 1)
    sender.join()
    return count / (time.perf_counter() - started)


def check_tx_round_trip(path: Path, count: int) -> list[float]:
    connection = Connection(path)
    request = framed(check_tx=abci.RequestCheckTx(tx=transaction(0)))
    return [connection.call(request) for _ in range(count)]


def finalize_block(path: Path, tx_count: int, repeat: int) -> list[float]:
    connection = Connection(path)
    txs = [transaction(number) for number in range(tx_count)]
    return [
        connection.call(framed(finalize_block=abci.RequestFinalizeBlock(height=1, txs=txs)))
        for _ in range(repeat)
    ]


def proposal_under_flood(path: Path, flood: int) -> list[float]:
    """Round trips of ProcessProposal every 10 ms while another connection pipelines CheckTx."""
    mempool, consensus = Connection(path), Connection(path)
    request = framed(process_proposal=abci.RequestProcessProposal(txs=[transaction(n) for n in range(100)]))
    frames = framed(check_tx=abci.RequestCheckTx(tx=transaction(0))) * flood
    threads = [
        threading.Thread(target=mempool.send, args=(frames,)),
        threading.Thread(target=mempool.receive, args=(flood,)),
    ]
    for thread in threads:
        thread.start()
    seconds = []
    while threads[1].is_alive():
        seconds.append(consensus.call(request))
        time.sleep(0.01)
    return seconds


def signatures_per_second(count: int) -> float:
    key = coincurve.PrivateKey.from_int(1)
    public_key = key.public_key.format()
    digests = [sha256(number.to_bytes(4, "big")).digest() for number in range(count)]
    signed = [(public_key, each, key.sign_recoverable(each, hasher=None)[:64]) for each in digests]
    verifier = Verifier()
    started = time.perf_counter()
    verdicts = verifier.verify(signed)
    elapsed = time.perf_counter() - started
    verifier.close()
    assert all(verdicts)
    return count / elapsed


def measure(scale: int) -> dict[str, Any]:
    """All figures; `scale` 1 is a smoke test, 10 takes some ten seconds."""
    with serving() as path:
        check_tx_per_second(path, 1000 * scale)  # the first run pays for imports and memory
        return {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "tx_bytes": TX_BYTES,
            "check_tx_per_second": round(check_tx_per_second(path, 10_000 * scale)),
            "check_tx_round_trip_us": percentiles(check_tx_round_trip(path, 500 * scale), 1e6),
            "finalize_block_1000_txs_ms": percentiles(finalize_block(path, 1000, 2 * scale), 1e3)["p50"],
            "finalize_block_10000_txs_ms": percentiles(finalize_block(path, 10_000, scale), 1e3)["p50"],
            "process_proposal_under_flood_ms": percentiles(proposal_under_flood(path, 20_000 * scale), 1e3),
            "signatures_per_second": round(signatures_per_second(1000 * scale)),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, default=10, help="how much work; 1 is a smoke test")
    print(json.dumps(measure(parser.parse_args().scale), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
