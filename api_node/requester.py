"""Requests that an account signed and pays for: who signed, over what, when, and that it is for once only.

The signature is over the SHA-256 of the body as it was sent, the time, and this agent's address (protocol,
section 8). The chain checks it again when the start comes to it.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from api_node.chain import ChainReader
from api_node.errors import ApiError
from api_node.signatures import AGE_MAX_NS, is_signed_by
from api_node.start import Payer
from client.chain import CODE_NOT_FOUND, ChainError
from client.requests import HEADERS, REQUESTER
from protocol.address import AddressError, decode
from protocol.gen.cosmos.auth.v1beta1 import auth_pb2
from protocol.gen.cosmos.crypto.secp256k1 import keys_pb2
from protocol.requests import request_digest

HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
KEYS_MAX = 10_000
SEEN_MAX = 100_000


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a requester shows, not checked against the chain yet."""

    address: str
    timestamp_ns: int
    signature: bytes


def is_signed(headers: Mapping[str, str]) -> bool:
    """Whether a request means to be paid for by the account that signed it."""
    return REQUESTER in headers


def read_signed(headers: Mapping[str, str], transfer_address: str, now_ns: int) -> SignedRequest:
    """The headers of a signed request; raises ApiError 401 that names all that is missing or wrong."""
    shown = {name: headers.get(name, "") for name in HEADERS}
    errors = [f"{name}: it is missing" for name, value in shown.items() if not value]
    signature, address, stamp, transfer = shown.values()
    if address and not _is_address(address):
        errors.append(f"{HEADERS[1]}: it is no address")
    if stamp and not (stamp.isascii() and stamp.isdigit() and len(stamp) < 20):
        errors.append(f"{HEADERS[2]}: it is no number of nanoseconds since 1970")
    elif stamp and abs(now_ns - int(stamp)) > AGE_MAX_NS:
        errors.append(f"{HEADERS[2]}: it is more than {AGE_MAX_NS // 10**9} s away, compare the clocks")
    if transfer and transfer != transfer_address:
        errors.append(f"{HEADERS[3]}: this transfer agent is {transfer_address}")
    raw = _bytes(signature)
    if signature and len(raw) != 64:
        errors.append(f"{HEADERS[0]}: 64 bytes in base64 are needed, r and s")
    if errors:
        raise ApiError(401, "; ".join(errors), code="invalid_signature")
    return SignedRequest(address, int(stamp), raw)


def public_key_of(account: auth_pb2.BaseAccount) -> bytes:
    """The compressed secp256k1 key of an account; empty where it never signed."""
    if not account.pub_key.value:
        return b""
    return bytes(keys_pb2.PubKey.FromString(account.pub_key.value).key)


def _is_address(text: str) -> bool:
    try:
        decode(text)
    except AddressError:
        return False
    return True


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


class Requesters:
    """Checks signed requests; keys are asked of the chain once, and a request is taken once."""

    def __init__(self, reader: ChainReader, transfer_address: str) -> None:
        self._reader = reader
        self._transfer_address = transfer_address
        self._keys: dict[str, bytes] = {}
        self._seen: dict[bytes, int] = {}

    async def check(self, raw: bytes, headers: Mapping[str, str]) -> Payer:
        """Who pays for a body; raises ApiError 401 or 409, or ChainError where the key cannot be asked."""
        now_ns = time.time_ns()
        shown = read_signed(headers, self._transfer_address, now_ns)
        signed = request_digest(sha256(raw).hexdigest(), shown.timestamp_ns, self._transfer_address)
        key = await self._key(shown.address)
        if not key:
            text = (
                f"{shown.address} has no public key on chain: it has to send a transaction before it can "
                "be asked to pay"
            )
            raise ApiError(401, text, code="unknown_account")
        # The chain takes no s in the upper half.
        is_low = int.from_bytes(shown.signature[32:], "big") <= HALF_ORDER
        if not is_low or not is_signed_by(key, signed, shown.signature):
            text = f"the signature is not that of {shown.address} over this body, time and transfer agent"
            raise ApiError(401, text, code="invalid_signature")
        self._take_once(shown.address.encode() + signed, now_ns)
        return Payer(shown.address, shown.timestamp_ns, shown.signature)

    def _take_once(self, name: bytes, now_ns: int) -> None:
        if len(self._seen) >= SEEN_MAX:
            self._forget(now_ns)
        if self._seen.setdefault(name, now_ns) != now_ns:
            raise ApiError(409, "this request was taken already: sign it anew", code="request_used")

    def _forget(self, now_ns: int) -> None:
        """Those that their time refuses anyway; raises ApiError 429 where all are younger."""
        self._seen = {name: at for name, at in self._seen.items() if now_ns - at <= 2 * AGE_MAX_NS}
        if len(self._seen) >= SEEN_MAX:
            raise ApiError(429, "too many signed requests", code="rate_limited", retry_after_s=60)

    async def _key(self, address: str) -> bytes:
        """An account's public key, which never changes once the chain knows it; empty where it does not."""
        if address not in self._keys:
            try:
                account = await self._reader.chain.account(address)
            except ChainError as error:
                if error.code != CODE_NOT_FOUND:
                    raise
                return b""
            key = public_key_of(account)
            if not key:
                return b""
            if len(self._keys) >= KEYS_MAX:
                self._keys.clear()
            self._keys[address] = key
        return self._keys[address]
