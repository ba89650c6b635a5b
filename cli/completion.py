"""`evergrid completion`: the script that completes commands in a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.options import LOCAL, shared

if TYPE_CHECKING:
    from cli.session import Session


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@shared(*LOCAL)
def completion(session: Session, shell: str) -> None:
    """Print the script that completes commands in SHELL.

    bash: source <(evergrid completion bash); zsh: the same; fish: evergrid completion fish | source
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - only here

    kind = get_completion_class(shell)
    assert kind is not None
    root = click.get_current_context().find_root()
    values = kind(root.command, {}, "evergrid", "_EVERGRID_COMPLETE").source_vars()
    script = kind.source_template % values
    session.emit({"shell": shell, "script": script}, script)
