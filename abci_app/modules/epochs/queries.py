"""What anyone may ask of epochs, their groups and validators. Groups are assembled and paged here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import not_found
from abci_app.kernel.module import answers
from abci_app.kernel.paging import page
from abci_app.modules.epochs import groups, slots
from abci_app.modules.epochs.rules import STAGES, stage_heights
from abci_app.modules.epochs.state import MEMBERS, VALIDATORS
from protocol.gen.evergrid.epochs.v1 import epochs_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context
    from protocol.gen.cosmos.base.query.v1beta1.pagination_pb2 import PageRequest

# The stage outside the PoC period.
INFERENCE = "inference"


@answers(pb.QueryParamsRequest)
def query_params(ctx: Context, _request: pb.QueryParamsRequest) -> pb.QueryParamsResponse:
    """The latest params, which the next record copies."""
    return pb.QueryParamsResponse(params=groups.params(ctx))


@answers(pb.QueryEpochInfoRequest)
def query_epoch_info(ctx: Context, _request: pb.QueryEpochInfoRequest) -> pb.QueryEpochInfoResponse:
    """Where the chain stands at the answered height."""
    now = groups.state(ctx)
    upcoming = groups.upcoming_record(ctx)
    # Before the record is written, its heights are those that the latest params would give it.
    planned = upcoming or pb.EpochRecord(height_start=now.height_next_poc, params=groups.params(ctx))
    heights = stage_heights(planned.params.epoch, planned.height_start)
    return pb.QueryEpochInfoResponse(
        height=ctx.height,
        state=now,
        effective=groups.effective_record(ctx),
        upcoming=upcoming,
        stage=upcoming.stages_done[-1] if upcoming is not None and upcoming.stages_done else INFERENCE,
        stages=[
            pb.StageHeight(stage=name, height=getattr(heights, field), done=name in planned.stages_done)
            for name, field in STAGES
        ],
        slot_in_force=slots.slot_in_force(ctx, ctx.height),
        dropped=groups.dropped_record(ctx),
        block_hash=ctx.block.hash,
    )


@answers(pb.QueryCurrentEpochGroupDataRequest)
def query_current_epoch_group_data(
    ctx: Context, request: pb.QueryCurrentEpochGroupDataRequest
) -> pb.QueryEpochGroupDataResponse:
    """CurrentEpochGroupData: the effective group, or its subgroup of a model."""
    epoch = groups.state(ctx).epoch_effective
    return _group_data(ctx, epoch, request.model_id, request.pagination)


@answers(pb.QueryEpochGroupDataRequest)
def query_epoch_group_data(
    ctx: Context, request: pb.QueryEpochGroupDataRequest
) -> pb.QueryEpochGroupDataResponse:
    """EpochGroupData of a retained epoch, or of the upcoming one once it is published."""
    return _group_data(ctx, request.epoch_index, request.model_id, request.pagination)


@answers(pb.QueryUpcomingEpochRequest)
def query_upcoming_epoch(
    ctx: Context, _request: pb.QueryUpcomingEpochRequest
) -> pb.QueryUpcomingEpochResponse:
    """The record that is being made, and from S on the head of its group: empty until it is published."""
    upcoming = groups.upcoming_record(ctx)
    if upcoming is None:
        raise not_found("there is no upcoming epoch until one block before the next PoC")
    head = groups.group(ctx, upcoming.index)
    if head is not None and not groups.is_published(ctx, upcoming.index):
        head = pb.EpochGroup(epoch_index=upcoming.index)
    return pb.QueryUpcomingEpochResponse(record=upcoming, group=head)


@answers(pb.QueryEpochRecordRequest)
def query_epoch_record(ctx: Context, request: pb.QueryEpochRecordRequest) -> pb.QueryEpochRecordResponse:
    """The record of a retained epoch."""
    found = groups.record(ctx, request.epoch_index)
    if found is None:
        raise not_found(f"epoch {request.epoch_index} has no record here")
    return pb.QueryEpochRecordResponse(record=found)


@answers(pb.QueryEpochModelsRequest)
def query_epoch_models(ctx: Context, request: pb.QueryEpochModelsRequest) -> pb.QueryEpochModelsResponse:
    """The frozen models of an epoch, by id."""
    epoch = _epoch(ctx, request.epoch_index, current=request.current)
    snapshots = [each.model_snapshot for each in groups.subgroups(ctx, epoch)]
    return pb.QueryEpochModelsResponse(epoch_index=epoch, models=snapshots)


@answers(pb.QueryActiveParticipantsRequest)
def query_active_participants(
    ctx: Context, request: pb.QueryActiveParticipantsRequest
) -> pb.QueryActiveParticipantsResponse:
    """The members of an epoch with weights, models and nodes, by address."""
    epoch = _epoch(ctx, request.epoch_index, current=request.current)
    members, pagination = page(_members(ctx, epoch, ""), request.pagination)
    models = [each.model_id for each in groups.subgroups(ctx, epoch)]
    return pb.QueryActiveParticipantsResponse(
        epoch_index=epoch,
        participants=[_active_participant(ctx, epoch, models, member) for member in members],
        pagination=pagination,
    )


@answers(pb.QueryValidatorsRequest)
def query_validators(ctx: Context, _request: pb.QueryValidatorsRequest) -> pb.QueryValidatorsResponse:
    """The powers last given to CometBFT, by key."""
    return pb.QueryValidatorsResponse(
        validators=[pb.ValidatorPower(validator_key=key, power=power) for key, power in VALIDATORS.walk(ctx)]
    )


def _epoch(ctx: Context, index: int, *, current: bool) -> int:
    epoch = groups.state(ctx).epoch_effective if current else index
    if not groups.is_published(ctx, epoch):
        raise not_found(f"epoch {epoch} has no group here")
    return epoch


def _group_data(
    ctx: Context, epoch: int, model_id: str, pagination: PageRequest
) -> pb.QueryEpochGroupDataResponse:
    head = groups.group(ctx, _epoch(ctx, epoch, current=False), model_id)
    if head is None:
        raise not_found(f"epoch {epoch} has no group of model {model_id}")
    members, paged = page(_members(ctx, epoch, model_id), pagination)
    data = pb.EpochGroupData(group=head, validation_weights=members)
    return pb.QueryEpochGroupDataResponse(epoch_group_data=data, pagination=paged)


def _members(ctx: Context, epoch: int, model_id: str) -> Iterator[tuple[str, pb.ValidationWeight]]:
    return ((address, member) for (_, _, address), member in MEMBERS.walk(ctx, (epoch, model_id)))


def _active_participant(
    ctx: Context, epoch: int, model_ids: list[str], parent: pb.ValidationWeight
) -> pb.ActiveParticipant:
    """A member with the models that its nodes serve, and its nodes that have weight, in registry order."""
    nodes = [node for node in parent.ml_nodes if node.poc_weight > 0]
    serves = []
    for model_id in model_ids:
        member = groups.member(ctx, epoch, model_id, parent.member_address)
        serving = [node for node in member.ml_nodes if node.poc_weight > 0] if member is not None else []
        if serving:
            serves.append(model_id)
            nodes += serving
    return pb.ActiveParticipant(
        address=parent.member_address,
        weight=parent.weight,
        voting_power=parent.voting_power,
        models=serves,
        ml_nodes=[
            pb.NodeWeight(
                node_id=node.node_id,
                poc_weight=node.poc_weight,
                weight_source=node.weight_source,
                unproved=node.unproved,
            )
            for node in sorted(nodes, key=lambda node: node.sequence)
        ],
        url=parent.url,
    )
