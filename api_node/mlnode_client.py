"""Talks to one MLNode over HTTP; status codes count, and a failure says whose it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx2

from api_node.node_config import NodeConfig
from protocol.gen.evergrid.reasons.v1 import reasons_pb2


class FailureKind(StrEnum):
    """Whose failure it is, which decides when it is tried again."""

    HOST = "host"  # nobody answers there
    BUSY = "busy"  # it cannot do it now
    POLICY = "policy"  # it refuses what is asked, and will do so again
    NODE = "node"  # it tried and failed
    CHAIN = "chain"  # what it needs of the chain is not there


REASON_OF_KIND = {
    FailureKind.HOST: reasons_pb2.REASON_UNREACHABLE,
    FailureKind.BUSY: reasons_pb2.REASON_BUSY,
    FailureKind.POLICY: reasons_pb2.REASON_POLICY_REFUSED,
    FailureKind.NODE: reasons_pb2.REASON_ENGINE_FAILED,
    FailureKind.CHAIN: reasons_pb2.REASON_CHAIN_UNREACHABLE,
}
# What a hub can be asked for: a whole commit of a repository.
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
BUSY_STATUSES = (408, 409, 425, 429, 503)


class MLNodeError(Exception):
    """An MLNode did not do what it was asked; the text is its own, or says that it could not be reached."""

    def __init__(self, kind: FailureKind, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.kind = kind
        self.status = status

    @property
    def reason(self) -> reasons_pb2.Reason:
        """The word for it in the closed list."""
        return REASON_OF_KIND[self.kind]


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What GET /state says, as far as it decides anything."""

    state: str = "STOPPED"
    model: str = ""
    switching_to: str = ""
    pow_status: str = "NOT_LOADED"
    pow_seed: str = ""
    pow_height: int = 0
    pow_node_id: str = ""
    # Found and not yet taken by a callback.
    nonces_unsent: int = 0
    reason: str = ""


def read_report(body: dict[str, Any]) -> NodeReport:
    """The report out of a body; raises MLNodeError where it is none."""
    if not isinstance(body.get("state"), str):
        raise MLNodeError(FailureKind.NODE, "GET /state gives no state")
    pow_status = body.get("pow_status") or {}
    return NodeReport(
        state=body["state"],
        model=body.get("model") or "",
        switching_to=body.get("switching_to") or "",
        pow_status=str(pow_status.get("status", "NOT_LOADED")),
        pow_seed=str(pow_status.get("block_hash") or "").lower(),
        pow_height=int(pow_status.get("block_height") or 0),
        pow_node_id=str(pow_status.get("node_id") or ""),
        nonces_unsent=int(pow_status.get("nonces_unsent") or 0),
        reason=body.get("reason") or "",
    )


class MLNodeClient:
    """The calls of one MLNode. One connection pool may serve the clients of all nodes."""

    def __init__(
        self, node: NodeConfig, http: httpx2.AsyncClient, *, timeout_s: float, load_timeout_s: float
    ) -> None:
        self.node = node
        self._http = http
        self._timeout_s = timeout_s
        self._load_timeout_s = load_timeout_s

    @property
    def command_timeout_s(self) -> float:
        """The longest wait for a command that loads, or lets running answers end."""
        return self._load_timeout_s

    async def report(self) -> NodeReport:
        """GET /state; raises MLNodeError."""
        return read_report(await self._call("GET", "/state"))

    async def stop(self) -> None:
        """Ends whatever runs."""
        await self._call("POST", "/stop", long=True)

    async def pow_init(self, phase: str, request: dict[str, Any]) -> None:
        """Loads a puzzle and enters the phase, `generate` or `validate`."""
        await self._call("POST", f"/pow/init/{phase}", request, long=True)

    async def pow_stop(self) -> None:
        """Drops the puzzle."""
        await self._call("POST", "/pow/stop", long=True)

    async def pow_validate(self, batch: dict[str, Any]) -> None:
        """Hands over nonces to re-compute; the verdict comes by callback."""
        await self._call("POST", "/pow/validate", batch)

    async def inference_up(
        self, model_id: str, args: tuple[str, ...], hf_repo: str = "", hf_commit: str = ""
    ) -> None:
        """Serves a model; returns when it answers."""
        body = _model_body(model_id, args, hf_repo, hf_commit)
        await self._call("POST", "/inference/up", body, long=True)

    async def inference_prepare(
        self, model_id: str, args: tuple[str, ...], hf_repo: str = "", hf_commit: str = ""
    ) -> bool:
        """Fetches the next model beside what runs; whether it lies in memory, too."""
        body = _model_body(model_id, args, hf_repo, hf_commit)
        answer = await self._call("POST", "/inference/prepare", body, long=True)
        return answer.get("loaded") is True

    async def inference_down(self) -> None:
        """Serves no more; running answers may finish."""
        await self._call("POST", "/inference/down", long=True)

    async def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, long: bool = False
    ) -> dict[str, Any]:
        url = self.node.poc_url + path
        timeout = httpx2.Timeout(self._load_timeout_s if long else self._timeout_s, connect=self._timeout_s)
        try:
            reply = await self._http.request(method, url, json=body, timeout=timeout)
        except httpx2.HTTPError as error:
            text = f"{method} {url}: {type(error).__name__}: {error}".rstrip(": ")
            raise MLNodeError(FailureKind.HOST, text) from error
        if not reply.is_success:
            raise MLNodeError(kind_of(reply.status_code), refusal_text(reply), reply.status_code)
        return _object(reply)


def _model_body(model_id: str, args: tuple[str, ...], hf_repo: str, hf_commit: str) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model_id, "additional_args": list(args)}
    if hf_repo and COMMIT.fullmatch(hf_commit):
        body |= {"hf_repo": hf_repo, "hf_commit": hf_commit}
    return body


def kind_of(status: int) -> FailureKind:
    """Whose failure a status code tells of."""
    if status in BUSY_STATUSES:
        return FailureKind.BUSY
    return FailureKind.NODE if status >= 500 else FailureKind.POLICY


def refusal_text(reply: httpx2.Response) -> str:
    """What an error body says, short."""
    try:
        body = reply.json()
    except ValueError:
        body = reply.text
    if isinstance(body, dict):
        error = body.get("error")
        body = error.get("message") if isinstance(error, dict) else error or body.get("detail") or body
    return f"status {reply.status_code}: {str(body)[:500]}"


def _object(reply: httpx2.Response) -> dict[str, Any]:
    """The body as an object; `null` is an empty one. Raises MLNodeError where it says that it failed."""
    try:
        body = reply.json()
    except ValueError as error:
        raise MLNodeError(FailureKind.NODE, f"the answer is no JSON: {reply.text[:200]}") from error
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise MLNodeError(FailureKind.NODE, f"the answer is no object: {reply.text[:200]}")
    if body.get("status") == "ERROR":
        raise MLNodeError(FailureKind.NODE, str(body.get("message") or "status ERROR"))
    return body
