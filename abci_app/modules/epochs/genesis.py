"""Epochs in the genesis state: group 0 from weights, or an exported chain as it stood."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import hardware, models
from abci_app.modules.epochs.formation import Candidate, form_group
from abci_app.modules.epochs.rules import params_errors
from abci_app.modules.epochs.state import (
    ALL,
    DROPPED,
    FREE_MESSAGES,
    GROUPS,
    MEMBERS,
    PARAMS,
    RECORDS,
    STATE,
    VALIDATORS,
    VALIDATORS_DUE,
)
from abci_app.modules.epochs.steps import store_formed
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import (
    EpochRecord,
    EpochState,
    FreeMessages,
    GenesisMember,
    GenesisState,
    GenesisWeight,
    NodeWeight,
    ValidatorPower,
)
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_GENESIS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context

WEIGHT_MAX = 10**15
WEIGHT_TOTAL_MAX = 2**60


def validate_genesis(genesis: GenesisState) -> list[str]:
    """All that is wrong with params and weights; what they name is checked when they are written."""
    if not genesis.HasField("params"):
        return ["params are missing"]
    errors = params_errors(genesis.params)
    seen: set[tuple[str, str]] = set()
    for each in genesis.weights:
        key = (each.participant, each.node_id)
        if key in seen:
            errors.append(f"weights: {_where(*key)} stands twice")
        if not 1 <= each.weight <= WEIGHT_MAX:
            errors.append(f"weights: {_where(*key)} must be 1 to {WEIGHT_MAX}")
        seen.add(key)
    if sum(each.weight for each in genesis.weights) > WEIGHT_TOTAL_MAX:
        errors.append(f"weights: their sum is above {WEIGHT_TOTAL_MAX}")
    if genesis.HasField("state") and genesis.weights:
        errors.append("weights: an exported chain has its groups")
    indexes = [record.index for record in genesis.records]
    if genesis.HasField("state") and genesis.state.epoch_effective not in indexes:
        errors.append(f"records: the effective epoch {genesis.state.epoch_effective} has none")
    return errors


def init_genesis(ctx: Context, genesis: GenesisState) -> None:
    """Raises ValueError that names every weight and node which does not fit the other modules' genesis."""
    PARAMS.set(ctx, genesis.params)
    VALIDATORS_DUE.set(ctx, ALL)
    if genesis.HasField("state"):
        _import(ctx, genesis)
    else:
        _begin(ctx, genesis)


def _begin(ctx: Context, genesis: GenesisState) -> None:
    """Record 0 and group 0, which serves at once; it is not proved, so nothing of it is preserved first."""
    if errors := [*_weight_errors(ctx, genesis), *_model_errors(ctx)]:
        raise ValueError(f"epochs: {'; '.join(errors)}")
    params = genesis.params
    STATE.set(ctx, EpochState(height_next_poc=params.epoch.first_poc_height))
    RECORDS.set(ctx, 0, EpochRecord(params=params))
    formed = form_group(
        0,
        ctx.height,
        _candidates(ctx, genesis),
        models.models_for_formation(ctx),
        params.epoch.max_individual_power_bps,
    )
    formed[0].group.unit_of_compute_price = params.inference.unit_price
    store_formed(ctx, formed)


def _candidates(ctx: Context, genesis: GenesisState) -> Iterator[Candidate]:
    by_participant: dict[str, list[GenesisWeight]] = {}
    for each in genesis.weights:
        by_participant.setdefault(each.participant, []).append(each)
    for address in sorted(by_participant):
        participant = hardware.get_participant(ctx, address)
        assert participant is not None
        own = by_participant[address]
        registered = {node.node.node_id: node for node in hardware.nodes_of(ctx, address)}
        yield Candidate(
            participant,
            nodes=tuple(
                (registered[each.node_id], _unproved(each.node_id, each.weight))
                for each in own
                if each.node_id
            ),
            weight=sum(each.weight for each in own if not each.node_id),
        )


def _unproved(node_id: str, weight: int) -> NodeWeight:
    return NodeWeight(node_id=node_id, poc_weight=weight, weight_source=REASON_GENESIS, unproved=1)


def _weight_errors(ctx: Context, genesis: GenesisState) -> Iterator[str]:
    for each in genesis.weights:
        where = f"weights: {_where(each.participant, each.node_id)}"
        participant = hardware.get_participant(ctx, each.participant)
        if participant is None:
            yield f"{where}: no such participant"
        elif not participant.validator_key:
            yield f"{where}: the participant has no validator_key"
        if (
            participant is not None
            and each.node_id
            and hardware.get_node(ctx, each.participant, each.node_id) is None
        ):
            yield f"{where}: no such node"


def _model_errors(ctx: Context) -> Iterator[str]:
    registered = [model.id for model in models.get_governance_models(ctx)]
    for participant in hardware.participants(ctx):
        for node in hardware.nodes_of(ctx, participant.address):
            for model_id in node.node.models:
                if model_id not in registered:
                    yield f"{_where(participant.address, node.node.node_id)}: no such model {model_id}"


def _where(participant: str, node_id: str) -> str:
    return f"node {node_id} of {participant}" if node_id else participant


def _import(ctx: Context, genesis: GenesisState) -> None:
    STATE.set(ctx, genesis.state)
    for record in genesis.records:
        RECORDS.set(ctx, record.index, record)
    if genesis.HasField("dropped"):
        DROPPED.set(ctx, genesis.dropped)
    for group in genesis.groups:
        GROUPS.set(ctx, (group.epoch_index, group.model_id), group)
    for each in genesis.members:
        MEMBERS.set(ctx, (each.epoch_index, each.model_id, each.member.member_address), each.member)
    for validator in genesis.validators:
        VALIDATORS.set(ctx, validator.validator_key, validator.power)
    for free in genesis.free_messages:
        FREE_MESSAGES.set(ctx, (free.epoch_index, free.participant), free.count)


def export_genesis(ctx: Context) -> GenesisState:
    """Everything, in key order."""
    return GenesisState(
        params=PARAMS.require(ctx),
        state=STATE.require(ctx),
        records=RECORDS.values(ctx),
        groups=GROUPS.values(ctx),
        members=[
            GenesisMember(epoch_index=epoch, model_id=model_id, member=member)
            for (epoch, model_id, _), member in MEMBERS.walk(ctx)
        ],
        validators=[ValidatorPower(validator_key=key, power=power) for key, power in VALIDATORS.walk(ctx)],
        dropped=DROPPED.get(ctx),
        free_messages=[
            FreeMessages(epoch_index=epoch, participant=address, count=count)
            for (epoch, address), count in FREE_MESSAGES.walk(ctx)
        ],
    )
