"""Identities without private keys: what a simulated sender needs for the chain to know it by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from itertools import count

from protocol import address


@dataclass(frozen=True, slots=True)
class Identity:
    """An account (bech32 text, 33 bytes of key) and the consensus key (32 bytes) that goes with it."""

    address: str
    public_key: bytes
    validator_key: bytes


@cache
def identity_of(name: str, prefix: str = "") -> Identity:
    """The same identity for the same name; `prefix`: how the address has to go on after `evergrid1`.

    Nobody holds a private key to it. A prefix of n letters takes about 32^n tries.
    """
    wanted = f"{address.PREFIX}1{prefix}"
    for attempt in count():
        public_key = b"\x02" + sha256(f"account {name} {attempt}".encode()).digest()
        found = address.account(public_key)
        if found.startswith(wanted):
            return Identity(found, public_key, sha256(f"validator {name}".encode()).digest())
    raise AssertionError("unreachable: the walk has no end")
