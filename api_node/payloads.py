"""Prompts and answers, whose hashes alone are on chain: kept until final, shown to assigned validators."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog
from fastapi import APIRouter, Request

from api_node.chain import ChainReader
from api_node.database import open_database
from api_node.errors import ApiError, unavailable
from api_node.signatures import AGE_MAX_NS, is_signed_by, request_keys
from api_node.view import ChainView
from client.chain import CODE_NOT_FOUND, ChainError
from client.keys import Key
from protocol.draw import digest
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

log = structlog.get_logger("api_node.payloads")

PAYLOAD_DOMAIN = "evergrid/payload/1"
HEADERS = ("X-Validator-Address", "X-Timestamp", "X-Signature")
# What this node executed, and copies of what it handed over, which the executor has to show first.
EXECUTED, COPIES = "payloads", "copies"
BYTES_MAX = 8 * 2**30
_SCHEMA = "".join(
    f"""
CREATE TABLE IF NOT EXISTS {table} (
    inference_id TEXT PRIMARY KEY, prompt BLOB NOT NULL, answer TEXT NOT NULL, token_ids TEXT NOT NULL,
    height_until INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS {table}_until ON {table} (height_until);
"""
    for table in (EXECUTED, COPIES)
)
_SIZE = "LENGTH(prompt) + LENGTH(CAST(answer AS BLOB)) + LENGTH(token_ids)"


@dataclass(frozen=True, slots=True)
class Payload:
    """A request as the executor got it, and the answer with the tokens that it is made of."""

    prompt: bytes
    answer: str
    token_ids: tuple[int, ...]

    @property
    def body(self) -> dict[str, Any]:
        """As it is shown; the prompt in base64, since its very bytes are hashed."""
        prompt = base64.b64encode(self.prompt).decode()
        return {"prompt": prompt, "answer": self.answer, "token_ids": list(self.token_ids)}

    def fits(self, inference: inference_pb2.Inference) -> bool:
        """Whether these are the prompt and the answer whose hashes are on chain."""
        hashes = (sha256(self.prompt).hexdigest(), sha256(self.answer.encode()).hexdigest())
        return hashes == (inference.prompt_hash.lower(), inference.response_hash.lower())


def read_payload(body: Mapping[str, Any]) -> Payload:
    """The payload out of another API node's answer; raises ValueError where it is none."""
    prompt, answer, token_ids = (body.get(name) for name in ("prompt", "answer", "token_ids"))
    if not isinstance(prompt, str) or not isinstance(answer, str) or not isinstance(token_ids, list):
        raise ValueError("prompt, answer and token_ids are needed")  # noqa: TRY004 - it is another's JSON
    if not token_ids or not all(type(each) is int and each >= 0 for each in token_ids):
        raise ValueError("token_ids: a list of at least one id is needed")
    return Payload(base64.b64decode(prompt, validate=True), answer, tuple(token_ids))


class PayloadStore:
    """Tables in one SQLite file: what this node executed or handed over, for as long as it may be asked.

    They hold at most `bytes_max`: beyond that copies go first, then what need be shown for the shortest time.
    """

    def __init__(self, path: Path | str, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._db = open_database(path, _SCHEMA)
        self._db.execute("PRAGMA secure_delete=ON")
        self._bytes = self._measured()

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    @property
    def bytes_kept(self) -> int:
        """Of prompts, answers and ids, without what the file adds."""
        return self._bytes

    def keep(self, inference_id: str, payload: Payload, view: ChainView, *, is_copy: bool = False) -> None:
        """Keeps a payload until its inference must be final, a vote on it included."""
        params = view.params.inference
        # The finish may take as long as a request lives, and a dispute opens a second window.
        until = view.height + params.expiration + 2 * params.validation_window + 1
        ids = json.dumps(list(payload.token_ids))
        size = len(payload.prompt) + len(payload.answer.encode()) + len(ids)
        table = COPIES if is_copy else EXECUTED
        self._drop(table, inference_id)
        self._make_room(size)
        self._db.execute(
            f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)",  # noqa: S608
            (inference_id, payload.prompt, payload.answer, ids, until),
        )
        self._bytes += size

    def get(self, inference_id: str) -> Payload | None:
        """A payload, or None where there is none (any more)."""
        for table in (EXECUTED, COPIES):
            row = self._db.execute(
                f"SELECT prompt, answer, token_ids FROM {table} WHERE inference_id = ?",  # noqa: S608
                (inference_id,),
            ).fetchone()
            if row:
                return Payload(row[0], row[1], tuple(json.loads(row[2])))
        return None

    def prune(self, height: int) -> int:
        """Forgets what nobody may ask for any more; returns how many."""
        count = sum(
            self._db.execute(f"DELETE FROM {table} WHERE height_until < ?", (height,)).rowcount  # noqa: S608
            for table in (EXECUTED, COPIES)
        )
        if count:
            self._bytes = self._measured()
        return count

    def _make_room(self, size: int) -> None:
        for table in (COPIES, EXECUTED):
            while self._bytes and self._bytes + size > self._bytes_max:
                found = self._db.execute(
                    f"SELECT inference_id FROM {table} ORDER BY height_until LIMIT 1"  # noqa: S608
                ).fetchone()
                if found is None:
                    break
                self._drop(table, found[0])
                if table == EXECUTED:
                    log.warning("payload given up: no room", inference_id=found[0], bytes_max=self._bytes_max)

    def _drop(self, table: str, inference_id: str) -> None:
        dropped = self._db.execute(
            f"DELETE FROM {table} WHERE inference_id = ? RETURNING {_SIZE}",  # noqa: S608
            (inference_id,),
        ).fetchall()
        self._bytes -= sum(size for (size,) in dropped)

    def _measured(self) -> int:
        sizes = (f"(SELECT COALESCE(SUM({_SIZE}), 0) FROM {table})" for table in (EXECUTED, COPIES))  # noqa: S608
        return int(self._db.execute(f"SELECT {' + '.join(sizes)}").fetchone()[0])


# who may ask


def payload_digest(inference_id: str, timestamp_ns: int, validator: str, holder: str) -> bytes:
    """What a validator signs when it asks a holder for a payload."""
    return digest(PAYLOAD_DOMAIN, inference_id, timestamp_ns, validator, holder)


def payload_headers(inference_id: str, key: Key, validator: str, holder: str) -> dict[str, str]:
    """The headers of a request for a payload, signed by the validator's own or its API node's key."""
    timestamp = time.time_ns()
    signature = key.sign_digest(payload_digest(inference_id, timestamp, validator, holder))
    shown = (validator, str(timestamp), base64.b64encode(signature).decode())
    return dict(zip(HEADERS, shown, strict=True))


@dataclass(frozen=True, slots=True)
class PayloadHeaders:
    """Who asks, as it says itself."""

    validator: str
    timestamp_ns: int
    signature: bytes


def read_payload_headers(headers: Mapping[str, str]) -> PayloadHeaders:
    """The headers of a request for a payload; raises ApiError that names those that are missing or wrong."""
    if missing := [name for name in HEADERS if not headers.get(name)]:
        raise ApiError(401, f"headers are missing: {', '.join(missing)}")
    validator, stamp, signature = (headers[name] for name in HEADERS)
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 20):
        raise ApiError(401, "X-Timestamp is no number of nanoseconds")
    try:
        return PayloadHeaders(validator, int(stamp), base64.b64decode(signature, validate=True))
    except ValueError as error:
        raise ApiError(401, f"the headers cannot be read: {error}") from error


