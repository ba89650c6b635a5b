"""Writes the reference of all commands: `evergrid docs docs/reference`."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.elsewhere import ELSEWHERE
from cli.lazy import LazyGroup
from cli.options import LOCAL, SHARED, TX, shared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.session import Session

INDEX = "README.md"
HEAD = """# Command line

Made by `evergrid docs docs/reference`; a test compares. A page for each command, with all that is below it.

Every command understands `--help` and `--output json`. An option counts before its environment variable, then
`HOME/config/client.toml`, then the default. `evergrid completion bash|zsh|fish` prints the script that
completes commands.
"""
CODES = """## Exit codes

An error is one sentence on the standard error output that names all that is wrong. `EVERGRID_DEBUG=1` adds a
traceback.

| Code | |
| --- | --- |
| 0 | done |
| 1 | refused, failed, or no answer |
| 2 | the command line is at fault. `doctor`: errors (1: warnings). `mlnode certify`: a mismatch alone |
| 3 | `node`: not now, try again later. `verify`: proved to be absent |
| 4 | `verify`: the proof or the header was refused |
| 130 | `demo`: interrupted, every process was stopped |
"""
ENVIRONMENT = """## Environment

Options whose text ends in `[env NAME]` are taken from there. Besides:

| Variable | |
| --- | --- |
| `EVERGRID_DEBUG` | `1`: an error comes with its traceback |
| `EVERGRID_COMETBFT` | the binary of CometBFT (default: that of the set-up, then of `PATH`) |
| `EVERGRID_CHAIN_...` | settings of `start`, before those of app.toml |
| `EVERGRID_API_...`, `EVERGRID_MLNODE_...` | settings of `api start` and `mlnode start` |
"""


def instead() -> list[str]:
    """A table of what other command lines have and this one has not."""
    rows = [f"| `{words}` | {text} |" for words, text in ELSEWHERE.items()]
    return [
        "## Known from Cosmos SDK binaries, and not here",
        "",
        "| Command | Instead |",
        "| --- | --- |",
        *rows,
        "",
    ]


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


def body(command: click.Command, ctx: click.Context) -> list[str]:
    """What the reference says of one command; options that many share are said once, on the index."""
    lines = [examples(inspect.cleandoc(command.help or "")), ""]
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


def pages(root: click.Group) -> dict[str, str]:
    """The reference by file name: an index, and a page for each command at the top."""
    ctx = click.Context(root, info_name="evergrid", max_content_width=110, terminal_width=110)
    made: dict[str, list[str]] = {}
    rows = []
    for command, inner in walk(root, ctx):
        if inner.parent is ctx:
            made[page := f"evergrid-{inner.info_name}.md"] = [f"# evergrid {inner.info_name}", ""]
            rows.append(
                f"| [evergrid {inner.info_name}]({page}) | {_cell(command.get_short_help_str(110))} |"
            )
            made[page] += body(command, inner)
        else:
            made[page] += [f"## {inner.command_path}", "", *body(command, inner)]
    index = [HEAD, "| Command | |", "| --- | --- |", *rows, "", CODES]
    index += [ENVIRONMENT, *instead()]
    index += ["## Options of transactions", "", *shared_table(TX), ""]
    index += ["## Options of queries", "", *shared_table(("height", "node"))]
    return {name: "\n".join(lines).rstrip() + "\n" for name, lines in {INDEX: index, **made}.items()}


@click.command(hidden=True)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@shared(*LOCAL)
def docs(session: Session, folder: Path) -> None:
    """Write the reference of all commands into FOLDER, in Markdown."""
    root = click.get_current_context().find_root().command
    assert isinstance(root, click.Group)
    made = pages(root)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("evergrid-*.md"):
        old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
    session.emit({"folder": str(folder), "pages": sorted(made)})
