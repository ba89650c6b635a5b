"""poc: MLNodes hand in nonces, participants judge one another."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from abci_app.kernel.module import handles
from abci_app.modules import epochs, hardware
from abci_app.modules.poc import judgements, keeper, refusals, state
from abci_app.modules.poc.errors import BatchRefused, VerdictsRefused
from protocol.claims import encode_nonces
from protocol.gen.evergrid.poc.v1 import poc_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1 import epochs_pb2
    from protocol.gen.evergrid.hardware.v1 import hardware_pb2

# On top of what is read and written: a verdict is expanded, checked and perhaps named in the refusal.
VERDICT_GAS = 1_000


# batches


@handles(poc_pb2.MsgSubmitPocBatch)
def submit_poc_batch(ctx: Context, msg: poc_pb2.MsgSubmitPocBatch) -> None:
    """Takes a batch of nonces of one node, or refuses it with everything that is wrong with it."""
    record = epochs.upcoming_record(ctx)
    window = keeper.batch_window(record)
    wrong = refusals.window_refusals(record, ctx.height, window, msg.poc_stage_start_height, "batches")
    if record is None:
        raise BatchRefused(wrong)
    node = hardware.get_node(ctx, msg.creator, msg.node_id)
    former = node and state.NODES.get(ctx, (record.height_start, msg.creator, msg.node_id))
    former = former or poc_pb2.NodeNonces(participant=msg.creator, node_id=msg.node_id)
    sender = _batch_sender(ctx, node, former)
    wrong += refusals.batch_refusals(msg, sender, record.height_start, record.params.poc)
    if wrong:
        raise BatchRefused(wrong)

    _store_batch(ctx, msg)
    _count_nonces(ctx, msg, former)
    first, count, _ = refusals.nonce_span(msg)
    ctx.emit(
        "poc_batch_submitted",
        participant=msg.creator,
        node_id=msg.node_id,
        poc_stage_start_height=msg.poc_stage_start_height,
        nonce_first=first,
        nonce_count=count,
    )


def _batch_sender(
    ctx: Context, node: hardware_pb2.RegisteredNode | None, former: poc_pb2.NodeNonces
) -> refusals.BatchSender:
    participant = hardware.get_participant(ctx, former.participant)
    return refusals.BatchSender(
        participant=participant,
        node=node,
        barred=keeper.is_invalid(participant),
        holds_poc_slot=keeper.holds_poc_slot(ctx, former.participant, former.node_id),
        nonce_next=former.nonce_next,
        nonces_total=former.nonces_total,
        batches=former.batches,
        committed=former.committed,
    )


def _store_batch(ctx: Context, msg: poc_pb2.MsgSubmitPocBatch) -> None:
    first, count, _ = refusals.nonce_span(msg)
    key = (msg.poc_stage_start_height, msg.creator, msg.node_id, first)
    batch = poc_pb2.PocBatch(
        participant=msg.creator,
        node_id=msg.node_id,
        poc_stage_start_height=msg.poc_stage_start_height,
        batch_id=msg.batch_id,
        nonce_first=first,
        nonce_count=count,
        claims_sha256=b"" if msg.root else sha256(msg.claims).digest(),
        height_submitted=ctx.height,
        root=msg.root,
    )
    if msg.nonces:
        nonces = encode_nonces(msg.nonces)
        batch.nonces_sha256 = sha256(nonces).digest()
        state.NONCES.set(ctx, key, nonces)
    if not msg.root:
        state.CLAIMS.set(ctx, key, msg.claims)
    state.BATCHES.set(ctx, key, batch)


def _count_nonces(ctx: Context, msg: poc_pb2.MsgSubmitPocBatch, node: poc_pb2.NodeNonces) -> None:
    _, count, after = refusals.nonce_span(msg)
    node.nonce_next = after
    node.nonces_total += count
    node.batches += 1
    node.committed = bool(msg.root)
    state.NODES.set(ctx, (msg.poc_stage_start_height, msg.creator, msg.node_id), node)
    if not state.TALLIES.has(ctx, (msg.poc_stage_start_height, msg.creator)):
        judgements.new_tally(ctx, msg.poc_stage_start_height, msg.creator)


# verdicts


@handles(poc_pb2.MsgSubmitPocValidations)
def submit_poc_validations(ctx: Context, msg: poc_pb2.MsgSubmitPocValidations) -> None:
    """Counts a validator's verdicts, all of them or none; every bad one is named."""
    record = epochs.upcoming_record(ctx)
    window = keeper.validation_window(record)
    wrong = refusals.window_refusals(record, ctx.height, window, msg.poc_stage_start_height, "verdicts")
    too_many = refusals.size_refusals(msg)
    if record is None or too_many:
        raise VerdictsRefused(wrong + too_many)
    power = epochs.voting_power(ctx, msg.creator)
    member = epochs.member(ctx, epochs.state(ctx).epoch_effective, "", msg.creator) is not None
    wrong += refusals.voter_refusals(msg.creator, member=member, power=power)
    if wrong:
        # These messages are free: what is said in them is looked at only where it can count.
        raise VerdictsRefused(wrong)
    ctx.gas.consume(VERDICT_GAS * refusals.verdict_count(msg), "verdicts")
    said, unknown = _said(ctx, msg, record.height_start)
    tallies = _tallies(ctx, said, record)
    judged = _judged(ctx, msg.creator, record, tallies)
    wrong += refusals.place_refusals(unknown)
    alone = epochs.is_only_voter(ctx, msg.creator)
    wrong += refusals.verdict_refusals(msg.creator, said, judged, alone=alone)
    if wrong:
        raise VerdictsRefused(wrong)

    named = [(each, tallies[each.participant], judged[each.participant]) for each in said]
    _count_verdicts(ctx, msg, power, named)
    ctx.emit(
        "poc_validations_submitted",
        validator=msg.creator,
        poc_stage_start_height=msg.poc_stage_start_height,
        verdicts=len(said),
    )


