"""poc: the state as a genesis, and back."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING

from abci_app.modules.poc import judgements, keeper, state
from protocol.gen.evergrid.poc.v1 import poc_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from abci_app.kernel.context import Context


def validate_genesis(genesis: poc_pb2.GenesisState) -> list[str]:
    """All that is wrong: bulk data that is not what the batch's record says, and keys that occur twice."""
    errors = []
    for each in genesis.batches:
        batch = each.batch
        name = f"batch {batch.nonce_first} of node {batch.node_id!r} of {batch.participant}"
        if batch.claims and sha256(batch.claims).digest() != batch.claims_sha256:
            errors.append(f"{name}: claims do not match claims_sha256")
        if batch.nonces and sha256(batch.nonces).digest() != batch.nonces_sha256:
            errors.append(f"{name}: nonces do not match nonces_sha256")
    keys = Counter(
        (each.poc_stage_start_height, each.node.participant, each.node.node_id) for each in genesis.nodes
    )
    errors += [f"node given twice: {key}" for key, times in sorted(keys.items()) if times > 1]
    places = Counter((each.poc_stage_start_height, each.tally.place) for each in genesis.tallies)
    errors += [f"place given twice: {key}" for key, times in sorted(places.items()) if times > 1]
    judged = {(each.poc_stage_start_height, each.tally.participant) for each in genesis.tallies}
    errors += [
        f"verdict of {each.validation.validator} on {each.validation.participant}, who has no tally"
        for each in genesis.validations
        if (each.poc_stage_start_height, each.validation.participant) not in judged
    ]
    return errors


def init_genesis(ctx: Context, genesis: poc_pb2.GenesisState) -> None:
    """Writes everything that an export gave."""
    for each in genesis.batches:
        _restore_batch(ctx, each.poc_stage_start_height, each.batch)
    for node in genesis.nodes:
        key = (node.poc_stage_start_height, node.node.participant, node.node.node_id)
        state.NODES.set(ctx, key, node.node)
    for tally in genesis.tallies:
        state.TALLIES.set(ctx, (tally.poc_stage_start_height, tally.tally.participant), tally.tally)
        state.PLACES.set(ctx, (tally.poc_stage_start_height, tally.tally.place), tally.tally.participant)
    _restore_validations(ctx, genesis.validations)
    for outcome in genesis.outcomes:
        state.OUTCOMES.set(
            ctx, (outcome.poc_stage_start_height, outcome.outcome.participant), outcome.outcome
        )
    for weight in genesis.weights:
        key = (weight.poc_stage_start_height, weight.participant, weight.weight.node_id)
        state.WEIGHTS.set(ctx, key, weight.weight)
    for height_start in genesis.dropped:
        state.DROPPED.add(ctx, height_start)


def _restore_validations(ctx: Context, given: Iterable[poc_pb2.StageValidation]) -> None:
    said: dict[tuple[int, str], list[tuple[int, poc_pb2.PocValidation]]] = {}
    for each in given:
        start, validation = each.poc_stage_start_height, each.validation
        place = state.TALLIES.require(ctx, (start, validation.participant)).place
        said.setdefault((start, validation.validator), []).append((place, validation))
    for (start, validator), pairs in said.items():
        judgements.add(ctx, start, validator, pairs)


def _restore_batch(ctx: Context, height_start: int, batch: poc_pb2.PocBatch) -> None:
    record = poc_pb2.PocBatch()
    record.CopyFrom(batch)
    record.ClearField("claims")
    record.ClearField("nonces")
    key = (height_start, batch.participant, batch.node_id, batch.nonce_first)
    state.BATCHES.set(ctx, key, record)
    if batch.claims:
        state.CLAIMS.set(ctx, key, batch.claims)
    if batch.nonces:
        state.NONCES.set(ctx, key, batch.nonces)


def _stages(ctx: Context) -> list[int]:
    """The start heights of PoCs with verdicts."""
    return sorted({start for start, _ in state.VALIDATIONS.keys(ctx)})


def export_genesis(ctx: Context) -> poc_pb2.GenesisState:
    """All state of the module, claims included."""
    return poc_pb2.GenesisState(
        batches=[
            poc_pb2.StageBatch(poc_stage_start_height=key[0], batch=keeper.with_claims(ctx, key, batch))
            for key, batch in state.BATCHES.walk(ctx)
        ],
        nodes=[
            poc_pb2.StageNodeNonces(poc_stage_start_height=key[0], node=node)
            for key, node in state.NODES.walk(ctx)
        ],
        validations=[
            poc_pb2.StageValidation(poc_stage_start_height=start, validation=validation)
            for start in _stages(ctx)
            for validation in judgements.of_stage(ctx, start)
        ],
        tallies=[
            poc_pb2.StageTally(poc_stage_start_height=key[0], tally=tally)
            for key, tally in state.TALLIES.walk(ctx)
        ],
        outcomes=[
            poc_pb2.StageOutcome(poc_stage_start_height=key[0], outcome=outcome)
            for key, outcome in state.OUTCOMES.walk(ctx)
        ],
        weights=[
            poc_pb2.StageNodeWeight(poc_stage_start_height=key[0], participant=key[1], weight=weight)
            for key, weight in state.WEIGHTS.walk(ctx)
        ],
        dropped=state.DROPPED.walk(ctx),
    )
