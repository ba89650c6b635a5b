"""poc: at the end of the validation the vote is decided and weights follow; old stages are pruned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from abci_app.modules import epochs, hardware
from abci_app.modules.poc import judgements, keeper, rules, state
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def freeze_voters(ctx: Context, record: epochs_pb2.EpochRecord) -> None:
    """At T: notes in the record who may judge."""
    powers = keeper.powers_at_validation(ctx, record)
    epochs.set_voters(ctx, record, len(powers), keeper.voters_digest(powers))


def compute_new_weights(ctx: Context, record: epochs_pb2.EpochRecord) -> list[epochs_pb2.ActiveParticipant]:
    """Who has weight in the next group, by address: decides the vote, then weighs everyone at once."""
    decide_outcomes(ctx, record)
    everyone = hardware.registry_entries(ctx)
    scaled = scale_of(ctx, record, everyone) if unit_changed(ctx, record) else (1, 1)
    return weigh(ctx, record, everyone, scaled if scaled[1] else (1, 1))


def decide_outcomes(ctx: Context, record: epochs_pb2.EpochRecord) -> int:
    """At E: stores how the vote on each participant ends; returns how many."""
    powers = epochs.voting_powers(ctx)
    power_total = sum(powers.values())
    # What members said that became INVALID since does not count.
    fallen = keeper.invalid_since(ctx, keeper.validation_window(record)[0])
    silenced = [judgements.of_validator(ctx, record.height_start, validator) for validator in fallen]
    slots = keeper.validation_slots(ctx, record)
    tallies = list(state.TALLIES.values(ctx, (record.height_start,)))
    for tally in tallies:
        for said in silenced:
            if tally.participant in said:
                keeper.add_to_tally(tally, said[tally.participant], -1)
        outcome = rules.participant_outcome(tally, powers, power_total, slots)
        state.OUTCOMES.set(ctx, (record.height_start, tally.participant), outcome)
        if outcome.outcome != reasons_pb2.REASON_ACCEPTED:
            _announce(ctx, record, outcome)
    return len(tallies)


def unit_changed(ctx: Context, record: epochs_pb2.EpochRecord) -> bool:
    """Whether preserved weights have to be translated into the unit of the new PoC."""
    return rules.unit_changed(epochs.effective_record(ctx).params, record.params)


def scale_of(
    ctx: Context, record: epochs_pb2.EpochRecord, entries: Sequence[hardware.Entry]
) -> tuple[int, int]:
    """What some participants add to (M_new, M_old); (0, 0) where none of their nodes counts."""
    facts = _facts(ctx, record, entries)
    return rules.mined_again(facts, rules.unscaled(facts))


def weigh(
    ctx: Context,
    record: epochs_pb2.EpochRecord,
    entries: Sequence[hardware.Entry],
    scaled: tuple[int, int],
) -> list[epochs_pb2.ActiveParticipant]:
    """Who of some participants, neighbours in the registry, has weight in the next group, by address.

    Stores of every node its weight or why it has none. `scaled` is (M_new, M_old), or (1, 1).
    """
    facts = _facts(ctx, record, entries)
    weights = rules.scaled_weights(facts, scaled)
    for participant_facts in facts:
        address = participant_facts.address
        for node, weight in zip(participant_facts.nodes, weights[address], strict=True):
            key = (record.height_start, address, node.node_id)
            state.WEIGHTS.set(ctx, key, rules.weighed(participant_facts, node, weight, scaled))

    active = rules.active_participants(weights)
    urls = {each.participant.address: each.participant.url for each in entries}
    for each in active:
        each.url = urls[each.address]
    return active


def _announce(ctx: Context, record: epochs_pb2.EpochRecord, outcome: poc_pb2.PocOutcome) -> None:
    word = reasons_pb2.Reason.Name(outcome.outcome).removeprefix("REASON_").lower()
    ctx.emit("poc_not_accepted", epoch=record.index, participant=outcome.participant, reason=word)


_NOT_IN_GROUP = epochs_pb2.MLNodeInfo()


def _facts(
    ctx: Context, record: epochs_pb2.EpochRecord, entries: Sequence[hardware.Entry]
) -> list[rules.ParticipantFacts]:
    if not entries:
        return []
    height_start = record.height_start
    first, last = entries[0].participant.address, entries[-1].participant.address
    snapshot: dict[str, dict[str, epochs_pb2.MLNodeInfo]] = {}
    for address, info in keeper.weighted_nodes(ctx, first, last):
        snapshot.setdefault(address, {})[info.node_id] = info
    nonces: dict[str, dict[str, int]] = {}
    for each in state.NODES.values(ctx, (height_start,), start=(height_start, first, "")):
        if each.participant > last:
            break
        nonces.setdefault(each.participant, {})[each.node_id] = each.nonces_total
    outcomes = {}
    for outcome in state.OUTCOMES.values(ctx, (height_start,), start=(height_start, first)):
        if outcome.participant > last:
            break
        outcomes[outcome.participant] = outcome.outcome
    facts = []
    for entry in entries:
        address = entry.participant.address
        nodes = _node_facts(
            [each.node.node_id for each in entry.nodes], nonces.get(address, {}), snapshot.get(address, {})
        )
        outcome_known = outcomes.get(address, reasons_pb2.REASON_UNSPECIFIED)
        barred = keeper.is_invalid(entry.participant)
        facts.append(rules.ParticipantFacts(address, nodes, outcome_known, barred))
    return facts


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
