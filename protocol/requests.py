"""What a requester signs so that a transfer agent may open an inference on its account."""

from __future__ import annotations

from protocol.draw import digest

REQUEST_DOMAIN = "evergrid/request/1"


def request_digest(prompt_hash: str, timestamp_ns: int, transfer_address: str) -> bytes:
    """The 32 bytes to sign: over the body's SHA-256 in hex, the time, and the transfer agent's address."""
    return digest(REQUEST_DOMAIN, prompt_hash, timestamp_ns, transfer_address)
