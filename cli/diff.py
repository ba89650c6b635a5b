"""`evergrid diff`: what changed between two epochs, in plain words, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.options import QUERY, shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.decided import Decided
    from cli.epoch_view import EpochView, NodeKey
    from cli.session import Session
    from client.chain import ChainClient

U64_MAX = 2**64 - 1


@click.group()
def diff() -> None:
    """What changed, and why."""


@diff.command()
@click.argument("epoch_a", metavar="A", type=click.IntRange(0, U64_MAX))
@click.argument("epoch_b", metavar="B", type=click.IntRange(0, U64_MAX))
@shared(*QUERY)
def epochs(session: Session, epoch_a: int, epoch_b: int) -> None:
    """What changed from epoch A to epoch B: params, models, participants, nodes, slots, powers."""
    from cli import decided  # noqa: PLC0415 - brings protobuf
    from cli.epoch_view import load  # noqa: PLC0415

    height = int(session.get("height") or 0)
    with session.client as client:
        _check_retained(client, [epoch_a, epoch_b], height)
        before, after = load(client, epoch_a, height), load(client, epoch_b, height)
        found = _changes(before, after, decided.load(client, height), _reasons_of(client, epoch_b, height))
        changes = [{"about": about, "change": text} for about, text in found]
    lines = [f"from epoch {epoch_a} to epoch {epoch_b}:"]
    for about in dict.fromkeys(each["about"] for each in changes):
        lines += [f"{about}:", *(f"  {each['change']}" for each in changes if each["about"] == about)]
    if not changes:
        lines.append("nothing changed")
    shown = {"epoch_before": str(epoch_a), "epoch_after": str(epoch_b), "changes": changes}
    session.emit(shown, "\n".join(lines))


def _check_retained(client: ChainClient, wanted: list[int], height: int) -> None:
    """Raises ChainError that names each epoch of which the chain has no record, and those that it has."""
    from client.chain import CODE_NOT_FOUND, ChainError  # noqa: PLC0415 - brings protobuf
    from protocol.gen.evergrid.epochs.v1 import epochs_pb2 as pb  # noqa: PLC0415

    missing = []
    for epoch in dict.fromkeys(wanted):
        try:
            client.query(pb.QueryEpochRecordRequest(epoch_index=epoch), pb.QueryEpochRecordResponse, height)
        except ChainError as error:
            if error.code != CODE_NOT_FOUND:
                raise
            missing.append(str(epoch))
    if missing:
        info = client.query(pb.QueryEpochInfoRequest(), pb.QueryEpochInfoResponse, height)
        now, kept = info.state.epoch_effective, info.effective.params.epoch.retention_epochs
        text = f"the chain has no record of {' and '.join(missing)}"
        raise ChainError(f"{text}: epoch {now} rules, {kept} before it are kept")


def _reasons_of(client: ChainClient, epoch: int, height: int) -> Callable[[NodeKey], str]:
    """Says why a node has no weight in an epoch, in the words of the rule that decided it."""
    from client.chain import ChainError  # noqa: PLC0415 - brings protobuf
    from protocol.gen.evergrid.explain.v1 import explain_pb2 as pb  # noqa: PLC0415

    def why(key: NodeKey) -> str:
        request = pb.QueryExplainWeightRequest(epoch_index=epoch, participant=key[0], node_id=key[1])
        try:
            (told,) = client.query(request, pb.QueryExplainResponse, height).explanations
        except ChainError as error:
            return str(error)
        return str(next((step.text for step in reversed(told.steps) if step.reason), told.steps[-1].text))

    return why


def _changes(
    before: EpochView, after: EpochView, decided: Decided, why: Callable[[NodeKey], str]
) -> Iterator[tuple[str, str]]:
    for text in _params(before.record.params, after.record.params, decided):
        yield "params", text
    for text in _models(before, after, decided):
        yield "models", text
    for text in _participants(before, after):
        yield "participants", text
    for text in _nodes(before, after, why):
        yield "nodes", text
    for text in _slots(before, after):
        yield "slots", text


def _params(before: Any, after: Any, decided: Decided, path: str = "") -> Iterator[str]:
    """Every field that differs, nested ones by their path, and whose proposal it was."""
    from cli.decided import by  # noqa: PLC0415 - brings protobuf

    for field in after.DESCRIPTOR.fields:
        old, new, name = getattr(before, field.name), getattr(after, field.name), f"{path}{field.name}"
        if field.message_type is not None:
            yield from _params(old, new, decided, f"{name}.")
        elif old != new:
            shown = f"{name} was {_value(field, old)}, is {_value(field, new)}"
            yield f"{shown}: {by(decided.param(name, new))} changed it before the record was written"


def _value(field: Any, value: Any) -> str:
    return str(field.enum_type.values_by_number[value].name).lower() if field.enum_type else str(value)


def _models(before: EpochView, after: EpochView, decided: Decided) -> Iterator[str]:
    from cli.decided import by  # noqa: PLC0415 - brings protobuf

    for model_id in sorted({*before.models, *after.models}):
        old, new = before.groups.get(model_id), after.groups.get(model_id)
        if old is None:
            registered = decided.registered(new.model_snapshot) if new else []
            whose = f"; {by(registered)} registered it" if registered else ""
            carried = new.total_throughput if new else 0
            yield f"{model_id} is served now, with {carried} tokens per PoC window{whose}"
        elif new is None:
            retired = decided.retired(model_id)
            whose = f"{by(retired)} retired it" if retired else "no node with weight is left to it"
            yield f"{model_id} is not served any more: {whose}"
        else:
            if old.model_snapshot != new.model_snapshot:
                fields = [
                    f.name
                    for f in new.model_snapshot.DESCRIPTOR.fields
                    if getattr(old.model_snapshot, f.name) != getattr(new.model_snapshot, f.name)
                ]
                whose = by(decided.registered(new.model_snapshot))
                yield f"{model_id} was registered anew by {whose}: {', '.join(fields)}"
            if old.total_throughput != new.total_throughput:
                yield (
                    f"{model_id} can carry {new.total_throughput} tokens per PoC window instead of "
                    f"{old.total_throughput}, since its nodes weigh {new.total_weight} instead of "
                    f"{old.total_weight}"
                )
    if before.parent.unit_of_compute_price != after.parent.unit_of_compute_price:
        old_price, new_price = before.parent.unit_of_compute_price, after.parent.unit_of_compute_price
        yield f"a unit of compute costs {new_price} nevg instead of {old_price}: the weighted median moved"


def _participants(before: EpochView, after: EpochView) -> Iterator[str]:
    for address in sorted({*before.members[""], *after.members[""]}):
        old, new = before.members[""].get(address), after.members[""].get(address)
        if new is None:
            yield f"{address} left: none of its nodes has weight (see its nodes)"
            continue
        capped = f", capped from {new.weight}" if new.voting_power < new.weight else ""
        if not new.validator_key:
            capped = ", since it has no consensus key"
        if old is None:
            yield f"{address} joined with weight {new.weight} and voting power {new.voting_power}{capped}"
            continue
        if old.weight != new.weight:
            proved = new.proved_weight
            covered = f"; they proved {proved}, its collateral covers no more" if proved else ""
            yield f"{address} weighs {new.weight} instead of {old.weight} (see its nodes{covered})"
        if old.voting_power != new.voting_power:
            yield f"{address} has voting power {new.voting_power} instead of {old.voting_power}{capped}"
        if old.validator_key != new.validator_key:
            yield f"{address} has another consensus key"


def _nodes(before: EpochView, after: EpochView, why: Callable[[NodeKey], str]) -> Iterator[str]:
    from cli import plain  # noqa: PLC0415 - brings the chain's kernel

    old_nodes, new_nodes = before.nodes(), after.nodes()
    for key in sorted({*old_nodes, *new_nodes}):
        name = f"{key[1]} of {key[0]}"
        if key not in new_nodes:
            yield f"{name} lost its weight of {old_nodes[key][1].poc_weight}: {why(key)}"
            continue
        model_id, node = new_nodes[key]
        source = plain.weight(node.weight_source)
        if key not in old_nodes:
            yield f"{name} has weight {node.poc_weight} ({source}) and serves {model_id or 'no model'}"
            continue
        old_model, old = old_nodes[key]
        if old.poc_weight != node.poc_weight:
            yield f"{name} weighs {node.poc_weight} instead of {old.poc_weight} ({source})"
        if old_model != model_id:
            yield f"{name} serves {model_id or 'no model'} instead of {old_model or 'none'}"


def _slots(before: EpochView, after: EpochView) -> Iterator[str]:
    from cli import plain  # noqa: PLC0415 - brings the chain's kernel

    old = {
        (model.model_id, turn.participant, turn.node_id): turn.reason
        for model in before.slots
        for turn in model.turns
    }
    new = {
        (model.model_id, turn.participant, turn.node_id): turn.reason
        for model in after.slots
        for turn in model.turns
    }
    for key in sorted({*old, *new}):
        was, now = (plain.draw(found[key]) if key in found else "was not in it" for found in (old, new))
        if was != now:
            yield f"{key[2]} of {key[1]} in the draw of {key[0]} before the PoC: {now}; last time it {was}"
