"""`evergrid gov`: what a proposal would do, before anyone votes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.files import FILE, read_object
from cli.options import LOCAL, shared

if TYPE_CHECKING:
    from cli.session import Session


@click.group()
def gov() -> None:
    """See what a proposal would do."""


@gov.command()
@click.argument("proposal")
@click.option(
    "--state", type=FILE, help="Genesis file that `export` wrote (default: the state of the home's node)."
)
@shared(*LOCAL)
def preview(session: Session, *, proposal: str, state: str | None) -> None:
    """Show what PROPOSAL would change, by the id of one in the state or as a file for submit-proposal.

    Two copies of the state live through the next whole epoch, one with the proposal. The node may run: its
    last block is looked at.
    """
    from abci_app.sim.preview import preview as previewed  # noqa: PLC0415 - brings the chain

    document = read_object(state) if state is not None else _exported(session.home)
    known = int(proposal) if proposal.isdecimal() else 0
    result = previewed(document, _messages(proposal, document), proposal_id=known)
    rows = [vars(each) | {"reward_change": each.reward_new - each.reward} for each in result.changes]
    session.emit({"epoch": result.epoch, "changes": rows}, _text(result.epoch, rows))


def _exported(home: Path) -> dict[str, Any]:
    from cli.export import exported  # noqa: PLC0415 - only without a file

    return exported(home, running=True)


def _messages(proposal: str, document: dict[str, Any]) -> list[Any]:
    from abci_app.sim.preview import proposal_messages  # noqa: PLC0415 - brings the chain
    from cli.tx_gov import proposal_of  # noqa: PLC0415 - only for a file

    if proposal.isdecimal():
        return proposal_messages(document, int(proposal))
    if not Path(proposal).exists():
        raise click.UsageError(f"{proposal} is neither the id of a proposal nor a file")
    return list(proposal_of(read_object(proposal), "").messages)


def _text(epoch: int, rows: list[dict[str, Any]]) -> str:
    from cli.out import table  # noqa: PLC0415 - only for text

    head = f"epoch {epoch}, the first under the proposal, without it and with it (nevg):"
    return f"{head}\n{table(rows, list(rows[0]))}" if rows else f"epoch {epoch}: there are no participants"
