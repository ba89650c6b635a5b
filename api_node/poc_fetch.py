"""Fetches leaves of committed batches from the participants who keep them, and checks what they show.

Whoever is asked may be slow, broken or hostile: each answer is limited in bytes and in time, redirects are
not followed, and nothing that is shown is believed without its proof.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import httpx2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.merkle import ROOT_BYTES, claim_leaf, is_proved, neighbour_of

PATH = "/v1/poc-artifacts"
INDICES_MAX = 50
ANSWER_BYTES_MAX = 512 * 1024
ANSWER_TIMEOUT_S = 8.0
"""For all leaves of one node, however many requests that takes."""
# An audit path in a tree of 2^40 leaves: more than a node may have.
PATH_MAX = 40


class WithheldError(Exception):
    """The participant did not show the leaves: nobody answered, in time or within limits, or it refused."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """What a node committed to, as the chain has it; `nonces` are in the order of the leaves."""

    node_id: str
    root: bytes
    nonces: Sequence[int]

    @classmethod
    def of(cls, batch: poc_pb2.PocBatch, nonces: Sequence[int]) -> Commitment:
        """The commitment that a batch with a root is."""
        dense = range(batch.nonce_first, batch.nonce_first + batch.nonce_count)
        return cls(batch.node_id, batch.root, nonces or dense)


Hash = Annotated[str, Field(pattern=f"^[0-9a-f]{{{2 * ROOT_BYTES}}}$")]


class ShownLeaf(BaseModel):
    """A leaf as it is served: the claim in 1e-6, the audit path from below, in hex."""

    model_config = ConfigDict(extra="ignore")

    index: int = Field(ge=0, lt=2**64, strict=True)
    nonce: int = Field(ge=0, lt=2**64, strict=True)
    claim: int = Field(ge=-(2**31), lt=2**31, strict=True)
    path: list[Hash] = Field(max_length=PATH_MAX)


class ShownSample(BaseModel):
    """A leaf that was asked for, and the one beside it."""

    model_config = ConfigDict(extra="ignore")

    leaf: ShownLeaf
    neighbour: ShownLeaf | None = None


class Shown(BaseModel):
    """An answer of `/v1/poc-artifacts`."""

    model_config = ConfigDict(extra="ignore")

    samples: list[ShownSample] = Field(max_length=INDICES_MAX)


def proved_claim(commitment: Commitment, index: int, shown: ShownSample) -> int | None:
    """The claim of a leaf; None where anything that is shown of it is not what was committed to, in order."""
    leaf, beside = shown.leaf, shown.neighbour
    place = neighbour_of(index, len(commitment.nonces))
    if leaf.index != index or leaf.nonce != commitment.nonces[index] or not _is_proved(commitment, leaf):
        return None
    if place is None:
        return leaf.claim
    if beside is None or beside.index != place or not _is_proved(commitment, beside):
        return None
    in_order = beside.nonce > leaf.nonce if place > index else beside.nonce < leaf.nonce
    return leaf.claim if in_order else None


def _is_proved(commitment: Commitment, shown: ShownLeaf) -> bool:
    leaf = claim_leaf(commitment.node_id, shown.nonce, shown.claim)
    path = [bytes.fromhex(each) for each in shown.path]
    return is_proved(commitment.root, len(commitment.nonces), shown.index, leaf, path)


async def fetch_claims(
    http: httpx2.AsyncClient, url: str, height_start: int, commitment: Commitment, indices: Sequence[int]
) -> dict[int, int | None]:
    """The claims at these places; None where what is shown is wrong. Raises WithheldError."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return await _fetch(http, url.rstrip("/") + PATH, height_start, commitment, indices)
    except TimeoutError as error:
        raise WithheldError(f"no whole answer within {ANSWER_TIMEOUT_S:g} s") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise WithheldError(f"{type(error).__name__}: {error}".rstrip(": ")) from error


async def _fetch(
    http: httpx2.AsyncClient, url: str, height_start: int, commitment: Commitment, indices: Sequence[int]
) -> dict[int, int | None]:
    claims: dict[int, int | None] = {}
    for asked in _pages(indices):
        params: dict[str, str | list[str]] = {
            "poc_stage_start_height": str(height_start),
            "node_id": commitment.node_id,
            "index": [str(index) for index in asked],
        }
        shown = _parsed(await _answer(http, url, params))
        if len(shown.samples) != len(asked):
            raise WithheldError(f"{len(asked)} leaves were asked for, {len(shown.samples)} are shown")
        for index, sample in zip(asked, shown.samples, strict=True):
            claims[index] = proved_claim(commitment, index, sample)
    return claims


def _pages(indices: Sequence[int]) -> Iterator[Sequence[int]]:
    return (indices[at : at + INDICES_MAX] for at in range(0, len(indices), INDICES_MAX))


def _parsed(raw: bytes) -> Shown:
    try:
        return Shown.model_validate_json(raw)
    except ValidationError as error:
        raise WithheldError(f"the answer holds no leaves: {error.error_count()} errors") from error


async def _answer(http: httpx2.AsyncClient, url: str, params: Mapping[str, str | list[str]]) -> bytes:
    """The body of a GET, within the limit of size."""
    # Compressed answers are not asked for: a few bytes of them could become many.
    headers = {"Accept-Encoding": "identity"}
    body = bytearray()
    async with http.stream(
        "GET", url, params=params, headers=headers, timeout=ANSWER_TIMEOUT_S, follow_redirects=False
    ) as response:
        if response.status_code != httpx2.codes.OK:
            raise WithheldError(f"it answers {response.status_code}")
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > ANSWER_BYTES_MAX:
                raise WithheldError(f"the answer is longer than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)
