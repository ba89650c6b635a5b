"""Writes the reference of all commands: `evergrid docs > docs/cli.md`."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import click

from cli.lazy import LazyGroup
from cli.options import LOCAL, SHARED, TX, shared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.session import Session

HEAD = """# Command line

Made by `evergrid docs > docs/cli.md`; a test compares.

Every command understands `--help` and `--output json`. An option counts before its environment variable, then
`HOME/config/client.toml`, then the default. An error is one sentence on the standard error output; the exit
code is 1, or 2 where the command line is at fault. `EVERGRID_DEBUG=1` adds a traceback.
`evergrid completion bash|zsh|fish` prints the script that completes commands.
"""


def walk(group: click.Group, ctx: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Every command that is listed, groups before their commands."""
    names = [name for name, _ in group.rows()] if isinstance(group, LazyGroup) else sorted(group.commands)
    for name in names:
        command = group.get_command(ctx, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=ctx, max_content_width=110, terminal_width=110)
        yield command, inner
        if isinstance(command, click.Group):
            yield from walk(command, inner)


def shared_table(names: tuple[str, ...]) -> list[str]:
    """A table of shared options."""
    rows = [(", ".join(f"`{flag}`" for flag in SHARED[name].flags[:-1]), SHARED[name].help) for name in names]
    return ["| option | |", "| --- | --- |", *(f"| {flags} | {text} |" for flags, text in rows)]


def examples(text: str) -> str:
    """A help's text in Markdown: paragraphs whose lines are kept are code."""
    return re.sub(
        r"^\x08\n((?:.+\n?)+)", lambda found: f"```\n{found[1].rstrip()}\n```\n", text, flags=re.MULTILINE
    )


def section(command: click.Command, ctx: click.Context) -> list[str]:
    """What the reference says of one command; options that many share are said once, at the top."""
    lines = [f"## {ctx.command_path}" if isinstance(command, click.Group) else f"### {ctx.command_path}", ""]
    lines += [examples(inspect.cleandoc(command.help or "")), ""]
    if isinstance(command, click.Group):
        return lines
    usage = " ".join(command.collect_usage_pieces(ctx))
    lines += ["```", f"{ctx.command_path} {usage}".rstrip(), "```", ""]
    rows = [
        (record[0], record[1])
        for param in command.params
        if isinstance(param, click.Option)
        and not _is_shared(param)
        and (record := param.get_help_record(ctx))
    ]
    if rows:
        lines += ["| option | |", "| --- | --- |", *(f"| `{_cell(a)}` | {_cell(b)} |" for a, b in rows), ""]
    return lines


def _is_shared(param: click.Option) -> bool:
    entry = SHARED.get(param.name or "")
    return entry is not None and entry.help == param.help


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def reference(root: click.Group) -> str:
    """The whole document."""
    ctx = click.Context(root, info_name="evergrid", max_content_width=110, terminal_width=110)
    lines = [HEAD, "## Options of transactions", "", *shared_table(TX), ""]
    lines += ["## Options of queries", "", *shared_table(("height", "node")), ""]
    for command, inner in walk(root, ctx):
        lines += section(command, inner)
    return "\n".join(lines).rstrip() + "\n"


@click.command(hidden=True)
@shared(*LOCAL)
def docs(session: Session) -> None:
    """Print the reference of all commands in Markdown."""
    root = click.get_current_context().find_root().command
    assert isinstance(root, click.Group)
    text = reference(root)
    session.emit({"markdown": text}, text)
