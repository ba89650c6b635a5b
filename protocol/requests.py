"""Whose id an inference has, and what a requester signs for a transfer agent to open one on its account."""

from __future__ import annotations

from protocol.address import AddressError, decode
from protocol.draw import digest

REQUEST_DOMAIN = "evergrid/request/1"


def request_digest(prompt_hash: str, timestamp_ns: int, transfer_address: str) -> bytes:
    """The 32 bytes to sign: over the body's SHA-256 in hex, the time, and the transfer agent's address."""
    return digest(REQUEST_DOMAIN, prompt_hash, timestamp_ns, transfer_address)


def used_request(requester: str, signed: bytes) -> bytes:
    """By which a request that was accepted is remembered: others may have signed the same."""
    return digest(REQUEST_DOMAIN, requester, signed)


def own_inference_id(creator: str, name: str) -> str:
    """An id that nobody but the creator can start an inference under."""
    return f"{creator}:{name}"


def reserved_for(inference_id: str) -> str:
    """The account whose id this is, by the address that it begins with; empty: it is the first comer's."""
    owner, colon, _ = inference_id.partition(":")
    try:
        decode(owner)
    except AddressError:
        return ""
    return owner if colon else ""
