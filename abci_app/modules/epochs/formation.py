"""How weights become a group: pure, from a frozen look at registry and participants (protocol, 3 to 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from abci_app.kernel.fixed import MILLION, U64_MAX, mul_div_floor
from abci_app.modules.epochs.rules import power_cap
from abci_app.modules.hardware.rules import assigned_model, memory_mib
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import (
    PRE_POC_SLOT,
    EpochGroup,
    FormationTotals,
    MLNodeInfo,
    ValidationWeight,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import NodeWeight
    from protocol.gen.evergrid.hardware.v1.hardware_pb2 import Participant, RegisteredNode
    from protocol.gen.evergrid.models.v1.models_pb2 import Model


@dataclass(frozen=True, slots=True)
class Candidate:
    """A participant with its nodes as the registry holds them at E, each with what the PoC proved of it."""

    participant: Participant
    nodes: tuple[tuple[RegisteredNode, NodeWeight], ...] = ()
    # Of the participant as such: a genesis weight, in the parent group alone.
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Formed:
    """A group or subgroup with its members by address."""

    group: EpochGroup
    members: tuple[ValidationWeight, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """A node with weight, and the model that it serves."""

    registered: RegisteredNode
    proved: NodeWeight
    serves: str | None


def form_group(
    epoch_index: int,
    height: int,
    candidates: Iterable[Candidate],
    models: Sequence[Model],
    max_individual_power_bps: int,
) -> list[Formed]:
    """The parent group, then a subgroup for each model that a node serves, by id; all of it at once.

    Nodes and participants without weight stay out.
    """
    members = form_members(candidates, models)
    totals: dict[str, FormationTotals] = {}
    add_to_totals(totals, members)
    # Without a consensus key nobody can make blocks: no power, and no part in the cap.
    voters = [member for member in members[""] if member.validator_key]
    powers = power_cap([member.weight for member in voters], max_individual_power_bps)
    for member, power in zip(voters, powers, strict=True):
        member.voting_power = power
    totals[""].voting_power = _total(powers)
    heads = group_heads(epoch_index, height, models, totals)
    return [Formed(head, tuple(members[head.model_id])) for head in heads]


def form_members(
    candidates: Iterable[Candidate], models: Sequence[Model]
) -> dict[str, Sequence[ValidationWeight]]:
    """By model, the members of its subgroup, by address; under the empty id those of the parent group.

    Models that nobody serves have members too, and voting powers are not set: both take all candidates.
    """
    known = {model.id: model for model in models}
    parent: list[ValidationWeight] = []
    declared: dict[str, list[tuple[Candidate, list[Placed]]]] = {model_id: [] for model_id in sorted(known)}
    for candidate, nodes in set_models_for_participants(candidates, list(known)):
        weight = candidate.weight + sum(node.proved.poc_weight for node in nodes)
        if weight == 0:
            continue
        parent.append(_parent_member(candidate, nodes, weight))
        for node in nodes:
            for model_id in dict.fromkeys(node.registered.node.models):
                inside = declared.get(model_id)
                if inside is None:
                    continue
                if not inside or inside[-1][0] is not candidate:
                    inside.append((candidate, []))
                inside[-1][1].append(node)
    subgroups = (create_sub_group(known[model_id], declared[model_id]) for model_id in declared)
    return {"": parent, **{formed.group.model_id: formed.members for formed in subgroups}}


def add_to_totals(
    totals: dict[str, FormationTotals], members: Mapping[str, Iterable[ValidationWeight]]
) -> None:
    """Adds members to what their groups sum up to, by model."""
    for model_id in members:
        total = totals.setdefault(model_id, FormationTotals(model_id=model_id))
        for member in members[model_id]:
            total.members += 1
            total.weight = min(total.weight + member.weight, U64_MAX)
            if not model_id:
                continue
            for info in member.ml_nodes:
                if info.timeslot_allocation[PRE_POC_SLOT]:
                    total.throughput = min(total.throughput + info.throughput, U64_MAX)
                    total.served = True


def group_heads(
    epoch_index: int, height: int, models: Sequence[Model], totals: Mapping[str, FormationTotals]
) -> list[EpochGroup]:
    """The head of the parent group, then those of the subgroups of the models that are served, by id."""
    served = [model for model in sorted(models, key=lambda each: each.id) if totals[model.id].served]
    heads = [
        EpochGroup(
            sub_group_models=[model.id for model in served], total_voting_power=totals[""].voting_power
        )
    ]
    heads += (
        EpochGroup(
            model_id=model.id,
            model_snapshot=model,
            total_throughput=totals[model.id].throughput,
            expected_throughput_vector=[0, 0],
            real_throughput_vector=[0, 0],
        )
        for model in served
    )
    for head in heads:
        head.epoch_index, head.height_formed = epoch_index, height
        head.total_weight = totals[head.model_id].weight
        head.member_count = totals[head.model_id].members
    return heads


def node_throughput(poc_weight: int, throughput_per_nonce: int) -> int:
    """Tokens per PoC window of a node: throughput_per_nonce is in millionths of a token."""
    return min(mul_div_floor(poc_weight, throughput_per_nonce, MILLION), U64_MAX)


def set_models_for_participants(
    candidates: Iterable[Candidate], model_ids: Sequence[str]
) -> list[tuple[Candidate, list[Placed]]]:
    """By address, the nodes that have weight, in the registry's order, each with the model that it serves."""
    return [
        (
            candidate,
            [
                Placed(registered, proved, assigned_model(registered.node.models, model_ids))
                for registered, proved in sorted(candidate.nodes, key=lambda pair: pair[0].sequence)
                if proved.poc_weight > 0
            ],
        )
        for candidate in sorted(candidates, key=lambda each: each.participant.address)
    ]


