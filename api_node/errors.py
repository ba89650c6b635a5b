"""Refusals that reach a client: a status, a sentence, a reason of the closed list; OpenAI's form."""

from __future__ import annotations

from typing import Any

from api_node.breaker import Failure
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

REASON_OF_FAILURE = {
    Failure.BUSY: reasons_pb2.REASON_BUSY,
    Failure.UNREACHABLE: reasons_pb2.REASON_UNREACHABLE,
    Failure.FAILED: reasons_pb2.REASON_ENGINE_FAILED,
    Failure.REFUSED: reasons_pb2.REASON_POLICY_REFUSED,
}
TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class ApiError(Exception):
    """A request that cannot be served; `retry_after_s` if it may be served later."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        reason: reasons_pb2.Reason = reasons_pb2.REASON_UNSPECIFIED,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        word = reasons_pb2.Reason.Name(reason).removeprefix("REASON_").lower()
        self.reason = "" if word == "unspecified" else word
        # No refusal is without a word: what the client has to mend is `invalid` where nothing says more.
        self.code = code or self.reason or ("invalid" if status in {400, 413, 422} else "")
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """What goes with the answer."""
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}

    @property
    def body(self) -> dict[str, Any]:
        """The error object that OpenAI's clients read."""
        return error_body(self.status, self.message, self.code)


class ExecutorFailedError(ApiError):
    """An executor did not answer, for a reason that is not the request's: another one may."""

    def __init__(self, failure: Failure, message: str) -> None:
        status = 502 if failure in {Failure.UNREACHABLE, Failure.REFUSED} else 503
        super().__init__(status, message, reason=REASON_OF_FAILURE[failure], retry_after_s=2)
        self.failure = failure


def error_body(status: int, message: str, code: str = "") -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code or None}}


def unavailable(message: str, reason: reasons_pb2.Reason, retry_after_s: int = 2) -> ApiError:
    """Nobody can serve it now; later perhaps."""
    return ApiError(503, message, reason=reason, retry_after_s=retry_after_s)
