"""Measures proofs, headers and snapshots: bytes and times. Prints JSON.

`python -m bench.verify [--keys 100000] [--validators 100] [--repeat 200]`
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from abci_app.kernel.snapshot import chunks, stream
from abci_app.kernel.store import DiskStore
from bench.store import fill, key_of, seconds
from client.light import check_block
from client.light_header import LightBlock, read_block
from client.verify_proof import Op, verify_key

CHUNK_BYTES = 8 << 20
ZEROS = "00" * 32


def median_us(work: Callable[[int], object], repeat: int) -> float:
    """The median time of a call in microseconds."""
    times = []
    for number in range(repeat):
        start = time.perf_counter_ns()
        work(number)
        times.append(time.perf_counter_ns() - start)
    return round(statistics.median(times) / 1000, 1)


def measure_proofs(store: DiskStore, keys: int, repeat: int) -> dict[str, Any]:
    """Presence and absence of keys of one large store under an app hash."""
    found: dict[str, Any] = {"keys": keys}
    for kind, offset in (("present", 0), ("absent", 10**9)):
        asked = [key_of(number * (keys // repeat) + offset) for number in range(repeat)]
        values = [store.get(key) for key in asked]
        proofs = [[Op(*op.__dict__.values()) for op in store.prove(store.version, key)] for key in asked]

        def verify(number: int, kept: tuple[Any, ...] = (asked, values, proofs)) -> None:
            names, held, ops = kept
            verify_key(store.app_hash, "bank", names[number][5:], held[number], ops[number])

        def prove(number: int, kept: list[bytes] = asked) -> None:
            store.prove(store.version, kept[number])

        found[kind] = {
            "bytes": round(statistics.mean(sum(len(op.data) for op in ops) for ops in proofs)),
            "prove_us": median_us(prove, repeat),
            "verify_us": median_us(verify, repeat),
        }
    return found


def signed_block(count: int) -> dict[str, Any]:
    """A light block that as many validators of equal power signed."""
    keys = [Ed25519PrivateKey.from_private_bytes(sha256(b"%d" % number).digest()) for number in range(count)]
    public = [key.public_key().public_bytes_raw() for key in keys]
    addresses = [sha256(key).hexdigest()[:40].upper() for key in public]
    block: dict[str, Any] = {
        "header": {
            "version": {"block": "11"},
            "chain_id": "bench-1",
            "height": "1",
            "time": "2026-01-01T00:00:00Z",
            "last_block_id": {"hash": "", "parts": {"total": 0, "hash": ""}},
            "proposer_address": addresses[0],
        },
        "validators": [
            {
                "address": address,
                "pub_key": {"type": "tendermint/PubKeyEd25519", "value": base64.b64encode(key).decode()},
                "voting_power": "10",
            }
            for address, key in zip(addresses, public, strict=True)
        ],
    }
    for name in ("last_commit", "data", "validators", "next_validators", "consensus", "app", "last_results"):
        block["header"][f"{name}_hash"] = ZEROS
    block["header"]["evidence_hash"] = ZEROS
    vote = {"block_id_flag": 2, "timestamp": "2026-01-01T00:00:01Z"}
    empty = base64.b64encode(bytes(64)).decode()
    votes = [vote | {"validator_address": address, "signature": empty} for address in addresses]
    block["commit"] = {
        "height": "1",
        "round": 0,
        "block_id": block["header"]["last_block_id"],
        "signatures": votes,
    }
    block["header"]["validators_hash"] = read_block(block).validators_hash.hex().upper()
    block["commit"]["block_id"] = {
        "hash": read_block(block).header.hash.hex().upper(),
        "parts": {"total": 1, "hash": ZEROS},
    }
    commit = read_block(block).commit
    for key, entry, read in zip(keys, votes, commit.votes, strict=True):
        entry["signature"] = base64.b64encode(key.sign(commit.signed_bytes("bench-1", read))).decode()
    return block


def measure_headers(validators: int, repeat: int) -> dict[str, Any]:
    """A header with all its signatures, read and checked."""
    raw = signed_block(validators)
    text = json.dumps(raw, separators=(",", ":"))

    def check(_number: int) -> None:
        block: LightBlock = read_block(json.loads(text))
        check_block(block, "bench-1")

    return {
        "validators": validators,
        "bytes": len(text),
        "verify_ms": round(median_us(check, max(5, repeat // 10)) / 1000, 2),
    }


def measure_snapshot(store: DiskStore, folder: Path) -> dict[str, Any]:
    """A whole state as chunks, and the store that is made from them."""
    parts: list[bytes] = []
    reader = store.snapshot()
    taken_s = seconds(lambda: parts.extend(chunks(stream(reader, store.version), CHUNK_BYTES)))
    reader.close()
    with DiskStore(folder, ["bank"]) as made:

        def restore() -> None:
            taking = made.restore(store.version, store.app_hash)
            for part in parts:
                taking.feed(part)
            taking.finish()

        restored_s = seconds(restore)
        made.reopen()
        assert made.app_hash == store.app_hash
    return {
        "bytes": sum(map(len, parts)),
        "chunks": len(parts),
        "take_s": round(taken_s, 2),
        "restore_s": round(restored_s, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--validators", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, DiskStore(Path(folder) / "a", ["bank"]) as store:
        fill(store, options.keys, random.Random(1))  # noqa: S311 - values of no meaning
        found = {
            "proofs": measure_proofs(store, options.keys, options.repeat),
            "headers": measure_headers(options.validators, options.repeat),
            "snapshot": measure_snapshot(store, Path(folder) / "b"),
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
