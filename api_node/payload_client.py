"""Fetches what was asked and answered from those who served it, and holds it against the hashes on chain."""

from __future__ import annotations

import httpx2

from api_node.chain import ChainReader
from api_node.payloads import Payload, PayloadStore, payload_headers, read_payload
from client.keys import Key
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

TIMEOUT_S = 20.0
BYTES_MAX = 32 * 2**20


class PayloadError(Exception):
    """Nobody who should shows the payload, for a reason of the closed list."""

    def __init__(self, reason: reasons_pb2.Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class PayloadClient:
    """Asks the executor, then the transfer agent, in this participant's name."""

    def __init__(self, reader: ChainReader, key: Key, store: PayloadStore, http: httpx2.AsyncClient) -> None:
        self._reader = reader
        self._key = key
        self._store = store
        self._http = http

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def fetch(self, inference: inference_pb2.Inference) -> Payload:
        """The payload that the chain has the hashes of; raises PayloadError, or ChainError."""
        own = self._store.get(inference.inference_id)
        if own is not None and own.token_ids and own.fits(inference):
            return own
        errors = []
        for holder in dict.fromkeys((inference.executed_by, inference.transferred_by)):
            if holder in {"", self._reader.address}:
                continue
            try:
                return await self._from(holder, inference)
            except PayloadError as error:
                errors.append(error)
        # Who was paid is asked first, so that its failure is the one that counts.
        raise errors[0]

    async def _from(self, holder: str, inference: inference_pb2.Inference) -> Payload:
        participant = await self._reader.participant(holder)
        if participant is None or not participant.url:
            raise PayloadError(reasons_pb2.REASON_UNREACHABLE, f"{holder} has no URL")
        url = f"{participant.url.rstrip('/')}/v1/internal/payloads/{inference.inference_id}"
        headers = payload_headers(inference.inference_id, self._key, self._reader.address, holder)
        try:
            status, raw = await self._get(url, headers)
        except httpx2.HTTPError as error:
            text = f"{holder}: {type(error).__name__}: {error}".rstrip(": ")
            raise PayloadError(reasons_pb2.REASON_UNREACHABLE, text) from error
        if status != 200:
            text = f"{holder}: status {status}: {raw[:200].decode(errors='replace')}"
            raise PayloadError(reasons_pb2.REASON_PAYLOAD_MISSING, text)
        try:
            payload = read_payload(httpx2.Response(200, content=raw).json())
        except (ValueError, AttributeError) as error:
            raise PayloadError(reasons_pb2.REASON_PAYLOAD_MISSING, f"{holder}: {error}") from error
        if not payload.fits(inference):
            text = f"{holder} shows a prompt or an answer of another hash than on chain"
            raise PayloadError(reasons_pb2.REASON_PAYLOAD_MISMATCH, text)
        return payload

    async def _get(self, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and body; raises HTTPError, also where the body is larger than any that is served."""
        body = bytearray()
        async with self._http.stream("GET", url, headers=headers) as reply:
            async for chunk in reply.aiter_bytes():
                body += chunk
                if len(body) > BYTES_MAX:
                    raise httpx2.DecodingError(f"the answer is larger than {BYTES_MAX} bytes")
            return reply.status_code, bytes(body)

    async def in_maintenance(self, participant: str, height: int) -> bool:
        """Whether a participant as a whole has announced to be down at a height."""
        windows = await self._reader.windows(participant)
        return any(not each.node_id and each.height_from <= height <= each.height_to for each in windows)
