"""What the committed state says, as gauges: read once where it changed, never by a scrape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, TypeVar

from prometheus_client.core import GaugeMetricFamily

from abci_app.kernel.errors import QueryError
from abci_app.kernel.module import QUERIES
from abci_app.modules import collateral, epochs, guardians, hardware, models, rewards
from protocol.descriptors import routes_of
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from protocol.gen.evergrid.rewards.v1 import rewards_pb2
from protocol.gen.evergrid.uptime.v1 import uptime_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from abci_app.kernel.context import Context

R = TypeVar("R")

SLOTS: Final = tuple(name.lower() for name in epochs_pb2.TimeSlot.keys())  # noqa: SIM118 - an enum's wrapper
INFERENCE_STAGE: Final = "inference"
STAGES: Final = (INFERENCE_STAGE, *(name for name, _ in epochs.STAGES))
NODE_LABELS: Final = ("participant", "node_id", "model_id")


def ask(ctx: Context, request: Message, response: type[R]) -> R:
    """The answer of the module whose query takes this request."""
    kind = type(request)
    path = next(route.path for route in routes_of(kind.DESCRIPTOR.file) if route.request is kind)
    answer = QUERIES[path].answer(ctx, request)
    assert isinstance(answer, response)
    return answer


def word(reason: reasons_pb2.Reason) -> str:
    """A reason as labels carry it."""
    return reasons_pb2.Reason.Name(reason).removeprefix("REASON_").lower()


def gauge(
    name: str, text: str, labels: Iterable[str] = (), rows: Iterable[tuple[Iterable[str], float]] = ()
) -> GaugeMetricFamily:
    """A gauge with one sample a row."""
    family = GaugeMetricFamily(f"evergrid_{name}", text, labels=tuple(labels))
    for values, number in rows:
        family.add_metric(list(values), number)
    return family


def stage_gauges(ctx: Context) -> list[GaugeMetricFamily]:
    """Where the chain stands; cheap enough for every block."""
    info = ask(ctx, epochs_pb2.QueryEpochInfoRequest(), epochs_pb2.QueryEpochInfoResponse)
    epoch = (info.upcoming.params if info.HasField("upcoming") else epochs.params(ctx)).epoch
    height_next = info.upcoming.height_start or info.state.height_next_poc
    if height_next <= ctx.height:
        height_next += epoch.epoch_length
    return [
        gauge("epoch_index", "Index of the effective epoch.", (), [((), info.state.epoch_effective)]),
        gauge(
            "epoch_stage",
            "1 for the stage that the chain is in, 0 for the others.",
            ("stage",),
            [((stage,), stage == info.stage) for stage in STAGES],
        ),
        gauge(
            "epoch_stage_start_height",
            "Height of each stage of the upcoming epoch.",
            ("stage",),
            [((each.stage,), each.height) for each in info.stages],
        ),
        gauge("epoch_next_poc_blocks", "Blocks until the next PoC.", (), [((), height_next - ctx.height)]),
        gauge(
            "epoch_extensions", "Extensions of the epoch in a row so far.", (), [((), info.state.extensions)]
        ),
    ]


def state_gauges(ctx: Context, participants_max: int) -> list[GaugeMetricFamily]:
    """What changes with an epoch or the registries: models, members, nodes, the draw, validators.

    Of participants and their nodes only the `participants_max` heaviest are told, so that labels stay few.
    """
    epoch = epochs.state(ctx).epoch_effective
    shown = sorted(epochs.members(ctx, epoch), key=lambda member: -member.weight)[:participants_max]
    addresses = {member.member_address for member in shown}
    validators = ask(ctx, epochs_pb2.QueryValidatorsRequest(), epochs_pb2.QueryValidatorsResponse)
    return [
        gauge("validators", "Validators last given to CometBFT.", (), [((), len(validators.validators))]),
        *_registry_gauges(ctx),
        *_group_gauges(ctx, epoch),
        *_node_gauges(ctx, epoch, addresses),
        *_participant_gauges(ctx, epoch, shown),
        *_draw_gauges(ctx, epoch),
        *_optional_gauges(ctx, epoch),
    ]


def _registry_gauges(ctx: Context) -> Iterator[GaugeMetricFamily]:
    registry = models.get_governance_models(ctx)
    snapshots = [each.model_snapshot for each in epochs.subgroups(ctx, epochs.state(ctx).epoch_effective)]
    labels = ("model_id", "hf_repo", "hf_commit", "tier")
    tiers = (("registry", registry), ("epoch", snapshots))
    rows = [((m.id, m.hf_repo, m.hf_commit, tier), 1.0) for tier, of_tier in tiers for m in of_tier]
    yield gauge("model_info", "Always 1; a model of the registry, or frozen in the epoch.", labels, rows)
    counts: dict[tuple[str, str], int] = {(model.id, "registry"): 0 for model in registry}
    participants = 0
    for participant in hardware.participants(ctx):
        participants += 1
        for registered in hardware.nodes_of(ctx, participant.address):
            for model_id in registered.node.models:
                if (model_id, "registry") in counts:
                    counts[model_id, "registry"] += 1
    for subgroup in epochs.subgroups(ctx, epochs.state(ctx).epoch_effective):
        members = epochs.members(ctx, subgroup.epoch_index, subgroup.model_id)
        counts[subgroup.model_id, "epoch"] = sum(
            node.poc_weight > 0 for member in members for node in member.ml_nodes
        )
    text = "MLNodes that declare a model (registry), or serve it in the epoch (epoch)."
    yield gauge("model_nodes", text, ("model_id", "tier"), sorted(counts.items()))
    yield gauge("participants", "Registered participants.", (), [((), participants)])


def _group_gauges(ctx: Context, epoch: int) -> Iterator[GaugeMetricFamily]:
    subgroups = epochs.subgroups(ctx, epoch)
    yield gauge(
        "model_weight",
        "Weight of the nodes that serve a model in the epoch.",
        ("model_id",),
        [((each.model_id,), each.total_weight) for each in subgroups],
    )
    for kind in ("expected", "real"):
        yield gauge(
            f"model_throughput_{kind}_tokens",
            f"The {kind} throughput of a model in the epoch, in tokens per PoC window.",
            ("model_id", "slot"),
            [
                ((each.model_id, slot), tokens)
                for each in subgroups
                for slot, tokens in zip(SLOTS, getattr(each, f"{kind}_throughput_vector"), strict=False)
            ],
        )


def _node_gauges(ctx: Context, epoch: int, addresses: set[str]) -> Iterator[GaugeMetricFamily]:
    weights: list[tuple[tuple[str, ...], float]] = []
    slots: list[tuple[tuple[str, ...], float]] = []
    sources: list[tuple[tuple[str, ...], float]] = []
    for subgroup in epochs.subgroups(ctx, epoch):
        for member in epochs.members(ctx, epoch, subgroup.model_id):
            if member.member_address not in addresses:
                continue
            for node in member.ml_nodes:
                if not node.poc_weight:
                    continue
                labels = (member.member_address, node.node_id, subgroup.model_id)
                weights.append((labels, node.poc_weight))
                sources.append(((*labels, word(node.weight_source)), 1))
                allocation = zip(SLOTS, node.timeslot_allocation, strict=False)
                slots += [((*labels, slot), holds) for slot, holds in allocation]
    yield gauge("mlnode_poc_weight", "Weight of an MLNode in the epoch.", NODE_LABELS, weights)
    text = "1 where an MLNode serves in a timeslot, 0 where it does not."
    yield gauge("mlnode_slot", text, (*NODE_LABELS, "slot"), slots)
    text = "Always 1; where the weight of an MLNode comes from."
    yield gauge("mlnode_weight_source", text, (*NODE_LABELS, "source"), sources)


def _participant_gauges(
    ctx: Context, epoch: int, shown: list[epochs_pb2.ValidationWeight]
) -> Iterator[GaugeMetricFamily]:
    yield gauge(
        "participant_weight",
        "Weight of a participant in the epoch.",
        ("participant",),
        [((member.member_address,), member.weight) for member in shown],
    )
    coverage = []
    for member in shown:
        found = rewards.get_participant_model_coverage(ctx, epoch, member.member_address)
        counted = [weight >= needed for _, weight, needed, counts in found.models if counts]
        if counted:
            coverage.append(((member.member_address,), sum(counted) / len(counted)))
    text = "Share of the epoch's models that a participant covers."
    yield gauge("participant_model_coverage_ratio", text, ("participant",), coverage)
    bonuses = []
    if epoch > 0:
        addresses = {member.member_address for member in shown}
        bonuses = [
            ((amount.participant,), float(amount.bonus > 0))
            for amount in _settle_amounts(ctx, epoch - 1)
            if amount.participant in addresses
        ]
    text = "1 where the last settlement paid a participant the coverage bonus."
    yield gauge("participant_bonus_applied", text, ("participant",), bonuses)


def _settle_amounts(ctx: Context, epoch: int) -> list[rewards_pb2.SettleAmount]:
    """Amounts of a settled epoch; epoch 0 and pruned ones have none."""
    try:
        request = rewards_pb2.QuerySettleAmountsRequest(epoch_index=epoch)
        return list(ask(ctx, request, rewards_pb2.QuerySettleAmountsResponse).amounts)
    except QueryError:
        return []


def _optional_gauges(ctx: Context, epoch: int) -> Iterator[GaugeMetricFamily]:
    """Of modules that are off unless the genesis turns them on."""
    if collateral.is_on(ctx):
        text = "nevg that are deposited as collateral, or withdrawn and not paid back yet."
        rows = [((state,), amount) for state, amount in collateral.totals(ctx).items()]
        yield gauge("collateral_nevg", text, ("state",), rows)
    if guardians.named(ctx):
        decided = guardians.decision_of(ctx, epoch)
        extra = decided.extra_power if decided is not None else 0
        yield gauge("guardian_extra_power", "What each guardian has in blocks on top.", (), [((), extra)])


def slot_allocations(ctx: Context, epoch: int) -> list[uptime_pb2.SlotAllocation]:
    """The draws before the PoC of an epoch."""
    request = uptime_pb2.QuerySlotAllocationsRequest(epoch_index=epoch)
    return list(ask(ctx, request, uptime_pb2.QuerySlotAllocationsResponse).allocations)


def _draw_gauges(ctx: Context, epoch: int) -> Iterator[GaugeMetricFamily]:
    """Of the latest draw: the one for the upcoming epoch, if it was made, else the effective one's."""
    draws = slot_allocations(ctx, epoch + 1) or slot_allocations(ctx, epoch)
    excluded: dict[tuple[str, str], int] = {}
    for draw in draws:
        for turn in draw.turns:
            if turn.reason != reasons_pb2.REASON_SELECTED:
                key = (draw.model_id, word(turn.reason))
                excluded[key] = excluded.get(key, 0) + 1
    yield gauge(
        "slot_excluded_nodes",
        "MLNodes that the latest draw left out of POC_SLOT, and why.",
        ("model_id", "reason"),
        sorted(excluded.items()),
    )
    yield gauge(
        "model_slot_coverage_ratio",
        "Share of a model's capacity that the latest draw keeps serving through PoC.",
        ("model_id",),
        [((draw.model_id,), draw.selected / draw.capacity) for draw in draws if draw.capacity],
    )
