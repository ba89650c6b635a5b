"""The application alone, without CometBFT: CheckTx, replay, and blocks of growing size, on the store on disk.

Run `python -m bench.chain`; prints JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
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
    from collections.abc import Callable

    from google.protobuf.message import Message

    from client.keys import Key

CHAIN_ID = "bench-1"
SENDERS = 500
BLOCKS_FOR_REPLAY = 10


def as_json(message: Message) -> dict[str, Any]:
    """A message as a genesis file holds it."""
    found: dict[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, descriptor_pool=POOL
    )
    return found


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

    def block(self, txs: list[bytes]) -> float:
        """Executes and commits a block; seconds that it took."""
        self.height += 1
        request = abci.RequestFinalizeBlock(height=self.height, txs=txs, hash=bytes(32))
        request.time.seconds = 1_700_000_000 + self.height
        start = time.perf_counter()
        raw = self.app.finalize_block(request)
        self.app.commit()
        took = time.perf_counter() - start
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


def measure(sizes: list[int]) -> dict[str, Any]:
    """CheckTx/s with unverified signatures; replay tx/s (nothing in the caches); ms per block by size."""
    keys, verifier = senders(SENDERS), Verifier()
    bench = Bench(keys, verifier.verify)
    try:
        return _measure(bench, keys, sizes)
    finally:
        bench.close()


def _measure(bench: Bench, keys: list[Key], sizes: list[int]) -> dict[str, Any]:
    numbers = bench.numbers(keys)
    rounds = 4
    txs = list(signed(keys, numbers, CHAIN_ID, rounds))
    signatures.forget()
    start = time.perf_counter()
    codes = [abci.ResponseCheckTx.FromString(bench.app.check_tx(tx, recheck=False)).code for tx in txs]
    check_s = time.perf_counter() - start
    assert not any(codes)
    cached_s = bench.block(txs)

    replay_s, replayed, sequence = 0.0, 0, rounds
    for _ in range(BLOCKS_FOR_REPLAY):
        block = list(signed(keys, numbers, CHAIN_ID, 1, sequence))
        sequence += 1
        signatures.forget()
        replay_s += bench.block(block)
        replayed += len(block)

    by_size = {}
    for size in sizes:
        need = -(-size // len(keys))
        block = list(signed(keys, numbers, CHAIN_ID, need, sequence))[:size]
        sequence += need
        if size % len(keys):
            # The keys that were cut off have a gap in their sequence: the next block takes fresh ones.
            sequence -= 1
        signatures.forget()
        by_size[str(size)] = round(bench.block(block) * 1000, 2)
        if size % len(keys):
            tail = list(signed(keys, numbers, CHAIN_ID, 1, sequence))[size % len(keys) :]
            bench.block(tail)
            sequence += 1
    return {
        "check_tx_per_s": round(len(txs) / check_s),
        "finalize_verified_tx_per_s": round(len(txs) / cached_s),
        "replay_tx_per_s": round(replayed / replay_s),
        "block_ms_by_txs": by_size,
    }


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 10, 100, 500, 1000, 2000])
    print(json.dumps(measure(parser.parse_args(argv).sizes)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