def _said(
    ctx: Context, msg: poc_pb2.MsgSubmitPocValidations, height_start: int
) -> tuple[list[poc_pb2.PocVerdict], list[int]]:
    """The message's verdicts one by one, by address; and the places that nobody has."""
    said, unknown = list(msg.verdicts), []
    places = dict.fromkeys(place for group in msg.groups for place in group.places)
    named = {place: judgements.participant_at(ctx, height_start, place) for place in places}
    for group in msg.groups:
        for place in group.places:
            participant = named[place]
            if participant is None:
                unknown.append(place)
                continue
            said.append(
                poc_pb2.PocVerdict(
                    participant=participant,
                    verdict=group.verdict,
                    sampled=group.sampled,
                    mismatches=group.mismatches,
                )
            )
    return said, unknown


def _tallies(
    ctx: Context, said: Sequence[poc_pb2.PocVerdict], record: epochs_pb2.EpochRecord
) -> dict[str, poc_pb2.PocTally | None]:
    names = [verdict.participant for verdict in said]
    return {
        # No text with a zero byte is a key, so nobody of such a name has nonces.
        name: state.TALLIES.get(ctx, (record.height_start, name)) if "\0" not in name else None
        for name in names
    }


def _judged(
    ctx: Context,
    validator: str,
    record: epochs_pb2.EpochRecord,
    tallies: Mapping[str, poc_pb2.PocTally | None],
) -> dict[str, refusals.Judged]:
    known = [name for name, tally in tallies.items() if tally is not None]
    slots = keeper.slots_of_validator(ctx, record, validator, known)
    before = judgements.places_judged(ctx, record.height_start, validator)
    return {
        name: refusals.Judged(
            has_nonces=tally is not None,
            judged_before=tally is not None and tally.place in before,
            slots=slots.get(name),
        )
        for name, tally in tallies.items()
    }


def _count_verdicts(
    ctx: Context,
    msg: poc_pb2.MsgSubmitPocValidations,
    power: int,
    said: Sequence[tuple[poc_pb2.PocVerdict, poc_pb2.PocTally | None, refusals.Judged]],
) -> None:
    height_start, kept = msg.poc_stage_start_height, []
    for verdict, tally, judged in said:
        assert tally is not None, "a verdict on a participant without nonces was refused"
        validation = poc_pb2.PocValidation(
            participant=verdict.participant,
            validator=msg.creator,
            verdict=verdict.verdict,
            sampled=verdict.sampled,
            mismatches=verdict.mismatches,
            voting_power=power,
            height_submitted=ctx.height,
            slots=judged.slots or 0,
        )
        kept.append((tally.place, validation))
        keeper.add_to_tally(tally, validation, 1)
        state.TALLIES.set(ctx, (height_start, verdict.participant), tally)
    judgements.add(ctx, height_start, msg.creator, kept)
