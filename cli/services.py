"""`evergrid api` and `evergrid mlnode`: the services beside the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.lazy import LazyGroup
from cli.options import LOCAL, shared

if TYPE_CHECKING:
    from cli.session import Session

API = {
    "start": ("cli.api_start:start", "Run an API node until it is told to stop."),
    "status": ("cli.api_status:status", "Show what a running API node and its MLNodes do, and why."),
}
MLNODE = {
    "start": ("cli.mlnode_start:start", "Run an MLNode until it is told to stop."),
    "certify": ("cli.certify:certify", "Check this machine against golden vectors, and measure it."),
    "nonces": ("cli.services:nonces", "Compute claims of nonces, to compare implementations."),
}


@click.group(cls=LazyGroup, lazy=API)
def api() -> None:
    """Run an API node, or look at one."""


@click.group(cls=LazyGroup, lazy=MLNODE)
def mlnode() -> None:
    """Run an MLNode, or compute nonces."""


@click.command()
@click.option("--preset", required=True, help="Size of the puzzle, such as tiny or small.")
@click.option("--seed", required=True, metavar="HEX", help="Seed of the stage, 32 bytes.")
@click.option("--public-key", required=True, metavar="HEX", help="Public key of the participant, 33 bytes.")
@click.option("--node-id", required=True, help="Id of the node.")
@click.option("--first", type=int, default=0, show_default=True, help="First nonce.")
@click.option("--count", type=int, default=1, show_default=True, help="How many nonces.")
@click.option("--device", default="cpu", show_default=True, help="Where to compute: cpu or cuda.")
@click.option("--dtype", help="Number format (default: the preset's).")
@click.option("--threads", type=int, default=1, show_default=True, help="Threads of torch.")
@click.option("--json", "as_json", is_flag=True, help="The same as --output json.")
@shared(*LOCAL)
def nonces(
    session: Session,
    *,
    preset: str,
    seed: str,
    public_key: str,
    node_id: str,
    first: int,
    count: int,
    device: str,
    dtype: str | None,
    threads: int,
    as_json: bool,
) -> None:
    """Compute the claims of the nonces FIRST to FIRST + COUNT - 1, as {"claims": [...]}."""
    from mlnode.nonces import nonces_command  # noqa: PLC0415 - brings torch when it runs

    found = nonces_command(
        preset=preset,
        seed=seed,
        public_key=public_key,
        node_id=node_id,
        first=first,
        count=count,
        device=device,
        dtype=dtype,
        threads=threads,
    )
    if as_json:
        session.values["output"] = "json"
    claims = found["claims"]
    session.emit(found, "\n".join(f"{first + i}\t{claim}" for i, claim in enumerate(claims)))