class PayloadDesk:
    """Shows payloads to those who have to judge them."""

    def __init__(self, reader: ChainReader, store: PayloadStore) -> None:
        self._reader = reader
        self._store = store

    async def show(self, inference_id: str, shown: PayloadHeaders) -> Payload:
        """The payload; raises ApiError unless a validator whom the chain assigned it signed just now."""
        if abs(time.time_ns() - shown.timestamp_ns) > AGE_MAX_NS:
            raise ApiError(401, "X-Timestamp is more than a minute away: compare the clocks")
        payload = self._store.get(inference_id)
        if payload is None:
            word = reasons_pb2.REASON_PAYLOAD_MISSING
            raise ApiError(404, f"inference {inference_id} is not kept here (any more)", reason=word)
        await self._check_signature(inference_id, shown)
        request = inference_pb2.QueryPendingValidationsRequest(
            participant=shown.validator, inference_ids=[inference_id]
        )
        answer = await self._reader.chain.query(request, inference_pb2.QueryPendingValidationsResponse)
        if not answer.pending:
            text = f"{shown.validator} has no verdict to give on {inference_id}"
            raise ApiError(403, text, reason=reasons_pb2.REASON_NOT_SAMPLED)
        return payload

    async def _check_signature(self, inference_id: str, shown: PayloadHeaders) -> None:
        request = hardware_pb2.QueryParticipantRequest(address=shown.validator)
        try:
            found = await self._reader.cached(request, hardware_pb2.QueryParticipantResponse)
        except ChainError as error:
            if error.code == CODE_NOT_FOUND:
                raise ApiError(403, f"{shown.validator} is no participant") from error
            raise
        holder = self._reader.address
        signed = payload_digest(inference_id, shown.timestamp_ns, shown.validator, holder)
        if not any(is_signed_by(each, signed, shown.signature) for each in request_keys(found.participant)):
            raise ApiError(401, f"the signature is not that of {shown.validator} over this request")


def payload_routes(desk: PayloadDesk) -> APIRouter:
    """What validators fetch."""
    router = APIRouter(prefix="/v1/internal")

    @router.get("/payloads/{inference_id}")
    async def payload(inference_id: str, request: Request) -> dict[str, Any]:
        shown = read_payload_headers(request.headers)
        try:
            found = await desk.show(inference_id, shown)
        except ChainError as error:
            text = f"the chain cannot be asked now: {error}"
            raise unavailable(text, reasons_pb2.REASON_CHAIN_UNREACHABLE) from error
        log.info("payload shown", inference_id=inference_id, validator=shown.validator)
        return found.body

    return router