def _parent_member(candidate: Candidate, nodes: Sequence[Placed], weight: int) -> ValidationWeight:
    return ValidationWeight(
        member_address=candidate.participant.address,
        weight=min(weight, U64_MAX),
        # What serves a model stands in that model's subgroup.
        ml_nodes=[_info(node, poc_weight=node.proved.poc_weight) for node in nodes if node.serves is None],
        validator_key=candidate.participant.validator_key,
        url=candidate.participant.url,
    )


def create_sub_group(model: Model, placed: Iterable[tuple[Candidate, Sequence[Placed]]]) -> Formed:
    """The subgroup of a model: its snapshot, and every node that declares it."""
    members = []
    for candidate, nodes in placed:
        infos = [store_ml_node_info(node, model) for node in nodes if model.id in node.registered.node.models]
        if not infos:
            continue
        member = ValidationWeight(
            member_address=candidate.participant.address,
            weight=_total(info.poc_weight for info in infos),
            ml_nodes=infos,
            url=candidate.participant.url,
        )
        members.append(member)
    head = EpochGroup(model_id=model.id, model_snapshot=model, member_count=len(members))
    return Formed(head, tuple(members))


def store_ml_node_info(node: Placed, model: Model) -> MLNodeInfo:
    """A node within the subgroup of a model that it declares: weight and throughput only where it serves."""
    if node.serves != model.id:
        return _info(node)
    weight = node.proved.poc_weight
    return _info(
        node, poc_weight=weight, throughput=node_throughput(weight, model.throughput_per_nonce), serves=True
    )


def _info(node: Placed, *, poc_weight: int = 0, throughput: int = 0, serves: bool = False) -> MLNodeInfo:
    return MLNodeInfo(
        node_id=node.registered.node.node_id,
        poc_weight=poc_weight,
        throughput=throughput,
        timeslot_allocation=[serves, False],
        unproved=node.proved.unproved,
        weight_source=node.proved.weight_source,
        sequence=node.registered.sequence,
        host=node.registered.node.host,
        port=node.registered.node.port,
        memory_mib=memory_mib(node.registered.node),
    )


def _total(values: Iterable[int]) -> int:
    return min(sum(values), U64_MAX)
