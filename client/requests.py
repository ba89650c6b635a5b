"""Signs requests, which a transfer agent then serves on the account of the key (protocol, section 8)."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from protocol.requests import request_digest

if TYPE_CHECKING:
    from client.keys import Key

REQUESTER = "X-Requester-Address"
HEADERS = ("Authorization", REQUESTER, "X-Timestamp", "X-Transfer-Address")


def request_headers(
    body: bytes, key: Key, transfer_address: str, timestamp_ns: int | None = None
) -> Mapping[str, str]:
    """The headers that make an account pay for a request: `body` is what is sent, byte for byte.

    They are good once, for a minute, and at the API node of `transfer_address` alone.
    """
    timestamp = time.time_ns() if timestamp_ns is None else timestamp_ns
    signed = request_digest(sha256(body).hexdigest(), timestamp, transfer_address)
    signature = base64.b64encode(key.sign_digest(signed)).decode()
    return dict(zip(HEADERS, (signature, key.address, str(timestamp), transfer_address), strict=True))
