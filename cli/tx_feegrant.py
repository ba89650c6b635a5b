"""`evergrid tx feegrant`: pay the fees of another account, as far as one says, and stop doing so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.options import TX, shared
from cli.send import checked_address, coins, sender, submit
from cli.tx_authz import checked_types, time_ns
from cli.tx_generate import message_command
from client.tx import pack
from protocol.gen.cosmos.feegrant.v1beta1 import feegrant_pb2, tx_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cli.session import Session

PERIOD_MAX_S = 3_155_760_000
PARTIES = 2


def allowance_of(
    spend_limit: str, expires: str, period: int, period_limit: str, types: tuple[str, ...]
) -> Message:
    """The allowance that the options say; raises ClickException where they are no time or no type."""
    basic = feegrant_pb2.BasicAllowance(spend_limit=coins(spend_limit) if spend_limit else [])
    if expires:
        basic.expiration.FromNanoseconds(time_ns("--expiration", expires))
    allowance: Message = basic
    if period:
        periodic = feegrant_pb2.PeriodicAllowance(basic=basic, period_spend_limit=coins(period_limit))
        periodic.period_can_spend.extend(periodic.period_spend_limit)
        periodic.period.FromSeconds(period)
        allowance = periodic
    if types:
        return feegrant_pb2.AllowedMsgAllowance(
            allowance=pack(allowance), allowed_messages=checked_types(types)
        )
    return allowance


@click.group()
def feegrant() -> None:
    """Pay the fees of another account."""


def parties(session: Session, words: tuple[str, ...]) -> tuple[str, str]:
    """Addresses of the granter, which signs, and of the grantee; raises UsageError."""
    if len(words) > PARTIES:
        raise click.UsageError("give GRANTER and GRANTEE, or GRANTEE with --from")
    if len(words) == PARTIES:
        session.values["from"] = words[0]
    return sender(session), checked_address(words[-1])


@feegrant.command()
@click.argument("words", nargs=-1, required=True, metavar="[GRANTER] GRANTEE")
@click.option("--spend-limit", metavar="COINS", default="", help="At most this in all (default: any amount).")
@click.option(
    "--expiration",
    metavar="TIME",
    default="",
    help="Last moment, such as 2030-01-31T00:00:00Z (default: it has no end).",
)
@click.option("--period", type=click.IntRange(1, PERIOD_MAX_S), metavar="SECONDS", help="Length of a period.")
@click.option("--period-limit", metavar="COINS", default="", help="At most this in each period.")
@click.option(
    "--allowed-messages",
    metavar="TYPES",
    default="",
    help="Types of messages, separated by commas, that it pays for (default: all).",
)
@shared(*TX)
def grant(
    session: Session,
    words: tuple[str, ...],
    *,
    spend_limit: str,
    expiration: str,
    period: int | None,
    period_limit: str,
    allowed_messages: str,
) -> None:
    """Pay GRANTEE's fees: it names this account with --fee-granter, and needs no coins of its own.

    GRANTER is a key's name or address, as with --from.
    Without a limit GRANTEE can spend all that this account has, by offering fees as high as it likes.
    """
    if (period is None) != (not period_limit):
        raise click.UsageError("--period and --period-limit go together")
    types = tuple(each.strip() for each in allowed_messages.split(",") if each.strip())
    allowance = allowance_of(spend_limit, expiration, period or 0, period_limit, types)
    granter, grantee = parties(session, words)
    submit(
        session,
        [tx_pb2.MsgGrantAllowance(granter=granter, grantee=grantee, allowance=pack(allowance))],
    )


@feegrant.command()
@click.argument("words", nargs=-1, required=True, metavar="[GRANTER] GRANTEE")
@shared(*TX)
def revoke(session: Session, words: tuple[str, ...]) -> None:
    """Pay GRANTEE's fees no more."""
    granter, grantee = parties(session, words)
    submit(session, [tx_pb2.MsgRevokeAllowance(granter=granter, grantee=grantee)])


feegrant.add_command(
    message_command(
        "prune", "cosmos.feegrant.v1beta1.MsgPruneAllowances", "Remove allowances that have expired."
    )
)
