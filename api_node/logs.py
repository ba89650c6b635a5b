"""How the API node writes its log, and what never stands in it or in an answer: secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

import structlog

from api_node.timeline import REMOVED, without_secrets

# So many words of a word list in a row are no sentence.
_WORDS = re.compile(r"\b[a-z]{3,8}(?:\s+[a-z]{3,8}){11,}\b")
_SECRET_NAME = re.compile(
    r"(?i)(?:^|_)(?:token|secret|password|passphrase|mnemonic|api_?key|private_?key|authorization)$"
)


def clean(value: Any, secrets: Iterable[str] = ()) -> Any:
    """A value without secrets: the known ones, what looks like one, and what stands under such a name."""
    known = [secret for secret in secrets if secret]
    if isinstance(value, str):
        return _WORDS.sub(REMOVED, without_secrets(value, known))
    if isinstance(value, dict):
        return {
            name: REMOVED if each and isinstance(each, str) and _is_secret(name) else clean(each, known)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [clean(each, known) for each in value]
    return value


def _is_secret(name: object) -> bool:
    return isinstance(name, str) and _SECRET_NAME.search(name) is not None


class CleanFormatter(logging.Formatter):
    """What libraries log, tracebacks included, without secrets."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__(logging.BASIC_FORMAT)
        self._secrets = list(secrets)

    def format(self, record: logging.LogRecord) -> str:
        return str(clean(super().format(record), self._secrets))


def _configure_libraries(level: int, secrets: Iterable[str], out: TextIO) -> None:
    """The standard logger, through which libraries speak; what an earlier call set is replaced."""
    root, handler = logging.getLogger(), logging.StreamHandler(out)
    for former in [each for each in root.handlers if isinstance(each.formatter, CleanFormatter)]:
        root.removeHandler(former)
    handler.setFormatter(CleanFormatter(secrets))
    root.addHandler(handler)
    root.setLevel(level)


def configure_logging(
    level: str = "info", form: str = "console", secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Logs to standard error, from this level on, as lines for a person or as JSON, without secrets."""
    number = logging.getLevelNamesMapping()[level.upper()]
    out, known = stream or sys.stderr, list(secrets)
    # Below a warning libraries have nothing to say to an operator.
    _configure_libraries(max(number, logging.WARNING), known, out)

    def without(
        _logger: object, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        cleaned: dict[str, Any] = clean(dict(event), known)
        return cleaned

    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer(default=str)
    if form == "console":
        formatter = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=formatter)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            without,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(out),
    )
