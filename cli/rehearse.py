"""`evergrid rehearse`: what the next PoC would bring, before it does."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from cli.explain import who
from cli.options import QUERY, shared

if TYPE_CHECKING:
    from abci_app.modules.rewards import rules
    from cli.epoch_view import EpochView
    from cli.rehearsal import Chances
    from cli.session import Session
    from client.chain import ChainClient
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import QueryEpochInfoResponse
    from protocol.gen.evergrid.uptime.v1.uptime_pb2 import (
        QueryDrawInputsResponse,
        SlotAllocation,
        SlotTurn,
    )

DRAWN = "pre_poc_scheduling"
AMOUNT_MAX = 2**63
BPS = 10_000


@click.group()
def rehearse() -> None:
    """What the next Proof of Compute would bring."""


@rehearse.command()
@click.argument("participant", required=False)
@click.option("--samples", type=click.IntRange(100, 10**6), default=2000, show_default=True)
@click.option(
    "--outcomes",
    type=click.IntRange(0, 10**6),
    default=5000,
    show_default=True,
    help="Walk all outcomes of the draw where there are no more; else draw samples.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the samples.")
@shared(*QUERY)
def slots(session: Session, participant: str | None, samples: int, outcomes: int, seed: int) -> None:
    """The chance of each node to serve through the next PoC, and what it would earn either way.

    The draw is the chain's own, from what it knows now. Without PARTICIPANT: all nodes.
    """
    from cli.epoch_view import info, load  # noqa: PLC0415 - brings protobuf
    from cli.rehearsal import rehearse as rehearsed  # noqa: PLC0415 - brings the chain
    from protocol.gen.evergrid.uptime.v1 import uptime_pb2  # noqa: PLC0415

    address = who(session, participant) if participant else ""
    height = int(session.get("height") or 0)
    with session.client as client:
        now = info(client, height)
        if now.HasField("upcoming") and DRAWN in now.upcoming.stages_done:
            _emit_drawn(session, client, now, address)
            return
        view = load(client, now.state.epoch_effective, height)
        inputs = client.query(uptime_pb2.QueryDrawInputsRequest(), uptime_pb2.QueryDrawInputsResponse, height)
        earned = _earned(client, view, address, height)
    chances = rehearsed(inputs, outcomes_max=outcomes, samples=samples, seed=seed)
    most = inputs.params.max_consecutive_preserved_epochs
    rows = [
        _row(view, model, turn, chances, earned) | {"max_consecutive_preserved_epochs": most}
        for model in inputs.models
        for turn in model.turns
        if address in {"", turn.participant}
    ]
    if not rows:
        raise click.ClickException(f"{participant or 'the group'} has no node in the draw")
    _emit(session, inputs, chances, rows, seed)


def _earned(client: ChainClient, view: EpochView, address: str, height: int) -> dict[str, rules.Share]:
    """What the next epoch's reward brings each participant, with weights and coverage of this one.

    With an `address`, only its bonus is asked for, unless the bonuses of others take from it.
    """
    from abci_app.modules.rewards import rules  # noqa: PLC0415 - brings the chain
    from protocol.gen.evergrid.epochs.v1.params_pb2 import COVERAGE_BONUS_MODE_SHARED  # noqa: PLC0415
    from protocol.gen.evergrid.rewards.v1 import rewards_pb2 as pb  # noqa: PLC0415

    emission = client.query(pb.QueryEmissionRequest(), pb.QueryEmissionResponse, height).emission
    params, weights = view.record.params.rewards, Counter[str]()
    for model_id, members in view.members.items():
        if model_id:
            weights.update({address: member.weight for address, member in members.items()})
    asked = sorted(weights)
    if address and params.coverage_bonus_mode != COVERAGE_BONUS_MODE_SHARED:
        asked = [address]
    covered = set[str]()
    for member in asked:
        request = pb.QueryParticipantModelCoverageRequest(epoch_index=view.record.index, participant=member)
        if client.query(request, pb.QueryParticipantModelCoverageResponse, height).covered:
            covered.add(member)
    full = [rules.Member(each, weights[each], BPS, each in covered) for each in sorted(weights)]
    left = params.reward_supply_cap - int(emission.minted_total)
    split = rules.settle(params, int(emission.reward_next), left, full)
    return {share.member.address: share for share in split.shares}


def _row(
    view: EpochView,
    model: SlotAllocation,
    turn: SlotTurn,
    chances: Chances,
    earned: dict[str, rules.Share],
) -> dict[str, Any]:
    from abci_app.kernel.trace import word  # noqa: PLC0415 - brings the chain's kernel
    from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_NOT_DRAWN  # noqa: PLC0415

    key = (model.model_id, turn.participant, turn.node_id)
    serves, node = view.nodes().get((turn.participant, turn.node_id), ("", None))
    weight = node.poc_weight if node is not None and serves == model.model_id else 0
    share = earned.get(turn.participant)
    # What the nodes proved, which is more than the member's weight where its collateral is short.
    whole = sum(
        each.poc_weight
        for (owner, _), (model_id, each) in view.nodes().items()
        if model_id and owner == turn.participant
    )
    base, bonus = (part * weight // whole if whole else 0 for part in _parts(share))
    kept = base + bonus
    per_token = view.groups[model.model_id].model_snapshot.units_of_compute_per_token
    price = min(per_token * view.parent.unit_of_compute_price, AMOUNT_MAX)
    fees = int(chances.tokens.get(key, 0.0) * price)
    return {
        "participant": turn.participant,
        "node_id": turn.node_id,
        "model_id": model.model_id,
        "chance_serves": round(chances.serves[key], 6),
        "standard_error": round(chances.error(key), 6),
        "not_eligible": "" if turn.reason == REASON_NOT_DRAWN else word(turn.reason),
        "weight": str(weight),
        "unproved_if_serving": turn.unproved + 1,
        "nevg_if_serving": str(kept + fees),
        "nevg_if_mining": str(kept),
        "bonus_either_way": str(bonus),
        "fees_if_serving": str(fees),
    }


def _parts(share: rules.Share | None) -> tuple[int, int]:
    return (share.base, share.bonus) if share is not None else (0, 0)


def _emit(
    session: Session,
    inputs: QueryDrawInputsResponse,
    chances: Chances,
    rows: list[dict[str, Any]],
    seed: int,
) -> None:
    from cli.out import table  # noqa: PLC0415 - only when it is used

    how = f"exact, over all {chances.draws} outcomes of the draw"
    if not chances.exact:
        worst = max(row["standard_error"] for row in rows)
        how = f"from {chances.draws} draws with seed {seed}, standard error at most {worst}"
    assumed = (
        "Earnings: serving keeps the weight, mining is taken to prove the same weight again; other nodes, "
        "and with them the coverage, stay as they are, every request is answered, and the expected "
        "demand of the PoC window is paid in full. Both have the node's part of the coverage bonus in them."
    )
    names = ("participant", "node_id", "model_id", "chance_serves", "not_eligible", "weight")
    columns = (*names, "nevg_if_serving", "nevg_if_mining", "bonus_either_way")
    text = f"PoC of epoch {inputs.epoch_index}, drawn at height {inputs.height}; {how}.\n"
    shown = {
        "epoch_index": str(inputs.epoch_index),
        "height": str(inputs.height),
        "exact": chances.exact,
        "draws": chances.draws,
        "seed": seed,
        "drawn": False,
        "nodes": rows,
    }
    session.emit(shown, f"{text}{table(rows, columns)}\n{assumed}")


def _emit_drawn(session: Session, client: ChainClient, now: QueryEpochInfoResponse, address: str) -> None:
    """The draw before this PoC is made: what it decided is certain."""
    from abci_app.kernel.trace import word  # noqa: PLC0415 - brings the chain's kernel
    from cli.out import table  # noqa: PLC0415
    from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_SELECTED  # noqa: PLC0415
    from protocol.gen.evergrid.uptime.v1 import uptime_pb2 as pb  # noqa: PLC0415

    request = pb.QuerySlotAllocationsRequest(epoch_index=now.upcoming.index)
    made = client.query(request, pb.QuerySlotAllocationsResponse, now.height).allocations
    rows = [
        {
            "participant": turn.participant,
            "node_id": turn.node_id,
            "model_id": each.model_id,
            "chance_serves": 1.0 if turn.reason == REASON_SELECTED else 0.0,
            "reason": word(turn.reason),
        }
        for each in made
        for turn in each.turns
        if address in {"", turn.participant}
    ]
    shown = {
        "epoch_index": str(now.upcoming.index),
        "height": str(now.upcoming.height_start - 1),
        "exact": True,
        "drawn": True,
        "nodes": rows,
    }
    text = f"The draw before the PoC of epoch {now.upcoming.index} is made; nothing is left to chance.\n"
    session.emit(shown, text + table(rows, ("participant", "node_id", "model_id", "chance_serves", "reason")))
