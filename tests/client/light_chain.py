"""Chains of headers that the tests sign themselves, with validators that come and go."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client.light_header import LightBlock, read_block

CHAIN_ID = "light-1"
START_S = 1_700_000_000
NS = 10**9
Powers = dict[str, int]
Change = Callable[[dict[str, Any]], None]


@cache
def key_of(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())


def public(name: str) -> bytes:
    return key_of(name).public_key().public_bytes_raw()


def time_text(height: int) -> str:
    """One block a minute, one nanosecond after it."""
    minutes, hours = divmod(height, 60)[::-1]
    days, hours = divmod(hours, 24)
    return f"2023-11-{15 + days:02d}T{hours:02d}:{minutes:02d}:00.000000001Z"


def now_ns(height: int) -> int:
    """A second after the block of a height."""
    return read_block(block_json(height, {"a": 1}, {"a": 1})).header.time.ns + NS


def validators_json(powers: Powers) -> list[dict[str, Any]]:
    return [
        {
            "address": sha256(public(name)).hexdigest()[:40].upper(),
            "pub_key": {
                "type": "tendermint/PubKeyEd25519",
                "value": base64.b64encode(public(name)).decode(),
            },
            "voting_power": str(power),
        }
        for name, power in powers.items()
    ]


def set_hash(powers: Powers) -> str:
    """The hash of a validator set, taken from a block whose rest does not matter."""
    return read_block(_unsigned(1, powers, "", "")).validators_hash.hex().upper()


def block_json(
    height: int,
    powers: Powers,
    next_powers: Powers,
    *,
    signers: Sequence[str] | None = None,
    nil: Sequence[str] = (),
    app_hash: str = "AB" * 32,
    change: Change = lambda _block: None,
    chain_id: str = CHAIN_ID,
) -> dict[str, Any]:
    """A block signed by some of its validators (None: all); `change` comes before the signatures."""
    block = _unsigned(height, powers, set_hash(powers), set_hash(next_powers))
    block["header"] |= {"app_hash": app_hash, "chain_id": chain_id}
    change(block)
    header_hash = read_block(block).header.hash.hex().upper()
    block["commit"]["block_id"] = {"hash": header_hash, "parts": {"total": 1, "hash": "CD" * 32}}
    for index, name in enumerate(powers):
        if signers is not None and name not in signers and name not in nil:
            continue
        vote = block["commit"]["signatures"][index]
        vote |= {
            "block_id_flag": 3 if name in nil else 2,
            "validator_address": block["validators"][index]["address"],
            "timestamp": time_text(height),
            "signature": base64.b64encode(bytes(64)).decode(),
        }
        commit = read_block(block).commit
        signed = commit.signed_bytes(block["header"]["chain_id"], commit.votes[index])
        vote["signature"] = base64.b64encode(key_of(name).sign(signed)).decode()
    return block


def _unsigned(height: int, powers: Powers, own: str, following: str) -> dict[str, Any]:
    parts = {"total": 1, "hash": "EF" * 32}
    return {
        "header": {
            "version": {"block": "11", "app": "1"},
            "chain_id": CHAIN_ID,
            "height": str(height),
            "time": time_text(height),
            "last_block_id": {"hash": "12" * 32, "parts": parts},
            "last_commit_hash": "34" * 32,
            "data_hash": "56" * 32,
            "validators_hash": own,
            "next_validators_hash": following,
            "consensus_hash": "78" * 32,
            "app_hash": "AB" * 32,
            "last_results_hash": "90" * 32,
            "evidence_hash": "12" * 32,
            "proposer_address": "AA" * 20,
        },
        "commit": {
            "height": str(height),
            "round": 0,
            "block_id": {"hash": "", "parts": {"total": 0, "hash": ""}},
            "signatures": [
                {
                    "block_id_flag": 1,
                    "validator_address": "",
                    "timestamp": "0001-01-01T00:00:00Z",
                    "signature": None,
                }
                for _ in powers
            ],
        },
        "validators": validators_json(powers),
    }


class Headers:
    """A chain whose set at each height a function names; `asked` are the heights that were fetched."""

    def __init__(self, powers_at: Callable[[int], Powers]) -> None:
        self.powers_at = powers_at
        self.asked: list[int] = []

    def __call__(self, height: int) -> LightBlock:
        self.asked.append(height)
        return read_block(block_json(height, self.powers_at(height), self.powers_at(height + 1)))
