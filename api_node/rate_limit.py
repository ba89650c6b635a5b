"""How often one API key, one requester or, without keys, one address may ask."""

from __future__ import annotations

import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request

from api_node.errors import ApiError

# So many seconds' worth may come at once.
BURST_S = 2.0
KNOWN_MAX = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class TokenBuckets:
    """A bucket for each name: it fills at a steady rate up to a burst, and each request takes one."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._burst = max(1.0, per_s * BURST_S)
        self._buckets: dict[str, _Bucket] = {}

    def take(self, name: str, now: float) -> float:
        """0 where the request may pass; else after how many seconds it may."""
        if not self._per_s:
            return 0.0
        if len(self._buckets) >= KNOWN_MAX:
            self._forget_full(now)
        bucket = self._buckets.setdefault(name, _Bucket(self._burst, now))
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._per_s)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._per_s
        bucket.tokens -= 1
        return 0.0

    def _forget_full(self, now: float) -> None:
        """Those that are full again; where that is none, all: memory is bounded whatever comes."""
        left = {
            name: each
            for name, each in self._buckets.items()
            if each.tokens + (now - each.at) * self._per_s < self._burst
        }
        self._buckets = left if len(left) < KNOWN_MAX else {}


class RateLimit:
    """Who may ask at all, and how often."""

    def __init__(self, api_keys: Sequence[str], per_s: float) -> None:
        self._keys = {f"Bearer {key}".encode(): str(place) for place, key in enumerate(api_keys)}
        self._buckets = TokenBuckets(per_s)

    def check_key(self, request: Request) -> None:
        """Raises ApiError 401 without a valid key where keys are needed, 429 where it asks too often."""
        name = f"address {request.client.host if request.client else ''}"
        if self._keys:
            shown = request.headers.get("authorization", "").encode()
            # Every key is compared, so that time tells nothing.
            fit = [place for key, place in self._keys.items() if hmac.compare_digest(shown, key)]
            if not fit:
                text = "a valid key is needed: Authorization: Bearer ..."
                raise ApiError(401, text, code="invalid_api_key")
            name = f"key {fit[0]}"
        self._take(name)

    def check_address(self, request: Request) -> None:
        """Raises ApiError 429 where one place asks too often."""
        self._take(f"address {request.client.host if request.client else ''}")

    def check_requester(self, address: str) -> None:
        """Raises ApiError 429 where an account, whose signature was seen to be its own, asks too often."""
        self._take(f"requester {address}")

    def _take(self, name: str) -> None:
        wait_s = self._buckets.take(name, time.monotonic())
        if wait_s:
            text = f"too many requests: this one may come again in {wait_s:.2f} s"
            raise ApiError(429, text, code="rate_limited", retry_after_s=max(1, round(wait_s + 0.5)))
