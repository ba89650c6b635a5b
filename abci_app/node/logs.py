"""How the node's processes write their logs."""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logging(level: str = "info", form: str = "console") -> None:
    """Logs to standard error, from this level on, as lines for a person or as JSON."""
    number = logging.getLevelNamesMapping()[level.upper()]
    # Libraries speak through the standard logger; below a warning they have nothing to say to an operator.
    logging.basicConfig(stream=sys.stderr, level=max(number, logging.WARNING))
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if form == "json":
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        colors = sys.stderr.isatty()
        processors.append(
            structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
        )
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
