"""poc: at the end of the validation the vote is decided and weights follow; old stages are pruned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from abci_app.modules import epochs, hardware
from abci_app.modules.poc import judgements, keeper, rules, state
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

if TYPE_CHECKING:
    from abci_app.kernel.collections import Map
    from abci_app.kernel.context import Context

_IN_TREE: tuple[Map[Any, Any], ...] = (
    state.BATCHES,
    state.NODES,
    state.VALIDATIONS,
    state.PLACES,
    state.TALLIES,
    state.OUTCOMES,
)


def compute_new_weights(ctx: Context, record: epochs_pb2.EpochRecord) -> list[epochs_pb2.ActiveParticipant]:
    """Who has weight in the next group, by address: decides the vote, then mined and preserved weights.

    Stores every outcome, and of every node its weight or why it has none.
    """
    outcomes = _decide(ctx, record)
    facts = _facts(ctx, record, outcomes)
    effective = epochs.effective_record(ctx)
    weights, scaled = rules.weigh(facts, scale_preserved=rules.unit_changed(effective.params, record.params))
    for participant_facts in facts:
        address = participant_facts.address
        for node, weight in zip(participant_facts.nodes, weights[address], strict=True):
            key = (record.height_start, address, node.node_id)
            state.WEIGHTS.set(ctx, key, rules.weighed(participant_facts, node, weight, scaled))

    active = rules.active_participants(weights)
    for each in active:
        participant = hardware.get_participant(ctx, each.address)
        assert participant is not None, "weight comes from the nodes of participants"
        each.url = participant.url
    return active


def _decide(ctx: Context, record: epochs_pb2.EpochRecord) -> dict[str, reasons_pb2.Reason]:
    powers = epochs.voting_powers(ctx)
    power_total = sum(powers.values())
    # What members said that became INVALID since does not count.
    fallen = keeper.invalid_since(ctx, keeper.validation_window(record)[0])
    silenced = [judgements.of_validator(ctx, record.height_start, validator) for validator in fallen]
    slots = keeper.validation_slots(ctx, record)
    outcomes = {}
    for (_, participant), tally in list(state.TALLIES.walk(ctx, (record.height_start,))):
        for said in silenced:
            if participant in said:
                keeper.add_to_tally(tally, said[participant], -1)
        outcome = rules.participant_outcome(tally, powers, power_total, slots)
        state.OUTCOMES.set(ctx, (record.height_start, participant), outcome)
        outcomes[participant] = outcome.outcome
        if outcome.outcome != reasons_pb2.REASON_ACCEPTED:
            _announce(ctx, record, outcome)
    return outcomes


def _announce(ctx: Context, record: epochs_pb2.EpochRecord, outcome: poc_pb2.PocOutcome) -> None:
    word = reasons_pb2.Reason.Name(outcome.outcome).removeprefix("REASON_").lower()
    ctx.emit("poc_not_accepted", epoch=record.index, participant=outcome.participant, reason=word)


_NOT_IN_GROUP = epochs_pb2.MLNodeInfo()


def _facts(
    ctx: Context, record: epochs_pb2.EpochRecord, outcomes: dict[str, reasons_pb2.Reason]
) -> list[rules.ParticipantFacts]:
    snapshot: dict[str, dict[str, epochs_pb2.MLNodeInfo]] = {}
    for address, info in keeper.weighted_nodes(ctx):
        snapshot.setdefault(address, {})[info.node_id] = info
    nonces: dict[str, dict[str, int]] = {}
    for each in state.NODES.values(ctx, (record.height_start,)):
        nonces.setdefault(each.participant, {})[each.node_id] = each.nonces_total
    registered = hardware.nodes_by_participant(ctx)
    return [
        rules.ParticipantFacts(
            address=participant.address,
            nodes=_node_facts(
                [each.node.node_id for each in registered.get(participant.address, ())],
                nonces.get(participant.address, {}),
                snapshot.get(participant.address, {}),
            ),
            outcome=outcomes.get(participant.address, reasons_pb2.REASON_UNSPECIFIED),
            barred=keeper.is_invalid(participant),
        )
        for participant in hardware.participants(ctx)
    ]


def _node_facts(
    registered: list[str], nonces: dict[str, int], snapshot: dict[str, epochs_pb2.MLNodeInfo]
) -> tuple[rules.NodeFacts, ...]:
    """The registered nodes in the order in which they were added, then those that are gone, by node_id."""
    known = set(registered)
    gone = sorted({*snapshot, *nonces}.difference(known))
    facts = []
    for node_id in (*registered, *gone):
        info = snapshot.get(node_id, _NOT_IN_GROUP)
        facts.append(
            rules.NodeFacts(
                node_id=node_id,
                registered=node_id in known,
                nonces=nonces.get(node_id, 0),
                preserved=keeper.has_poc_slot(info),
                weight_old=info.poc_weight,
                unproved_old=info.unproved,
            )
        )
    return tuple(facts)


def cut_preserved(
    ctx: Context,
    record: epochs_pb2.EpochRecord,
    participant: str,
    node: epochs_pb2.NodeWeight,
    requests: tuple[int, int],
) -> None:
    """Cuts a preserved weight by the requests (finished, missed) of its participant, and notes that."""
    rules.cut(node, *requests)
    key = (record.height_start, participant, node.node_id)
    stored = state.WEIGHTS.get(ctx, key)
    if stored is not None:
        stored.poc_weight, stored.weight_source = node.poc_weight, node.weight_source
        stored.requests_finished, stored.requests_missed = requests
        state.WEIGHTS.set(ctx, key, stored)


# the end of a stage's data


def drop_stage(ctx: Context, height_start: int) -> None:
    """Marks the data of a PoC that an extension made void; pruning removes it."""
    state.DROPPED.add(ctx, height_start)


def prune(ctx: Context, budget: int) -> int:
    """Removes at most `budget` entries of stages that are dropped or past their retention; returns how many.

    Bulk data has a budget of its own and is not counted: a node that joined with a snapshot may lack it, and
    the tree must be pruned alike everywhere. Claims go as soon as the epoch that they made is over, since
    nobody re-computes them any more.
    """
    effective = epochs.state(ctx).epoch_effective
    retention = max(1, epochs.params(ctx).epoch.retention_epochs)
    over = _height_start(ctx, effective)
    oldest = _height_start(ctx, max(0, effective - retention))
    _clear_before(ctx, (state.CLAIMS, state.NONCES), over, budget)
    _clear_before(ctx, (state.WEIGHTS,), oldest, budget)
    removed = _clear_dropped(ctx, budget)
    return removed + _clear_before(ctx, _IN_TREE, oldest, budget - removed)


def _height_start(ctx: Context, epoch: int) -> int:
    record = epochs.record(ctx, epoch)
    return record.height_start if record is not None else 0


def _clear_dropped(ctx: Context, budget: int) -> int:
    removed = 0
    for height_start in list(state.DROPPED.walk(ctx)):
        for table in _IN_TREE:
            removed += table.clear(ctx, (height_start,), budget - removed)
        if removed >= budget:
            break
        state.DROPPED.remove(ctx, height_start)
    return removed


def _clear_before(ctx: Context, tables: tuple[Map[Any, Any], ...], height: int, budget: int) -> int:
    """Removes at most `budget` entries of PoCs that began before a height."""
    removed = 0
    for table in tables:
        while removed < budget:
            key = next(iter(table.keys(ctx)), None)
            if key is None or key[0] >= height:
                break
            removed += table.clear(ctx, (key[0],), budget - removed)
    return removed
