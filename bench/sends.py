"""Signed bank sends: the genesis that funds the senders, and the transactions, signed ahead."""

from __future__ import annotations

from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any

from client.keys import Key
from client.tx import Fee, Signer, build
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin

if TYPE_CHECKING:
    from collections.abc import Iterator

DENOM = "nevg"
GAS = 200_000
AMOUNT_START = 10**12


def senders(number: int) -> list[Key]:
    """The same keys each time."""
    return [Key(sha256(f"sender {i}".encode()).digest()) for i in range(number)]


def balances(keys: list[Key]) -> list[dict[str, Any]]:
    """Genesis balances of the senders."""
    return [
        {"address": key.address, "coins": [{"denom": DENOM, "amount": str(AMOUNT_START)}]} for key in keys
    ]


def signed(keys: list[Key], numbers: dict[str, int], chain_id: str) -> Iterator[bytes]:
    """Sends without an end: key after key, each to the next one, round after round with the next sequence."""
    for sequence in count():
        for i, key in enumerate(keys):
            recipient = keys[(i + 1) % len(keys)].address
            message = MsgSend(
                from_address=key.address, to_address=recipient, amount=[Coin(denom=DENOM, amount="1")]
            )
            yield build([message], [Signer(key, numbers[key.address], sequence)], chain_id, Fee(GAS))
