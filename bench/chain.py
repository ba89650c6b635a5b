"""The application alone, without CometBFT: CheckTx, replay, and blocks of growing size, on the store on disk.

Run `python -m bench.chain`; prints JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from abci_app.app import STORES, App
from abci_app.kernel.store import DiskStore
from abci_app.modules import auth
from abci_app.modules.auth import signatures
from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.gov.genesis import default_params as default_gov_params
from abci_app.node.verifier import Verifier
from bench.sends import DENOM, balances, senders, signed
from protocol.gen.tendermint.abci import types_pb2 as abci
from protocol.pool import POOL

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from client.keys import Key

CHAIN_ID = "bench-1"
SENDERS = 500
CHECKED = 2000
BLOCK_FOR_REPLAY, BLOCKS_FOR_REPLAY = 500, 10


def as_json(message: Message) -> dict[str, Any]:
    """A message as a genesis file holds it."""
    found: dict[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, descriptor_pool=POOL
    )
    return found


@dataclass
class Took:
    """Seconds on the clock, and of processor time over all threads, which a busy machine bends less."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


@contextmanager
def timed() -> Iterator[Took]:
    """Is filled in when the block below it ends."""
    took = Took(-time.perf_counter(), -time.process_time())
    yield took
    took.wall_s += time.perf_counter()
    took.cpu_s += time.process_time()


class Bench:
    """An App on disk in a folder that vanishes afterwards."""

    def __init__(
        self, keys: list[Key], verify: Callable[[list[tuple[bytes, bytes, bytes]]], list[bool]]
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="evergrid-bench-"))
        self.app = App(DiskStore(self.folder / "app", STORES), verify_all=verify)
        self.height = 0
        state: dict[str, Any] = {
            "auth": {"fees": {"denom": DENOM, "minimum_gas_price_micro": "0"}},
            "bank": {"balances": balances(keys)},
            "epochs": {"params": as_json(default_params("mainnet"))},
            "gov": {"starting_proposal_id": "1", "params": as_json(default_gov_params(DENOM))},
        }
        request = abci.RequestInitChain(chain_id=CHAIN_ID, initial_height=1)
        request.time.seconds = 1_700_000_000
        request.consensus_params.block.max_gas = -1
        request.app_state_bytes = json.dumps(state).encode()
        self.app.init_chain(request)
        self.block([])

    def block(self, txs: list[bytes]) -> Took:
        """Executes and commits a block."""
        self.height += 1
        request = abci.RequestFinalizeBlock(height=self.height, txs=txs, hash=bytes(32))
        request.time.seconds = 1_700_000_000 + self.height
        with timed() as took:
            raw = self.app.finalize_block(request)
            self.app.commit()
        failed = [r.log for r in abci.ResponseFinalizeBlock.FromString(raw).tx_results if r.code]
        assert not failed, failed[0]
        return took

    def numbers(self, keys: list[Key]) -> dict[str, int]:
        """Account numbers by address."""
        ctx = self.app.context_at()
        found = {key.address: auth.account(ctx, key.address) for key in keys}
        return {address: account.account_number for address, account in found.items() if account is not None}

    def close(self) -> None:
        self.app.store.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def measure(sizes: list[int], repeat: int) -> dict[str, Any]:
    """CheckTx/s with unverified signatures; replay tx/s (nothing in the caches); ms per block by size."""
    keys, verifier = senders(SENDERS), Verifier()
    bench = Bench(keys, verifier.verify)
    try:
        source = signed(keys, bench.numbers(keys), CHAIN_ID)
        bench.block(list(islice(source, SENDERS)))  # the first one of each shows its key, which is more work
        return _measure_rates(bench, source) | _measure_sizes(bench, source, sizes, repeat)
    finally:
        bench.close()
        verifier.close()


def _measure_rates(bench: Bench, source: Iterator[bytes]) -> dict[str, Any]:
    txs = list(islice(source, CHECKED))
    signatures.forget()
    with timed() as check:
        codes = [abci.ResponseCheckTx.FromString(bench.app.check_tx(tx, recheck=False)).code for tx in txs]
    assert not any(codes)
    known = bench.block(txs)
    fresh = [_fresh(bench, source, BLOCK_FOR_REPLAY) for _ in range(BLOCKS_FOR_REPLAY)]
    replayed = BLOCK_FOR_REPLAY * BLOCKS_FOR_REPLAY
    return {
        "check_tx_per_s": round(CHECKED / check.wall_s),
        "check_cpu_us": round(check.cpu_s / CHECKED * 10**6, 1),
        "finalize_verified_tx_per_s": round(CHECKED / known.wall_s),
        "finalize_verified_cpu_us": round(known.cpu_s / CHECKED * 10**6, 1),
        "replay_tx_per_s": round(replayed / sum(each.wall_s for each in fresh)),
        "replay_cpu_us": round(sum(each.cpu_s for each in fresh) / replayed * 10**6, 1),
    }


def _fresh(bench: Bench, source: Iterator[bytes], size: int) -> Took:
    """A block of so many transactions that nobody has seen before."""
    txs = list(islice(source, size))
    signatures.forget()
    return bench.block(txs)


def _measure_sizes(bench: Bench, source: Iterator[bytes], sizes: list[int], repeat: int) -> dict[str, Any]:
    """Medians, and the line through those of processor time: a block as such, and what a transaction adds."""
    took = {size: [_fresh(bench, source, size) for _ in range(repeat)] for size in sizes}
    wall_s = {size: statistics.median(each.wall_s for each in blocks) for size, blocks in took.items()}
    cpu_s = {size: statistics.median(each.cpu_s for each in blocks) for size, blocks in took.items()}
    per_tx, per_block = statistics.linear_regression(list(cpu_s), list(cpu_s.values()))
    return {
        "block_ms_by_txs": {str(size): round(s * 1000, 2) for size, s in wall_s.items()},
        "block_cpu_ms_by_txs": {str(size): round(s * 1000, 2) for size, s in cpu_s.items()},
        "block_cpu_ms_fitted": round(per_block * 1000, 2),
        "tx_cpu_us_fitted": round(per_tx * 10**6, 1),
    }


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 10, 100, 500, 1000, 2000, 5000])
    parser.add_argument("--repeat", type=int, default=3, help="blocks of each size")
    options = parser.parse_args(argv)
    print(json.dumps({"benchmark": "chain"} | measure(options.sizes, options.repeat), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
