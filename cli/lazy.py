"""Groups that name their commands without importing them: `--help` costs no more than click itself."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Mapping


class LazyGroup(click.Group):
    """A group of commands given as name -> ("module:attribute", one line of help); used ones are imported."""

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands and cmd_name in self.lazy:
            self.add_command(self.load(cmd_name), cmd_name)
        return super().get_command(ctx, cmd_name)

    def load(self, name: str) -> click.Command:
        """The command behind a name; raises ImportError when a package that it needs is not installed."""
        module, _, attribute = self.lazy[name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        _keep_lines(command)
        return command

    def rows(self) -> list[tuple[str, str]]:
        """Name and one line of help of each visible command."""
        eager = [
            (name, command.get_short_help_str(80))
            for name, command in sorted(self.commands.items())
            if name not in self.lazy and not command.hidden
        ]
        return [(name, text) for name, (_, text) in self.lazy.items() if text] + eager

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        if rows := self.rows():
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [CompletionItem(name, help=text) for name, text in self.rows() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)


def _keep_lines(command: click.Command) -> None:
    r"""Makes of a line `\b` in helps, which are raw text, the character by which click keeps line breaks."""
    command.help = (command.help or "").replace("\\b\n", "\b\n") or None
    for inner in getattr(command, "commands", {}).values():
        _keep_lines(inner)
