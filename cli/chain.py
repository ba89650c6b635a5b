"""What CometBFT itself answers: status, blocks, transactions."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

import click

from cli.options import CHAIN, Seconds, shared

if TYPE_CHECKING:
    from cli.session import Session

_HASH = re.compile(r"(?:0[xX])?([0-9a-fA-F]{64})", re.ASCII)
_HEIGHT = re.compile(r"[0-9]{1,18}", re.ASCII)


def hash_of(text: str) -> str:
    """A transaction's or block's hash in upper-case hex; raises UsageError."""
    match = _HASH.fullmatch(text)
    if not match:
        raise click.UsageError(f"{text!r} is no hash of 64 hex digits")
    return match[1].upper()


def _call(session: Session, method: str, **params: Any) -> dict[str, Any]:
    from client.chain import Rpc  # noqa: PLC0415 - costs more than click itself

    with session.client as client:
        return client.call(Rpc.call(method, **params))


@click.command()
@shared(*CHAIN)
def status(session: Session) -> None:
    """Show what a node knows of itself and of the chain."""
    session.emit(_call(session, "status"))


@click.command(name="tx")
@click.argument("tx_hash", metavar="HASH")
@shared(*CHAIN)
def query_tx(session: Session, tx_hash: str) -> None:
    """A transaction in a block, by its hash."""
    digest = hash_of(tx_hash)
    from cli.reply import found_json  # noqa: PLC0415 - brings protobuf
    from client.chain import ChainError  # noqa: PLC0415

    try:
        found = _call(session, "tx", hash=base64.b64encode(bytes.fromhex(digest)).decode(), prove=False)
    except ChainError as error:
        if "not found" in str(error):
            raise click.ClickException(f"transaction {digest} is in no block") from error
        raise
    session.emit(found_json(found))


@click.command(name="wait-tx")
@click.argument("tx_hash", metavar="HASH")
@click.option(
    "--timeout",
    "timeout_s",
    type=Seconds(0.1, 86_400),
    default="15s",
    show_default=True,
    metavar="TIME",
    help="For how long.",
)
@shared(*CHAIN)
def wait_tx(session: Session, tx_hash: str, timeout_s: float) -> None:
    """Wait until a transaction is in a block; fails where it failed there, or where none comes in time."""
    from cli.send import outcome  # noqa: PLC0415 - brings protobuf

    digest = hash_of(tx_hash)
    with session.client as client:
        outcome(session, client.wait_tx(digest, timeout_s))


@click.command(name="txs")
@click.option(
    "--query", "text", required=True, help="Such as \"message.action='/cosmos.bank.v1beta1.MsgSend'\"."
)
@click.option("--page", type=click.IntRange(1), default=1, show_default=True)
@click.option("--limit", type=click.IntRange(1, 100), default=30, show_default=True)
@shared(*CHAIN)
def query_txs(session: Session, text: str, page: int, limit: int) -> None:
    """Transactions by their events, in CometBFT's query language."""
    from cli.out import table  # noqa: PLC0415 - only when it is used
    from cli.reply import found_json  # noqa: PLC0415

    found = _call(
        session, "tx_search", query=text, prove=False, page=str(page), per_page=str(limit), order_by="asc"
    )
    txs = [found_json(each) for each in found.get("txs") or []]
    rows = [{name: tx[name] for name in ("height", "txhash", "code", "gas_used", "raw_log")} for tx in txs]
    total = int(found.get("total_count", len(txs)))
    shown = {"total_count": str(total), "page_number": str(page), "limit": str(limit), "txs": txs}
    session.emit(shown, f"{table(rows)}\ntotal {total}" if rows else "no txs")


@click.command(name="block")
@click.argument("block", required=False, metavar="[HEIGHT|HASH]")
@shared(*CHAIN)
def query_block(session: Session, block: str | None) -> None:
    """A block by its height or hash; the latest without either."""
    if block is None:
        return session.emit(_call(session, "block"))
    if _HEIGHT.fullmatch(block):
        return session.emit(_call(session, "block", height=block))
    digest = base64.b64encode(bytes.fromhex(hash_of(block))).decode()
    found = _call(session, "block_by_hash", hash=digest)
    if found.get("block") is None:
        raise click.ClickException(f"no block has the hash {block}")
    return session.emit(found)


@click.command(name="block-results")
@click.argument("height", required=False)
@shared(*CHAIN)
def query_block_results(session: Session, height: str | None) -> None:
    """What the transactions and the end of a block did; of the latest without a height."""
    if height is not None and not _HEIGHT.fullmatch(height):
        raise click.UsageError(f"{height!r} is no height")
    params = {} if height is None else {"height": height}
    session.emit(_call(session, "block_results", **params))
