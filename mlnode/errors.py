"""Refusals that reach the client as a status and a sentence."""

from __future__ import annotations

from mlnode.supervisor import ComputeError

STATUS_OF_KIND = {"invalid": 400, "full": 429, "unavailable": 503, "down": 503, "failed": 500, "timeout": 504}
RETRY_AFTER_S = {"full": 1, "unavailable": 5, "down": 5}


class RefusedError(Exception):
    """A request that cannot be served; `retry_after_s` if it may be served later."""

    def __init__(
        self, status: int, message: str, *, code: str = "", retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}

    @classmethod
    def of(cls, error: ComputeError) -> RefusedError:
        return cls(
            STATUS_OF_KIND[error.kind],
            error.message,
            code=error.kind,
            retry_after_s=RETRY_AFTER_S.get(error.kind),
        )
