"""`evergrid demo`: two participants with three MLNodes through whole epochs, all of it checked."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from cli.options import shared

if TYPE_CHECKING:
    from cli.session import Session

CACHE = Path(__file__).resolve().parents[1] / ".cache"
EXIT_BROKEN = 1
EXIT_INTERRUPTED = 130


# Its base, passing through an exec (each import of a dataclass is one), makes `python -m` end by SIGINT
# instead of with the exit code, however it is caught.
class Interrupted(KeyboardInterrupt):
    """The demo was asked to end."""


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Handles a signal; raises Interrupted."""
    raise Interrupted


@click.command()
@click.option(
    "--epochs",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    help="Full epochs with weight to show.",
)
@click.option("--keep", is_flag=True, help="Leave the network running at the end and print its addresses.")
@click.option("--plain", is_flag=True, help="Lines instead of a live view, as where there is no terminal.")
@shared("home", home="a fresh folder in .cache/demo of the checkout")
def demo(session: Session, *, epochs: int, keep: bool, plain: bool) -> None:
    """Run a network of two participants and three MLNodes through whole epochs, and check all that it shows.

    The exit code is 0 only if every promise was kept; Ctrl-C stops every process.
    """
    from cli import demo_stage  # noqa: PLC0415 - brings the whole chain

    given = session.values.get("home")
    home = Path(given).expanduser().absolute() if given else demo_stage.fresh_home(CACHE / "demo")
    # A polite end is an interruption too; and a shell's background job would ignore SIGINT otherwise.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        kept = demo_stage.play(home, CACHE / "models", epochs=epochs, keep=keep, plain=plain)
    except KeyboardInterrupt:
        click.echo("interrupted; every process was stopped", err=True)
        raise SystemExit(EXIT_INTERRUPTED) from None
    if not kept:
        raise SystemExit(EXIT_BROKEN)
