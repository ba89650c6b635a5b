"""Epoch 7 of the protocol's worked example in the real modules, one block before the start of PoC."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TypeVar

from google.protobuf.message import Message

from abci_app.kernel.context import Context
from abci_app.kernel.module import QUERIES
from abci_app.modules import epochs, hardware, inference, models
from abci_app.modules.epochs.formation import Candidate, form_group
from abci_app.modules.epochs.steps import store_formed
from protocol.claims import encode_claims
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.models.v1 import models_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import REASON_MINED
from tests.chain import a_model
from tests.ground import a_context

R = TypeVar("R", bound=Message)

S, T, E, V_OF_7 = 5100, 5130, 5154, 4458
BATCHES = (S + 1, S + 28)
NAMES = ("alice", "bob", "carol")
# node_id: owner, model, weight in epoch 7 (b3 is new), in the order in which they were added.
NODES = {
    "a1": ("alice", "X", 300),
    "a2": ("alice", "X", 280),
    "a3": ("alice", "Y", 120),
    "b1": ("bob", "X", 260),
    "b2": ("bob", "Y", 140),
    "c1": ("carol", "X", 200),
    "c2": ("carol", "X", 60),
    "b3": ("bob", "Y", 0),
}
MINED_IN_8 = {"a1": 310, "b2": 138, "c1": 205, "c2": 58, "b3": 90}


def at_height(ctx: Context, height: int) -> Context:
    """Moves a context to a block whose hash is SHA-256("block H")."""
    block_hash = sha256(f"block {height}".encode()).digest()
    ctx.block = replace(ctx.block, height=height, hash=block_hash)
    return ctx


def epoch_seven() -> Context:
    """The state at the end of block 5099, before its stage; chain id evergrid-test-1, testnet profile."""
    ctx = at_height(a_context(), S - 1)
    params = epochs.default_params("testnet")
    models.MODULE.init_genesis(
        ctx, models_pb2.GenesisState(models=[a_model("X", 40_000_000), a_model("Y", 90_000_000)])
    )
    hardware.MODULE.init_genesis(ctx, _hardware())
    record = epochs_pb2.EpochRecord(index=7, height_start=4380, params=params, height_switched=V_OF_7)
    epochs.MODULE.init_genesis(
        ctx,
        epochs_pb2.GenesisState(
            params=params,
            state=epochs_pb2.EpochState(epoch_effective=7, height_effective=V_OF_7, height_next_poc=S),
            records=[record],
        ),
    )
    store_formed(ctx, form_group(7, 4434, _candidates(ctx), models.models_for_formation(ctx), 2500))
    inference.MODULE.init_genesis(ctx, _inferences())
    return ctx


def _hardware() -> hardware_pb2.GenesisState:
    return hardware_pb2.GenesisState(
        params=hardware_pb2.Params(max_nodes_per_participant=1000),
        participants=[
            hardware_pb2.Participant(
                address=name,
                url=f"http://{name}.test",
                validator_key=sha256(f"validator {name}".encode()).digest(),
                public_key=b"\2" + sha256(name.encode()).digest(),
                status=hardware_pb2.PARTICIPANT_STATUS_ACTIVE,
            )
            for name in NAMES
        ],
        nodes=[
            hardware_pb2.RegisteredNode(
                participant=owner,
                node=hardware_pb2.MLNode(node_id=node_id, models=[model], host="127.0.0.1", port=8080),
                sequence=place,
                height_registered=5000 if node_id == "b3" else 1,
            )
            for place, (node_id, (owner, model, _)) in enumerate(NODES.items())
        ],
        node_sequence=len(NODES),
    )


def _candidates(ctx: Context) -> list[Candidate]:
    candidates = []
    for name in NAMES:
        participant = hardware.get_participant(ctx, name)
        assert participant is not None
        nodes = tuple(
            (
                each,
                epochs_pb2.NodeWeight(
                    node_id=each.node.node_id,
                    poc_weight=NODES[each.node.node_id][2],
                    weight_source=REASON_MINED,
                ),
            )
            for each in hardware.nodes_of(ctx, name)
        )
        candidates.append(Candidate(participant, nodes))
    return candidates


def _inferences() -> inference_pb2.GenesisState:
    """Steady traffic since the switch, the measured demand in the window before PoC, all served by all."""
    return inference_pb2.GenesisState(
        tokens=[
            inference_pb2.BlockTokens(model_id="X", height=4600, tokens=100_000),
            inference_pb2.BlockTokens(model_id="X", height=S - 1, tokens=9600),
            inference_pb2.BlockTokens(model_id="Y", height=4600, tokens=60_000),
            inference_pb2.BlockTokens(model_id="Y", height=S - 24, tokens=5000),
        ],
        served=[
            inference_pb2.ServedCount(epoch_index=7, model_id=model, participant=name, finished=20)
            for name in NAMES
            for model in ("X", "Y")
        ],
    )


def ask(ctx: Context, request: Message, response: type[R]) -> R:
    """The answer to a query, by the function that is registered for it."""
    (route,) = (each for each in QUERIES.values() if each.route.request is type(request))
    answer = route.answer(ctx, request)
    assert isinstance(answer, response)
    return answer


def a_batch(owner: str, node_id: str, count: int = 5, first: int = 0) -> poc_pb2.MsgSubmitPocBatch:
    return poc_pb2.MsgSubmitPocBatch(
        creator=owner,
        poc_stage_start_height=S,
        node_id=node_id,
        batch_id=f"{node_id}-{first}",
        nonce_first=first,
        nonce_count=count,
        claims=encode_claims(range(count)),
    )


def verdicts(validator: str, **said: poc_pb2.Verdict) -> poc_pb2.MsgSubmitPocValidations:
    return poc_pb2.MsgSubmitPocValidations(
        creator=validator,
        poc_stage_start_height=S,
        verdicts=[
            poc_pb2.PocVerdict(participant=name, verdict=verdict, sampled=200)
            for name, verdict in said.items()
        ],
    )
