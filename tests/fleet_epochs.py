"""Epochs driven by their own functions: a small fleet, what a PoC proved of it, and one PoC from S-1 to V."""

from __future__ import annotations

from collections.abc import Sequence

from abci_app.kernel.context import Context
from abci_app.modules import epochs
from protocol.gen.evergrid.epochs.v1 import epochs_pb2 as pb
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_MINED
from tests.fleet import X, Y, a_model, a_node, a_state, at, who

FLEET = [
    ("alice", a_node("a1", X, Y), 300),
    ("alice", a_node("a2", Y), 100),
    ("bob", a_node("b1", X), 400),
    ("carol", a_node("c1", X), 200),
]


def three_members() -> Context:
    """Models X and Y; alice, bob, carol with genesis weights 400, 400, 200: powers 400, 400, 200."""
    ctx = a_state([a_model(X), a_model(Y)], FLEET)
    epochs.take_validator_updates(ctx)
    return ctx


def mined(name: str, **nodes: int) -> pb.ActiveParticipant:
    """What the PoC proved of a participant."""
    return pb.ActiveParticipant(
        address=who(name),
        ml_nodes=[
            pb.NodeWeight(node_id=node_id, poc_weight=weight, weight_source=REASON_MINED)
            for node_id, weight in nodes.items()
        ],
    )


ALL = [mined("alice", a1=310, a2=90), mined("bob", b1=410), mined("carol", c1=190)]


def run_poc(ctx: Context, proved: Sequence[pb.ActiveParticipant]) -> Context:
    """Writes, opens, forms; publishes and switches, or extends. Returns the context of the last block."""
    start = epochs.state(ctx).height_next_poc
    epochs.write_record(at(ctx, start - 1))
    record = epochs.upcoming_record(ctx)
    assert record is not None
    heights = epochs.stage_heights(record.params.epoch, start)
    epochs.open_poc(at(ctx, heights.start), record)
    epochs.set_validation_seed(at(ctx, heights.validation_start), record)
    ready = at(ctx, heights.validation_end)
    epochs.form_upcoming_group(ready, record, proved)
    reason = epochs.extension_reason(ready, record)
    if reason is not None:
        epochs.extend_epoch(ready, record, reason)
        refused = epochs.begin_formation(ready, record)
        epochs.clear_members(ready, refused, budget=1_000)
        epochs.clear_poc_slots(ready, refused, budget=1_000)
        return ready
    epochs.publish_group(ready, record)
    switched = at(ctx, heights.switch)
    epochs.switch_epoch(switched, record)
    return switched


def weights(ctx: Context, epoch: int, model_id: str = "") -> dict[str, int]:
    return {each.member_address: each.weight for each in epochs.members(ctx, epoch, model_id)}


def give_poc_slot(ctx: Context, epoch: int, model_id: str, name: str) -> None:
    member = epochs.member(ctx, epoch, model_id, who(name))
    assert member is not None
    member.ml_nodes[0].timeslot_allocation[pb.POC_SLOT] = True
    epochs.set_member(ctx, epoch, model_id, member)


def slots(ctx: Context, epoch: int, model_id: str, name: str) -> list[bool]:
    member = epochs.member(ctx, epoch, model_id, who(name))
    assert member is not None
    return list(member.ml_nodes[0].timeslot_allocation)
