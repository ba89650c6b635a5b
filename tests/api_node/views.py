"""Chain views of one PoC after another, as a chain with the local profile's heights would give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from abci_app.modules.epochs.profiles import default_params
from api_node.phases import NodeFacts
from api_node.view import ChainView, EpochData, stage_heights
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.models.v1 import models_pb2
from tests.chain import key_of

ALICE = key_of("alice").address
BOB = key_of("bob").address
X, Y = "org/x", "org/y"
MODELS = {
    model_id: models_pb2.Model(id=model_id, model_args=["--max-model-len", "64"]) for model_id in (X, Y)
}
S_FIRST = 10


@dataclass(frozen=True)
class Placed:
    """A node of alice in a group: its model, and whether it serves through the PoC."""

    node_id: str
    model_id: str
    poc_slot: bool = False
    memory_mib: int = 0


def group(epoch: int, placed: Sequence[Placed], *, slots: bool = False) -> EpochData:
    """A group in which alice and bob vote; POC_SLOT counts only once it is drawn."""
    ml_nodes = {
        each.node_id: {
            each.model_id: epochs_pb2.MLNodeInfo(
                node_id=each.node_id,
                timeslot_allocation=[True, slots and each.poc_slot],
                poc_weight=100,
                memory_mib=each.memory_mib,
            )
        }
        for each in placed
    }
    return EpochData(epoch, MODELS if placed else {}, ml_nodes, {ALICE: 100, BOB: 80}, {ALICE: 100, BOB: 80})


def record(index: int, start: int) -> epochs_pb2.EpochRecord:
    """A record as it is written."""
    return epochs_pb2.EpochRecord(index=index, height_start=start, params=default_params("local"))


def view_at(
    height: int, placed: Sequence[Placed] = (), following: Sequence[Placed] | None = None
) -> ChainView:
    """The chain at a height. `placed` rules from the first height on; `following` from every switch on."""
    params = default_params("local")
    length = params.epoch.epoch_length
    passed = max(0, (height - S_FIRST + 1) // length + (1 if height >= S_FIRST - 1 else 0))
    index, start = max(1, passed), S_FIRST + (max(1, passed) - 1) * length
    upcoming = record(index, start)
    at = stage_heights(upcoming)
    later = placed if following is None else following
    if height >= at.switch or height < start - 1:
        ruling = index if height >= at.switch else index - 1
        return _view(height, ruling, placed if ruling == 0 else later)
    if height >= at.start:
        upcoming.poc_seed = seed_of(start)
    if height >= at.validation_start:
        upcoming.validation_seed = sha256(f"block {at.validation_start}".encode()).digest()
    next_group = None
    if height >= at.validation_end:
        upcoming.height_ready = at.validation_end
        next_group = group(index, later)
    now = placed if index == 1 else later
    return _view(height, index - 1, now, upcoming, next_group)


def seed_of(start: int) -> bytes:
    """The hash of block S."""
    return sha256(f"block {start}".encode()).digest()


def _view(
    height: int,
    epoch: int,
    placed: Sequence[Placed],
    upcoming: epochs_pb2.EpochRecord | None = None,
    next_group: EpochData | None = None,
) -> ChainView:
    node_ids = {each.node_id for each in placed} | {"n1", "n2"}
    return ChainView(
        chain_id="evergrid-test-1",
        height=height,
        state=epochs_pb2.EpochState(epoch_effective=epoch),
        effective_record=record(epoch, 0),
        effective=group(epoch, placed, slots=upcoming is not None),
        upcoming=upcoming,
        next_group=next_group,
        participant=hardware_pb2.Participant(
            address=ALICE, url="http://alice.test:9000", validator_key=b"v" * 32, public_key=b"k" * 33
        ),
        registered={
            node_id: hardware_pb2.RegisteredNode(
                participant=ALICE,
                node=hardware_pb2.MLNode(node_id=node_id, models=[X], host="127.0.0.1", port=8080),
                height_registered=1,
            )
            for node_id in sorted(node_ids)
        },
        governance_models=MODELS,
    )


def facts(*node_ids: str, model_id: str = X) -> list[NodeFacts]:
    """Configured nodes of one model."""
    return [NodeFacts(node_id, ((model_id, ("--max-num-seqs", "4")),)) for node_id in node_ids]
