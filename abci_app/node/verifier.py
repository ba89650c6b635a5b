"""Verifies a block's secp256k1 signatures on all cores; libsecp256k1 runs without Python's lock."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, NamedTuple

from abci_app.modules.auth.signatures import verify_signature

# A shorter chunk costs more in handing it over than another core saves.
CHUNK_SIGNATURES_MIN: Final = 64
CHUNKS_PER_THREAD: Final = 4


class SignedDigest(NamedTuple):
    """A signature to verify: compressed public key (33 bytes), digest (32), r and s (64); any tuple does."""

    public_key: bytes
    digest: bytes
    signature: bytes


def _verify_chunk(chunk: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
    return [verify_signature(*signed) for signed in chunk]


class Verifier:
    """A pool of threads beside the caller's own, which works along instead of waiting."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = max(1, (os.cpu_count() or 1) - 1) if threads is None else threads
        self._pool = ThreadPoolExecutor(max_workers=self.threads, thread_name_prefix="verify")

    def verify(self, signed: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
        """One answer for each (public key, digest, signature), in order. Few are verified right here."""
        if len(signed) < 2 * CHUNK_SIGNATURES_MIN:
            return _verify_chunk(signed)
        even = -(-len(signed) // (CHUNKS_PER_THREAD * (self.threads + 1)))
        size = max(CHUNK_SIGNATURES_MIN, even)
        chunks = [signed[start : start + size] for start in range(0, len(signed), size)]
        futures = [self._pool.submit(_verify_chunk, chunk) for chunk in chunks]
        done = {at: _verify_chunk(chunks[at]) for at in self._steal(futures)}
        answers = (done[at] if at in done else future.result() for at, future in enumerate(futures))
        return [answer for chunk in answers for answer in chunk]

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    @staticmethod
    def _steal(futures: Sequence[Future[list[bool]]]) -> Iterator[int]:
        """The chunks, last first, that no thread of the pool has begun; asked for one at a time."""
        return (at for at in reversed(range(len(futures))) if futures[at].cancel())
