"""Every failure ends as one sentence on stderr and an exit code: 1, or 2 for a wrong command line."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any

import click

from cli.lazy import LazyGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_FAILED = 1
EXIT_USAGE = 2

_GRPC = re.compile(r"^(?:rpc error: )?code = \w+ desc = ")
_GRPC_TAIL = re.compile(r": (?:key not found|invalid request|unknown request|unauthorized)$")


def sentence(text: str) -> str:
    """A text on one line, without the wrapping in which the chain sends a query's error."""
    line = " ".join(text.split())
    bare, wrapped = _GRPC.subn("", line)
    return _GRPC_TAIL.sub("", bare) if wrapped else line


def explain(error: BaseException) -> tuple[str, int]:
    """What to say of an error, and the exit code."""
    if isinstance(error, click.NoSuchCommand) and error.ctx is not None:
        from cli.elsewhere import instead_of  # noqa: PLC0415 - only for what is not there

        instead = instead_of(error.ctx.command_path, str(error.command_name))
        if instead:
            return f"there is no command {error.command_name!r}: {instead}", EXIT_USAGE
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "evergrid"
        return f"{sentence(error.format_message()).rstrip('.')} (see '{path} --help')", EXIT_USAGE
    if isinstance(error, click.ClickException):
        return sentence(error.format_message()), error.exit_code
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return "aborted, nothing was done", EXIT_FAILED
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}", EXIT_FAILED
    if isinstance(error, ImportError) and _is_foreign(error):
        text = f"this command needs the Python package {error.name!r}, which is not installed"
        return f"{text}; the extra 'mlnode' brings what MLNodes need", EXIT_FAILED
    if isinstance(error, ValueError | OSError) or type(error).__module__ == "client.chain":
        return sentence(str(error)) or type(error).__name__, EXIT_FAILED
    hint = "" if debugging() else " (EVERGRID_DEBUG=1 shows where)"
    return f"internal error: {type(error).__name__}: {sentence(str(error))}{hint}", EXIT_FAILED


def _is_foreign(error: ImportError) -> bool:
    package = (error.name or "").partition(".")[0]
    return package not in {"", "abci_app", "api_node", "cli", "client", "mlnode", "protocol"}


def debugging() -> bool:
    """Whether errors come with their traceback."""
    return os.environ.get("EVERGRID_DEBUG", "") not in {"", "0"}


class Root(LazyGroup):
    """The group at the root: it alone turns exceptions into a sentence and an exit code."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        options["standalone_mode"] = False
        try:
            code = super().main(args, *rest, **options)
        except BaseException as error:
            if isinstance(error, SystemExit):
                raise
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                # Whoever read our output has seen enough; the interpreter must not complain at its end.
                sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
                sys.exit(EXIT_FAILED)
            if isinstance(error, click.exceptions.NoArgsIsHelpError):
                error.show()
                sys.exit(EXIT_USAGE)
            if debugging():
                traceback.print_exc()
            text, code = explain(error)
            click.echo(f"Error: {text}", err=True)
        sys.exit(code if isinstance(code, int) else 0)
