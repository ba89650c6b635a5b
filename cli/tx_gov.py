"""`evergrid tx gov`: proposals, deposits, votes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from cli.files import FILE, read_object
from cli.options import TX, shared
from cli.send import coins, sender, submit
from client.amounts import AmountError
from client.registry import MessageError, typed_message
from client.tx import pack
from protocol.address import module_account
from protocol.gen.cosmos.gov.v1 import gov_pb2, query_pb2, tx_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from cli.session import Session
    from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin

OPTIONS = {
    "yes": gov_pb2.VOTE_OPTION_YES,
    "abstain": gov_pb2.VOTE_OPTION_ABSTAIN,
    "no": gov_pb2.VOTE_OPTION_NO,
    "no_with_veto": gov_pb2.VOTE_OPTION_NO_WITH_VETO,
}
PROPOSAL_FIELDS = {"messages", "metadata", "deposit", "title", "summary", "expedited"}
_WEIGHT = re.compile(r"(0|1)?(\.[0-9]{1,18})?(?<=[0-9])", re.ASCII)
_ID = click.IntRange(1, (1 << 64) - 1)


@click.group()
def gov() -> None:
    """Propose, fund, vote."""


def propose(
    session: Session, messages: Sequence[Message], texts: dict[str, str | None], *, title: str, summary: str
) -> None:
    """Submits a proposal; without a deposit among the texts it brings the least that opens a vote."""
    proposer = sender(session)
    deposit = texts["deposit"]
    proposal = tx_pb2.MsgSubmitProposal(
        messages=[pack(message) for message in messages],
        initial_deposit=coins(deposit) if deposit else minimum_deposit(session),
        proposer=proposer,
        metadata=texts["metadata"] or "",
        title=texts["title"] or title,
        summary=texts["summary"] or summary,
    )
    submit(session, [proposal])


def minimum_deposit(session: Session) -> list[Coin]:
    """The deposit from which on a proposal is voted on."""
    answer = session.client.query(query_pb2.QueryParamsRequest(), query_pb2.QueryParamsResponse)
    return list(answer.params.min_deposit)


def proposal_of(fields: dict[str, Any], proposer: str) -> tx_pb2.MsgSubmitProposal:
    """The proposal that a file describes; raises MessageError that names all that is wrong."""
    wrong = [f"unknown field {name!r}" for name in sorted(set(fields) - PROPOSAL_FIELDS)]
    wrong += [
        f"{name} must be text"
        for name in ("metadata", "deposit", "title", "summary")
        if not _is_text(fields, name)
    ]
    wrong += [f"{name} is missing" for name in ("title", "summary") if not fields.get(name)]
    if not isinstance(fields.get("messages", []), list):
        wrong.append("messages must be a list")
    if not isinstance(fields.get("expedited", False), bool):
        wrong.append("expedited must be true or false")
    if fields.get("deposit") and _is_text(fields, "deposit"):
        try:
            coins(fields["deposit"])
        except AmountError as error:
            wrong.append(f"deposit: {error}")
    if wrong:
        raise MessageError(f"the proposal cannot be read: {'; '.join(wrong)}")
    return tx_pb2.MsgSubmitProposal(
        messages=[pack(_by_governance(typed_message(each))) for each in fields.get("messages", [])],
        initial_deposit=coins(fields["deposit"]) if fields.get("deposit") else [],
        proposer=proposer,
        metadata=fields.get("metadata", ""),
        title=fields["title"],
        summary=fields["summary"],
        expedited=fields.get("expedited", False),
    )


def _by_governance(message: Message) -> Message:
    """The message, signed by governance where the file leaves open who signs it."""
    if not getattr(message, "authority", "given"):
        message.authority = module_account("gov")  # type: ignore[attr-defined]
    return message


def _is_text(fields: dict[str, Any], name: str) -> bool:
    return isinstance(fields.get(name, ""), str)


@gov.command()
@click.argument("file", type=FILE)
@shared(*TX)
def submit_proposal(session: Session, file: str) -> None:
    """Submit the proposal in FILE.

    FILE is a JSON object of messages (each with "@type"), title, summary, deposit (such as "10000000nevg"),
    metadata and expedited. A message without "authority" gets that of governance.
    """
    submit(session, [proposal_of(read_object(file), sender(session))])


@gov.command()
@click.argument("proposal_id", type=_ID)
@click.argument("option", type=click.Choice([*OPTIONS, "no-with-veto"], case_sensitive=False))
@click.option("--metadata", default="", help="A note to the vote.")
@shared(*TX)
def vote(session: Session, proposal_id: int, option: str, metadata: str) -> None:
    """Vote on a proposal."""
    choice = OPTIONS[option.lower().replace("-", "_")]
    message = tx_pb2.MsgVote(proposal_id=proposal_id, voter=sender(session), option=choice, metadata=metadata)
    submit(session, [message])


@gov.command()
@click.argument("proposal_id", type=_ID)
@click.argument("amount")
@shared(*TX)
def deposit(session: Session, proposal_id: int, amount: str) -> None:
    """Add AMOUNT, such as 10000000nevg, to a proposal's deposit."""
    message = tx_pb2.MsgDeposit(proposal_id=proposal_id, depositor=sender(session), amount=coins(amount))
    submit(session, [message])


@gov.command()
@click.argument("proposal_id", type=_ID)
@click.argument("options", metavar="OPTION=WEIGHT,...")
@click.option("--metadata", default="", help="A note to the vote.")
@shared(*TX)
def weighted_vote(session: Session, proposal_id: int, options: str, metadata: str) -> None:
    """Vote on a proposal with parts of one's power, such as yes=0.6,abstain=0.4."""
    chosen = [weighted(each) for each in options.split(",")]
    voter = sender(session)
    message = tx_pb2.MsgVoteWeighted(proposal_id=proposal_id, voter=voter, options=chosen, metadata=metadata)
    submit(session, [message])


def weighted(text: str) -> gov_pb2.WeightedVoteOption:
    """One part of a vote; raises UsageError. What the parts sum up to is the chain's to judge."""
    name, _, weight = text.strip().partition("=")
    option = OPTIONS.get(name.lower().replace("-", "_"))
    if option is None or not _WEIGHT.fullmatch(weight):
        raise click.UsageError(
            f"{text!r} is no OPTION=WEIGHT: {', '.join(OPTIONS)}, and a weight such as 0.6"
        )
    return gov_pb2.WeightedVoteOption(option=option, weight=weight)


@gov.command()
@click.argument("proposal_id", type=_ID)
@shared(*TX)
def cancel_proposal(session: Session, proposal_id: int) -> None:
    """Withdraw one's own proposal, for a part of its deposit."""
    submit(session, [tx_pb2.MsgCancelProposal(proposal_id=proposal_id, proposer=sender(session))])
