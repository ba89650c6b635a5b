"""`evergrid explain`: why the chain decided as it did, rule by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.options import QUERY, shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.session import Session
    from client.chain import ChainClient
    from protocol.gen.evergrid.explain.v1.explain_pb2 import Explanation

EPOCH = click.option("--epoch", type=click.IntRange(0), help="Of this epoch instead of the latest.")
PARTICIPANT = click.argument("participant")
NODE = click.argument("node_id", metavar="[NODE]", required=False, default="")


@click.group()
def explain() -> None:
    """Say why: each rule in its order, with its numbers and where they stand in the state."""


def who(session: Session, text: str) -> str:
    """The address of a participant, given as such or by the name of a key of ours."""
    from cli.send import checked_address  # noqa: PLC0415 - brings protobuf
    from client.keyring import KeyringError  # noqa: PLC0415

    try:
        return session.keyring().show(text).address
    except KeyringError:
        return checked_address(text)


def answer(client: ChainClient, session: Session, request: Any) -> list[Explanation]:
    """What the chain explains; raises ChainError with its reason for not doing so."""
    from protocol.gen.evergrid.explain.v1 import explain_pb2 as pb  # noqa: PLC0415 - brings protobuf

    height = int(session.get("height") or 0)
    return list(client.query(request, pb.QueryExplainResponse, height).explanations)


def latest(client: ChainClient, session: Session, subject: str) -> int:
    """The epoch that one most likely asks for: slots of the PoC that runs, else what is decided last."""
    from protocol.gen.evergrid.epochs.v1 import epochs_pb2  # noqa: PLC0415 - brings protobuf

    height = int(session.get("height") or 0)
    info = client.query(epochs_pb2.QueryEpochInfoRequest(), epochs_pb2.QueryEpochInfoResponse, height)
    effective = int(info.state.epoch_effective)
    if subject == "slot" and info.HasField("upcoming"):
        return int(info.upcoming.index)
    if subject == "reward":
        return max(0, effective - 1)
    return effective


def _show(session: Session, subject: str, participant: str, node_id: str, epoch: int | None) -> None:
    from client.registry import to_json  # noqa: PLC0415 - brings protobuf
    from protocol.gen.evergrid.explain.v1 import explain_pb2 as pb  # noqa: PLC0415

    makers: dict[str, Callable[..., Any]] = {
        "slot": pb.QueryExplainSlotRequest,
        "weight": pb.QueryExplainWeightRequest,
        "reward": pb.QueryExplainRewardRequest,
        "exclusion": pb.QueryExplainExclusionRequest,
        "validator": pb.QueryExplainValidatorRequest,
    }
    fields: dict[str, Any] = {
        "participant": who(session, participant),
        **({"node_id": node_id} if node_id else {}),
    }
    with session.client as client:
        fields["epoch_index"] = latest(client, session, subject) if epoch is None else epoch
        found = answer(client, session, makers[subject](**fields))
    text = "\n\n".join(told(each) for each in found)
    session.emit({"explanations": [to_json(each) for each in found]}, text)


def told(explanation: Explanation) -> str:
    """An explanation as lines: what was decided, then each rule with where its numbers stand."""
    from abci_app.kernel.trace import word  # noqa: PLC0415 - brings the chain's kernel

    where = [f"epoch {explanation.epoch_index}", explanation.participant]
    where += [part for part in (explanation.node_id, explanation.model_id) if part]
    decided = f"decided at height {explanation.height}" if explanation.height else "as it stands"
    why = ", ".join(word(reason) for reason in explanation.reasons) or "no objection"
    results = ", ".join(f"{each.name} {each.value}" for each in explanation.results)
    lines = [f"{explanation.subject} of {', '.join(where)} ({decided})", f"  = {why}"]
    lines[1] += f": {results}" if results else ""
    for number, step in enumerate(explanation.steps, 1):
        lines.append(f"  {number:2}. {step.text}")
        for source in step.sources:
            height = f" at height {source.height}" if source.height else ""
            lines.append(f"        {source.collection} {source.key}".rstrip() + height)
    lines += [f"  not retained: {missing}" for missing in explanation.not_retained]
    if explanation.results_stored and explanation.results_stored != explanation.results:
        stored = ", ".join(f"{each.name} {each.value}" for each in explanation.results_stored)
        lines.append(f"  THE STATE SAYS OTHERWISE: {stored}")
    return "\n".join(lines)


@explain.command()
@PARTICIPANT
@NODE
@EPOCH
@shared(*QUERY)
def slot(session: Session, participant: str, node_id: str, epoch: int | None) -> None:
    """Why nodes serve through the PoC of an epoch, or do not."""
    _show(session, "slot", participant, node_id, epoch)


@explain.command()
@PARTICIPANT
@NODE
@EPOCH
@shared(*QUERY)
def weight(session: Session, participant: str, node_id: str, epoch: int | None) -> None:
    """Why nodes have the weights that they have."""
    _show(session, "weight", participant, node_id, epoch)


@explain.command()
@PARTICIPANT
@EPOCH
@shared(*QUERY)
def reward(session: Session, participant: str, epoch: int | None) -> None:
    """Why an epoch brought what it did; the last one that ended without --epoch."""
    _show(session, "reward", participant, "", epoch)


@explain.command()
@PARTICIPANT
@NODE
@EPOCH
@shared(*QUERY)
def exclusion(session: Session, participant: str, node_id: str, epoch: int | None) -> None:
    """What a participant and its nodes are excluded from, and why."""
    _show(session, "exclusion", participant, node_id, epoch)


@explain.command()
@PARTICIPANT
@EPOCH
@shared(*QUERY)
def validator(session: Session, participant: str, epoch: int | None) -> None:
    """Why a participant has its voting power."""
    _show(session, "validator", participant, "", epoch)
